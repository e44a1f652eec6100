"""The pages in a real Chromium: on a phone and a desk, in light and dark, with scripts and without, hostile text."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.skipif(
    shutil.which("chromedriver") is None, reason="needs chromedriver on PATH (Debian's chromium-driver)"
)
TRACED = "demo/Traced"
HOSTILE = "</pre><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
_ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element, as WebDriver says


class Browser:
    """One window of Chromium, steered by the WebDriver protocol."""

    def __init__(self, driver: str) -> None:
        self._http = requests.Session()
        self._http.trust_env = False
        options = {"goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": _ARGUMENTS}}
        self._base = f"{driver}/session"
        self._base += f"/{self._ask('', {'capabilities': {'alwaysMatch': options}})['sessionId']}"

    def open(self, address: str) -> None:
        self._ask("/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def tell(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chromium's own."""
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, *, width: int = 1200, scheme: str = "light", scripts: bool = True) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.tell("Emulation.setScriptExecutionDisabled", value=not scripts)

    def element(self, selector: str) -> str:
        return self._ask("/element", {"using": "css selector", "value": selector})[_ELEMENT]

    def type(self, selector: str, text: str) -> None:
        self._ask(f"/element/{self.element(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self._ask(f"/element/{self.element(selector)}/click", {})

    def text(self, selector: str = "main") -> str:
        return self._ask(f"/element/{self.element(selector)}/text")

    @property
    def address(self) -> str:
        return self._ask("/url")

    def complaints(self) -> list[str]:
        """Return what the console says since the last time, a stranger's 401 left out."""
        said = self._ask("/se/log", {"type": "browser"})
        return [one["message"] for one in said if one["level"] in ("SEVERE", "WARNING") and "401" not in one["message"]]

    def close(self) -> None:
        self._http.delete(self._base, timeout=30)
        self._http.close()

    def _ask(self, path: str, content: dict[str, Any] | None = None) -> Any:
        method = "GET" if content is None else "POST"
        answer = self._http.request(method, self._base + path, json=content, timeout=90)
        assert answer.ok, answer.text[:500]
        return answer.json()["value"]


@pytest.fixture(scope="module")
def driver() -> Iterator[str]:
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            for line in process.stdout:
                if found := re.search(r"started successfully on port (\d+)", line):
                    yield f"http://127.0.0.1:{found[1]}"
                    break
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # and any browser that it still has


@pytest.fixture(scope="module")
def browser(driver, server) -> Iterator[Browser]:
    """A browser that has signed in by the form."""
    made = Browser(driver)
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


def test_the_link_signs_in_one_browser(driver, server):
    (link,) = re.findall(r"http://\S+/\?token=\S+", server.said)
    browser = Browser(driver)
    try:
        browser.open(link)
        until(lambda: "Algorithms" in browser.text("main"))
        until(lambda: "token" not in browser.address)
    finally:
        browser.close()
    assert requests.get(link, timeout=20).status_code == 401
