"""What a call costs through our client, beside a bare `requests.Session.post` to the same server.

Run it with `make bench`. The server is the smallest there can be, in a process of its own, which answers at once: it
shows the client's own share most clearly. `--serve` asks `algoprof serve` instead, with an algorithm that echoes.
The control is the bare post once more; it shows what the machine's noise alone makes of it.
"""

import multiprocessing
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from interleaved import Measured, ratios, table

import algoprof

AT_MOST = 1.15
_ANSWER = b'{"result": "hello", "metadata": {"content_type": "text", "duration": 0.0001}}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER)


def main() -> None:
    """Measure in turn, and print ratios."""
    serving = _our_server if "--serve" in sys.argv[1:] else smallest_server
    with serving() as (address, key, name), requests.Session() as session, algoprof.client(key, address) as client:
        algo = client.algo(name).set_options(timeout=60)
        url = f"{address}/v1/algo/{name}"
        headers = {"Authorization": f"Simple {key}", "Content-Type": "text/plain"}

        def bare(repeats: int) -> None:
            for _ in range(repeats):
                answer = session.post(url, data=b"hello", headers=headers, params={"timeout": "60"}, timeout=70)
                assert answer.json()["result"] == "hello"

        def ours(repeats: int) -> None:
            for _ in range(repeats):
                assert algo.pipe("hello").result == "hello"

        measured: dict[str, Measured] = {
            "requests.Session.post": bare,
            "the control, the same": bare,
            "algo.pipe": ours,
        }
        rows = ratios("requests.Session.post", measured, rounds=1501, repeats=1)
    print(table("an echo call, as a multiple of a bare post in the same round", rows, {"algo.pipe": AT_MOST}))


@contextmanager
def smallest_server() -> Iterator[tuple[str, str, str]]:
    """Yield the address of a server that answers at once, a key for it, and the name of what it calls itself."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=_answer_for_ever, args=(listener,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", "simKey", "demo/Echo"
    finally:
        process.kill()
        process.join()
        listener.close()


def _answer_for_ever(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    waiting = b""
    while chunk := connection.recv(65536):
        waiting += chunk
        if waiting.endswith(b"\r\n\r\nhello"):
            waiting = b""
            connection.sendall(_HEAD + _ANSWER)


@contextmanager
def _our_server() -> Iterator[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "echo"
        (project / "src").mkdir(parents=True)
        (project / "algorithmia.conf").write_text('{"username": "demo", "algoname": "Echo"}')
        (project / "src" / "Echo.py").write_text("def apply(input):\n    return input\n")
        command = [sys.executable, "-m", "algoprof", "serve", str(project), "--port", "0", "--data", f"{folder}/data"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            try:
                yield address, (Path(folder) / "data" / "key").read_text().strip(), "demo/Echo"
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
