"""What every command prints with: one sentence for what failed, JSON, and foreign texts made harmless and short."""

import errno
import io
import json
import re
import secrets
import sys
from contextlib import suppress
from typing import NoReturn

import click

_LONGEST_SENTENCE = 2_000
_STEERING = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # what `json` leaves as it is: C1, separators, bidi
_NOT_JSON = {"-Infinity": "-1e999", "Infinity": "1e999", "NaN": "null"}  # what Python writes, and what JSON can say


class Closed(io.RawIOBase):
    """Stands for a stdout that is closed, so that whatever is printed fails, as on a full disk."""

    def writable(self) -> bool:
        """Return True: it is `write` that says why not."""
        return True

    def write(self, _content: object, /) -> NoReturn:
        """Raise the error of a closed descriptor."""
        raise OSError(errno.EBADF, "stdout is closed")


def complain(sentence: str) -> None:
    """Print one line on stderr that says what failed; where stderr takes nothing, the exit status has to do."""
    line = shortened(printable(" ".join(sentence.split())), _LONGEST_SENTENCE)
    with suppress(OSError):
        click.echo(f"algoprof: error: {line or 'it failed without a word'}", err=True)


def examples(*lines: str) -> str:
    """Return the end of a command's help: commands to copy.

    >>> examples("algoprof call demo/Hello --text World").splitlines()[1:]
    ['Examples:', '  algoprof call demo/Hello --text World']
    """
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def in_json(value: object, indent: int | None = None) -> str:
    """Return a value as JSON, readable in every script.

    A number that is too large for a float, as a platform's `1e400`, is written as `1e999`, which JSON can say and
    scripts read as the largest there is, or as infinite. What could steer a terminal is escaped.

    Args:
        value: a JSON value, as `json` reads and writes it.
        indent: spaces for each level; None for one line.

    >>> in_json({"city": "Zürich", "worst": float("inf"), "word": "Infinity"})
    '{"city": "Zürich", "worst": 1e999, "word": "Infinity"}'
    """
    try:
        return _encodable(value, indent)
    except ValueError:
        mark = secrets.token_hex(16)
        text = _encodable(json.loads(json.dumps(value), parse_constant=lambda name: mark + name), indent)
        for name, written in _NOT_JSON.items():
            text = text.replace(f'"{mark}{name}"', written)
        return text


def _encodable(value: object, indent: int | None) -> str:
    """Return JSON that stdout can show, else with escapes: it need not be UTF-8, which has no lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, indent=indent)
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def printable(text: str, keep: str = "") -> str:
    r"""Return a text without what could steer a terminal.

    Args:
        text: whatever a server, a file or a user gave.
        keep: control characters to keep, such as a line break.

    >>> printable("done\x1b[2J")
    'done?[2J'
    """
    return "".join(character if character.isprintable() or character in keep else "?" for character in text)


def shortened(text: str, longest: int, hint: str = "") -> str:
    """Return a text with its middle left out if it is too long, saying how much that was.

    Args:
        text: a text of any length.
        longest: characters of it to keep, half at each end.
        hint: where all of it is.

    >>> shortened("a" * 9 + "b" * 9, 8, "; --json has all")
    'aaaa ... (10 characters left out; --json has all) ... bbbb'
    """
    left_out = len(text) - longest
    if left_out <= 0:
        return text
    half = longest // 2
    return f"{text[:half]} ... ({left_out:,} characters left out{hint}) ... {text[-half:]}"
