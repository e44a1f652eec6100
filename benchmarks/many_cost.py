"""The throughput of `pipe_many`, beside a thread pool of bare `requests.Session.post` to the same server.

Run it with `make bench`. Both make sixteen calls at once, in turn, to the smallest server there can be. What is shown
is the time for as many calls, so 1.11 times the pool's is 0.9 of its throughput. The control is the pool once more.
"""

from concurrent.futures import ThreadPoolExecutor

import requests
from call_cost import smallest_server
from interleaved import Measured, ratios, table
from requests.adapters import HTTPAdapter

import algoprof

AT_ONCE = 16
AT_MOST = 1 / 0.9
_BATCH = 320  # calls in a round


def main() -> None:
    """Measure in turn, and print ratios."""
    with (
        smallest_server() as (address, key, name),
        requests.Session() as session,
        ThreadPoolExecutor(AT_ONCE) as pool,
        algoprof.client(key, address) as client,
    ):
        session.mount("http://", HTTPAdapter(pool_maxsize=AT_ONCE))
        algo = client.algo(name).set_options(timeout=60)
        url = f"{address}/v1/algo/{name}"
        headers = {"Authorization": f"Simple {key}", "Content-Type": "text/plain"}

        def post(text: str) -> str:
            answer = session.post(url, data=text.encode(), headers=headers, params={"timeout": "60"}, timeout=70)
            return str(answer.json()["result"])

        def bare(repeats: int) -> None:
            for _ in range(repeats):
                assert set(pool.map(post, ["hello"] * _BATCH)) == {"hello"}

        def ours(repeats: int) -> None:
            for _ in range(repeats):
                assert {response.result for response in algo.pipe_many(["hello"] * _BATCH, AT_ONCE)} == {"hello"}

        measured: dict[str, Measured] = {"a pool of posts": bare, "the control, the same": bare, "algo.pipe_many": ours}
        rows = ratios("a pool of posts", measured, rounds=25, repeats=1)
    print(
        table(
            f"{AT_ONCE} echo calls at once, as a multiple of the time of a bare pool", rows, {"algo.pipe_many": AT_MOST}
        )
    )


if __name__ == "__main__":
    main()
