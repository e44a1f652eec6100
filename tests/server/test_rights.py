"""What a key allows, apart from any server."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from algoprof.server.access import keys
from algoprof.server.access.keyring import Keyring
from algoprof.server.access.rights import ALGORITHM, EVERY_ALGORITHM, OWNER, Rights, scope, scopes

_names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True)


@given(st.text() | st.text("ab*/.:-\n").map("algo://".__add__))
@example("algo://")
@example("algo://*/*")
@example("algo://demo")
@example("algo://demo/Routes/1.0.0")
@example("algo://demo/*/*")
@example("algo://demo/Routes\n")
def test_a_scope_has_one_form_or_is_none(text):
    try:
        form = scope(text)
    except ValueError:
        return
    assert scope(form) == form
    assert form == EVERY_ALGORITHM or re.fullmatch(r"algo://[^/*]+(/[^/*]+)?/\*", form)


@given(_names, _names, _names, _names)
def test_a_scope_holds_for_what_it_names_and_nothing_else(owner, name, other_owner, other):
    one = Rights(algorithms=scopes([f"algo://{owner}/{name}"]))
    every = Rights(algorithms=scopes([f"algo://{owner}/*"]))
    assert one.calls(f"{owner}/{name}")
    assert every.calls(f"{owner}/{name}")
    assert one.calls(f"{other_owner}/{other}") == ((other_owner, other) == (owner, name))
    assert every.calls(f"{other_owner}/{other}") == (other_owner == owner)


def test_rights_are_what_they_say():
    assert scopes([]) == (EVERY_ALGORITHM,)
    assert scopes(["algo://a/b", "algo://a/b/*"]) == ("algo://a/b/*",)
    assert (OWNER.calls("a/b"), OWNER.manages, OWNER.reads_data(), OWNER.writes_data()) == (True, True, True, True)
    assert (ALGORITHM.calls("a/b"), ALGORITHM.manages, ALGORITHM.writes_data()) == (True, False, True)
    assert (Rights(data="read").reads_data(), Rights(data="read").writes_data()) == (True, False)
    admin = Rights("admin", data="write", manages=True)
    assert (admin.calls("a/b"), admin.reads_data(), admin.writes_data(), admin.administers) == (
        False,
        False,
        False,
        True,
    )


@given(st.text())
@example("Simple")
@example("Bearer ")
def test_what_a_header_shows_is_never_more_than_it_holds(header):
    assert keys.shown(header) in header
    assert keys.shown(f"Simple {header}") == header.strip()


def test_a_key_is_256_bits_and_stored_as_its_hash_alone(tmp_path):
    ring = Keyring(tmp_path / "db")
    made = [ring.create(Rights(), f"number {number}")[0] for number in range(50)]
    ring.close()
    assert len({key.text for key in made}) == 50
    assert all(key.text.startswith("sim") and len(key.text) == 46 for key in made)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for key in made:
        assert key.text.encode() not in stored
        assert key.digest.encode() in stored
        assert key.text not in f"{key} {key!r}"
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o600


def test_the_servers_own_key_is_one(tmp_path):
    ring = Keyring(tmp_path / "db")
    first, second = keys.make(), keys.make()
    for key in (first, first, second):
        ring.own(key)
    assert [record.id for record in ring.all()] == ["own"]
    assert ring.find(first.digest) is None
    assert ring.find(second.digest).rights == OWNER
    assert ring.revoke("own")
    assert not ring.revoke("own")
    ring.close()


@pytest.mark.parametrize("text", ["algo://demo/a b", "demo/Routes", "algo://../x", "algo:///x", "ALGO://*"])
def test_what_is_no_scope_is_refused(text):
    with pytest.raises(ValueError, match="is no scope"):
        scope(text)
