"""Every exception of algoprof, in one tree. Each carries what it is about and says what to do next."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs a cold start too much
    from typing import Any

    from algoprof.profiles.calls import Call


class AlgoprofError(Exception):
    """Whatever algoprof raises is one of these."""


class ConfigurationError(AlgoprofError, ValueError):
    """A setting, an option or an environment variable that cannot be meant."""


class BudgetExceeded(AlgoprofError, TimeoutError):  # noqa: N818  (the name of an event, as TimeoutError is)
    """A run, or a section that has a timeout of its own, has used up its budget.

    Args:
        run: the run's name; empty outside a run.
        section: the innermost open section; empty if there is none.
        timeout: the budget in seconds.
        elapsed: how much of it is used, in seconds.
        limited: the section whose own budget it is; empty if it is the run's.

    >>> str(BudgetExceeded("apply", "apply/improve", timeout=60.0, elapsed=61.5))
    'apply has used 61.5 s of its budget of 60 s, in section apply/improve'
    """

    def __init__(self, run: str, section: str, *, timeout: float, elapsed: float, limited: str = "") -> None:
        self.run = run
        self.section = section
        self.timeout = timeout
        self.elapsed = elapsed
        self.limited = limited
        where = f", in section {section}" if section else ""
        used = f"{elapsed:.1f}" if elapsed >= 10 else f"{elapsed:.3g}"
        whose = limited or run or "the program"
        super().__init__(f"{whose} has used {used} s of its budget of {timeout:g} s{where}")

    def __reduce__(self) -> tuple[object, ...]:
        return _budget_exceeded, (self.run, self.section, self.timeout, self.elapsed, self.limited)


def _budget_exceeded(run: str, section: str, timeout: float, elapsed: float, limited: str) -> BudgetExceeded:
    return BudgetExceeded(run, section, timeout=timeout, elapsed=elapsed, limited=limited)


class FileProblem(AlgoprofError):  # noqa: N818  (what its kinds have in common)
    """Something is wrong with a file or a folder.

    Args:
        path: the file or folder.
        reason: what is wrong with it.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.reason)


class ProfileFileError(FileProblem, ValueError):
    """A file that is not a profile or flight file that this version can read.

    Args:
        path: the file.
        reason: what is wrong with it.
    """


class ApiError(AlgoprofError):
    """The platform does not do what it was asked; the official client's name for it."""


class DataApiError(ApiError):
    """The data API does not do what it was asked; the official client's name for it.

    Args:
        sentence: what happened, as `str()` shows it, without the hint.
        uri: the file or folder, such as `data://.my/photos/cat.jpg`; empty if it is about none.
        status: the HTTP status; None without an answer.
        code: the platform's error code; None without one.
        message: the platform's own words, else the sentence.
        hint: what to do next; empty where nobody knows.
    """

    def __init__(
        self,
        sentence: str,
        *,
        uri: str = "",
        status: int | None = None,
        code: int | None = None,
        message: str = "",
        hint: str = "",
    ) -> None:
        self.sentence = sentence
        self.uri = uri
        self.status = status
        self.code = code
        self.message = message or sentence
        self.hint = hint
        AlgoprofError.__init__(self, f"{sentence}; {hint}" if hint else sentence)

    def __reduce__(self) -> tuple[object, ...]:
        told = ("uri", "status", "code", "message", "hint")
        return _data_api_error, (type(self), self.sentence, {name: getattr(self, name) for name in told})


def _data_api_error(kind: type[DataApiError], sentence: str, told: "dict[str, Any]") -> DataApiError:
    return kind(sentence, **told)


class DataTimeout(DataApiError, TimeoutError):  # noqa: N818  (the name of an event, as TimeoutError is)
    """The data API took too long: nothing moved any more, or the time that was given is over."""


class NotOffered(AlgoprofError, NotImplementedError):  # noqa: N818  (a fact, not a failure)
    """The official client has it, algoprof has not.

    Args:
        name: what.
        instead: what to write.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name = name
        self.instead = instead
        super().__init__(f"algoprof does not offer {name}: write `{instead}`")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.instead)


class CallError(ApiError):
    """A call that gave no result.

    Args:
        sentence: what happened, as `str()` shows it, without the hint.
        call: the record of the call: its times, outcome, HTTP status and, where it came home, the remote profile.
        message: the platform's own words, else the sentence.
        error_type: the platform's error type, such as `AlgorithmError`; empty without one.
        code: the platform's error code; None without one.
        stack_trace: the algorithm's stack trace; empty where the platform shows none.
        stdout: what the algorithm had printed, where it was asked for; empty otherwise.
        retry_after: seconds after which it may be called again, for it has certainly not run; None where it may have,
            or nothing says that it would be taken.
        hint: what to do next; empty where nobody knows.

    From `pipe_many`, `index` says which of its inputs failed, from 0; else it is None.
    """

    def __init__(
        self,
        sentence: str,
        *,
        call: "Call",
        message: str = "",
        error_type: str = "",
        code: int | None = None,
        stack_trace: str = "",
        stdout: str = "",
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        self.sentence = sentence
        self.call = call
        self.status = call.status
        self.message = message or sentence
        self.error_type = error_type
        self.code = code
        self.stack_trace = stack_trace
        self.stdout = stdout
        self.retry_after = retry_after
        self.hint = hint
        self.index: int | None = None
        AlgoprofError.__init__(self, f"{sentence}; {hint}" if hint else sentence)

    def __reduce__(self) -> tuple[object, ...]:
        told = ("call", "message", "error_type", "code", "stack_trace", "stdout", "retry_after", "hint")
        return _call_error, (type(self), self.sentence, {name: getattr(self, name) for name in told}, self.index)


def _call_error(kind: type[CallError], sentence: str, told: "dict[str, Any]", index: int | None) -> CallError:
    error = kind(sentence, **told)
    error.index = index
    return error


class AlgorithmException(CallError):  # noqa: N818  (the name that the official client gives it)
    """The algorithm itself failed: it raised, could not be loaded, or its process died."""


class CallTimeout(CallError, TimeoutError):  # noqa: N818  (the name of an event, as TimeoutError is)
    """The time ran out: on the platform, on the way, or before anything was sent. `call.outcome` says which."""


class CallOutOfBudget(CallTimeout, BudgetExceeded):
    """Nothing remained of the budget of the run around the call, so nothing was sent.

    Args:
        sentence: what happened.
        call: the record of the call.
        hint: what to do next.
        run: the name of the run.
        timeout: its budget in seconds.
        elapsed: how much of it is used, in seconds.
    """

    def __init__(
        self, sentence: str, *, call: "Call", hint: str = "", run: str = "", timeout: float, elapsed: float
    ) -> None:
        CallTimeout.__init__(self, sentence, call=call, hint=hint)
        self.run = run
        self.section = self.limited = ""
        self.timeout = timeout
        self.elapsed = elapsed

    def __reduce__(self) -> tuple[object, ...]:
        told = ("call", "hint", "run", "timeout", "elapsed")
        return _call_error, (type(self), self.sentence, {name: getattr(self, name) for name in told}, self.index)


class CallRefused(CallError):  # noqa: N818  (the platform's verdict, not a failure of its own)
    """The platform did not take the request (any 4xx): wrong key, no such algorithm, too large, too many calls."""


class InputRefused(CallError, TypeError, ValueError):  # noqa: N818  (told before anything is sent)
    """The input cannot be sent as it is; the sentence names the element. Nothing was sent."""


class PlatformUnreachable(CallError, ConnectionError):  # noqa: N818  (a state of the network)
    """No answer came: nobody listens there, the name is unknown, or the connection broke off."""


class PlatformError(CallError):
    """The platform failed (5xx), or its answer cannot be read."""


ApiInternalError = PlatformError
"""The official client's name for it."""


class ManagementError(ApiError):
    """A question about an algorithm, its builds or its versions, that got no answer.

    Args:
        sentence: what happened, as `str()` shows it, without the hint.
        algorithm: `OWNER/NAME`.
        status: the HTTP status; None without an answer.
        code: the platform's error code; None without one.
        message: the platform's own words, else the sentence.
        hint: what to do next; empty where nobody knows.
    """

    def __init__(
        self,
        sentence: str,
        *,
        algorithm: str = "",
        status: int | None = None,
        code: int | None = None,
        message: str = "",
        hint: str = "",
    ) -> None:
        self.sentence = sentence
        self.algorithm = algorithm
        self.status = status
        self.code = code
        self.message = message or sentence
        self.hint = hint
        super().__init__(f"{sentence}; {hint}" if hint else sentence)

    def __reduce__(self) -> tuple[object, ...]:
        told = ("algorithm", "status", "code", "message", "hint")
        return _management_error, (self.sentence, {name: getattr(self, name) for name in told})


def _management_error(sentence: str, told: "dict[str, Any]") -> ManagementError:
    return ManagementError(sentence, **told)


class LogsUnavailable(ManagementError):  # noqa: N818  (the platform's name for it)
    """A build has ended, and its log cannot be read.

    Args:
        algorithm: `OWNER/NAME`.
        what: the build or the version.
    """

    def __init__(self, algorithm: str, what: str) -> None:
        self.what = what
        super().__init__(self._sentence(algorithm, what), algorithm=algorithm, hint=self._hint)

    _hint = "build again; if it stays so, ask the platform's support"

    @staticmethod
    def _sentence(algorithm: str, what: str) -> str:
        return f"the log of {what} of {algorithm} is unavailable: the platform has lost it, or it never began"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.algorithm, self.what)


class BuildNotFinished(LogsUnavailable):
    """A build still runs: its log can be read when it has ended."""

    _hint = "wait for it: `algoprof builds wait`"

    @staticmethod
    def _sentence(algorithm: str, what: str) -> str:
        return f"{what} of {algorithm} is not yet finished, and its log can be read when it is"


class BuildTimeout(ManagementError, TimeoutError):  # noqa: N818  (the name of an event, as TimeoutError is)
    """A build had not ended, or not begun, when the time to wait for it was over.

    Args:
        algorithm: `OWNER/NAME`.
        build_id: the build; empty if it had not begun.
        commit: the git hash waited for; empty if none was named.
        timeout: seconds that were waited.
    """

    def __init__(self, algorithm: str, build_id: str, commit: str, timeout: float) -> None:
        self.build_id = build_id
        self.commit = commit
        self.timeout = timeout
        what = f"build {build_id} has not ended" if build_id else f"no build of commit {commit[:40]} is listed"
        super().__init__(
            f"{algorithm}: {what} after {timeout:g} s",
            algorithm=algorithm,
            hint="wait longer" if build_id else "was it pushed, and to this algorithm's repository?",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.algorithm, self.build_id, self.commit, self.timeout)


class ProjectError(FileProblem):
    """A folder that cannot be hosted as an algorithm, or whose build failed.

    Args:
        path: the folder or the file in it.
        reason: what is wrong with it and what to do.
    """


class ServerError(AlgoprofError, RuntimeError):
    """Why `algoprof serve` cannot start or go on."""


class BisectionUndecided(AlgoprofError):  # noqa: N818  (a state of the machine or its network)
    """Nothing can be found out about requirements just now: the machine or its network failed, not a package.

    Args:
        sentence: what failed.
        advice: what to do about it.
    """

    def __init__(self, sentence: str, advice: "tuple[str, ...]" = ()) -> None:
        self.sentence = sentence
        self.advice = advice
        super().__init__("; ".join((sentence, *advice[:1])))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.sentence, self.advice)
