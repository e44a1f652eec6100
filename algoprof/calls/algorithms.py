"""An algorithm on a platform: what to ask it for, and calling it."""

import time
from dataclasses import replace
from itertools import count
from typing import Self

from algoprof.budgets import budget
from algoprof.calls.attempts import Attempt, Response
from algoprof.calls.managed import ManagedAlgorithm
from algoprof.calls.official_methods import OfficialMethods
from algoprof.calls.options import UNSET, Options, OutputType, Unset, checked, from_query
from algoprof.calls.platforms import Platform
from algoprof.calls.references import Reference
from algoprof.calls.retries import Retries
from algoprof.calls.transport import Transport
from algoprof.errors import CallError


class Algorithm(ManagedAlgorithm, OfficialMethods):
    """An algorithm as a client calls it; made by `Client.algo`.

    Args:
        reference: which one it is.
        platform: where it is.
        transport: what carries the calls.
        grace: seconds that an answer may take beyond the timeout.
        retries: how often a call is tried again where that is safe.

    Raises:
        ConfigurationError: if the reference carries an option that cannot be meant.
    """

    def __init__(
        self,
        reference: Reference,
        platform: Platform,
        transport: Transport,
        *,
        grace: float,
        retries: Retries = Retries(),  # noqa: B008  (never changed)
    ) -> None:
        super().__init__(reference, platform, transport)
        self._platform = platform
        self._transport = transport
        self._grace = grace
        self._retries = retries
        self._options = self._asked = from_query(reference.query)

    def __repr__(self) -> str:
        return f"<Algorithm {self.reference} at {self._platform.address}>"

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

    def pipe(self, input: object) -> Response:  # noqa: A002  (the name that the official client gives it)
        """Call the algorithm and wait for what it gives.

        The wait ends at the timeout plus the client's grace, whatever the network does. Within a run with a budget,
        the timeout is cut to what remains of it. Attempts that the client's `retries` allow share that time.

        Args:
            input: `str` goes as text, `bytes` go as binary, all else as JSON.

        Raises:
            InputRefused: if the input cannot be sent; it names the element.
            AlgorithmException: if the algorithm failed.
            CallTimeout: if the time ran out; a `CallOutOfBudget`, which is a `BudgetExceeded` too, if the run around it
                has none left, and nothing was sent.
            CallRefused: if the platform did not take the request.
            PlatformUnreachable: if nothing answers.
            PlatformError: if the platform failed.
        """
        options, end = self._options, time.monotonic() + self._options.timeout
        for number in count(1):
            try:
                return self._attempt(input, options, number)
            except CallError as error:
                pause = self._retries.pause(error, number, min(end - time.monotonic(), budget().remaining))
                if pause is None:
                    raise
                time.sleep(pause)
                left = end - time.monotonic()
                if left <= 0:  # it slept for longer than it was to
                    raise
            options = replace(options, timeout=left)
        raise AssertionError  # there is always a next number

    def _attempt(self, value: object, options: Options, number: int) -> Response:
        with Attempt(self._platform, self.reference, options, self._grace, number=number) as attempt:
            request = attempt.request(value)
            return attempt.finish(self._transport.send(request, attempt.deadline))
