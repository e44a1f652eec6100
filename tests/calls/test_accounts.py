"""Keys from the official client's configuration file, and that no key is ever shown."""

import pickle
import sys
import traceback
from contextlib import suppress

import pytest
import requests
from Algorithmia.CLI import CLI

from algoprof.calls.access.accounts import account
from algoprof.calls.access.keys import Secret
from algoprof.calls.access.platforms import PUBLIC_ADDRESS, data_directory, locate
from algoprof.calls.client import client
from algoprof.errors import CallError, ConfigurationError, ManagementError

KEY = "simVerySecretKey"
HERE = "http://127.0.0.1:9"


@pytest.fixture
def configured(tmp_path):
    """Write the file."""

    def write(text):
        (tmp_path / "accounts").write_text(text)

    return write


ACCOUNTS = f"""
[profiles.default]
api_key = "simUsual"
api_server = ""
ca_cert = ""
bearer_token = ""

[profiles.work]
api_key = "{KEY}"
api_server = "https://api.example.com/"
ca_cert = "/etc/ssl/work.pem"

[profiles.token]
api_key = ""
api_server = "{HERE}"
bearer_token = "aaa.bbb.ccc"

[profiles.empty]
"""


def test_what_the_official_client_writes_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALGOPROF_ACCOUNTS")
    assert account().key == ""
    with suppress(requests.ConnectionError):  # it lists the data at once
        CLI().auth(HERE, KEY, profile="work")
    assert (tmp_path / ".algorithmia" / "config").exists()
    platform = locate(account="work")
    assert (platform.address, platform.authorization) == (HERE, f"Simple {KEY}")
    assert (locate().address, locate().authorization) == (PUBLIC_ADDRESS, "")  # its default account is there, and empty


def test_the_default_account_counts_last(configured, monkeypatch):
    configured(ACCOUNTS)
    assert (locate().address, locate().authorization) == (PUBLIC_ADDRESS, "Simple simUsual")
    assert locate("simGiven").authorization == "Simple simGiven"
    monkeypatch.setenv("ALGORITHMIA_BEARER_TOKEN", "ddd.eee.fff")
    assert locate().authorization == "Bearer ddd.eee.fff"
    data_directory().mkdir(parents=True)
    (data_directory() / "address").write_text("http://127.0.0.1:8123\n")
    assert locate().address == "http://127.0.0.1:8123"


def test_the_key_of_an_account_goes_to_its_own_address_only(configured, monkeypatch):
    configured(ACCOUNTS)
    assert locate(api_address="https://api.other.com").authorization == ""
    monkeypatch.setenv("ALGORITHMIA_API", HERE)
    assert locate().authorization == ""
    with pytest.raises(ConfigurationError, match="goes nowhere else"):
        locate(account="work", api_address=HERE)


def test_an_account_that_is_named_wins_over_the_environment(configured, monkeypatch):
    configured(ACCOUNTS)
    monkeypatch.setenv("ALGORITHMIA_API", HERE)
    monkeypatch.setenv("ALGORITHMIA_API_KEY", "simEnvironment")
    work = locate(account="work", api_address="https://API.example.com")
    assert (work.address, work.authorization, work.ca_cert) == (
        "https://api.example.com",
        f"Simple {KEY}",
        "/etc/ssl/work.pem",
    )
    assert locate(account="token").authorization == "Bearer aaa.bbb.ccc"
    assert locate("simGiven", account="work").authorization == "Simple simGiven"
    assert locate(bearer_token="a.b.c", account="work").authorization == "Bearer a.b.c"
    with pytest.raises(ConfigurationError, match=r"work\.pem"):
        client(account="work")  # its file of certificates is not there


@pytest.mark.parametrize(
    ("name", "words"), [("play", "there is default, empty, token, work"), ("empty", "neither a key nor a token")]
)
def test_an_account_that_cannot_be_used_is_told(configured, name, words):
    configured(ACCOUNTS)
    with pytest.raises(ConfigurationError, match=words) as raised:
        locate(account=name)
    assert f"algo auth --profile {'NAME' if name == 'play' else name}" in str(raised.value)


@pytest.mark.parametrize("text", [f"api_key = {KEY}", f'[profiles.default]\napi_key = "{KEY}\n', "\0"])
def test_a_file_that_is_none_is_told_and_never_shown(configured, text):
    configured(text)
    with pytest.raises(ConfigurationError, match="is not the TOML") as raised:
        locate()
    frames = raised.value.__traceback__.tb_next  # without this test's own, whose text it is
    shown = traceback.TracebackException(type(raised.value), raised.value, frames, capture_locals=True)
    assert KEY not in "".join(shown.format())
    assert locate("simGiven", HERE).authorization == "Simple simGiven"


@pytest.mark.parametrize("text", ["", "profiles = 3", "[profiles]\ndefault = 1", "[profiles.default]\napi_key = 3"])
def test_a_file_without_a_default_account_is_as_none(configured, text):
    configured(text)
    assert (locate().address, locate().authorization) == (PUBLIC_ADDRESS, "")


def test_a_secret_is_a_text_that_does_not_show():
    secret = Secret(KEY)
    assert secret == KEY
    assert KEY not in f"{[secret]} {secret!r} { ({'Authorization': secret}) }"
    assert type(pickle.loads(pickle.dumps(secret))) is Secret


@pytest.mark.parametrize("source", ["argument", "environment", "account"])
def test_no_traceback_shows_a_key_even_with_the_variables_of_each_frame(configured, monkeypatch, source):
    key, options = KEY, {"api_address": HERE}
    if source == "environment":
        monkeypatch.setenv("ALGORITHMIA_API_KEY", KEY)
    elif source == "account":
        configured(f'[profiles.default]\napi_key = "{KEY}"\napi_server = "{HERE}"\n')
    else:
        options["api_key"] = Secret(key)  # what the caller's own frames show is the caller's
    del key
    for ask in (lambda algo: algo.pipe(1), lambda algo: list(algo.builds())):
        with client(**options) as caller:
            algo = caller.algo("demo/Routes")
            assert algo._platform.authorization == f"Simple {KEY}"
            try:
                ask(algo)
            except (CallError, ManagementError):
                shown = traceback.TracebackException(*sys.exc_info(), capture_locals=True)
        assert KEY not in "".join(shown.format())
        assert "authorization" not in repr(algo).lower()
