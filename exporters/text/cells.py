"""What stands in a cell: times, shares, and names that cannot do anything to a terminal."""

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories of characters that are shown escaped: they move the cursor, turn the text round, or are not seen."""


def seconds(value: float | None) -> str:
    """Return a time in the unit it reads well in; empty for None.

    >>> [seconds(value) for value in (0, 3.21e-7, 0.02094, 0.9996, 41.26, 2999.6, None)]
    ['0 s', '321 ns', '20.9 ms', '1.00 s', '41.3 s', '3000 s', '']
    """
    if value is None:
        return ""
    if value == 0:
        return "0 s"
    if value < 0.9995e-6:
        return f"{value * 1e9:.0f} ns"  # clocks know no smaller unit
    for unit, size in (("us", 1e-6), ("ms", 1e-3)):
        if value < 0.9995 * 1000 * size:  # what would be rounded to 1000 is one of the next unit
            return f"{_three_digits(value / size)} {unit}"
    return f"{_three_digits(value)} s"


def size(count: float | None) -> str:
    """Return a number of bytes in the unit it reads well in; empty for None.

    >>> [size(count) for count in (0, 900, 1536, 52_428_800, 3_221_225_472, None)]
    ['0 B', '900 B', '1.50 KiB', '50.0 MiB', '3.00 GiB', '']
    """
    if count is None:
        return ""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB"):
        count /= 1024
        if count < 999.5:
            return f"{_three_digits(count)} {unit}"
    return f"{_three_digits(count / 1024)} GiB"


def share(part: float | None) -> str:
    """Return a share in percent; empty for None.

    >>> share(0.6123), share(0.004), share(0.0), share(None)
    ('61 %', '0.4 %', '0 %', '')
    """
    if part is None:
        return ""
    percent = part * 100
    return f"{percent:.1f} %" if 0.05 <= percent < 0.95 else f"{percent:.0f} %"


def name(text: str, width: int) -> str:
    r"""Return a name with what could harm a terminal or a reader escaped, and cut in the middle to a width.

    >>> name("two\nlines", 40), name("\x1b[2J", 40), name("a" * 50, 9)
    ('two\\nlines', '\\x1b[2J', 'aaa...aaa')
    """
    shown = escaped(text[: 4 * width])  # escaped or not, the rest of a huge name is cut off below
    if len(text) <= 4 * width and displayed_width(shown) <= width:
        return shown
    half = max(1, (width - 3) // 2)
    return f"{_cut(shown, half)}...{_cut(shown[::-1], half)[::-1]}"


def escaped(text: str) -> str:
    r"""Return a text with what moves a cursor, turns text round or is not seen written as escapes.

    >>> escaped("two\nlines"), escaped("a\u202eb"), escaped("na\u00efve")
    ('two\\nlines', 'a\\u202eb', 'naïve')
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in _HIDDEN else character
        for character in text
    )


def displayed_width(text: str) -> int:
    """Return how many columns a text takes on a terminal.

    >>> displayed_width("load"), displayed_width("\u65e5\u672c"), displayed_width("e\u0301")
    (4, 4, 1)
    """
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def left(text: str, width: int) -> str:
    """Return a text filled with spaces on its right."""
    return text + " " * (width - displayed_width(text))


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _cut(text: str, width: int) -> str:
    """Return as much of the beginning as fits."""
    taken = 0
    for position, character in enumerate(text):
        taken += displayed_width(character)
        if taken > width:
            return text[:position]
    return text
