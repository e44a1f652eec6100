"""A profile as lines among what an algorithm prints: the way home where there is no other.

Each line is `algoprof:1:RUN:k/n:CRC32:BASE64`, with the run's id, the number of the part and of all parts, and zlib of
JSON. A part is whole in itself: nodes with the numbers of their parents, the heaviest first. So what is lost on the way
costs its own nodes and those below them, and no others.
"""

import base64
import binascii
import heapq
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

from algoprof.profiles.codec import from_json, to_json
from algoprof.profiles.tree import Profile

LONGEST_LINE = 4_000
"""Bytes of a line, its two line breaks included: a pipe takes that many in one piece."""
LARGEST = 64 * 1024
"""Bytes of all lines of a profile."""
LARGEST_INFLATED = 4 * 1024 * 1024
"""Bytes that all parts of one profile may become."""

_MARK = "algoprof:1:"
_HEADER = 64  # bytes before the payload, at most
_PAYLOAD = (LONGEST_LINE - 2 - _HEADER) // 4 * 4
_MOST_PARTS = LARGEST // LONGEST_LINE
_ROWS_AT_ONCE = 24  # nodes tried together before the compressed size is looked at
_LINE = re.compile(
    r"(?P<empty>(?<![^\n])\n)?algoprof:1:(?P<run>[0-9a-f]{32}):(?P<part>[1-9][0-9]?)/(?P<parts>[1-9][0-9]?)"
    r":(?P<crc>[0-9a-f]{8}):(?P<payload>[A-Za-z0-9+/]*={0,2})(?P<end>\r?\n)?"
)
_MOST_LINES = 2_000  # of one text that are looked at; there are 16 of a profile
_MOST_RUNS = 3  # that are read until one is a profile


def encode(profile: Profile) -> list[bytes]:
    r"""Return a profile as lines to print, each with a line break before and after it.

    Stack samples stay behind; so do, where they do not fit, spans, then histograms, then the lightest nodes.

    >>> from algoprof.profiles.tree import Node
    >>> (line,) = encode(Profile("job", (Node("job", 1, closed_ns=5),), run_id="ab" * 16))
    >>> line[:49]
    b'\nalgoprof:1:abababababababababababababababab:1/1:'
    """
    head = to_json(profile)
    rows = _rows(head.pop("roots"))
    for name in ("samples", "sample_interval_ns", "samples_left_out", "samples_folded", "sampler"):
        head.pop(name, None)
    without: tuple[tuple[str, ...], ...] = ((), ("spans",), ("spans", "histogram"))
    for names in without:
        lighter = [[*row[:2], {name: row[2][name] for name in row[2] if name not in names}] for row in rows]
        parts, left = _parts(head, lighter)
        if not left:
            break
    lost = head.get("dropped", 0)
    while left:
        lighter, lost = lighter[: len(lighter) - left], lost + left
        parts, left = _parts({**head, "inexact": True, "dropped": lost}, lighter)
    run = profile.run_id if re.fullmatch("[0-9a-f]{32}", profile.run_id) else "0" * 32
    return [_line(run, number, len(parts), part) for number, part in enumerate(parts, 1)]


@dataclass(frozen=True, slots=True)
class Found:
    """What a text had in it.

    Args:
        text: the text without the lines of profiles.
        profile: the profile that was printed last; None if there is none.
        flaw: why there is none, though there were lines; empty otherwise.
    """

    text: str
    profile: Profile | None = None
    flaw: str = ""


def extract(text: str) -> Found:
    r"""Take the lines of profiles out of what was printed, and return the last profile.

    Lines may be torn, missing, in any order, forged, or followed by what another thread printed; whatever the text is,
    this raises nothing.

    >>> extract("so far\n" + "done\n")
    Found(text='so far\ndone\n', profile=None, flaw='')
    """
    if _MARK not in text:
        return Found(text)
    kept: list[str] = []
    runs: dict[tuple[str, int], dict[int, str]] = {}
    at = lines = 0
    for match in _LINE.finditer(text):
        lines += 1
        payload = match["payload"]
        length = _intact(match) if lines <= _MOST_LINES else None
        if length is not None:
            key = match["run"], int(match["parts"])
            parts = runs.pop(key, {})  # the run of the last line comes last
            runs[key] = {**parts, int(match["part"]): payload[:length]}
        kept.append(text[at : match.start()])
        if length is not None:
            kept.append(payload[length:])  # what another thread printed, without a line break between
        begins_line = match["empty"] is not None or match.start() == 0 or text[match.start() - 1] == "\n"
        whole_line = begins_line and (length is None or length == len(payload))
        at = match.end() if whole_line or match["end"] is None else match.start("end")
    kept.append(text[at:])
    rest = "".join(kept)
    flaw = "no line of it came through as it was printed" if lines else ""
    for (run, count), parts in list(reversed(runs.items()))[:_MOST_RUNS]:
        try:
            return Found(rest, _decoded(run, count, parts))
        except (ValueError, TypeError, RecursionError, zlib.error) as error:
            flaw = str(error)[:200] or type(error).__name__
    return Found(rest, None, flaw)


def _rows(roots: list[dict[str, Any]]) -> list[list[Any]]:
    """Return nodes as number, parent's number and fields, parents before children, else the heaviest first."""
    rows: list[list[Any]] = []
    numbered = 0
    waiting: list[tuple[int, int, int, dict[str, Any]]] = []

    def wait(nodes: list[dict[str, Any]], parent: int) -> None:
        nonlocal numbered
        for node in nodes:
            numbered += 1
            weight = node.get("closed_ns", 0) + node.get("open_ns", 0)
            heapq.heappush(waiting, (-weight, numbered, parent, node))

    wait(roots, 0)
    while waiting:
        _, number, parent, node = heapq.heappop(waiting)
        wait(node.get("children", []), number)
        rows.append([number, parent, {name: node[name] for name in node if name != "children"}])
    return rows


def _parts(head: dict[str, Any], rows: list[list[Any]]) -> tuple[list[bytes], int]:
    """Return parts in base64, and how many rows found no room."""
    parts: list[bytes] = []
    at = 0
    while at < len(rows) or not parts:
        if len(parts) == _MOST_PARTS:
            break
        taken = min(_ROWS_AT_ONCE, len(rows) - at)
        part = _packed(head, rows[at : at + taken])
        while len(part) <= _PAYLOAD and at + taken < len(rows):
            more = min(_ROWS_AT_ONCE, len(rows) - at - taken)
            longer = _packed(head, rows[at : at + taken + more])
            if len(longer) > _PAYLOAD:
                break
            part, taken = longer, taken + more
        while len(part) > _PAYLOAD and taken > 1:
            taken //= 2
            part = _packed(head, rows[at : at + taken])
        if len(part) > _PAYLOAD:  # one node alone is too large, or what is told of the run
            return parts, len(rows) - at
        parts.append(part)
        at += taken
        head = {name: value for name, value in head.items() if name != "environment"}  # told once
    return parts, len(rows) - at


def _packed(head: dict[str, Any], rows: list[list[Any]]) -> bytes:
    data = json.dumps({"head": head, "nodes": rows}, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(data))


def _line(run: str, number: int, count: int, payload: bytes) -> bytes:
    place = f"{run}:{number}/{count}:".encode()
    return b"\n%s%s%08x:%s\n" % (_MARK.encode(), place, zlib.crc32(payload, zlib.crc32(place)), payload)


def _intact(match: "re.Match[str]") -> int | None:
    """Return how much of what follows a line's header is its payload, by its checksum; None if nothing is."""
    wanted = int(match["crc"], 16)
    payload = match["payload"].encode()
    crc = zlib.crc32(f"{match['run']}:{match['part']}/{match['parts']}:".encode())
    if len(payload) <= _PAYLOAD and zlib.crc32(payload, crc) == wanted:
        return len(payload)
    for start in range(0, min(len(payload), _PAYLOAD), 4):
        crc = zlib.crc32(payload[start : start + 4], crc)
        if crc == wanted:
            return start + 4
    return None


def _decoded(run: str, count: int, parts: dict[int, str]) -> Profile:
    """Return the profile of a run's parts.

    Raises:
        ValueError: if they are none.
        zlib.error: if one was never compressed.
    """
    room = LARGEST_INFLATED
    head: dict[str, Any] = {}
    nodes: dict[int, tuple[int, dict[str, Any]]] = {}
    for _, payload in sorted(parts.items()):
        try:
            inflater = zlib.decompressobj()
            data = inflater.decompress(base64.b64decode(payload, validate=True), room + 1)
        except binascii.Error as error:
            raise ValueError(str(error)) from None
        room -= len(data)
        if room < 0 or not inflater.eof:
            raise ValueError("it is too large, or cut")
        told = json.loads(data, parse_constant=_no_constant)
        if not isinstance(told, dict) or not isinstance(told.get("head"), dict):
            raise ValueError("it has no head")  # noqa: TRY004  (it is foreign data)
        head = {**told["head"], **head}  # the first part tells most
        nodes.update(_checked_rows(told.get("nodes")))
    if head.get("run_id", "0" * 32) != run:
        raise ValueError("it says another run's id than its lines do")
    roots: list[dict[str, Any]] = []
    placed: dict[int, dict[str, Any]] = {}
    for number, (parent, node) in sorted(nodes.items()):
        around = roots if parent == 0 else placed[parent].setdefault("children", []) if parent in placed else None
        if around is not None:  # else it was below what was lost
            placed[number] = node
            around.append(node)
    inexact = bool(head.get("inexact")) or len(parts) < count or len(placed) < len(nodes)
    return from_json({**head, "roots": roots, **({"inexact": True} if inexact else {})})


def _checked_rows(rows: object) -> dict[int, tuple[int, dict[str, Any]]]:
    """Return nodes by number, with their parents' numbers, which are smaller, so that there is no circle."""
    if not isinstance(rows, list):
        raise ValueError("it has no nodes")  # noqa: TRY004
    nodes: dict[int, tuple[int, dict[str, Any]]] = {}
    for row in rows:
        match row:
            case [int(number), int(parent), dict(node)] if 0 <= parent < number and "children" not in node:
                nodes[number] = parent, node
            case _:
                raise ValueError(f"{row!r:.80} is no node")
    return nodes


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")
