"""JSON as the standard has it, without the constants that Python adds to it, read or only checked."""

import json
from typing import Any, NoReturn

_LONG = 4000  # digits; somewhat longer whole numbers are refused by Python


def loads(text: str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: if it is no JSON, or holds `NaN` or `Infinity`, or a whole number of thousands of digits.
        RecursionError: if it is nested too deeply.
    """
    return _READER.decode(text)


def check(text: str) -> None:
    """Check that `loads` would return something, without making its numbers, which take several times their digits.

    Raises:
        ValueError: as `loads`.
        RecursionError: as `loads`.

    >>> check('[1, 2.5, "three"]')
    >>> check("[NaN]")
    Traceback (most recent call last):
    ValueError: NaN is not JSON
    """
    _CHECKER.decode(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _whole_number(digits: str) -> None:
    if len(digits) > _LONG:
        int(digits)


_READER = json.JSONDecoder(parse_constant=_refuse)
_CHECKER = json.JSONDecoder(parse_constant=_refuse, parse_float=len, parse_int=_whole_number)
