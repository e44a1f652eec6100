"""Every exception of algoprof, in one tree. Each carries what it is about and says what to do next."""


class AlgoprofError(Exception):
    """Whatever algoprof raises is one of these."""


class ConfigurationError(AlgoprofError, ValueError):
    """A setting, an option or an environment variable that cannot be meant."""


class BudgetExceeded(AlgoprofError, TimeoutError):  # noqa: N818  (the name of an event, as TimeoutError is)
    """A run has used up its budget.

    Args:
        run: the run's name; empty outside a run.
        section: the innermost open section; empty if there is none.
        timeout: the budget in seconds.
        elapsed: how much of it is used, in seconds.

    >>> str(BudgetExceeded("apply", "apply/improve", timeout=60.0, elapsed=61.5))
    'apply has used 61.5 s of its budget of 60 s, in section apply/improve'
    """

    def __init__(self, run: str, section: str, *, timeout: float, elapsed: float) -> None:
        self.run = run
        self.section = section
        self.timeout = timeout
        self.elapsed = elapsed
        where = f", in section {section}" if section else ""
        super().__init__(f"{run or 'the program'} has used {elapsed:.1f} s of its budget of {timeout:g} s{where}")

    def __reduce__(self) -> tuple[object, ...]:
        return _budget_exceeded, (self.run, self.section, self.timeout, self.elapsed)


def _budget_exceeded(run: str, section: str, timeout: float, elapsed: float) -> BudgetExceeded:
    return BudgetExceeded(run, section, timeout=timeout, elapsed=elapsed)


class ProfileFileError(AlgoprofError, ValueError):
    """A file that is not a profile or flight file that this version can read.

    Args:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.reason)
