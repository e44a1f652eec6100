"""What a call may be asked for: its timeout, its stdout, how its output comes back."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum, StrEnum
from numbers import Real
from typing import Final

from algoprof.errors import ConfigurationError

DEFAULT_TIMEOUT = 300.0
"""Seconds that a call gets unless told otherwise, here and on the platform."""
LONGEST_TIMEOUT = 3000.0
"""Seconds that a call may get at most; a limit of the platform."""


class OutputType(StrEnum):
    """How the output of a call comes back."""

    default = "default"
    """The result and what the platform knows about the call."""
    raw = "raw"
    """The bare output: no duration, no profile."""
    void = "void"
    """Nothing: the platform answers at once, and the result is lost."""


class Unset(Enum):
    """What an option is that was not given."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Options:
    """What one call is asked for.

    Args:
        timeout: seconds the algorithm may take, above 0 and at most 3000.
        stdout: whether to bring home what it prints; the platform does so for its owner only.
        output: how the output comes back.
        query: whatever else goes into the URL, such as `sudo`.
    """

    timeout: float = DEFAULT_TIMEOUT
    stdout: bool = False
    output: OutputType = OutputType.default
    query: Mapping[str, str] = field(default_factory=dict)

    def parameters(self) -> dict[str, str]:
        """Return the query of the URL.

        >>> Options(timeout=2.50, stdout=True).parameters()
        {'timeout': '2.5', 'stdout': 'true'}
        """
        asked = {"timeout": f"{Decimal(repr(self.timeout)).normalize():f}", "stdout": str(self.stdout).lower()}
        if self.output is not OutputType.default:
            asked["output"] = self.output.value
        return {**self.query, **asked}


def checked(
    base: Options,
    *,
    timeout: object = UNSET,
    stdout: object = UNSET,
    output: object = UNSET,
    query: Mapping[str, object] | None = None,
) -> Options:
    """Return the options with those changed that are given.

    Raises:
        ConfigurationError: if one cannot be meant; the message names it and what it can be.

    >>> checked(Options(), timeout=60).timeout
    60.0
    >>> checked(Options(), timeout=3001)
    Traceback (most recent call last):
        ...
    algoprof.errors.ConfigurationError: a timeout is above 0 and at most 3000 seconds, the platform's limit, not 3001
    """
    return replace(
        base,
        timeout=base.timeout if timeout is UNSET else _timeout(timeout),
        stdout=base.stdout if stdout is UNSET else _stdout(stdout),
        output=base.output if output is UNSET else _output(output),
        query={**base.query, **{name: _parameter(name, value) for name, value in (query or {}).items()}},
    )


def from_query(query: Mapping[str, str]) -> Options:
    """Return the options written behind an algorithm's name, such as `?timeout=9&stdout=true`.

    Raises:
        ConfigurationError: if one cannot be meant.

    >>> from_query({"timeout": "9", "sudo": "true"})
    Options(timeout=9.0, stdout=False, output=<OutputType.default: 'default'>, query={'sudo': 'true'})
    """
    rest = dict(query)
    timeout, stdout, output = (rest.pop(name, UNSET) for name in ("timeout", "stdout", "output"))
    return checked(
        Options(),
        timeout=timeout if timeout is UNSET else _number(timeout),
        stdout={"true": True, "false": False}.get(stdout.lower(), stdout) if isinstance(stdout, str) else stdout,
        output=output,
        query=rest,
    )


def _number(text: str) -> float | str:
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{0,20})?", text, re.ASCII) else text


def _timeout(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigurationError(f"a timeout is a number of seconds, not {_shown(value)}")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not 0 < seconds <= LONGEST_TIMEOUT:  # NaN is neither
        raise ConfigurationError(
            f"a timeout is above 0 and at most {LONGEST_TIMEOUT:.0f} seconds, the platform's limit, not {_shown(value)}"
        )
    return seconds


def _stdout(value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"stdout is True or False, not {_shown(value)}")
    return value


def _output(value: object) -> OutputType:
    name = value.name if isinstance(value, Enum) else value  # the official client has an enum of its own
    for kind in OutputType:
        if name == kind.value:
            return kind
    raise ConfigurationError(f"output is one of {', '.join(OutputType)}, not {_shown(value)}")


def _parameter(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ConfigurationError(f"the option {name[:60]!r} is a text, a number or a boolean, not {_shown(value)}")


def _shown(value: object) -> str:
    """Show a value briefly; of a foreign type only its name, since its `repr` is foreign code."""
    if isinstance(value, int) and abs(value) > 10**20:  # Python refuses to print an int of over 4300 digits
        return "a far larger number"
    if type(value) in (str, int, float, bool, type(None)):
        shown = repr(value)
        return shown if len(shown) <= 80 else f"{shown[:80]}..."
    return type(value).__name__
