"""An algorithm on a platform: calling it, once or many times."""

import time
from collections.abc import Callable, Iterable
from typing import Literal, Never, TypeVar, overload

from algoprof.calls.access.platforms import Platform
from algoprof.calls.asking import Asking
from algoprof.calls.attempts import Attempt, Response
from algoprof.calls.data.conversions import CONVERTERS
from algoprof.calls.data.objects import Data
from algoprof.calls.data.uploads import destination, prepare
from algoprof.calls.management.synchronous import ManagedAlgorithm
from algoprof.calls.many.batches import CONCURRENCY, checked
from algoprof.calls.many.threads import Responses
from algoprof.calls.official.methods import OfficialMethods
from algoprof.calls.references import Reference
from algoprof.calls.retries import Retries
from algoprof.calls.tries import Tries
from algoprof.calls.wire.transport import Transport
from algoprof.errors import CallError

T = TypeVar("T")


class Algorithm(Asking, ManagedAlgorithm, OfficialMethods):
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
        Asking.__init__(self, reference, platform, grace=grace, retries=retries)
        ManagedAlgorithm.__init__(self, reference, platform, transport)
        self._transport = transport
        self._data = Data(platform, transport)

    def pipe(self, input: object, *, upload: bool | str = False) -> Response:  # noqa: A002  (the name that the official client gives it)
        """Call the algorithm and wait for what it gives.

        The wait ends at the timeout plus the client's grace, whatever the network does. Within a run with a budget,
        the timeout is cut to what remains of it. Attempts that the client's `retries` allow share that time.

        Args:
            input: `str` goes as text, `bytes` go as binary, all else as JSON.
            upload: True makes files of what JSON cannot say (bytes, NumPy arrays, pandas tables, paths, open files,
                what `register_converter` was told of), of texts over 1 MiB, and of all of an input over 10 MiB, and
                sends their `data://` URIs in their place. A file is named for what it holds, and sent once. They go to
                `data://.my/algoprof_uploads`, or the folder whose URI stands here. It happens before the call, and
                takes none of its timeout.

        Raises:
            InputRefused: if the input cannot be sent; it names the element.
            DataApiError: if a part of it cannot be made a file, or cannot be stored.
            AlgorithmException: if the algorithm failed.
            CallTimeout: if the time ran out; a `CallOutOfBudget`, which is a `BudgetExceeded` too, if the run around it
                has none left, and nothing was sent.
            CallRefused: if the platform did not take the request.
            PlatformUnreachable: if nothing answers.
            PlatformError: if the platform failed.
        """
        where = destination(upload)
        given: object = input
        if where is not None:
            given = self._data.run(prepare(self._data.operations, input, where, CONVERTERS))
        tries = Tries(self._options, self._retries)
        while True:
            try:
                return self._attempt(given, tries)
            except CallError as error:
                pause = tries.pause(error)
                if pause is None:
                    raise
                time.sleep(pause)
                if tries.left <= 0:  # it slept for longer than it was to
                    raise

    @overload
    def pipe_many(
        self,
        inputs: Iterable[object],
        concurrency: int = ...,
        on_error: Literal["raise"] = ...,
        *,
        ordered: bool = ...,
        progress: bool | None = ...,
    ) -> Responses[Never]: ...

    @overload
    def pipe_many(
        self,
        inputs: Iterable[object],
        concurrency: int = ...,
        *,
        on_error: Literal["return"],
        ordered: bool = ...,
        progress: bool | None = ...,
    ) -> Responses[CallError]: ...

    @overload
    def pipe_many(
        self,
        inputs: Iterable[object],
        concurrency: int = ...,
        *,
        on_error: Callable[[CallError], T],
        ordered: bool = ...,
        progress: bool | None = ...,
    ) -> Responses[T]: ...

    def pipe_many(
        self,
        inputs: Iterable[object],
        concurrency: int = CONCURRENCY,
        on_error: "Literal['raise', 'return'] | Callable[[CallError], T]" = "raise",
        *,
        ordered: bool = True,
        progress: bool | None = None,
    ) -> Responses[T]:
        """Call the algorithm with each of many inputs, several at once, and return an iterator over what it gives.

        It begins with the first `next`. Inputs are taken as they are needed, by a thread of their own that stands in
        the context of the caller, so there may be any number of them: at most twice `concurrency` are taken whose
        response is not yet handed out. When the platform puts a call off (429, or 503 with a `Retry-After`), all of
        them wait, fewer go on, and that call is sent again while its timeout lasts. `Response.index` and
        `CallError.index` say which input is answered.

        Args:
            inputs: what to call with, each as for `pipe`; any iterable, also one without an end.
            concurrency: how many calls may be on their way at once, from 1 to 80.
            on_error: `raise` ends it with the error of the first call that failed; `return` gives the `CallError` in
                place of a response; a callable gets that error, and what it returns stands there.
            ordered: whether responses come in the order of the inputs; else as they are there.
            progress: True shows on stderr how far it is, a bar on a terminal and lines elsewhere; None, the default,
                shows the bar only, and False nothing.

        Raises:
            ConfigurationError: if the inputs are one text, or an option cannot be meant.

        >>> from algoprof.calls.client import client
        >>> with client("simKey", "http://127.0.0.1:1") as caller:
        ...     algo = caller.algo("demo/Routes")
        ...     list(algo.pipe_many(range(3), concurrency=2, on_error=lambda error: error.call.outcome))
        ['unreachable', 'unreachable', 'unreachable']
        """
        asked = checked(inputs, concurrency=concurrency, ordered=ordered, on_error=on_error, progress=progress)
        options, retries = self._options, self._retries
        return Responses(
            inputs,
            asked,
            call=self._attempt,
            tries=lambda: Tries(options, retries, insistent=True),
            name=str(self.reference),
        )

    def _attempt(self, value: object, tries: Tries) -> Response:
        options = tries.begin()
        with Attempt(self._platform, self.reference, options, self._grace, number=tries.number) as attempt:
            request = attempt.request(value)
            return attempt.finish(self._transport.send(request, attempt.deadline))
