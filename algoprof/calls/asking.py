"""What an algorithm is asked for, by whatever client: its reference and its options."""

from typing import Self

from algoprof.calls.access.platforms import Platform
from algoprof.calls.options import UNSET, Options, OutputType, Unset, checked, from_query
from algoprof.calls.references import Reference
from algoprof.calls.retries import Retries


class Asking:
    """An algorithm and what its next call asks for.

    Args:
        reference: which one it is.
        platform: where it is.
        grace: seconds that an answer may take beyond the timeout.
        retries: how often a call is tried again where that is safe.

    Raises:
        ConfigurationError: if the reference carries an option that cannot be meant.
    """

    def __init__(self, reference: Reference, platform: Platform, *, grace: float, retries: Retries) -> None:
        self.reference = reference
        self._platform = platform
        self._grace = grace
        self._retries = retries
        self._options = self._asked = from_query(reference.query)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reference} at {self._platform.address}>"

    @property
    def options(self) -> Options:
        """What the next call will ask for."""
        return self._options

    def set_options(
        self,
        timeout: float | Unset = UNSET,
        stdout: bool | Unset = UNSET,
        output: OutputType | str | Unset = UNSET,
        **query: str | float | bool,
    ) -> Self:
        """Say what the next calls ask for. What is left out is as the reference has it, else as by default.

        Args:
            timeout: seconds the algorithm may take, above 0 and at most 3000; 300 by default. There is no smallest
                one: less than the way there takes is a timeout for sure.
            stdout: whether to bring home what it prints; platforms do so for its owner only. False by default.
            output: `default`, `raw` (the bare output: no duration) or `void` (no result).
            query: whatever else goes into the URL, such as `sudo=True`.

        Raises:
            ConfigurationError: if one cannot be meant; nothing is changed then, and nothing sent.
        """
        self._options = checked(self._asked, timeout=timeout, stdout=stdout, output=output, query=query)
        return self
