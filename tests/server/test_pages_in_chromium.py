"""The pages in a real Chromium: on a phone and a desk, in light and dark, with scripts and without, hostile text."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

TRACED = "demo/Traced"
HOSTILE = "</pre><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def browser(chromium, server) -> Iterator[Any]:
    """A browser that has signed in by the form."""
    made = chromium()
    made.look()
    made.open(f"{server.address}/algorithms/{TRACED}")
    assert "API key" in made.text()
    made.type("#key", "simWrong\n")
    until(lambda: "may not see the pages" in made.text())
    made.type("#key", f"{server.key}\n")
    until(lambda: made.address.endswith(TRACED) and "Versions" in made.text())
    assert made.complaints() == []
    yield made
    made.close()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kept(server, answer: dict) -> str:
    path = f"{server.address}/runs/{answer['request_id']}"
    until(lambda: server.session.get(path, timeout=20).ok)
    return path


@pytest.mark.parametrize("width", [340, 1200])
def test_the_pages_fit_on_a_phone_and_on_a_desk_in_light_and_dark(browser, server, width):
    run = kept(server, server.call(TRACED, {"rounds": 2}))
    build = server.get(f"/v1/algorithms/{TRACED}/builds").json()["results"][0]["build_id"]
    papers = set()
    for page in (
        f"{server.address}/",
        f"{server.address}/algorithms/{TRACED}",
        f"{server.address}/builds/{build}",
        run,
    ):
        for scheme in ("light", "dark"):
            browser.look(width=width, scheme=scheme)
            browser.open(page)
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), page
            paper, ink = browser.run("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
            papers.add((scheme, paper, ink))
    assert papers == {
        ("light", "rgb(255, 255, 255)", "rgb(27, 31, 36)"),
        ("dark", "rgb(20, 23, 27)", "rgb(230, 233, 237)"),
    }
    assert browser.complaints() == []


def test_everything_can_be_read_without_scripts(browser, server):
    run = kept(server, server.call(TRACED, {"rounds": 2}))
    browser.look(scripts=False)
    try:
        browser.open(f"{server.address}/")
        assert TRACED in browser.text()
        browser.open(run)
        assert "Bottleneck: improve" in browser.text()
    finally:
        browser.look()


def test_a_box_of_the_flame_graph_leads_to_its_section(browser, server):
    browser.look()
    browser.open(kept(server, server.call(TRACED, {"rounds": 2, "nap": 0.05})))
    boxes = browser.run(
        "return [...document.querySelectorAll('.flame a')].map(a => [a.textContent, a.getBoundingClientRect().width])"
    )
    assert boxes[0][1] == pytest.approx(browser.run("return document.querySelector('.flame').clientWidth"), rel=0.01)
    assert boxes[1][1] > boxes[2][1]
    browser.click(".flame svg:nth-of-type(2) a")
    assert browser.run("return document.querySelector('tr:target th').textContent") == "improve"
    assert browser.complaints() == []


def test_hostile_text_runs_nothing_and_loads_nothing(browser, server):
    browser.look()
    failed = server.call("local/plain", {"do": "fail", "message": HOSTILE, "error_type": HOSTILE})
    for page in (kept(server, failed), kept(server, server.call(TRACED, {"name": HOSTILE[:60]}))):
        browser.open(page)
        assert "algoprof" in browser.run("return document.title")
        assert browser.run("return document.querySelectorAll('main script, main img').length") == 0
    assert browser.complaints() == []


def test_the_queue_is_kept_up_to_date(browser, server):
    browser.look()
    browser.open(f"{server.address}/")
    browser.run("document.body.dataset.mark = 'same page'")
    calling = threading.Thread(target=server.post, args=("local/plain?timeout=6", {"do": "hang"}))
    calling.start()
    until(lambda: browser.run("return document.querySelector('#live .busy') !== null"))
    assert browser.run("return document.body.dataset.mark") == "same page"
    calling.join()
    until(lambda: browser.run("return document.querySelector('#live .busy') === null"))
    assert browser.complaints() == []


def test_the_link_signs_in_one_browser(chromium, server):
    (link,) = re.findall(r"http://\S+/\?token=\S+", server.said)
    browser = chromium()
    try:
        browser.open(link)
        until(lambda: "Algorithms" in browser.text("main"))
        until(lambda: "token" not in browser.address)
    finally:
        browser.close()
    assert requests.get(link, timeout=20).status_code == 401
