"""The pages at `/`: who may look, what they show, and that nothing in them is anybody's but ours."""

import contextlib
import re
import time
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
import requests

from algoprof.server.access import keys
from algoprof.server.access.callers import Callers
from algoprof.server.access.keyring import Keyring
from algoprof.server.access.keys import KeyFound
from algoprof.server.access.rights import OWNER, Rights
from algoprof.server.pages.visitors import Visitors

TRACED = "demo/Traced"
HOSTILE = "</title></pre><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202eevil\x00\x1b[31m\ud800"
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """A page that was parsed: its elements with their attributes, its text, and what is wrong with its nesting."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.wrong: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += [f"{tag} is left open" for tag in self._open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"{tag} is closed, and was not open")

    def handle_data(self, data):
        self.text += data

    def all(self, wanted: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag == wanted]

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for attributes in self.all("a")]


@pytest.fixture
def browse(server):
    """Return a page as whoever has the key sees it, once it was looked at for what no page may have."""

    def get(path: str, status: int = 200) -> Page:
        answer = server.get(path)
        assert answer.status_code == status, answer.text
        page = Page(answer.text)
        assert page.wrong == []
        check_guarded(answer, page)
        return page

    return get


def check_guarded(answer: requests.Response, page: Page) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("src", "href", "action"):
            assert re.match(r"/(?!/)|#|$", attributes.get(name, "")), (tag, attributes)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", answer.text)
    assert all(attributes == {"src": "/static/live.js", "defer": ""} for attributes in page.all("script"))


def kept(server, answer: dict) -> str:
    """Return the path of a call's page, once it is there."""
    path = f"/runs/{answer['request_id']}"
    deadline = time.monotonic() + 30
    while server.get(path).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path


def test_the_overview_tells_of_algorithms_builds_queue_and_runs(server, browse):
    answer = server.call(TRACED, {"rounds": 2})
    path = kept(server, answer)
    page = browse("/")
    for name in ("demo/Traced", "demo/Adk", "local/plain", "demo/Broken"):
        assert f"/algorithms/{name}" in page.links
        assert name in page.text
    assert "no version yet" in page.text
    assert "failed" in page.text
    assert path in page.links
    assert "Idle workers" in page.text
    assert [path for path in page.links if not path.startswith("#")]
    for link in sorted({link for link in page.links if link.startswith("/")} - {"/openapi.json"}):
        browse(link)
    assert server.get("/openapi.json").json()["openapi"] == "3.1.0"


def test_the_page_of_an_algorithm_shows_versions_builds_errors_and_runs(server, browse):
    failed = server.call(TRACED, {"fail": True})
    kept(server, failed)
    page = browse(f"/algorithms/{TRACED}")
    assert "1.0.0" in page.text
    assert "no way" in page.text
    assert f"/runs/{failed['request_id']}" in page.links
    assert [link for link in page.links if link.startswith("/builds/")]


def test_the_page_of_a_failed_build_shows_its_log(server, browse):
    link = next(link for link in browse("/algorithms/demo/Broken").links if link.startswith("/builds/"))
    page = browse(link)
    assert "failed" in page.text
    assert "no-such-package" in page.text
    assert "algoprof builds diagnose demo/Broken" in page.text


def test_the_page_of_a_run_shows_its_time_against_its_timeout_and_where_it_went(server, browse):
    page = browse(kept(server, server.call(f"{TRACED}?timeout=10", {"rounds": 3, "nap": 0.05})))
    assert re.search(r"\d+ % of the timeout of 10\.0 s used", page.text)
    boxes = [attributes for attributes in page.all("svg") if attributes.get("y")]
    rows = {attributes["id"] for attributes in page.all("tr") if "id" in attributes}
    assert len(boxes) == len(rows) >= 3
    assert {link.removeprefix("#") for link in page.links if link.startswith("#s")} == rows
    assert float(boxes[0]["width"].rstrip("%")) == 100
    assert {"queue", "load", "run"} <= {attributes.get("class") for attributes in page.all("rect")} | {"queue", "load"}
    assert "improve" in page.text
    assert "Bottleneck" in page.text


def test_a_run_that_was_killed_shows_what_was_open(server, browse):
    page = browse(kept(server, server.call(f"{TRACED}?timeout=1", {"rounds": 100, "nap": 0.3})))
    used = re.search(r"(\d+) % of the timeout of 1.00 s used", page.text)
    assert used
    assert int(used[1]) >= 100
    assert "open" in page.text
    assert "Operation timed out" in page.text


def test_a_run_whose_worker_ended_is_kept_too(server, browse):
    page = browse(kept(server, server.call("local/plain", {"do": "end"})))
    assert "exited" in page.text
    assert "No profile was kept" in page.text


@pytest.mark.parametrize("path", ["/runs/none", "/builds/none", "/algorithms/no/body", "/static/none", "/algorithms"])
def test_what_is_not_there_is_a_page_as_well(browse, path):
    assert "no such page" in browse(path, status=404).text


def test_what_an_algorithm_says_does_nothing_to_a_page(server, browse):
    for content in (
        {"do": "fail", "message": HOSTILE, "error_type": HOSTILE},
        {"do": "say", "out": HOSTILE[:-1], "err": HOSTILE[:-1]},
    ):
        page = browse(kept(server, server.call("local/plain", content)))
        assert "<script>alert(1)</script>" in page.text
        assert "\\u202eevil\\x00" in page.text
        assert page.all("img") == []
    page = browse("/algorithms/local/plain")
    assert "<script>alert(1)</script>" in page.text


def test_hostile_names_of_sections_do_nothing_to_a_page(server, browse):
    name = "</title><script>2</script>\"'\u202ee\x00"
    page = browse(kept(server, server.call(TRACED, {"name": name})))
    assert page.text.count("<script>2</script>\"'\\u202ee\\x00") >= 3


def test_a_stranger_sees_the_form_and_nothing_else(server):
    for path in ("/", "/live", "/algorithms/demo/Traced", "/builds/x", "/runs/x"):
        answer = requests.get(server.address + path, timeout=20)
        page = Page(answer.text)
        check_guarded(answer, page)
        assert (answer.status_code, page.wrong) == (401, [])
        assert "Traced" not in page.text
        assert {"type": "hidden", "name": "next", "value": path} in page.all("input")
    assert requests.get(f"{server.address}/static/style.css", timeout=20).headers["Content-Type"].startswith("text/css")


def sign_in(session: requests.Session, address: str, key: str, wanted: str = "/") -> requests.Response:
    return session.post(f"{address}/sign-in", data={"key": key, "next": wanted}, allow_redirects=False, timeout=20)


def test_the_key_signs_a_browser_in_and_out(server):
    with requests.Session() as session:
        assert sign_in(session, server.address, "simWrong").status_code == 401
        assert sign_in(session, server.address, "").status_code == 401
        answer = sign_in(session, server.address, server.key, "/algorithms/demo/Traced")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/algorithms/demo/Traced")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert f"algoprof-{urlsplit(server.address).port}=" in cookie
        assert server.key not in cookie
        assert session.get(server.address, timeout=20).status_code == 200
        kept_cookie = dict(session.cookies)
        assert session.post(f"{server.address}/sign-out", allow_redirects=False, timeout=20).status_code == 303
    assert requests.get(server.address, cookies=kept_cookie, timeout=20).status_code == 401


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "/v1/algo", ""])
def test_signing_in_leads_nowhere_else(server, wanted):
    with requests.Session() as session:
        assert sign_in(session, server.address, server.key, wanted).headers["Location"] == "/"


def test_the_link_that_is_printed_works_once(serve, project):
    serving = serve(project("one", {"main.py": "def apply(input):\n    return input\n"}))
    (link,) = re.findall(r"http://\S+/\?token=\S+", serving.said)
    assert requests.head(f"{serving.address}/?token=wrong", timeout=20).status_code == 401
    with requests.Session() as session:
        assert session.get(link, timeout=20).status_code == 200
        assert "Algorithms" in session.get(serving.address, timeout=20).text
        assert session.get(link, timeout=20).url == f"{serving.address}/"
    assert requests.get(link, timeout=20).status_code == 401


def test_a_name_that_is_not_this_machines_is_refused(server):
    for host, status in (("evil.example", 421), ("localhost", 200), ("127.0.0.1:1", 200), ("", 421)):
        headers = {"Host": host, "Authorization": server.key}
        assert requests.get(server.address, headers=headers, timeout=20).status_code == status, host


@pytest.mark.parametrize("path", ["//", "//v1/algo/local/plain", "/nothing", "/v1"])
def test_what_is_no_page_is_answered_by_the_api(server, path):
    answer = server.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, 2015)


def test_a_form_of_another_site_is_refused(server):
    headers = {"Origin": "http://evil.example"}
    answer = requests.post(f"{server.address}/sign-in", data={"key": server.key}, headers=headers, timeout=20)
    assert (answer.status_code, answer.cookies.get_dict()) == (403, {})


def test_a_workers_key_opens_no_page(server):
    key = server.call("local/caller", {})["result"]["key"]
    assert server.session.get(server.address, headers={"Authorization": key}, timeout=20).status_code == 401


def test_only_a_key_that_may_do_everything_opens_the_pages_and_only_as_long_as_it_is_one():
    with contextlib.closing(Keyring(":memory:")) as ring:
        visitors = Visitors(Callers(KeyFound(keys.make(), "kept"), ring))
        full, record = ring.create(OWNER)
        some, _ = ring.create(Rights(algorithms=("algo://demo/*",), manages=True))
        admin, _ = ring.create(Rights(kind="admin"))
        assert visitors.sign_in(some.text) is visitors.sign_in(admin.text) is visitors.sign_in("") is None
        shown = visitors.sign_in(full.text)
        assert visitors.knows(shown)
        ring.revoke(record.id)
        assert not visitors.knows(shown)
