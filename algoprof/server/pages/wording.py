"""How values read on a page: times, ages, and texts of others, in which nothing is hidden and nothing turned round."""

import re
import unicodedata
from datetime import UTC, datetime

from algoprof.exporters.text import cells

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # what programs print for a terminal
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

seconds = cells.seconds
share = cells.share


def name(text: str) -> str:
    r"""Return a name in one line of at most 80 columns, with what is hidden in it escaped.

    >>> name("load\u202etxt\0")
    'load\\u202etxt\\x00'
    """
    return cells.name(text, 80)


def lines(text: str) -> str:
    r"""Return a log or a trace: its lines and tabs stay, colours go, and what else is hidden in it is escaped.

    >>> lines("\x1b[31mred\x1b[0m\r\n\tand\u202e")
    'red\n\tand\\u202e'
    """
    plain = _COLOURS.sub("", text).replace("\r\n", "\n")
    if plain.isascii() and plain.replace("\n", "").replace("\t", "").isprintable():
        return plain
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in "\n\t" and unicodedata.category(character) in _HIDDEN
        else character
        for character in plain
    )


def moment(milliseconds: int) -> str:
    """Return a time as the attribute `datetime` takes it, in UTC.

    >>> moment(1_700_000_000_123)
    '2023-11-14T22:13:20Z'
    """
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(milliseconds: int) -> str:
    """Return a time for a reader, in UTC.

    >>> clock(1_700_000_000_123)
    '2023-11-14 22:13:20 UTC'
    """
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def age(milliseconds: int, now: int) -> str:
    """Return how long ago a time was, both in milliseconds since the Unix epoch.

    >>> [age(0, passed * 1000) for passed in (3, 90, 7200, 200_000)]
    ['3 s ago', '1 min ago', '2 h ago', '2 days ago']
    """
    passed = max(0, now - milliseconds) // 1000
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if passed >= size:
            count = passed // size
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return f"{passed} s ago"
