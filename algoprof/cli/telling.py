"""What is said on stderr about a call that was made: its output, its profile, its times, and how it failed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from algoprof.cli.printing import printable, shortened
from algoprof.errors import AlgorithmException, CallError, CallTimeout
from algoprof.exporters.text import cells, render
from algoprof.profiles.calls import Call
from algoprof.profiles.tree import Profile

_LONGEST = 4_000  # characters of a stack trace, or of an output that nobody asked for
_WHOLE = "; --json has all"


def tell(call: Call, stdout: str, *, tree: bool) -> None:
    """Say on stderr what the algorithm printed, where its time went, and how much of the timeout that was.

    Args:
        call: the call.
        stdout: what the algorithm printed; empty to say nothing of it.
        tree: whether to show the profile.
    """
    if stdout:
        click.echo(printable(stdout, keep="\n\t"), err=True, nl=not stdout.endswith("\n"))
    if tree and call.profile is not None:
        click.echo(render(call.profile), err=True, nl=False)
    elif tree:
        click.echo("no profile came home: the algorithm records none, or the platform sends none", err=True)
    click.echo(summary(call), err=True)


def tell_failure(error: CallError, *, printed: bool, tree: bool) -> None:
    """Say on stderr what is known of a call that failed, but for its sentence.

    Args:
        error: how it failed.
        printed: whether what the algorithm printed was asked for; where time ran out, the end of it is shown anyway.
        tree: whether to show the profile.
    """
    timed_out = isinstance(error, CallTimeout)
    stdout = error.stdout if printed else shortened(error.stdout, _LONGEST, _WHOLE) if timed_out else ""
    tell(error.call, stdout, tree=tree)
    if isinstance(error, AlgorithmException) and error.stack_trace:
        click.echo("the algorithm's stack trace:", err=True)
        click.echo(printable(shortened(error.stack_trace.rstrip(), _LONGEST, _WHOLE), keep="\n\t"), err=True)
    if timed_out and error.call.profile is not None:
        for line in opened(error.call.profile):
            click.echo(f"open when it was stopped: {line}", err=True)


@contextmanager
def told_if_interrupted(what: str, timeout: float) -> Iterator[None]:
    """Say on stderr what Ctrl-C ends and what it does not.

    Args:
        what: what is under way within.
        timeout: seconds that a call may take.
    """
    began = time.monotonic()
    try:
        yield
    except KeyboardInterrupt:
        lines = (
            f"interrupted after {time.monotonic() - began:.1f} s: nobody waits for {what} any more",
            f"what the platform has begun goes on there, to its end or its timeout of {timeout:g} s",
        )
        with suppress(OSError):
            click.echo("\n".join(lines), err=True)
        raise


def opened(profile: Profile) -> Iterator[str]:
    """Yield a line for each section that was open: its path, how long it was, and its attributes; the innermost last.

    >>> from algoprof.profiles.tree import Node, Span
    >>> span = Span("open", 0, 10**9, 1, attributes={"city": 3})
    >>> list(opened(Profile("apply", (Node("apply", open_count=1, open_ns=10**9, spans=(span,)),))))
    ['apply, for 1.000 s (city=3)']
    """
    for path, node in profile.open_sections():
        spans = [span for span in node.spans if span.kind == "open"]
        attributes = ", ".join(f"{name}={value}" for span in spans for name, value in span.attributes.items())
        told = f" ({attributes})" if attributes else ""
        yield printable(f"{'/'.join(path)}, for {node.open_time:.3f} s{told}")


def summary(call: Call) -> str:
    """Return one line that sets a call's times against its timeout.

    >>> summary(Call("demo/Routes", 0, 3 * 10**9, "ok", duration_ns=2 * 10**9, timeout=10))
    'demo/Routes: ok, ran 2.000 s, 20 % of its 10 s; 3.000 s in all'
    >>> summary(Call("demo/Routes", 0, 3 * 10**9, "ok", 10**9, queue_ns=0, load_ns=10**9, timeout=5))
    'demo/Routes: ok, ran 1.000 s; queue (0.000 s), load (1.000 s) and run used 40 % of its 5 s; 3.000 s in all'
    >>> cold = Call("demo/A", 0, 10**9, "ok", 10**9, 0, 10**9, interpreter_ns=10**8, imports_ns=5 * 10**8)
    >>> "load (1.000 s, of that interpreter 0.100 s, imports 0.500 s)" in summary(cold)
    True
    >>> summary(Call("demo/Routes", 0, 3 * 10**6, "refused"))
    'demo/Routes: refused after 0.003 s'
    """
    if call.duration is None:
        outcome = call.outcome.replace("_", " ")
        budget = f" of its {call.timeout:g} s" if call.outcome in ("timeout", "client_timeout") else ""
        return f"{call.algorithm}: {outcome} after {call.wall:.3f} s{budget}"
    used = f"{cells.share(call.budget_used_ratio)} of its {call.timeout:g} s"
    parts = [("queue", call.queue), ("load", call.load)]
    before = ", ".join(f"{name} ({seconds:.3f} s)" for name, seconds in parts if seconds is not None)
    cold = [("interpreter", call.interpreter), ("imports", call.imports)]
    cold_start = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in cold if seconds is not None)
    if before and cold_start:
        before = f"{before[:-1]}, of that {cold_start})"
    spent = f"; {before} and run used {used}" if before else f", {used}"
    return f"{call.algorithm}: {call.outcome}, ran {call.duration:.3f} s{spent}; {call.wall:.3f} s in all"
