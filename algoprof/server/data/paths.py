"""What a path of the data API means: read strictly, so that nothing outside the data can be named."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

from algoprof.server.access.callers import Caller
from algoprof.server.building.projects import DEFAULT_OWNER
from algoprof.server.envelopes import INVALID_REQUEST, Refusal

Kind = Literal["folders", "files", "file"]
"""What is there: a folder of folders, a folder of files, or a file."""

USER = DEFAULT_OWNER
"""The name of whoever has the server's key: `data://.my` is `data://local`."""

ALGORITHM_FOLDERS = ("perm", "temp")

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,29}")
_LONGEST = 255  # bytes of a file's name, the limit of Linux's file systems
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\]")  # a backslash would leave a Windows client's folder


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is kept.

    Args:
        kind: what belongs there.
        folders: the folders that lead there from the root of the data; for a file, those it lies in.
        uri: its name, such as `data://.my/photos/cat.png`.
        name: the file's own; empty for a folder.
        on_demand: whether the folder is made when a file is first written, and needs no making.
    """

    kind: Kind
    folders: tuple[str, ...]
    uri: str
    name: str = ""
    on_demand: bool = False

    @property
    def folder(self) -> "Place":
        """The folder that a file lies in; a folder itself."""
        if not self.name:
            return self
        return Place("files", self.folders, self.uri.rpartition("/")[0], on_demand=self.on_demand)


def segments(raw_path: bytes) -> list[str]:
    """Return the parts of a request's path that follow the route, decoded once.

    Args:
        raw_path: as it was sent: `/v1/data/...` or `/v1/connector/data/...`.

    Raises:
        Refusal: if a part is no UTF-8, is empty in the middle, or names another connector.

    >>> segments(b"/v1/data/.my/photos/cat%20%281%29.png")
    ['.my', 'photos', 'cat (1).png']
    >>> segments(b"/v1/connector/data/.my/photos/")
    ['.my', 'photos']
    """
    try:
        parts = [unquote_to_bytes(part).decode() for part in raw_path.split(b"/")[1:]]
    except UnicodeDecodeError:
        raise _refusal("the path is not UTF-8; percent-encode the UTF-8 bytes of a name") from None
    while parts and not parts[-1]:
        parts.pop()
    if parts[:2] == ["v1", "data"]:
        connector, rest = "data", parts[2:]
        if rest and rest[0].endswith(":"):  # a whole URI, as the official client sends those it does not know
            connector, rest = rest[0].removesuffix(":"), rest[1:]
            if rest[:1] == [""]:
                del rest[0]
    elif parts[:2] == ["v1", "connector"]:
        connector, rest = (parts[2] if len(parts) > 2 else ""), parts[3:]
    else:
        raise _refusal("the path begins with /v1/data/ or /v1/connector/data/, and no slash of it is percent-encoded")
    if connector != "data":
        raise _refusal(
            f"the connector {connector[:40]!r} is not offered by this server, which keeps files of its own:"
            " use a data:// URI, such as data://.my/COLLECTION/FILE"
        )
    if "" in rest:
        raise _refusal("the path has a part without a name; write one slash between two names")
    return rest


def place(parts: Sequence[str], caller: Caller) -> Place:
    """Return where the parts of a path lead.

    Args:
        parts: those after `data://`.
        caller: who asks: `.session` and the short form of `.algo` are those of its call and algorithm.

    Raises:
        Refusal: if they lead nowhere; the message says what would.

    >>> place([".my", "photos", "cat.png"], Caller())
    Place(kind='file', folders=('user', 'local', 'photos'), uri='data://.my/photos/cat.png', name='cat.png', \
on_demand=False)
    >>> place([".algo", "temp", "x"], Caller("demo/Routes", "rses-1")).uri
    'data://.algo/demo/Routes/temp/x'
    """
    if not parts:
        return Place("folders", ("user",), "data://")
    first, *rest = parts
    if first == ".session":
        return _in_session(rest, caller)
    if first == ".algo":
        return _of_algorithm(rest, caller)
    if first.startswith(".") and first != ".my":
        raise _refusal(f"there is no data://{first[:40]}; there are .my, .session and .algo, and names of users")
    user = USER if first == ".my" else _name(first, "user")
    if not rest:
        return Place("folders", ("user", user), f"data://{first}")
    collection = _name(rest[0], "collection")
    return _within(("user", user, collection), f"data://{first}/{collection}", rest[1:])


def _in_session(rest: Sequence[str], caller: Caller) -> Place:
    if not caller.session:
        raise _refusal(
            "data://.session belongs to the calls of one call tree: only an algorithm that serves a call has one"
        )
    return _within(("session", caller.session), "data://.session", rest, on_demand=True)


def _of_algorithm(rest: Sequence[str], caller: Caller) -> Place:
    parts = list(rest)
    if parts and parts[0] in ALGORITHM_FOLDERS and len(parts) <= 2:
        if not caller.algorithm:
            raise _refusal(
                f"data://.algo/{parts[0]} is short for the algorithm that asks, and none does:"
                f" write data://.algo/OWNER/NAME/{parts[0]}"
            )
        parts[:0] = caller.algorithm.split("/")
    if len(parts) < 2:
        raise _refusal("name an algorithm: data://.algo/OWNER/NAME/temp or data://.algo/OWNER/NAME/perm")
    owner, name = _name(parts[0], "user"), _name(parts[1], "algorithm")
    folders, uri = ("algo", owner, name), f"data://.algo/{owner}/{name}"
    if len(parts) == 2:
        return Place("folders", folders, uri, on_demand=True)
    folder = parts[2]
    if folder not in ALGORITHM_FOLDERS:
        raise _refusal(f"{uri} has the folders temp and perm, and no {folder[:40]!r}")
    return _within((*folders, folder), f"{uri}/{folder}", parts[3:], on_demand=True)


def _within(folders: tuple[str, ...], uri: str, rest: Sequence[str], *, on_demand: bool = False) -> Place:
    """Return a folder of files, or the file in it that the rest names."""
    if not rest:
        return Place("files", folders, uri, on_demand=on_demand)
    if len(rest) > 1:
        raise _refusal(f"{uri} holds files and no folders: folders of the data API are one level deep")
    name = rest[0]
    if name in (".", "..") or _FORBIDDEN.search(name) or len(name.encode()) > _LONGEST:
        raise _refusal(
            f"{name[:40]!r} cannot be a file's name: it has 1 to {_LONGEST} bytes of UTF-8, no slash, no backslash,"
            " no control character, and is not '.' or '..'"
        )
    return Place("file", folders, f"{uri}/{name}", name, on_demand=on_demand)


def is_name(text: str) -> bool:
    """Whether a user, a collection or an algorithm can be called so.

    >>> is_name("photos_2"), is_name("2photos"), is_name("../photos")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def _name(text: str, what: str) -> str:
    if not is_name(text):
        raise _refusal(
            f"{text[:40]!r} cannot be the name of a {what}: it has a letter first, then letters, digits and"
            " underscores, 30 characters at most"
        )
    return text


def _refusal(message: str) -> Refusal:
    return Refusal(400, INVALID_REQUEST, message)
