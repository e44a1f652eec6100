"""What is sent to be kept: taken in blocks, so that a large file needs no more memory than a small one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from algoprof.server import pace
from algoprof.server.envelopes import INVALID_REQUEST, Refusal

BLOCK = 1024 * 1024
"""Bytes, at least, of each block but the last."""

_DIGITS = 20  # of a length that is worth reading

_Result = TypeVar("_Result")


class Body:
    """A request's body.

    Args:
        request: of which nothing was read.
    """

    def __init__(self, request: Request) -> None:
        self._chunks = request.stream()
        self._received = 0
        self._waited = 0.0  # seconds, for the sender alone and not for the disk
        self._asked_first = request.headers.get("expect", "").lower() == "100-continue"
        length = request.headers.get("content-length", "")
        self.length = int(length) if length.isdecimal() and len(length) < _DIGITS else None
        """In bytes, if the request says so."""

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield what comes, to its end.

        Raises:
            Refusal: if the sender has gone, or sends too slowly.
        """
        gathered = bytearray()
        while True:
            chunk = await self._next()
            if chunk is None:
                break
            gathered += chunk
            if len(gathered) >= BLOCK:
                yield bytes(gathered)
                gathered.clear()
        if gathered:
            yield bytes(gathered)

    async def discard(self, most: int) -> None:
        """Read what is left, so that a sender who reads the answer only after sending gets it.

        Args:
            most: bytes after which the connection may as well be cut.
        """
        if self._asked_first:  # it waits for leave to send, and gets the answer instead
            return
        try:
            while most > 0 and (chunk := await self._next()) is not None:
                most -= len(chunk)
        except Refusal:
            return

    async def _next(self) -> bytes | None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(pace.seconds(self._received) - self._waited):
                chunk = await anext(self._chunks, None)
        except ClientDisconnect:
            raise Refusal(400, INVALID_REQUEST, "the request ended before its body did") from None
        except TimeoutError:
            raise pace.too_slow(self._received) from None
        self._waited += time.monotonic() - began
        self._asked_first = False
        self._received += len(chunk or b"")
        return chunk


async def in_thread(function: Callable[..., _Result], *arguments: object) -> _Result:
    """Run what may block in a thread, and wait for its end even if the request is given up: its files are in use."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(work)
    finally:
        if not work.done():
            await asyncio.wait({work})
            work.exception()  # nobody else asks for it
