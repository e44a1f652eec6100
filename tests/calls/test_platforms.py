import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.access.platforms import PUBLIC_ADDRESS, Platform, data_directory, locate
from algoprof.errors import ConfigurationError

KEY = "simVerySecretKey"


@pytest.fixture
def served():
    """Leave what a server on this machine leaves."""
    data_directory().mkdir(parents=True)
    (data_directory() / "address").write_text("http://127.0.0.1:8123\n")
    (data_directory() / "key").write_text("simLocal\n")


def test_without_anything_it_is_the_public_platform_and_no_key():
    platform = locate()
    assert (platform.address, platform.authorization) == (PUBLIC_ADDRESS, "")


def test_the_argument_wins_over_the_environment(monkeypatch, served):
    monkeypatch.setenv("ALGORITHMIA_API", "http://127.0.0.1:1")
    monkeypatch.setenv("ALGORITHMIA_API_KEY", "simEnvironment")
    assert locate("simGiven", "http://127.0.0.1:2").authorization == "Simple simGiven"
    assert locate("simGiven", "http://127.0.0.1:2").address == "http://127.0.0.1:2"
    assert locate().address == "http://127.0.0.1:1"
    assert locate().authorization == "Simple simEnvironment"


def test_the_server_on_this_machine_is_found(served):
    platform = locate()
    assert (platform.address, platform.authorization) == ("http://127.0.0.1:8123", "Simple simLocal")
    assert locate(api_address="http://localhost:9").authorization == "Simple simLocal"


def test_the_local_key_goes_nowhere_else(monkeypatch, served):
    assert locate(api_address="https://api.algorithmia.com").authorization == ""
    monkeypatch.setenv("ALGORITHMIA_API", "https://127.0.0.1.example.com")
    assert locate().authorization == ""


def test_the_server_of_a_folder_that_is_named_wins_over_the_environment(monkeypatch, served, tmp_path):
    monkeypatch.setenv("ALGORITHMIA_API", "https://api.example.com")
    monkeypatch.setenv("ALGORITHMIA_API_KEY", "simEnvironment")
    (tmp_path / "address").write_text("http://127.0.0.1:8124\n")
    platform = locate(data=tmp_path)
    assert (platform.address, platform.authorization) == ("http://127.0.0.1:8124", "Simple simEnvironment")
    (tmp_path / "key").write_text("simOther\n")
    assert locate(data=tmp_path).authorization == "Simple simOther"
    assert locate("simGiven", data=tmp_path).authorization == "Simple simGiven"
    assert locate(api_address="https://api.example.com", data=tmp_path).authorization == "Simple simEnvironment"


def test_a_named_folder_without_a_server_is_no_reason_to_call_another(served, tmp_path):
    with pytest.raises(ConfigurationError, match="does not say where a server serves"):
        locate(data=tmp_path / "empty")


def test_without_a_home_there_is_only_the_public_platform(monkeypatch):
    monkeypatch.delenv("XDG_DATA_HOME")

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("algoprof.calls.access.platforms.Path.home", homeless)
    assert locate().address == PUBLIC_ADDRESS
    with pytest.raises(ConfigurationError, match="XDG_DATA_HOME"):
        data_directory()


def test_a_key_wins_over_a_token(monkeypatch):
    assert locate(bearer_token="aaa.bbb").authorization == "Bearer aaa.bbb"
    monkeypatch.setenv("ALGORITHMIA_BEARER_TOKEN", "ccc.ddd")
    assert locate().authorization == "Bearer ccc.ddd"
    assert locate("simA").authorization == "Simple simA"
    assert locate("Simple simA").authorization == "Simple simA"


@pytest.mark.parametrize(
    ("given_", "address"),
    [
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com/v1/", "https://api.example.com"),
        ("http://LOCALHOST:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://host/prefix/", "https://host/prefix"),
    ],
)
def test_addresses_are_written_one_way(given_, address):
    assert locate(api_address=given_).address == address


@pytest.mark.parametrize(
    "address",
    ["localhost:8080", "ftp://host", "http://", "http://host:99999", "http://host:x", "http://ho st", "http://[::1",
     "http://host?x=1", "http://host/#f", "file:///etc/passwd", "http://host/\n", 3],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    if address == "http://host/\n":
        assert locate(api_address=address).address == "http://host"
        return
    with pytest.raises(ConfigurationError, match="address"):
        locate(api_address=address)


@given(st.text(max_size=40))
def test_any_address_is_one_or_one_sentence(address):
    try:
        assert locate(api_address=address).address.startswith("http")
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017  (either way out is right)


def test_a_password_in_an_address_is_never_shown():
    with pytest.raises(ConfigurationError) as raised:
        locate(api_address="http://user:hunter2@host")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", f"{KEY}é", f"{KEY}\0", KEY * 5000])
def test_a_key_that_is_none_is_refused_and_never_shown(key):
    with pytest.raises(ConfigurationError) as raised:
        locate(key)
    assert KEY not in str(raised.value)


def test_a_platform_does_not_show_its_key():
    assert KEY not in repr(Platform("http://127.0.0.1", authorization=f"Simple {KEY}"))


@pytest.mark.parametrize(
    ("address", "local"),
    [("http://127.0.0.1:1", True), ("http://127.9.9.9", True), ("http://[::1]:1", True), ("http://localhost", True),
     ("http://127.0.0.1.evil.com", False), ("http://10.0.0.1", False), ("http://localhost.evil.com", False)],
)  # fmt: skip
def test_what_is_loopback(address, local):
    assert Platform(address).is_loopback is local
