"""What a failed call says: which error it becomes, in which words, and what to do next."""

import re

from algoprof.budgets import Budget
from algoprof.calls.access.platforms import Platform
from algoprof.calls.references import parse
from algoprof.calls.wire.inputs import UPLOAD, Flaw
from algoprof.calls.wire.protocol import Reply
from algoprof.errors import (
    AlgorithmException,
    CallError,
    CallOutOfBudget,
    CallRefused,
    CallTimeout,
    InputRefused,
    PlatformError,
    PlatformUnreachable,
)
from algoprof.profiles.calls import Call
from algoprof.profiles.tree import Profile

_LONGEST = 500  # characters of the platform's words within a sentence; the error's `message` has them all

_REFUSALS = {
    400: "the platform finds the request malformed: check the input",
    402: "the account has no credit left",
    403: (
        "the key may not call this algorithm: a private one is for its owner and the organization, one that others may"
        " call is published with public callability, and a key may be limited to some algorithms or lack management;"
        " ask its owner, or use another key"
    ),
    413: f"the input is too large: {UPLOAD}",
    415: "this algorithm or platform does not take such an input: send JSON, text or bytes",
    429: "too many calls at once, the platform takes 80 of an account: send fewer, or pass retries= to the client",
}


def out_of_budget(call: Call, budget: Budget) -> CallOutOfBudget:
    """Return the error of a call that its run has no time left for."""
    return CallOutOfBudget(
        f"{call.algorithm} was not called: nothing remains of the budget of the run around it",
        call=call,
        hint="call it earlier, or give the run a longer timeout",
        run=budget.run,
        timeout=budget.timeout,
        elapsed=budget.elapsed,
    )


def input_refused(call: Call, flaw: Flaw) -> InputRefused:
    """Return the error of a call whose input cannot be sent."""
    return InputRefused(flaw.sentence, call=call, hint=flaw.hint)


def failed(call: Call, reply: Reply, platform: Platform, *, grace: float) -> CallError:
    """Return the error of a call that was sent and failed.

    Args:
        call: its record.
        reply: what came back.
        platform: where it was sent.
        grace: the seconds of grace it had.
    """
    words = _one_line(reply.message)
    timeout = f"{call.timeout:.4g} s" + (", all that its run had left" if call.cut else "")
    more_time = "ask for less" if call.cut else "raise the timeout (3000 s at most), or ask for less"
    kind: type[CallError]
    match call.outcome:
        case "algorithm_error":
            kind, hint = AlgorithmException, ""
            sentence = f"{call.algorithm} failed with {reply.error_type or 'an error'}: {words}"
        case "timeout":
            kind, (waited, hint) = CallTimeout, _waited(call, more_time)
            sentence = f"{call.algorithm} was stopped by its timeout of {timeout}{_where(call.profile)}{waited}"
        case "client_timeout":
            kind, hint = CallTimeout, more_time
            sentence = f"{call.algorithm} did not answer within {timeout}, and {grace:g} s of grace ({words})"
        case "refused":
            kind, hint = CallRefused, _refusal(call, platform, words)
            sentence = f"{call.algorithm} was refused with HTTP {call.status}: {words}"
        case "unreachable" | "platform_error" if reply.lost:
            kind = PlatformUnreachable if call.outcome == "unreachable" else PlatformError
            what = "see whether that server still runs" if platform.is_loopback else "call again if twice does no harm"
            sentence = f"the connection to {platform.address} was lost in the middle of the call: {words}"
            hint = f"{call.algorithm} may have run, or still be running: {what}"
        case "unreachable":
            kind = PlatformUnreachable
            hint = (
                "start one with `algoprof serve DIR`" if platform.is_loopback else "check the address and the network"
            )
            if words.startswith("TLS failed"):
                hint = ""  # somebody listens, and the words say what to do
            sentence = f"nothing answers at {platform.address} ({platform.origin}): {words}"
        case _:
            kind = PlatformError
            hint = "try again later" if (call.status or 0) >= 500 else "check that the address is that of a platform"
            status = f" with HTTP {call.status}" if call.status else ""
            sentence = f"{platform.address} failed{status}: {words}"
    return kind(
        sentence,
        call=call,
        message=reply.message,
        error_type=reply.error_type,
        code=reply.code,
        stack_trace=reply.stack_trace,
        stdout=reply.metadata.stdout or "",
        retry_after=reply.retry_after,
        hint=hint,
    )


def _refusal(call: Call, platform: Platform, words: str) -> str:
    status = call.status
    if status == 401 and "ALGORITHMIA_API_KEY" in words:
        return ""  # the platform's own words say what to do
    if status == 401 and platform.authorization:
        return (
            "the key is not that platform's: set ALGORITHMIA_API_KEY, or pass api_key; a standard key calls algorithms,"
            " an admin key is refused"
        )
    if status == 401:
        return "no key was sent: set ALGORITHMIA_API_KEY, or pass api_key"
    if status == 404:
        return "check owner, name and version, and that this is the platform that has it; " + _unpublished(call)
    return _REFUSALS.get(status or 0, "")


def _unpublished(call: Call) -> str:
    """Say which versions a reference does not reach, though they are there."""
    version = parse(call.algorithm).version
    if not version or version == "latest":
        return "without a version the newest public one is meant, and there may be none: try /latestPrivate or a hash"
    if version == "latestPrivate":
        return (
            "latestPrivate is the newest version that was published with private callability, for its owner and the"
            " organization, and there may be none: `algoprof versions list` shows which there are, and what has no"
            " version behind its name is the newest public one"
        )
    if re.fullmatch(r"[0-9a-f]{40}", version):
        return "a hash is for the owner and the organization, and its build must have succeeded"
    return "a version that is not published answers to its hash only, and a partial number finds public ones only"


def _waited(call: Call, more_time: str) -> tuple[str, str]:
    """Say what a call waited for, where waiting took most of its time, and what to do about a timeout."""
    queue, load, run = call.queue_ns or 0, call.load_ns or 0, call.duration_ns or 0
    if queue > load + run:
        until = "it waited in the queue" if run else "it never ran: it waited in the queue"
        hint = "other calls were before it: send fewer at once, call again later, or raise the timeout"
        return f"; {until} for {queue / 1e9:.3g} s", hint
    if load > queue + run:
        until = "loading it" if run else "it never ran: loading it"
        return f"; {until} took {load / 1e9:.3g} s", "load less when its module is imported, or raise the timeout"
    return "", more_time


def _where(profile: Profile | None) -> str:
    """Name the innermost section that was open, where the profile came home."""
    paths = [path for path, _ in profile.open_sections()] if profile else []
    deepest = max(paths, key=len, default=())
    return f", in {_one_line('/'.join(deepest))}" if deepest else ""


def _one_line(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    left_out = len(line) - _LONGEST
    return line if left_out <= 0 else f"{line[:_LONGEST]}... ({left_out:,} characters left out)"
