"""`algoprof call`: one call of an algorithm, its result on stdout, what it took on stderr."""

import base64
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from algoprof.calls.attempts import Response
from algoprof.cli.call_inputs import given_input
from algoprof.cli.output import Output, keep_binary
from algoprof.cli.platform_options import Where, platform_options
from algoprof.cli.printing import complain
from algoprof.cli.telling import tell, tell_failure
from algoprof.errors import CallError, CallTimeout
from algoprof.profiles import codec
from algoprof.profiles.calls import Call

_TIMED_OUT = 124  # as timeout(1) has it
_EXAMPLES = """\b
algoprof call demo/Routes --data '{"cities": 200}' --timeout 60 --profile
algoprof call demo/Hello --text World
algoprof call demo/Routes - < input.json"""


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

    Exits with 124 if the time ran out, with 1 if the call failed otherwise.
    """
    destination = Output(output)
    given = given_input(stdin, data, text, path, kind)
    with where.client() as caller:
        algo = caller.algo(algorithm).set_options(timeout=timeout, stdout=captured)
        try:
            response = algo.pipe(given)
        except CallError as error:
            tell_failure(error, printed=captured, tree=tree)
            if record:
                destination.write(_json(_record(error)) + "\n")
            complain(str(error))
            return _TIMED_OUT if isinstance(error, CallTimeout) else 1
    result, on_terminal = response.result, output is None and sys.stdout.isatty()
    if record:
        destination.write(_json(_record(response)) + "\n")
    elif isinstance(result, bytes) and on_terminal:
        kept = keep_binary(result, algo.reference.name or "result")
        click.echo(f"the result, {len(result):,} bytes of binary data, is in {kept}", err=True)
    else:
        destination.write(_shown(response, pretty=on_terminal))
    tell(response.call, (response.metadata.stdout or "") if captured else "", tree=tree)
    return 0


def _shown(response: Response, *, pretty: bool) -> str | bytes:
    """Return the result as it goes out: bytes and texts as they are, all else as JSON."""
    if isinstance(response.result, bytes):
        return response.result
    if isinstance(response.result, str) and response.metadata.content_type != "json":
        return response.result if response.result.endswith("\n") else response.result + "\n"
    return _json(response.result, indent=2 if pretty else None) + "\n"


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _record(told: Response | CallError) -> dict[str, Any]:
    """Return all that is known about a call, for scripts; times in seconds."""
    call = told.call
    record: dict[str, Any] = {"call": _call(call)}
    if isinstance(told, CallError):
        names = ("message", "error_type", "code", "stack_trace", "stdout", "hint")
        return {"error": {name: getattr(told, name) for name in names}, **record}
    result, metadata = told.result, told.metadata
    if isinstance(result, bytes):
        result = base64.b64encode(result).decode()
    shown = {name: getattr(metadata, name) for name in ("content_type", "duration", "stdout")}
    return {"result": result, "metadata": shown, **record}


def _call(call: Call) -> dict[str, Any]:
    plain = {
        field.name: getattr(call, field.name)
        for field in fields(call)
        if field.name != "profile" and not field.name.endswith("_ns")
    }
    times = {name: getattr(call, name) for name in ("wall", "duration", "overhead", "queue", "load", "network")}
    ratio = {"budget_used_ratio": call.budget_used_ratio, "budget_source": call.budget_source}
    profile = {"profile": codec.to_json(call.profile)} if call.profile else {}
    return {**plain, "started": call.started_ns / 1e9, **times, **ratio, **profile}
