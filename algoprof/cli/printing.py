"""What every command prints with: one sentence for what failed, and foreign texts made harmless and short."""

from contextlib import suppress

import click

_LONGEST_SENTENCE = 2_000


def complain(sentence: str) -> None:
    """Print one line on stderr that says what failed; where stderr takes nothing, the exit status has to do."""
    line = shortened(printable(" ".join(sentence.split())), _LONGEST_SENTENCE)
    with suppress(OSError):
        click.echo(f"algoprof: error: {line or 'it failed without a word'}", err=True)


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
