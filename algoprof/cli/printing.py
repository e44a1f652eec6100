"""What every command prints with: one sentence for what failed, and foreign texts made harmless."""

import click


def complain(sentence: str) -> None:
    """Print one line on stderr that says what failed."""
    click.echo(f"algoprof: error: {printable(' '.join(sentence.split())) or 'it failed without a word'}", err=True)


def printable(text: str, keep: str = "") -> str:
    r"""Return a text without what could steer a terminal.

    Args:
        text: whatever a server, a file or a user gave.
        keep: control characters to keep, such as a line break.

    >>> printable("done\x1b[2J")
    'done?[2J'
    """
    return "".join(character if character.isprintable() or character in keep else "?" for character in text)
