"""The command `algoprof`: finds a command's module by its name, and turns whatever fails into one sentence."""

import contextlib
import difflib
import errno
import importlib
import io
import os
import sys
from typing import NoReturn, TextIO

import click

from algoprof._version import __version__
from algoprof.cli.printing import Closed, complain
from algoprof.errors import AlgoprofError

_COMMANDS = {
    "builds": "Show how an algorithm's builds went, why one failed, which lines are at fault, and what to pin.",
    "call": "Call an algorithm and show how much of its timeout it used.",
    "data": "List, read, write and delete files of the platform.",
    "demo": "See it all: build, call, profile, scrape and kill a real algorithm.",
    "doctor": "Check access and settings of an algorithm one by one, and say what is wrong.",
    "export": "Write a profile for speedscope, Chrome, Perfetto, pprof, as CSV or as Markdown.",
    "errors": "Show which calls of an algorithm failed in the last seven days, and why.",
    "keys": "Make, list and revoke the API keys of this machine's server.",
    "recover": "Find the profiles of programs that nobody watched, killed ones included.",
    "report": "Show a profile or a flight file.",
    "run": "Run a program under a timeout, and tell where its time went, even if it is killed.",
    "serve": "Host algorithms on this machine, under the platform's contract.",
    "versions": "List an algorithm's versions, read their build logs, publish one.",
}
_INTERRUPTED = 130
_UNWRITABLE = (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)
_WITHOUT_STDOUT = ("run", "serve")
"""Commands whose work is not what they print."""


class _Commands(click.Group):
    """Imports a command's module only when it is asked for: `--help` and errors stay quick."""

    def __call__(self, *_: object, **__: object) -> NoReturn:
        sys.exit(_run(self))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (click's signature)
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = importlib.import_module(f"algoprof.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == "algoprof":
                raise
            raise click.ClickException(
                f"`algoprof {cmd_name}` needs the package {error.name}: pip install 'algoprof[all]'"
            ) from None
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0][:60]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's signature)
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="algoprof", message="%(prog)s %(version)s")
def main() -> None:
    """Tell where the time of an algorithm goes before its timeout does, and when the timeout wins still tell.

    `algoprof demo` shows it all; `algoprof COMMAND --help` explains one command.
    """


def _run(group: click.Group) -> int:
    """Run the command line and return its exit status: 2 for a wrong use, 130 when interrupted, 1 for what failed."""
    try:
        status = _told(group)
    finally:
        lost = _empty(sys.stdout)
        _empty(sys.stderr)
    return _failed(_sentence(lost), 1) if lost is not None and not status else status


def _told(group: click.Group) -> int:
    """Run the command line, and turn what it raises into one sentence; with ALGOPROF_DEBUG=1 let it through."""
    try:
        if sys.stdout is None and sys.argv[1:2] not in ([name] for name in _WITHOUT_STDOUT):
            sys.stdout = io.TextIOWrapper(Closed(), encoding="utf-8")
        status = group.main(prog_name="algoprof", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _failed(error.format_message(), error.exit_code)
    except Exception as error:
        if os.environ.get("ALGOPROF_DEBUG", "0") not in ("", "0"):
            raise
        return _failed(_sentence(error), 1)
    return status if isinstance(status, int) else 0


def _sentence(error: Exception) -> str:
    """Say what failed: our own errors know how, the system's name a file, and all others are not foreseen."""
    if isinstance(error, AlgoprofError):
        return str(error)
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        if error.filename is None and error.errno in _UNWRITABLE:
            return f"what it prints could not be written ({what}), so it is lost"
        return what if error.filename is None else f"{os.fsdecode(error.filename)}: {what}"
    return f"{type(error).__name__}: {error}; this should not have happened: ALGOPROF_DEBUG=1 shows where it did"


def _empty(stream: TextIO | None) -> OSError | None:
    """Write out what a stream still holds, or drop it: else Python tries again at exit, and complains in its way.

    Returns:
        Why it could not be written; None where nothing is missing, or whoever read it has gone.
    """
    if stream is None:
        return None
    try:
        stream.flush()
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) else None
    return None


def _failed(sentence: str, status: int) -> int:
    complain(sentence)
    return status
