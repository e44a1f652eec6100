"""Many calls at once from one event loop: the same as `many`, with a task for each call in place of threads."""

import asyncio
import math
import time
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from algoprof.calls.attempts import Response
from algoprof.calls.many.batches import Asked, OnError, Outcomes, admission, instead, length
from algoprof.calls.many.progress import Progress, progress
from algoprof.calls.many.throttle import Throttle
from algoprof.calls.tries import Tries, pause_of_all
from algoprof.errors import CallError

T = TypeVar("T")


class AsyncResponses(Generic[T]):
    """What many calls give, as an asynchronous iterator; made by `AsyncAlgorithm.pipe_many`. `async with` closes it.

    When it is closed, or an exception comes out of it, nothing more is sent, calls that are on their way are given up
    and recorded as `cancelled`, and going on to iterate gives what was done by then.

    Args:
        inputs: what to call with.
        asked: how.
        call: makes one attempt.
        tries: makes what one call may try.
        name: the algorithm's.
    """

    def __init__(
        self,
        inputs: Iterable[object] | AsyncIterable[object],
        asked: Asked[T],
        *,
        call: Callable[[object, Tries], Awaitable[Response]],
        tries: Callable[[], Tries],
        name: str,
    ) -> None:
        self._asked = asked
        self._progress = progress(asked.progress, name, length(inputs))
        self._outcomes = Outcomes(ordered=asked.ordered)
        self._work = _Work(
            _one_by_one(inputs), asked, call=call, tries=tries, outcomes=self._outcomes, shown=self._progress
        )
        self._begun = False
        self._finalizer: weakref.finalize[..., Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response | T:
        try:
            if not self._begun and not self._outcomes.closed:
                self._begun = True
                self._progress.start()
                self._work.start()
                self._finalizer = weakref.finalize(self, _abandon, self._work, asyncio.get_running_loop())
            while not self._outcomes.ready:
                self._work.news.clear()
                await self._work.news.wait()
            outcome = self._outcomes.take(StopAsyncIteration)
            self._work.room.release()
            return outcome if isinstance(outcome, Response) else instead(outcome, self._asked.on_error)
        except BaseException:
            await self.aclose()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Send nothing more, and give up what is on its way. What is done can still be iterated over."""
        if self._outcomes.closed:
            return
        self._outcomes.closed = True
        if self._finalizer is not None:
            self._finalizer.detach()
        await self._work.stop()
        self._progress.stop()


def _abandon(work: "_Work", loop: asyncio.AbstractEventLoop) -> None:
    """End the tasks of an iterator that was dropped, from whatever thread collects it."""
    with suppress(RuntimeError):  # the loop is closed, and they ended with it
        loop.call_soon_threadsafe(work.cancel)


async def _one_by_one(inputs: Iterable[object] | AsyncIterable[object]) -> AsyncIterator[object]:
    if isinstance(inputs, AsyncIterable):
        async for value in inputs:
            yield value
    else:
        for value in inputs:
            yield value


class _Work:
    """What the tasks share."""

    def __init__(
        self,
        inputs: AsyncIterator[object],
        asked: Asked[Any],
        *,
        call: Callable[[object, Tries], Awaitable[Response]],
        tries: Callable[[], Tries],
        outcomes: Outcomes,
        shown: Progress,
    ) -> None:
        self._inputs = inputs
        self._fails_fast = asked.on_error == OnError.RAISE
        self._call = call
        self._tries = tries
        self._outcomes = outcomes
        self._progress = shown
        self._context = copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(asked.concurrency)
        self._throttle = Throttle(asked.concurrency)
        self._changed = asyncio.Condition()
        self._full = False
        self.room = asyncio.Semaphore(asked.ahead)
        self.news = asyncio.Event()

    def start(self) -> None:
        self._begin(self._take())

    async def stop(self) -> None:
        self.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        self._full = True
        for task in self._tasks:
            task.cancel()
        self._progress.stop()

    def _begin(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(body, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self) -> None:
        """Take inputs while there is room, with a task for each."""
        taken, failure = 0, None
        try:
            while True:
                await self.room.acquire()
                await self._free.acquire()
                if self._full:
                    break
                self._begin(self._one(taken, await anext(self._inputs)))
                taken += 1
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001  (raised again where the inputs end)
            failure = error
        self._outcomes.end(taken, failure)
        self.news.set()

    async def _one(self, index: int, value: object) -> None:
        outcome: Response | Exception
        try:
            outcome = replace(await self._called(value), index=index)
        except CallError as error:
            error.index = index
            self._full = self._full or self._fails_fast
            outcome = error
        except Exception as error:  # noqa: BLE001  (raised again by whoever iterates)
            self._full = True
            outcome = error
        self._free.release()
        self._outcomes.put(index, outcome)
        self._progress.ended(failed=not isinstance(outcome, Response))
        self.news.set()

    async def _called(self, value: object) -> Response:
        tries = self._tries()
        while True:
            began, pause = await self._enter(tries), None
            try:
                return await self._call(value, tries)
            except CallError as error:
                again = tries.pause(error)
                pause = pause_of_all(error, again)
                if again is None:
                    raise
            finally:
                await self._leave(began, pause)

    async def _enter(self, tries: Tries) -> float:
        """Wait until an attempt may begin, and return when it did."""
        async with self._changed:
            while wait := admission(self._throttle, tries, now := time.monotonic()):
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if wait == math.inf else wait):
                        await self._changed.wait()
        return now

    async def _leave(self, began: float, pause: float | None) -> None:
        limited = self._throttle.limits  # else nobody waits
        self._throttle.end(time.monotonic(), began, pause)
        if limited:
            async with self._changed:
                self._changed.notify_all()
