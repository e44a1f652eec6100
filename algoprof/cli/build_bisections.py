"""`algoprof builds bisect`: which requirements keep a project from being built, and the nearest versions that build."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from algoprof.calls.access.platforms import data_directory
from algoprof.cli.bars import bar
from algoprof.cli.output import Output
from algoprof.cli.printing import examples, in_json, printable, shortened
from algoprof.errors import AlgoprofError

if TYPE_CHECKING:  # it needs what only a server needs
    from algoprof.bisection.probing import Trial
    from algoprof.bisection.results import Bisection, Fault

_STATUS = {"installs": 0, "repaired": 1, "not_repaired": 1, "undecided": 3}
_INTERRUPTED = 130
_LONGEST = 300  # characters of a requirement that are shown
_EXAMPLES = examples(
    "algoprof builds bisect .",
    "algoprof builds bisect requirements.txt --python python3.12 --write",
)


@click.command(epilog=_EXAMPLES, short_help="Find out which requirements do not install.")
@click.argument("path", metavar="DIR|FILE", type=click.Path(path_type=Path))
@click.option("--python", metavar="PYTHON", help="The Python to install for, a name or a path. [default: this one]")
@click.option("--write", is_flag=True, help="Write the versions that install, instead of only showing them.")
@click.option(
    "--timeout", type=click.FloatRange(1), default=600.0, show_default=True, help="Seconds that pip has for one trial."
)
@click.option("--fresh", is_flag=True, help="Try everything anew, whatever is known from before.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where trials are kept, for a day. [default: ~/.local/share/algoprof]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def bisect(
    *, path: Path, python: str | None, write: bool, timeout: float, fresh: bool, data: Path | None, as_json: bool
) -> int:
    """Find out which lines of a requirements.txt do not install, and the nearest versions that do.

    All lines are tried with pip, then ever fewer of them, until without any one of those that are left the others
    install. Then other versions are tried, and the lines to write are shown as a diff. What was tried is kept: a second
    run, after Ctrl-C as well, goes on where the first was.

    Exits with 0 if all install, or with --write do now; with 1 if they do not; with 3 if nothing could be found out,
    since the index or this machine failed; with 130 after Ctrl-C.
    """
    try:
        from algoprof.bisection.bisecting import bisect as search  # noqa: PLC0415  (needs what only a server needs)
    except ModuleNotFoundError as error:
        raise AlgoprofError(
            f"`algoprof builds bisect` needs the package {error.name}: pip install 'algoprof[serve]'"
        ) from None
    data = (data or data_directory()).absolute()
    faults: list[Fault] = []

    def told(fault: "Fault") -> None:
        faults[:] = [*(one for one in faults if one.lines != fault.lines), fault]

    try:
        with _progress() as tell:
            found = search(
                path, data=data, python=python or sys.executable, limit=timeout, fresh=fresh, tell=tell, told=told
            )
    except KeyboardInterrupt:
        for fault in faults:
            _show_fault(fault)
        click.echo("interrupted; what was tried is kept: the same command goes on from there", err=True)
        return _INTERRUPTED
    texts = _write(found) if write and found.outcome == "repaired" else None
    if as_json:
        click.echo(in_json(found.to_json() | {"written": texts is not None}, indent=2))
    else:
        _show(found, written=texts is not None)
    return 0 if texts is not None else _STATUS[found.outcome]


def _write(found: "Bisection") -> list[Path]:
    """Write the changes, each file in one step, and return which files they are."""
    from algoprof.bisection.edits import edited, encoded  # noqa: PLC0415  (as above)

    texts = edited(found.changes)
    places = {path: Output(path, "the requirements file") for path in texts}
    for path, (_, new) in texts.items():
        places[path].write(encoded(new, path))
    return list(texts)


def _show(found: "Bisection", *, written: bool) -> None:
    for fault in found.faults:
        _show_fault(fault)
    if found.outcome == "installs":
        _say(
            f"{_lines(found.lines)} {found.path}{' install' if found.lines > 1 else ' installs' if found.lines else ''}"
        )
    if found.outcome == "undecided":
        _say(f"nothing can be said of the requirements now: {found.sentence}")
        for advice in found.advice:
            _say(f"  - {advice}")
    if found.changes:
        _show_changes(found, written=written)
    if found.without_hashes and found.faults:
        _say("hashes were left out: take them anew, as pip-compile --generate-hashes does")
    click.echo(f"{_trials(found)}, {found.seconds:.1f} s", err=True)


def _show_changes(found: "Bisection", *, written: bool) -> None:
    from algoprof.bisection.edits import diff, edited  # noqa: PLC0415  (as above)

    whole = "these versions install" if found.outcome == "repaired" else "when the rest is corrected, these install"
    _say(f"{whole}, and are written:" if written else f"{whole}:")
    for change in found.changes:
        _say(f"  {change.text}")
    if not written:
        click.echo(printable(diff(edited(found.changes), found.path.parent), keep="\n\t"), nl=False)
    if not written and found.outcome == "repaired":
        _say("the same command with --write writes it")


def _show_fault(fault: "Fault") -> None:
    diagnosis = fault.verdict.diagnosis
    many = len(fault.lines) > 1
    _say(f"{f'these {len(fault.lines)} lines do' if many else 'this line does'} not install:")
    for line in fault.lines:
        where = f"{line.file.name}:{line.first}" if line.first else "added"
        _say(f"  {where:22} {shortened(line.text, _LONGEST)}")
    _say(f"  {fault.verdict.sentence}")
    if diagnosis.reason is not None:
        _say(f"  reason: {diagnosis.reason.value}")
    if not fault.changes:
        for advice in diagnosis.advice:
            _say(f"  try: {advice}")


def _say(text: str) -> None:
    click.echo(printable(text))


def _lines(count: int) -> str:
    return "nothing is asked for in" if not count else f"{'the only line' if count == 1 else f'all {count} lines'} of"


def _trials(found: "Bisection") -> str:
    if found.trials == 1:
        return f"1 trial{', which was known from before' if found.known else ''}"
    return f"{found.trials} trials{f', {found.known} of them known from before' if found.known else ''}"


@contextmanager
def _progress() -> Iterator[Callable[["Trial"], None]]:
    """Give what shows each trial: a bar on a terminal, else a line when it has ended."""
    began = time.monotonic()
    if not sys.stderr.isatty():
        yield lambda trial: _tell_line(trial, time.monotonic() - began)
        return
    with bar("reading") as change:
        yield lambda trial: change(description=printable(f"trial {trial.number}: {trial.doing}"))


def _tell_line(trial: "Trial", elapsed: float) -> None:
    if trial.outcome:
        line = f"{elapsed:6.1f} s  trial {trial.number}: {trial.doing}: {trial.outcome}"
        click.echo(printable(line), err=True)
