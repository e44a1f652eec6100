"""`algoprof errors`: which calls of an algorithm failed in the last seven days, and why."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from algoprof.calls.management.error_log import ErrorRecord
from algoprof.cli.build_sources import source
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import examples, in_json, printable, shortened

_EXAMPLES = examples(
    "algoprof errors demo/Routes",
    "algoprof errors demo/Routes --type TimeoutError --traces --limit 5",
)
_LONGEST = 160  # characters of a message
_LONGEST_TRACE = 4_000


@click.command(epilog=_EXAMPLES)
@click.argument("algorithm", metavar="OWNER/NAME")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many, newest first.")
@click.option("--type", "kind", metavar="TYPE", help="Only errors of that type, such as TimeoutError.")
@click.option("--traces", is_flag=True, help="Show stack trace, input and request id of each.")
@platform_options("--data")
@click.option("--json", "as_json", is_flag=True, help="Print the errors as JSON, with all that is known.")
def command(*, algorithm: str, limit: int, kind: str | None, traces: bool, where: Where, as_json: bool) -> None:
    """Show which calls ended in an error: when, which version, the type, the message, and where it was raised.

    A platform keeps the last seven days, 200 calls at most, and shows them to a key of the owner that may manage
    algorithms. The server on this machine keeps as much, and its log is read whether or not it runs.
    """
    with source(algorithm, where) as asked:
        found = [error for error in asked.errors() if kind in (None, error.error_type)]
    if as_json:
        click.echo(in_json([error.to_json() for error in found[:limit]], indent=2))
        return
    click.echo(_summary(found, kind), err=True)
    for error in found[:limit]:
        _show(error, traces=traces)


def _show(error: ErrorRecord, *, traces: bool) -> None:
    message = shortened(" ".join(error.message.split()), _LONGEST)
    place = f"  ({error.location})" if error.location else ""
    click.echo(printable(f"{_moment(error)}  {error.version or '-'}  {error.error_type or '-'}  {message}{place}"))
    if traces:
        details = {"request": error.request_id, "input": error.input, "trace": error.stack_trace.rstrip()}
        for name, text in details.items():
            if text:
                shown = printable(shortened(text, _LONGEST_TRACE), keep="\n\t").replace("\n", f"\n{'':12}")
                click.echo(f"    {name:8}{shown}")


def _moment(error: ErrorRecord) -> str:
    if error.created_ns is None:
        return "-"
    return datetime.fromtimestamp(error.created_ns // 10**9, UTC).isoformat().replace("+00:00", "Z")


def _summary(found: Sequence[ErrorRecord], kind: str | None) -> str:
    """Return how many there were, by type, the most frequent first."""
    if not found:
        return "no calls failed in the last seven days" if kind is None else f"no calls failed with {printable(kind)}"
    types = Counter(error.error_type or "no type" for error in found)
    counts = ", ".join(f"{count} {name}" for name, count in types.most_common())
    return printable(f"{len(found)} failed in the last seven days: {counts}")
