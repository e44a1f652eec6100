"""Bodies that come slowly, in pieces, or not at all."""

import asyncio

import pytest
from starlette.requests import Request

from algoprof.server import pace
from algoprof.server.data.bodies import BLOCK, Body, in_thread
from algoprof.server.envelopes import Refusal


def body(*messages, headers=()):
    """A body of which these messages come, and then nothing more."""
    waiting = list(messages)

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    return Body(Request({"type": "http", "headers": list(headers)}, receive))


def piece(content, more=True):
    return {"type": "http.request", "body": content, "more_body": more}


async def blocks(one):
    return [block async for block in one.blocks()]


@pytest.mark.parametrize("sizes", [[], [0], [1, 1], [BLOCK], [BLOCK - 1, 1, 1], [3 * BLOCK, 5]])
def test_what_comes_is_gathered_into_blocks(sizes):
    pieces = [piece(b"x" * size) for size in sizes]
    found = asyncio.run(blocks(body(*pieces, piece(b"", more=False))))
    assert sum(map(len, found)) == sum(sizes)
    assert all(len(block) >= BLOCK for block in found[:-1])
    assert b"" not in found


def test_one_that_stops_coming_is_given_up(monkeypatch):
    monkeypatch.setattr(pace, "GRACE", 0.01)
    with pytest.raises(Refusal, match="1 bytes were sent in 0 s, and then none in time") as refused:
        asyncio.run(blocks(body(piece(b"x"))))
    assert refused.value.status == 408
    asyncio.run(body(piece(b"x")).discard(100))  # the refusal that it follows is the one that counts


def test_one_whose_sender_has_gone_is_given_up():
    with pytest.raises(Refusal, match="the request ended before its body did"):
        asyncio.run(blocks(body(piece(b"x"), {"type": "http.disconnect"})))


def test_what_is_not_wanted_is_read_so_far_and_no_further():
    pieces = [piece(b"x" * 10) for _ in range(10)]
    asyncio.run(body(*pieces).discard(100))
    asyncio.run(body(headers=[(b"expect", b"100-continue")]).discard(100))  # nothing will come


@pytest.mark.parametrize(("told", "length"), [(b"7", 7), (b"", None), (b"-1", None), (b"9" * 5000, None)])
def test_a_length_is_read(told, length):
    assert body(headers=[(b"content-length", told)]).length == length


def test_work_in_a_thread_ends_before_what_it_uses_is_closed():
    async def given_up():
        begun, go_on, ended = asyncio.Event(), asyncio.Event(), []
        loop = asyncio.get_running_loop()

        def work():
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            ended.append(True)

        task = asyncio.create_task(in_thread(work))
        await begun.wait()
        task.cancel()
        loop.call_soon(go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        return ended

    assert asyncio.run(given_up()) == [True]
