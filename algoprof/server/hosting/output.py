"""What a worker prints: stdout and stderr through one pipe, in order, kept within a limit."""

import asyncio
import os

MAX_OUTPUT = 4 * 1024 * 1024
"""Bytes of output kept per request; the rest is read, counted and left out."""
_CHUNK = 64 * 1024
_CHUNKS_AT_ONCE = 16  # more than a pipe holds; then others on the event loop get their turn


class Output:
    """Reads a worker's output as it comes, and hands it out per request.

    What is printed while the algorithm loads belongs to the first request; what comes between two requests to none.

    Args:
        loop: the event loop that reads.
        pipe: the descriptor, non-blocking; `close` does not close it.
        marker: the text of the line that says that the algorithm is loaded; the line itself is not kept.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pipe: int, marker: str) -> None:
        self._loop = loop
        self._pipe = pipe
        self._marker = marker.encode()
        self._kept = bytearray()
        self._left_out = 0
        self._fresh = True
        self._unsearched = b""
        self.marked: asyncio.Future[object] = loop.create_future()
        """Done once the marker has been seen."""
        loop.add_reader(pipe, self.drain)

    def drain(self) -> None:
        """Read what is there, without waiting."""
        for _ in range(_CHUNKS_AT_ONCE):
            try:
                chunk = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self._loop.remove_reader(self._pipe)
                return
            room = MAX_OUTPUT - len(self._kept)
            self._kept += chunk[:room]
            self._left_out += max(0, len(chunk) - room)
            if not self.marked.done():
                self._look_for_marker(chunk)

    def take(self) -> str:
        """Return the output since the last `take` or `discard`, an unfinished last line included."""
        self.drain()
        text = self._kept.decode("utf-8", "replace")
        if self._left_out:
            text += f"\n[{self._left_out} bytes more were left out]\n"
        self._forget()
        return text

    def discard(self) -> None:
        """Forget what came since the last `take`; the first time nothing, as it is the load's output."""
        self.drain()
        if not self._fresh:
            self._forget()
        self._fresh = False

    def close(self) -> None:
        """Stop reading."""
        self._loop.remove_reader(self._pipe)

    def _forget(self) -> None:
        self._kept.clear()
        self._left_out = 0

    def _look_for_marker(self, chunk: bytes) -> None:
        """Look in the stream rather than in what is kept of it, and then take the marker out of that."""
        text = self._unsearched + chunk
        start = text.find(self._marker)
        if start < 0:
            self._unsearched = text[-len(self._marker) :]
        elif text.find(b"\n", start) < 0:
            self._unsearched = self._marker  # the rest of its line is still to come, however long
        else:
            self._unsearched = b""
            kept = self._kept.find(self._marker)
            if kept >= 0:
                end = self._kept.find(b"\n", kept)
                del self._kept[kept : end + 1 if end >= 0 else len(self._kept)]
            self.marked.set_result(None)
