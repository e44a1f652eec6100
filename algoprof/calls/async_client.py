"""The way in for asyncio: `AsyncClient`, and an algorithm as it calls it."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Never, NoReturn, Self, TypeVar, overload

from algoprof.calls.access.platforms import Platform
from algoprof.calls.asking import Asking
from algoprof.calls.attempts import Attempt, Response
from algoprof.calls.client import at, located
from algoprof.calls.data.async_objects import AsyncDataDirectory, AsyncDataFile
from algoprof.calls.data.conversions import CONVERTERS
from algoprof.calls.data.failures import nameless
from algoprof.calls.data.objects import AsyncData
from algoprof.calls.data.uploads import destination, prepare
from algoprof.calls.data.uris import parse as parse_uri
from algoprof.calls.management.asynchronous import AsyncManagedAlgorithm
from algoprof.calls.management.insights import check, deadline, report
from algoprof.calls.management.reaching import AsyncManagement
from algoprof.calls.many.batches import CONCURRENCY
from algoprof.calls.many.batches import checked as checked_batch
from algoprof.calls.many.tasks import AsyncResponses
from algoprof.calls.official.methods import NOT_OFFERED, AsyncOfficialMethods, refusing
from algoprof.calls.references import Reference
from algoprof.calls.retries import Retries, checked
from algoprof.calls.tries import Tries
from algoprof.errors import CallError, ConfigurationError, NotOffered

if TYPE_CHECKING:
    from algoprof.calls.wire.async_transport import AsyncTransport

T = TypeVar("T")


class AsyncClient:
    """A client for one platform, for asyncio. It needs `pip install 'algoprof[async]'`.

    It takes what `algoprof.client` takes, keeps the same deadlines, and leaves the same records. It is used as an
    asynchronous context manager, or closed with `close`.

    Args:
        api_key: the API key; else as `algoprof.client` finds it.
        api_address: the platform's address; else as `algoprof.client` finds it.
        ca_cert: file or folder of certificates to trust; False trusts whoever answers.
        bearer_token: a JWT, used where there is no key; else `ALGORITHMIA_BEARER_TOKEN`.
        grace: seconds that an answer may take beyond a call's timeout.
        retries: how often a call is tried again, within its timeout, where the algorithm has certainly not run.
        data: the folder that `algoprof serve --data` was given.
        account: a profile of the official client's configuration file.

    Raises:
        ConfigurationError: if one of them cannot be meant; the message never shows a key. Also if httpx is missing.

    >>> import asyncio
    >>> async def main():
    ...     async with AsyncClient("simKey", "http://127.0.0.1:1") as client:
    ...         try:
    ...             await client.algo("demo/Routes").set_options(timeout=60).pipe({"cities": 20})
    ...         except ConnectionError as error:
    ...             print(error.call.outcome)
    >>> asyncio.run(main())
    unreachable
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_address: str | None = None,
        ca_cert: str | bool | None = None,
        bearer_token: str | None = None,
        *,
        grace: float = 10.0,
        retries: int = 0,
        data: str | PathLike[str] | None = None,
        account: str | None = None,
    ) -> None:
        self._platform, trusted = located(
            api_key, api_address, ca_cert, bearer_token, grace, data=data, account=account
        )
        self._transport = _transport(self._platform, trusted)
        self._data = AsyncData(self._platform, self._transport)
        self._grace = float(grace)
        self._retries = checked(retries)

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.address}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def address(self) -> str:
        """The platform's address."""
        return self._platform.address

    def algo(self, reference: str) -> "AsyncAlgorithm":
        """Return an algorithm to call.

        Args:
            reference: `OWNER/NAME` or `OWNER/NAME/VERSION`, also with `algo://` before it, as a full URL on this
                platform, or with options behind it, such as `?timeout=9`.

        Raises:
            ConfigurationError: if it names no algorithm, or one on another platform.
        """
        return AsyncAlgorithm(
            at(reference, self.address), self._platform, self._transport, grace=self._grace, retries=self._retries
        )

    async def report_insights(self, insights: Mapping[str, str | float]) -> None:
        """Report metrics of the execution that this process is in, as `Client.report_insights` does.

        Raises:
            ConfigurationError: if a name or a value cannot be meant.
            ManagementError: if they are refused, or nobody takes them.
        """
        request = report(self._platform, insights)
        check(self._platform, await self._transport.send(request, deadline()))

    def file(self, dataUrl: str) -> AsyncDataFile:  # noqa: N803  (the official name)
        """Return a file of the data API; whether it is there is not asked.

        Args:
            dataUrl: `data://OWNER/COLLECTION/FILE`, where `.my` is the caller, or that of another connector.

        Raises:
            ConfigurationError: if it names none.
        """
        uri = parse_uri(dataUrl)
        if not uri.names:
            raise ConfigurationError(f"{dataUrl!r} is no file: it looks like data://.my/COLLECTION/FILE")
        return AsyncDataFile(self._data, uri)

    def dir(self, dataUrl: str) -> AsyncDataDirectory:  # noqa: N803
        """Return a folder of the data API; whether it is there is not asked.

        Args:
            dataUrl: `data://OWNER/COLLECTION`, or that of another connector.

        Raises:
            ConfigurationError: if it names none.
        """
        return AsyncDataDirectory(self._data, parse_uri(dataUrl))

    async def username(self) -> str:
        """Return the name of the account that the key belongs to, as `Client.username` does."""
        async for first in self.dir("data://").list():
            return first.path
        raise nameless(self._platform)

    async def get_algorithm_errors(self, algorithm_id: str) -> Any:
        """Return the error log of an algorithm as the platform tells it, as `Client.get_algorithm_errors` does."""
        return await self.algo(algorithm_id).get_errors()

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name in NOT_OFFERED:
            return refusing(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._transport.close()


def _transport(platform: Platform, ca_cert: str | bool | None) -> "AsyncTransport":
    try:
        from algoprof.calls.wire.async_transport import AsyncTransport  # noqa: PLC0415  (httpx is an extra)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"AsyncClient needs {error.name}: pip install 'algoprof[async]'") from error
    return AsyncTransport(platform, ca_cert)


def _blocking(name: str, algorithm: str) -> Callable[..., NoReturn]:
    """Return what stands for a method that only the synchronous client has: called, it says how a thread calls that."""
    call = f"algoprof.client(...).algo({algorithm!r}).{name}"

    def refuse(*_: object, **__: object) -> NoReturn:
        raise NotOffered(f"{name} for asyncio", f"await asyncio.to_thread({call}, ...)")

    return refuse


class AsyncAlgorithm(Asking, AsyncManagedAlgorithm, AsyncOfficialMethods):
    """An algorithm as an `AsyncClient` calls it; made by `AsyncClient.algo`.

    Args:
        reference: which one it is.
        platform: where it is.
        transport: what carries the calls.
        grace: seconds that an answer may take beyond the timeout.
        retries: how often a call is tried again where that is safe.
    """

    def __init__(
        self, reference: Reference, platform: Platform, transport: "AsyncTransport", *, grace: float, retries: Retries
    ) -> None:
        Asking.__init__(self, reference, platform, grace=grace, retries=retries)
        AsyncManagedAlgorithm.__init__(self, AsyncManagement(platform, reference, transport))
        self._transport = transport
        self._data = AsyncData(platform, transport)

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name == "examine":  # asked seldom, and of many things
            return _blocking(name, self.reference.algorithm)
        return super().__getattr__(name)

    async def pipe(self, input: object, *, upload: bool | str = False) -> Response:  # noqa: A002  (the name that the official client gives it)
        """Call the algorithm and wait for what it gives, as `Algorithm.pipe` does; cancelled, it is given up.

        Args:
            input: `str` goes as text, `bytes` go as binary, all else as JSON.
            upload: whether, or where, files are made of what cannot be sent as it is, as `Algorithm.pipe` does.

        Raises:
            CallError: if it gives nothing; the same kinds as `Algorithm.pipe`.
            DataApiError: if a part of the input cannot be made a file, or cannot be stored.
        """
        where = destination(upload)
        given: object = input
        if where is not None:
            given = await self._data.run(prepare(self._data.operations, input, where, CONVERTERS))
        tries = Tries(self._options, self._retries)
        while True:
            try:
                return await self._attempt(given, tries)
            except CallError as error:
                pause = tries.pause(error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    @overload
    def pipe_many(
        self,
        inputs: Iterable[object] | AsyncIterable[object],
        concurrency: int = ...,
        on_error: Literal["raise"] = ...,
        *,
        ordered: bool = ...,
        progress: bool | None = ...,
    ) -> AsyncResponses[Never]: ...

    @overload
    def pipe_many(
        self,
        inputs: Iterable[object] | AsyncIterable[object],
        concurrency: int = ...,
        *,
        on_error: Literal["return"],
        ordered: bool = ...,
        progress: bool | None = ...,
    ) -> AsyncResponses[CallError]: ...

    @overload
    def pipe_many(
        self,
        inputs: Iterable[object] | AsyncIterable[object],
        concurrency: int = ...,
        *,
        on_error: Callable[[CallError], T],
        ordered: bool = ...,
        progress: bool | None = ...,
    ) -> AsyncResponses[T]: ...

    def pipe_many(
        self,
        inputs: Iterable[object] | AsyncIterable[object],
        concurrency: int = CONCURRENCY,
        on_error: "Literal['raise', 'return'] | Callable[[CallError], T]" = "raise",
        *,
        ordered: bool = True,
        progress: bool | None = None,
    ) -> AsyncResponses[T]:
        """Call the algorithm with each of many inputs, several at once, and return an iterator for `async for`.

        It is `Algorithm.pipe_many`, with a task in place of each thread; one more for the inputs, so that an iterator
        which blocks blocks the event loop, and an asynchronous one does not.

        Args:
            inputs: what to call with; any iterable or asynchronous iterable, also one without an end.
            concurrency: how many calls may be on their way at once, from 1 to 80.
            on_error: `raise`, `return`, or a callable that gets each `CallError`.
            ordered: whether responses come in the order of the inputs; else as they are there.
            progress: whether stderr shows how far it is: None on a terminal only.

        Raises:
            ConfigurationError: if the inputs are one text, or an option cannot be meant.
        """
        asked = checked_batch(inputs, concurrency=concurrency, ordered=ordered, on_error=on_error, progress=progress)
        options, retries = self._options, self._retries
        return AsyncResponses(
            inputs,
            asked,
            call=self._attempt,
            tries=lambda: Tries(options, retries, insistent=True),
            name=str(self.reference),
        )

    async def _attempt(self, value: object, tries: Tries) -> Response:
        options = tries.begin()
        with Attempt(self._platform, self.reference, options, self._grace, number=tries.number) as attempt:
            request = attempt.request(value)
            return attempt.finish(await self._transport.send(request, attempt.deadline))
