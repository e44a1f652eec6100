"""`algoprof run`: a program under a timeout, and its profile, even if the timeout wins."""

import sys
from pathlib import Path

import click

from algoprof.cli.printing import complain, examples
from algoprof.supervisor import commands

_OURS = 125
_LONGEST_TIMEOUT = 1e9
_AS_COMMAND = "algoprof.run.as_command"
_PROGRAM = "algoprof.run.program"
_TAKES_VALUE = ("--timeout", "--grace", "--output", "--report", "--sampler", "--sample-rate")


class _Misuse(click.UsageError):
    exit_code = _OURS


class _Command(click.Command):
    """Knows a command after `--` from a script, and fails as timeout(1) does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, ctx.meta[_PROGRAM], ctx.meta[_AS_COMMAND] = _divided(args)
        try:
            return super().parse_args(ctx, own)
        except click.UsageError as error:
            raise _Misuse(error.format_message(), error.ctx) from error


def _divided(arguments: list[str]) -> tuple[list[str], tuple[str, ...], bool]:
    """Return the options, what is to be run with its own, and whether that is a command: `--` stands before it."""
    position = 0
    while position < len(arguments):
        one = arguments[position]
        if one == "--":
            return arguments[:position], tuple(arguments[position + 1 :]), True
        if one == "-m":
            return arguments[: position + 2], tuple(arguments[position + 2 :]), False
        if not one.startswith("-"):
            return arguments[:position], tuple(arguments[position:]), False
        position += 2 if one in _TAKES_VALUE else 1
    return arguments, (), False


def _positive(_context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= _LONGEST_TIMEOUT:
        raise click.BadParameter(f"a number of seconds above 0 is wanted, not {value:g}", param=parameter)
    return value


def _not_negative(_context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not 0 <= value <= _LONGEST_TIMEOUT:
        raise click.BadParameter(f"a number of seconds from 0 on is wanted, not {value:g}", param=parameter)
    return value


@click.command(
    cls=_Command,
    options_metavar="[OPTIONS] SCRIPT.PY | -m MODULE | -- COMMAND  [ARGUMENT]...",
    epilog=examples(
        "algoprof run --timeout 300 train.py --epochs 3",
        "algoprof run --timeout 60 -m pytest tests",
        "algoprof run --json --report report.json -- ./job.sh",
    ),
)
@click.option("--timeout", type=float, metavar="S", callback=_positive, help="Stop it after so many seconds.")
@click.option(
    "--grace",
    type=float,
    metavar="S",
    default=2.0,
    show_default=True,
    callback=_not_negative,
    help="Seconds between SIGTERM and SIGKILL.",
)
@click.option(
    "--sampler",
    type=click.Choice(["internal", "external", "off"]),
    help="Who samples its stacks: the program itself (the default), py-spy from outside, or nobody.",
)
@click.option("--sample-rate", type=click.IntRange(1, 1000), metavar="HZ", help="Samples per second.  [default: 100]")
@click.option("-m", "module", metavar="MODULE", help="Run a module, as `python -m` does.")
@click.option("--json", "json_wanted", is_flag=True, help="Report as JSON.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report there, not to stderr, which the program writes to as well.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the profile there, for `algoprof report`; a name such as run.speedscope.json or run.pftrace says another"
    " format, see `algoprof export --list`.",
)
@click.pass_context
def command(  # noqa: PLR0917  (click passes them by name)
    ctx: click.Context,
    timeout: float | None,
    grace: float,
    sampler: str | None,
    sample_rate: int | None,
    module: str | None,
    json_wanted: bool,
    report: Path | None,
    output: Path | None,
) -> int:
    """Run a program, and tell where its time went: also, and above all, if its timeout stops it.

    A Python script or module is recorded from its first moment; a command that runs Python with algoprof in it, from
    its first section on. The program has stdin, stdout, stderr, the terminal and signals to itself. The report goes to
    stderr, or to a file of its own with --report.

    It exits as the program did; with 124 if the timeout stopped it, 125 if algoprof itself failed, 126 if the program
    cannot be run and 127 if there is none.
    """
    if sys.platform != "linux":
        complain("`algoprof run` watches processes as only Linux lets it; elsewhere use `algoprof recover`")
        return _OURS
    from algoprof.cli import running  # noqa: PLC0415  (it imports what only Linux has)

    line = _command_line(module, ctx.meta[_PROGRAM], as_command=ctx.meta[_AS_COMMAND])
    return running.run(
        line,
        timeout=timeout,
        grace=grace,
        sampling=running.Sampling(sampler, sample_rate),
        destinations=running.Destinations(report, output),
        json_wanted=json_wanted,
    )


def _command_line(module: str | None, program: tuple[str, ...], *, as_command: bool) -> list[str]:
    if module is not None:
        return commands.module(module, program)
    if not program:
        raise _Misuse("what to run is missing: a script.py, `-m module`, or `-- command`")
    if as_command:
        return list(program)
    first, *arguments = program
    if commands.is_script(first):
        return commands.script(first, arguments)
    raise _Misuse(f"{first[:100]!r} is no Python script; to run a command, put -- before it")
