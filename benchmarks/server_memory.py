"""What memory a large call takes in `algoprof serve`: 10 MiB in, 12 MiB out, beyond what the idle server has.

Run it with `make bench`, or as a part of `server_cost.py`, which says what the options do.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import requests
from served import Served, ours

AT_MOST = 6
"""Times the larger of the two."""
IN, OUT = 10 * 1024 * 1024, 12 * 1024 * 1024
INPUTS: Mapping[str, tuple[str, bytes]] = {
    "binary": ("application/octet-stream", bytes(IN)),
    "text": ("text/plain", b"a" * IN),
    "json": ("application/json", b"[" + b"12345.678, " * (IN // 11 - 1) + b"0]"),
}
"""By what the result is as well: the content type, and what is sent."""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        print(shown(measured(Path(folder))))


def measured(folder: Path) -> dict[str, float]:
    """Return the peak of each kind of call, each of a server of its own, as a multiple of what it returns."""
    found = {}
    for kind, given in INPUTS.items():
        with ours(folder, ["Sized"]) as server:
            found[kind] = above(server, server.url("Sized"), *given) / OUT
    return found


def above(server: Served, url: str, content_type: str, content: bytes) -> float:
    """Return by how many bytes a call lets the server's memory grow, at its peak."""
    headers = server.headers | {"Content-Type": content_type}
    requests.post(url, b"1", headers=headers, timeout=60)  # a worker loads
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # forgets the peak
    before = _kilobytes(server.pid, "VmRSS")
    answer = requests.post(url, content, headers=headers, timeout=60)
    assert len(answer.content) > len(content) * 0.9, answer.content[:400]
    return (_kilobytes(server.pid, "VmHWM") - before) * 1024


def shown(found: Mapping[str, float]) -> str:
    """Return the figures as text."""
    lines = [f"peak memory of a call with {IN >> 20} MiB in and {OUT >> 20} MiB out, as a multiple of the latter"]
    return "\n".join([*lines, *(f"  {kind:22} {times:.2f}   at most {AT_MOST}" for kind, times in found.items())])


def _kilobytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
