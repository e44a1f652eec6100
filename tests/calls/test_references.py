import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.references import Reference, parse
from algoprof.errors import ConfigurationError

part = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)
version = st.sampled_from(["", "latest", "latestPrivate", "1.2.3", "1.2.*", "1.*", "1.2", "0ddc2cc" + "a" * 33])


@given(part, part, version, st.sampled_from(["", "/", "algo://", "https://api.example.com/v1/algo/"]))
def test_every_form_names_the_same_algorithm(owner, name, version, prefix):
    found = parse(f"{prefix}{owner}/{name}/{version}?timeout=9")
    assert (found.owner, found.name, found.version) == (owner, name, version)
    assert found.query == {"timeout": "9"}
    assert found.address == ("https://api.example.com" if prefix.startswith("https") else "")
    assert parse(str(found)) == Reference(owner, name, version)


@given(st.uuids(), version, st.sampled_from(["", "algo://", "https://api.example.com/v1/algo/"]))
def test_an_id_names_an_algorithm(identity, version, prefix):
    found = parse(f"{prefix}{identity}/{version}")
    assert (found.owner, found.name, found.version, found.algorithm) == (str(identity), "", version, str(identity))
    assert str(found) == f"{identity}/{version}".rstrip("/")
    assert parse(str(found)) == Reference(str(identity), "", version)


@given(st.text() | st.from_regex(r"(algo://|https?://)?[\w./:%@#?&= -]*", fullmatch=True))
def test_any_text_is_a_reference_or_one_sentence(text):
    try:
        found = parse(text)
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017  (either way out is right)
    else:
        assert str(found).count("/") in (1, 2)
        assert ".." not in str(found).split("/")
        assert str(found).isascii()


@pytest.mark.parametrize(
    "text",
    ["", "Routes", "demo/", "/Routes", "demo/../admin", "demo/Routes/..", "demo/Routes/1.0/more", "demo/Rou tes",
     "demo/Routes?a=1#x", "https://u:p@host/v1/algo/a/b", "https://host/other/a/b", "https://[::1/v1/algo/a/b",
     "demo/" + "x" * 3000, None, 3],
)  # fmt: skip
def test_what_names_no_algorithm_is_refused(text):
    with pytest.raises(ConfigurationError, match="OWNER/NAME"):
        parse(text)


def test_the_address_of_a_url_may_have_a_path():
    assert parse("https://host:8080/proxy/v1/algo/demo/Routes").address == "https://host:8080/proxy"
