"""What the data API's refusals say, in one sentence each, and what to do next."""

from algoprof.calls.access.platforms import Platform
from algoprof.calls.data.uris import DataUri
from algoprof.calls.wire.protocol import Answer, NoAnswer, read
from algoprof.errors import DataApiError, DataTimeout

_LONGEST = 500  # characters of the platform's words within a sentence; the error's `message` has them all

_HINTS = {
    401: "set ALGORITHMIA_API_KEY to a key of that platform, or pass api_key",
    402: "the account has no credit left",
    403: "the key may lack the right to data, or the collection's ACL leaves others out: get_permissions() shows it",
    413: "the platform takes no file as large as that: send it in parts",
    429: "ask less often",
}


def failure(platform: Platform, uri: DataUri, done: str, answer: Answer | NoAnswer) -> DataApiError:
    """Return the error for an answer that does not say yes.

    Args:
        platform: who answered.
        uri: what it was asked about.
        done: what could not be done to it, such as `written`.
        answer: what came, without the key.
    """
    start = f"{uri} could not be {done}"
    if isinstance(answer, NoAnswer):
        return _unanswered(platform, uri, start, answer)
    told = read(answer)
    message = answer.headers.get("x-error-message", "") if not answer.body else told.message
    message = platform.redact(message) or "without a word"
    return DataApiError(
        f"{start}: {platform.address} answered {answer.status}: {_one_line(message)}",
        uri=str(uri),
        status=answer.status,
        code=told.code,
        message=message,
        hint=_not_found(uri, done) if answer.status == 404 else _HINTS.get(answer.status, ""),
    )


def flawed(platform: Platform, uri: DataUri, what: str, hint: str) -> DataApiError:
    """Return the error for an answer that cannot be right.

    Args:
        platform: who answered.
        uri: what it was asked about.
        what: what is wrong with it.
        hint: what to do next.
    """
    what = platform.redact(what)
    return DataApiError(f"{uri}: {_one_line(what)}", uri=str(uri), message=what, hint=hint)


def nameless(platform: Platform) -> DataApiError:
    """Return the error for a platform that lists no account's data, so that it does not tell whose the key is."""
    return DataApiError(f"{platform.address} does not tell whose the key is", hint="the account may have no data")


def _unanswered(platform: Platform, uri: DataUri, start: str, answer: NoAnswer) -> DataApiError:
    reason = platform.redact(answer.reason)
    kind = DataTimeout if answer.outcome == "client_timeout" else DataApiError
    hint = ""
    if answer.outcome == "unreachable":
        local = "is the server running? `algoprof serve DIR` starts one"
        hint = local if platform.is_loopback else "check the address and the network"
    elif kind is DataTimeout:
        hint = "give it more time, or try again"
    sentence = f"{start}: {platform.address}: {_one_line(reason)}"
    return kind(sentence, uri=str(uri), status=answer.status, message=reason, hint=hint)


def _not_found(uri: DataUri, done: str) -> str:
    if done in ("written", "made") and len(uri.names) > 1:
        return f"is {uri.parent} there? client.dir({str(uri.parent)!r}).create() or `algoprof data mkdir` makes it"
    return "check the path, and that this is the platform that has it"


def _one_line(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    left_out = len(line) - _LONGEST
    return line if left_out <= 0 else f"{line[:_LONGEST]}... ({left_out:,} characters left out)"
