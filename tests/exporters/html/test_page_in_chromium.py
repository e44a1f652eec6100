"""The report in a real Chromium, opened from a disk: on a phone and a desk, light and dark, by mouse, keys and eyes."""

from collections.abc import Iterator
from typing import Any

import pytest

from algoprof.exporters.html import render
from algoprof.profiles.samples import Frame, Sample
from algoprof.profiles.tree import Node, Profile

HOSTILE = "</title></script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Any]:
    made = chromium()
    yield made
    made.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of a profile, and hold in the end that it has asked for nothing and complained of nothing."""
    browser.look()

    def opened(profile: Profile, baseline: Profile | None = None) -> Any:
        path = tmp_path / "report.html"
        path.write_text(render(profile, baseline), encoding="utf-8")
        browser.open(path.as_uri())
        return browser

    yield opened
    assert browser.complaints() == []
    assert browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)") == []


def visible(browser) -> list[str]:
    return browser.run(
        "return [...document.querySelectorAll('#tree summary')].filter(row => row.checkVisibility())"
        ".map(row => row.querySelector('bdi').textContent)"
    )


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_on_a_phone_and_on_a_desk_in_light_and_dark(opened, browser, killed, width):
    papers = set()
    for scheme in ("light", "dark"):
        browser.look(width=width, scheme=scheme)
        opened(killed, killed)
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        papers.add(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert papers == {"rgb(255, 255, 255)", "rgb(20, 23, 27)"}


def test_all_is_there_without_scripts(opened, browser, killed):
    browser.look(scripts=False)
    try:
        said = opened(killed).text("body")
        for part in ("70 % of the timeout is used", "Open when it was killed", "two_opt", "Timeline"):
            assert part in said
        assert "Open all" not in said
    finally:
        browser.look()


def test_the_search_shows_what_is_found_and_what_is_around_it(opened, browser, killed):
    opened(killed)
    browser.click("#fold")
    assert visible(browser) == ["routes"]
    browser.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: '/', cancelable: true}))")
    assert browser.run("return document.activeElement.id") == "search"
    browser.type("#search", "TWO_")
    assert visible(browser) == ["routes", "improve", "two_opt"]
    assert browser.text("#matches") == "1 of 4 sections"
    browser.type("#search", "\ue00c")  # Escape
    assert visible(browser) == ["routes"]


def test_arrow_keys_walk_the_tree(opened, browser, killed):
    opened(killed)
    browser.click("#fold")
    browser.run("document.querySelector('#tree summary').focus()")
    for key in ("\ue014", "\ue014", "\ue014", "\ue014"):  # to the right: opens, goes in, opens, goes in
        browser.type("summary:focus", key)
    assert browser.run("return document.activeElement.querySelector('bdi').textContent") == "two_opt"
    for key in ("\ue012", "\ue012", "\ue015"):  # to the left: to the parent, shuts it; down
        browser.type("summary:focus", key)
    assert browser.run("return document.activeElement.querySelector('bdi').textContent") == "load"
    browser.click("#unfold")
    browser.run("document.querySelector('#s3 summary').focus()")
    browser.type("summary:focus", "\ue013")  # up: to the last that is open above it
    assert browser.run("return document.activeElement.querySelector('bdi').textContent") == "two_opt"


def test_a_box_gets_the_whole_width_and_leads_to_its_row(opened, browser, killed):
    opened(killed)
    box = "#flame svg.flame > svg:nth-of-type(3)"
    browser.click(f"{box} a")
    assert browser.run(f"return document.querySelector('{box}').getAttribute('width')") == "100%"
    assert browser.text("#flame .chosen").startswith("two_opt\n37.0 s")
    browser.click("#flame .chosen a")
    assert browser.run("return document.querySelector('details:target bdi').textContent") == "two_opt"
    browser.click("#flame .chosen button")
    assert browser.run(f"return parseFloat(document.querySelector('{box}').getAttribute('width'))") < 95


def test_hostile_names_run_nothing_and_load_nothing(opened, browser):
    samples = (Sample((HOSTILE,), (Frame(HOSTILE, HOSTILE, 1),), 2),)
    job = Node(HOSTILE, 1, closed_ns=9, module=HOSTILE, children=(Node(HOSTILE, 1, closed_ns=5),))
    profile = Profile(HOSTILE, (job,), program=HOSTILE, duration_ns=9, samples=samples)
    opened(profile, profile)
    assert browser.run("return document.title").startswith("</title></script>")
    assert browser.run("return [document.scripts.length, document.images.length]") == [1, 0]


def test_ten_thousand_sections_stay_fluid(opened, browser):
    def grown(name: str, total_ns: int, depth: int) -> Node:
        below = tuple(grown(f"{name}.{number}", total_ns // 12, depth - 1) for number in range(10 if depth else 0))
        return Node(name, 3, closed_ns=total_ns, nested_ns=sum(node.closed_ns for node in below), children=below)

    opened(Profile("job", (grown("job", 10**11, 4),), duration_ns=10**11))
    loaded, shown = browser.run(
        "const begun = performance.now(); document.getElementById('unfold').click(); document.body.offsetHeight;"
        "return [performance.getEntriesByType('navigation')[0].domComplete, performance.now() - begun]"
    )
    assert browser.run("return document.querySelectorAll('#tree details').length") == 10_000
    assert shown < loaded, "what is not in sight is not laid out, so opening all is less than reading the file"
    browser.type("#search", "job.7.7.7.7")
    assert browser.text("#matches") == "1 of 10000 sections"
