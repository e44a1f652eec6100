"""`algoprof call`: one call of an algorithm, its result on stdout, what it took on stderr."""

import sys
from contextlib import suppress
from pathlib import Path

import click

from algoprof.calls.attempts import Response
from algoprof.calls.many.batches import CONCURRENCY
from algoprof.calls.wire.protocol import MOST_AT_ONCE
from algoprof.cli.call_inputs import given_input
from algoprof.cli.call_many import call_many
from algoprof.cli.call_records import record_of
from algoprof.cli.output import Output, keep_binary
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import complain, examples, in_json
from algoprof.cli.telling import tell, tell_failure, told_if_interrupted
from algoprof.errors import CallError, CallTimeout

_TIMED_OUT = 124  # as timeout(1) has it
_EXAMPLES = examples(
    """algoprof call demo/Routes --data '{"cities": 200}' --timeout 60 --profile""",
    "algoprof call demo/Hello --text World",
    "algoprof call demo/Routes - < input.json",
    "algoprof call demo/Routes --many inputs.jsonl > results.jsonl",
)


@click.command(epilog=_EXAMPLES)
@click.argument("algorithm", metavar="OWNER/NAME[/VERSION]")
@click.argument("stdin", metavar="[-]", required=False, type=click.Choice(["-"]))
@click.option("--data", metavar="JSON", help="The input, as JSON.")
@click.option("--text", metavar="TEXT", help="The input, as a text.")
@click.option("--file", "path", metavar="PATH", help="A file with the input; `-` is stdin.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["json", "text", "binary"]),
    help="What the file holds. By default its name says: .json is JSON, .txt and the like are text, others are binary;"
    " stdin is JSON.",
)
@click.option(
    "--many",
    metavar="PATH",
    help="Call with each line of a file, or of stdin with `-`: JSON in, one line of JSON out for each.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, MOST_AT_ONCE),
    default=CONCURRENCY,
    show_default=True,
    help="Calls on their way at once, with --many.",
)
@click.option(
    "--ordered/--unordered",
    default=True,
    show_default=True,
    help="With --many: results in the order of the inputs, or as they are there.",
)
@click.option(
    "--upload", is_flag=True, help="Make a file of the data API of an input over 10 MiB, and call with its data:// URI."
)
@click.option("--timeout", type=float, default=300.0, show_default=True, help="Seconds it may take, at most 3000.")
@click.option("--stdout", "captured", is_flag=True, help="Show on stderr what the algorithm prints.")
@click.option("--profile", "tree", is_flag=True, help="Show on stderr where the time went, section by section.")
@click.option("--json", "record", is_flag=True, help="Print result, metadata and call as one JSON object.")
@click.option("--output", metavar="PATH", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@platform_options()
def command(
    *,
    algorithm: str,
    stdin: str | None,
    data: str | None,
    text: str | None,
    path: str | None,
    kind: str | None,
    many: str | None,
    concurrency: int,
    ordered: bool,
    upload: bool,
    timeout: float,
    captured: bool,
    tree: bool,
    record: bool,
    output: Path | None,
    where: Where,
) -> int:
    """Call an algorithm, print its result, and say how much of its timeout it used.

    The API key comes from ALGORITHMIA_API_KEY, else it is that of the server on this machine, else that of the account
    in ~/.algorithmia/config; else it is asked for, where somebody is there.

    With --many, a call that fails gives a line {"error": {...}} in place of its result, and how far it is goes to
    stderr. --json gives lines with everything, and `index`, the place of the input, from 0. Stopped, it prints what was
    done by then. What the platform has begun by then goes on there.

    Exits with 124 if the time ran out, with 1 if the call failed otherwise, or one of many did.
    """
    destination = Output(output)
    if many is not None:
        alone = (stdin, data, text, path, kind, output)
        if any(option is not None for option in alone) or tree or upload or (captured and not record):
            raise click.UsageError(
                "--many brings its inputs and prints lines: it goes with --concurrency, --unordered, --timeout, and"
                " --json, which has --stdout and the profile as well"
            )
        with where.client() as caller:
            algo = caller.algo(algorithm).set_options(timeout=timeout, stdout=captured)
            return call_many(algo, many, concurrency=concurrency, ordered=ordered, record=record)
    given = given_input(stdin, data, text, path, kind, upload=upload)
    with where.client() as caller:
        algo = caller.algo(algorithm).set_options(timeout=timeout, stdout=captured)
        try:
            with told_if_interrupted(str(algo.reference), timeout):
                response = algo.pipe(given, upload=upload)
        except CallError as error:
            tell_failure(error, printed=captured, tree=tree)
            if record:
                destination.write(in_json(record_of(error)) + "\n")
            complain(str(error))
            return _TIMED_OUT if isinstance(error, CallTimeout) else 1
    result, on_terminal = response.result, output is None and sys.stdout.isatty()
    if record:
        destination.write(in_json(record_of(response)) + "\n")
    elif isinstance(result, bytes) and on_terminal:
        kept = keep_binary(result, algo.reference.name or "result")
        click.echo(f"the result, {len(result):,} bytes of binary data, is in {kept}", err=True)
    else:
        destination.write(_shown(response, pretty=on_terminal))
    with suppress(OSError):  # the result is out: a stderr that takes nothing makes it no failure
        tell(response.call, (response.metadata.stdout or "") if captured else "", tree=tree)
    return 0


def _shown(response: Response, *, pretty: bool) -> str | bytes:
    """Return the result as it goes out: bytes and texts as they are, all else as JSON."""
    if isinstance(response.result, bytes):
        return response.result
    if isinstance(response.result, str) and response.metadata.content_type != "json":
        return response.result if response.result.endswith("\n") else response.result + "\n"
    return in_json(response.result, indent=2 if pretty else None) + "\n"
