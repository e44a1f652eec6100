"""The keys that a server accepts, in its database: made and revoked by `algoprof keys`, whether or not it runs."""

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from algoprof.server.access import keys
from algoprof.server.access.keys import Key
from algoprof.server.access.rights import OWNER, Rights
from algoprof.server.state.store import FILE, database_errors, now_ms

OWN = "own"
"""The id of the server's own key, which its data directory keeps."""

_SCHEMA = """
create table if not exists key (
    id text primary key,
    digest text not null unique,
    name text not null,
    kind text not null,
    algorithms text not null,
    data text not null,
    manages integer not null,
    created_ms integer not null
);
"""
_COLUMNS = "id, name, kind, algorithms, data, manages, created_ms"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key that is accepted, without its text, which nobody but its owner has.

    Args:
        id: what it is revoked by.
        name: what it is for; may be empty.
        rights: what it allows.
        created_ms: milliseconds since the Unix epoch.
    """

    id: str
    name: str
    rights: Rights
    created_ms: int


class Keyring:
    """The table of keys in the database of one data directory. Several processes may use it at once.

    >>> ring = Keyring(":memory:")
    >>> key, record = ring.create(Rights(), "tests")
    >>> ring.find(key.digest) == record, ring.find(keys.make().digest)
    (True, None)
    >>> ring.close()
    """

    def __init__(self, path: Path | str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        if isinstance(path, Path):
            path.chmod(0o600)
        self._as_of = (0, 0)
        self._found: dict[str, KeyRecord] = {}  # by hash, those that were asked for since the last change
        self._database.executescript(f"pragma journal_mode = wal; pragma synchronous = normal; {_SCHEMA}")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def create(self, rights: Rights, name: str = "") -> tuple[Key, KeyRecord]:
        """Make a key, and keep what it allows under its hash."""
        key = keys.make()
        return key, self._insert(secrets.token_hex(4), key, rights, name)

    def own(self, key: Key) -> None:
        """Let the server's own key in, instead of the one that it had before."""
        known = self.find(key.digest)
        if known is None or known.id != OWN:
            self.revoke(OWN)
            self._insert(OWN, key, OWNER, "the server's own")

    def revoke(self, key_id: str) -> bool:
        """Let a key in no more, from now on, and return whether there was one."""
        return self._database.execute("delete from key where id = ?", [key_id]).rowcount > 0

    def find(self, digest: str) -> KeyRecord | None:
        """Return the key with a hash, see `keys.digest`; None if there is none."""
        as_of = self._database.execute("pragma data_version").fetchone()[0], self._database.total_changes
        if as_of != self._as_of:  # somebody has written: this process, or `algoprof keys`
            self._as_of, self._found = as_of, {}
        if digest not in self._found:
            record = next(self._records("where digest = ?", digest), None)
            if record is None:
                return None  # not remembered: a stranger may show any number of them
            self._found[digest] = record
        return self._found[digest]

    def all(self) -> list[KeyRecord]:
        """Return every key, oldest first."""
        return list(self._records("order by created_ms, rowid"))

    def _insert(self, key_id: str, key: Key, rights: Rights, name: str) -> KeyRecord:
        record = KeyRecord(key_id, name, rights, now_ms())
        self._database.execute(
            f"insert into key (digest, {_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (own words only)
            [
                key.digest,
                record.id,
                record.name,
                rights.kind,
                json.dumps(rights.algorithms),
                rights.data,
                rights.manages,
                record.created_ms,
            ],
        )
        return record

    def _records(self, condition: str, *values: object) -> Iterator[KeyRecord]:
        for row in self._database.execute(f"select {_COLUMNS} from key {condition}", values):  # noqa: S608  (own words only)
            key_id, name, kind, algorithms, data, manages, created_ms = row
            rights = Rights(kind, tuple(json.loads(algorithms)), data, bool(manages))
            yield KeyRecord(key_id, name, rights, created_ms)


@contextlib.contextmanager
def opened(data: Path) -> Iterator[Keyring]:
    """Open the keys of a data directory, made if it is not there, for the time of a `with`.

    Raises:
        ServerError: on entering or inside, if the database cannot be used.
        OSError: if the directory cannot be made.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with database_errors(data / FILE), contextlib.closing(Keyring(data / FILE)) as ring:
        yield ring
