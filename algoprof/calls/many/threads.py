"""Many calls at once from threads: inputs taken as there is room, responses handed out as they are asked for.

One thread takes the inputs, others call; whoever iterates only waits. What the threads share knows nothing of the
iterator, so one that is dropped half-way is collected, and ends them.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextvars import Context, copy_context
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from algoprof.calls.attempts import Response
from algoprof.calls.many.batches import Asked, OnError, Outcomes, admission, instead, length
from algoprof.calls.many.progress import Progress, progress
from algoprof.calls.many.throttle import Throttle
from algoprof.calls.tries import Tries, pause_of_all
from algoprof.calls.wire.deadlines import Cancellation
from algoprof.errors import CallError, ConfigurationError

T = TypeVar("T")
_PATIENCE = 2.0  # seconds that closing waits for calls that are given up; one that still connects ends by itself
_END = object()


class Responses(Generic[T]):
    """What many calls give, as an iterator; made by `Algorithm.pipe_many`. It is a context manager that closes itself.

    When it is closed, or an exception such as `KeyboardInterrupt` comes out of it, nothing more is sent, calls that are
    on their way are given up and recorded as `cancelled`, and going on to iterate gives what was done by then. It
    belongs to the process that made it: in a fork, iterating raises `ConfigurationError`.

    Args:
        inputs: what to call with.
        asked: how.
        call: makes one attempt, of the number given, with the options given.
        tries: makes what one call may try.
        name: the algorithm's.
    """

    def __init__(
        self,
        inputs: Iterable[object],
        asked: Asked[T],
        *,
        call: Callable[[object, Tries], Response],
        tries: Callable[[], Tries],
        name: str,
    ) -> None:
        self._asked = asked
        self._progress = progress(asked.progress, name, length(inputs))
        self._work = _Work(iter(inputs), asked, call, tries, self._progress)
        self._outcomes = Outcomes(ordered=asked.ordered)
        self._begun = False
        self._owner = os.getpid()
        self._finalizer = weakref.finalize(self, _end, self._work, self._progress, self._owner)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Response | T:
        if self._owner != os.getpid():
            raise ConfigurationError(
                "these responses belong to the process that called pipe_many, and this is a fork of it: call pipe_many"
                " here, or iterate there and hand the results on"
            )
        try:
            if not self._begun and not self._outcomes.closed:
                self._begun = True
                self._progress.start()
                self._work.start()
            while not self._outcomes.ready:
                self._receive()
            outcome = self._outcomes.take(StopIteration)
            self._work.room.release()
            return outcome if isinstance(outcome, Response) else instead(outcome, self._asked.on_error)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Send nothing more, and give up what is on its way. What is done can still be iterated over."""
        if self._outcomes.closed or self._owner != os.getpid():
            return
        self._outcomes.closed = True
        self._finalizer()
        self._work.join(_PATIENCE)
        while not self._work.done.empty():
            self._receive()

    def _receive(self) -> None:
        index, outcome = self._work.done.get()
        if index < 0:
            self._outcomes.end(~index, cast("BaseException | None", outcome))
        elif outcome is not None:
            self._outcomes.put(index, outcome)


def _end(work: "_Work", shown: Progress, owner: int) -> None:
    if owner == os.getpid():  # in a fork the threads are not there, and their locks may be held for ever
        work.stop()
        shown.stop()


class _Work:
    """What the threads share. Everything that takes a lock for longer than a moment can be stopped."""

    def __init__(
        self,
        inputs: Iterator[object],
        asked: Asked[Any],
        call: Callable[[object, Tries], Response],
        tries: Callable[[], Tries],
        shown: Progress,
    ) -> None:
        self._inputs = inputs
        self._most = asked.concurrency
        self._fails_fast = asked.on_error == OnError.RAISE
        self._call = call
        self._tries = tries
        self._progress = shown
        self._context = copy_context()
        self._workers: list[threading.Thread] = []
        self._tasks: SimpleQueue[tuple[int, object]] = SimpleQueue()
        self._gate = _Gate(asked.concurrency)
        self._cancellation = Cancellation()
        self._full = self._stopped = False
        self.room = threading.Semaphore(asked.ahead)
        """What may still be taken: inputs count from when they are taken until their outcome is handed out."""
        self.done: SimpleQueue[tuple[int, Response | BaseException | None]] = SimpleQueue()
        """Outcomes by the place of their input; at the end, the complement of the number of inputs."""

    def start(self) -> None:
        self._thread(self._take, "algoprof-inputs").start()

    def stop(self) -> None:
        self._full = self._stopped = True
        self._gate.close()
        self._cancellation.cancel()
        self.room.release()
        self._tasks.put((-1, None))

    def join(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for worker in list(self._workers):
            if worker is not threading.current_thread():
                worker.join(max(0.0, end - time.monotonic()))

    def _thread(self, body: Callable[[], None], name: str) -> threading.Thread:
        context: Context = self._context.copy()
        return threading.Thread(target=context.run, args=(body,), name=name, daemon=True)

    def _take(self) -> None:
        """Take inputs while there is room, with a worker more for each until there are enough."""
        taken, failure = 0, None
        try:
            while True:
                self.room.acquire()
                value = _END if self._full else next(self._inputs, _END)
                if value is _END or self._full:
                    break
                self._tasks.put((taken, value))
                taken += 1
                if len(self._workers) < self._most:
                    worker = self._thread(self._work, f"algoprof-call-{len(self._workers)}")
                    worker.start()
                    self._workers.append(worker)
        except BaseException as error:  # noqa: BLE001  (raised again where the inputs end)
            failure = error
        self._tasks.put((-1, None))
        self.done.put((~taken, failure))

    def _work(self) -> None:
        with self._cancellation:
            while True:
                index, value = self._tasks.get()
                if index < 0 or self._stopped:
                    break
                outcome = self._outcome(index, value)
                if outcome is None:
                    break
                self.done.put((index, outcome))
                self._progress.ended(failed=not isinstance(outcome, Response))
        self._tasks.put((-1, None))  # for the next worker

    def _outcome(self, index: int, value: object) -> Response | BaseException | None:
        """Return what a call gave; None if it was given up."""
        try:
            return replace(self._called(value), index=index)
        except CallError as error:
            error.index = index
            self._full = self._full or self._fails_fast
            return error
        except CancelledError:
            return None
        except BaseException as error:  # noqa: BLE001  (raised again in the thread that iterates)
            self._full = True
            return error

    def _called(self, value: object) -> Response:
        tries = self._tries()
        while True:
            began, pause = self._gate.enter(tries), None
            try:
                return self._call(value, tries)
            except CallError as error:
                again = tries.pause(error)
                pause = pause_of_all(error, again)
                if again is None:
                    raise
            finally:
                self._gate.leave(began, pause)


class _Gate:
    """Lets calls begin as the throttle says, and waits no longer than they have time."""

    def __init__(self, most: int) -> None:
        self._throttle = Throttle(most)
        self._changed = threading.Condition()
        self._closed = False

    def enter(self, tries: Tries) -> float:
        """Wait until an attempt may begin, and return when it did."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                wait = admission(self._throttle, tries, now)
                if not wait:
                    return now
                self._changed.wait(min(wait, threading.TIMEOUT_MAX))
        raise CancelledError

    def leave(self, began: float, pause: float | None) -> None:
        """Count an attempt that has ended; after a refusal, all wait."""
        with self._changed:
            limited = self._throttle.limits  # else nobody waits
            self._throttle.end(time.monotonic(), began, pause)
            if limited:
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
