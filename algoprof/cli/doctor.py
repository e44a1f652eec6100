"""`algoprof doctor`: what keeps an algorithm from being called, found by checks rather than by trying."""

from pathlib import Path

import click

from algoprof.calls.doctor.examination import Examination
from algoprof.calls.options import DEFAULT_TIMEOUT, UNSET
from algoprof.calls.references import parse
from algoprof.cli.call_inputs import given_input
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import examples, in_json, printable

_WIDTH = 14  # of the longest check's name
_EXAMPLES = examples(
    "algoprof doctor demo/Routes",
    """algoprof doctor demo/Routes/1.0.0 --data '{"cities": 200}' --timeout 600 --requirements requirements.txt""",
)


@click.command(epilog=_EXAMPLES)
@click.argument("algorithm", metavar="OWNER/NAME[/VERSION]")
@click.option("--data", metavar="JSON", help="The input that it is to be called with, as JSON.")
@click.option("--text", metavar="TEXT", help="The input, as a text.")
@click.option("--file", "path", metavar="PATH", help="A file with the input; `-` is stdin.")
@click.option("--timeout", metavar="SECONDS", type=float, help="The timeout that it is to be called with.")
@click.option(
    "--requirements",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The project's requirements.txt.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@platform_options()
def command(
    *,
    algorithm: str,
    data: str | None,
    text: str | None,
    path: str | None,
    timeout: float | None,
    requirements: Path | None,
    as_json: bool,
    where: Where,
) -> int:
    """Check one by one what can keep an algorithm from being called: the key, access, settings, versions, the build.

    Each check is fine, wrong and what to do about it, or unknown where this key cannot tell. The algorithm is not
    called, and nothing is changed.

    Exits with 1 if something is wrong.
    """
    reference = parse(algorithm)
    given = UNSET if data is text is path is None else given_input(None, data, text, path, None)
    asked_for = None if requirements is None else requirements.read_text(encoding="utf-8", errors="replace")
    limit = _number(reference.query.get("timeout")) if timeout is None else timeout
    with where.client(reference.address) as caller:
        examined = caller.algo(str(reference)).examine(timeout=limit, input=given, requirements=asked_for)
    if as_json:
        click.echo(in_json(examined.to_json(), indent=2))
    else:
        _show(examined)
    return 1 if examined.wrong else 0


def _number(text: str | None) -> object:
    """Return the timeout behind an algorithm's name; what is no number is judged as it is."""
    try:
        return DEFAULT_TIMEOUT if text is None else float(text)
    except ValueError:
        return text


def _show(examined: Examination) -> None:
    """Print each finding for a reader, and what to do about it below."""
    click.echo(printable(f"{examined.algorithm} at {examined.address}"))
    for finding in examined.findings:
        click.echo(printable(f"  {finding.verdict:8}{finding.check:{_WIDTH}}  {finding.sentence}"))
        if finding.advice:
            click.echo(printable(f"{'':{_WIDTH + 12}}{finding.advice}"))
    wrong = len(examined.wrong)
    what = (
        f"{wrong} {'is' if wrong == 1 else 'are'} wrong" if wrong else "nothing is wrong, as far as this key can tell"
    )
    click.echo(f"{len(examined.findings)} checks: {what}")
