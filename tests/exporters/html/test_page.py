"""The report as one page: what it says of a run that was killed, and that nothing in it runs, loads or is lost."""

import base64
import hashlib
import re
from dataclasses import replace

from algoprof.exporters.html import render
from algoprof.exporters.html.tree import ROWS
from algoprof.profiles.samples import Frame, Sample
from algoprof.profiles.tree import Node, Profile


def text_of(page: str) -> str:
    body = page.partition("<main>")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<title>.*?</title>|<[^>]*>", " ", body, flags=re.DOTALL).split())


def test_it_says_what_used_the_timeout_and_what_was_open(killed):
    page = render(killed)
    assert "42.0 s of 60 s: <b>70 %</b> of the timeout is used." in page
    said = text_of(page)
    assert "before the run: queue, load, start 1.00 s 2 % improve open for 38.0 s 38.0 s 63 % load 2.00 s 3 %" in said
    assert "routes itself, outside them 1.00 s 2 % left of the timeout 18.0 s 30 %" in said
    assert "Open when it was killed routes &rsaquo; improve &rsaquo; two_opt for 25.0 s" in said
    assert "Bottleneck: routes &rsaquo; improve &rsaquo; two_opt , 90 % of the run is its own time." in said
    assert "12 occurrences are counted as (folded)" in said


def test_a_row_has_the_figures_of_its_section(killed):
    (row,) = re.findall(r'<details id="s2"[^>]*>.*?</details>', render(killed), flags=re.DOTALL)
    assert text_of(f"<main>{row}").startswith("two_opt open 25.0 s 37.0 s 37.0 s 3 ")
    assert "5.00 s to 7.00 s; most near " in row


def test_only_its_own_style_and_script_may_run(killed):
    page = render(killed)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    for kind in ("style", "script"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert set(re.findall(r"https?://[^\s\"'<]*", page)) == {"http://www.w3.org/2000/svg"}  # the script's namespace


def test_whatever_a_name_is_nothing_of_it_is_markup(hostile):
    frame, below = Frame(hostile, hostile, 1), Node(hostile, 1, closed_ns=1)
    job = Node(hostile, 1, closed_ns=9, open_count=1, children=(below,), module=hostile)
    samples = (Sample((hostile,), (frame,), 2),)
    page = render(Profile(hostile, (job,), "killed", program=hostile, duration_ns=9, samples=samples))
    page.encode()
    assert len(page) < 60_000
    assert page.count("<script") == 1
    assert "alert(1)<" not in page
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e\udcff]", page)


def test_two_profiles_are_compared_by_what_one_run_took():
    def run(solve: int, runs: int = 1) -> Profile:
        children = (Node("solve", runs, closed_ns=runs * solve * 10**9),)
        total = runs * (solve + 1) * 10**9
        job = Node("job", runs, closed_ns=total, nested_ns=children[0].closed_ns, children=children)
        return Profile("job", (job,), "merged" if runs > 1 else "ok", duration_ns=total, runs=runs)

    page = render(run(5), run(2, runs=4))
    assert "<b>2.00 times slower</b>: 3.00 s before, 6.00 s now." in page
    assert "solve 2.00 s 5.00 s +3.00 s 2.50 +3.00 s 1 " in text_of(page).replace("&nbsp;", "")
    assert 'class="slower3"' in page
    assert "<h2>Compared</h2>" not in render(run(5))


def test_the_lightest_of_too_many_sections_are_left_out_and_counted():
    leaves = tuple(Node(f"leaf {number}", 1, closed_ns=number) for number in range(ROWS + 9, 0, -1))
    page = render(Profile("job", (Node("job", 1, closed_ns=10**9, children=leaves),)))
    assert page.count("<details ") == ROWS
    assert "10 lighter sections are left out." in page
    assert len(page) < 6_000_000


def test_a_tree_deeper_than_browsers_nest_stays_whole():
    node = Node("last", 1, closed_ns=1)
    for level in range(700):
        node = Node(f"level {level}", 1, closed_ns=2, nested_ns=1, children=(node,))
    page = render(Profile("job", (node,)))
    depth = deepest = 0
    for found in re.findall("</?details", page):
        depth += 1 if found == "<details" else -1
        deepest = max(deepest, depth)
    assert (depth, page.count("<details ")) == (0, 701)
    assert deepest < 200


def test_a_profile_of_nothing_is_a_page_too(killed):
    assert "No section was recorded." in render(Profile("job", ()))
    assert "<h2>Timeline</h2>" not in render(replace(killed, roots=()))
