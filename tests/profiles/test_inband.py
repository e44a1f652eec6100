"""Profiles among printed lines: there and back, and whatever is torn, mixed, lost, forged or too large on the way."""

import base64
import json
import random
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.profiles import inband
from algoprof.profiles.histogram import Histogram
from algoprof.profiles.inband import encode, extract
from algoprof.profiles.tree import Node, Profile, Span

RUN = "0123456789abcdef" * 2


def a_node(name, closed_ns, children=()):
    span = Span("first", 10**18, 10**18 + closed_ns, 7, attributes={"note": name * 3})
    nested_ns = sum(child.closed_ns for child in children)
    histogram = Histogram(tuple((200 + index, index + 1) for index in range(closed_ns % 7)))
    return Node(name, 3, closed_ns, nested_ns=nested_ns, histogram=histogram, spans=(span,), children=tuple(children))


def a_profile(width=3, depth=3, seed=0):
    draw = random.Random(seed)

    def below(path, weight, level):
        if level == depth:
            return []
        lighter = [draw.randrange(1, weight) for _ in range(width)]
        return [a_node(f"{path}.{draw.randbytes(4).hex()}", one, below(path, one, level + 1)) for one in lighter]

    return Profile("apply", (a_node("apply", 10**18, below("s", 10**18, 0)),), run_id=RUN, duration_ns=9, timeout=60.0)


LARGE = a_profile(width=8)  # 585 nodes
LINES = [line.decode() for line in encode(LARGE)]
HUGE = a_profile(width=12)  # 1,885 nodes


@pytest.fixture(scope="module")
def huge_home():
    return extract(b"".join(encode(HUGE)).decode()).profile


def test_a_profile_comes_back_as_it_went():
    profile = a_profile()
    found = extract("before\n" + b"".join(encode(profile)).decode() + "after\n")
    assert found.text == "before\nafter\n"
    assert found.profile == profile


def test_lines_are_short_and_few_whatever_the_profile():
    for profile in (a_profile(), LARGE, Profile("x", (Node("n" * 100_000),), run_id=RUN)):
        lines = encode(profile)
        assert all(len(line) <= 4_000 and line[:1] == line[-1:] == b"\n" for line in lines)
        assert sum(map(len, lines)) <= 64 * 1024


def test_what_has_no_room_is_the_lightest_and_is_told(huge_home):
    kept = {path for path, _ in huge_home.paths()}
    assert 300 < len(kept) < 1885
    assert huge_home.inexact
    assert huge_home.dropped == 1885 - len(kept)
    weights = {path: node.closed_ns for path, node in HUGE.paths()}
    reachable = [weights[path] for path in weights if path not in kept and path[:-1] in kept]
    assert max(reachable) <= min(weights[path] for path in kept), "each that was left out is lighter than all kept"


def test_spans_stay_behind_where_they_have_no_room(huge_home):
    assert extract("".join(LINES)).profile == LARGE
    assert not any(node.spans for _, node in huge_home.paths())


@pytest.mark.parametrize("lost", [0, 1, len(LINES) - 1])
def test_a_lost_line_costs_its_own_nodes_and_those_below(lost):
    home = extract("".join(line for number, line in enumerate(LINES) if number != lost)).profile
    if lost == 0:
        assert home.roots == ()
    else:
        assert 1 < sum(1 for _ in home.paths()) < 585
    assert home.inexact


def test_order_and_repetition_do_not_matter():
    lines = LINES * 2
    random.Random(1).shuffle(lines)
    found = extract("".join(lines))
    assert (found.text, found.profile) == ("", extract("".join(LINES)).profile)


def test_what_another_thread_prints_between_stays():
    text = "".join(line + f"progress {number}\n" for number, line in enumerate(LINES))
    found = extract(text)
    assert found.text == "".join(f"progress {number}\n" for number in range(len(LINES)))
    assert not found.profile.inexact


def test_what_is_glued_to_a_line_stays():
    text = "no line break" + LINES[0].rstrip("\n") + "hello\n" + "".join(LINES[1:])
    found = extract(text)
    assert found.text == "no line break\nhello\n"
    assert not found.profile.inexact


def test_line_breaks_of_the_runner():
    assert extract("a\r\n" + "".join(LINES).replace("\n", "\r\n")).profile is not None
    squeezed = "a\n" + "".join(LINES).replace("\n\n", "\n").lstrip("\n") + "b\n"  # a runner that drops empty lines
    assert extract(squeezed).text == "a\nb\n"


def test_the_last_run_is_the_one():
    other = Profile("other", (Node("other", 1, closed_ns=1),), run_id="f" * 32)
    for first, last in ((LARGE, other), (other, LARGE)):
        text = b"".join(encode(first) + encode(last)).decode()
        assert extract(text).profile.run_id == last.run_id
        assert extract(text).text == ""


def forged(content, run=RUN, part="1/1"):
    payload = (
        content if isinstance(content, str) else base64.b64encode(zlib.compress(json.dumps(content).encode())).decode()
    )
    crc = zlib.crc32(f"{run}:{part}:{payload}".encode())
    return f"\nalgoprof:1:{run}:{part}:{crc:08x}:{payload}\n"


HEAD = {"algoprof": 1, "name": "x", "run_id": RUN}


@pytest.mark.parametrize(
    "content",
    [
        "", "????", "YWJj", "x" * 4000, [], {}, {"head": []}, {"head": {}}, {"head": HEAD}, {"head": HEAD, "nodes": 3},
        {"head": HEAD, "nodes": [[1, 0, []]]}, {"head": HEAD, "nodes": [[1, 1, {"name": "x"}]]},
        {"head": HEAD, "nodes": [[2, 3, {"name": "x"}]]}, {"head": HEAD, "nodes": [[1, -1, {"name": "x"}]]},
        {"head": HEAD, "nodes": [[1, 0, {"name": "x", "children": []}]]}, {"head": HEAD, "nodes": [[1, 0, {}]]},
        {"head": HEAD, "nodes": [[1, 0, {"name": 5}]]}, {"head": HEAD, "nodes": [[1, 0, {"count": 1}]]},
        {"head": {**HEAD, "run_id": "e" * 32}, "nodes": []}, {"head": {**HEAD, "algoprof": 99}, "nodes": []},
        {"head": HEAD, "nodes": [[n + 1, n, {"name": "x"}] for n in range(1000)]},
    ],
)  # fmt: skip
def test_a_forged_profile_is_none_and_does_not_hide_a_real_one(content):
    found = extract("a\n" + forged(content) + "b\n")
    assert found.profile is None
    assert found.flaw
    real = a_profile()
    both = extract(b"".join(encode(real)).decode() + forged(content, run="d" * 32))
    assert both.profile == real


def test_a_part_that_inflates_without_bounds_is_cut():
    bomb = base64.b64encode(zlib.compress(b"[" + b"0," * 2**21 + b"0]", 9)).decode()
    assert len(bomb) > inband._PAYLOAD
    found = extract(forged(bomb))
    assert (found.profile, found.text) == (None, "")
    parts = [
        forged(base64.b64encode(zlib.compress(b" " * 2**21, 9)).decode()[:3000], part=f"{n}/9") for n in range(1, 10)
    ]
    assert extract("".join(parts)).profile is None


def test_a_line_with_a_wrong_checksum_is_debris():
    torn = LINES[1][:-200] + "\n"
    found = extract("a\n" + LINES[0] + torn + "b\n")
    assert found.text == "a\nb\n"
    assert found.profile.inexact


@given(st.text(max_size=200))
def test_a_text_without_lines_is_left_alone(text):
    assert extract(text).text == text


@given(st.data())
def test_any_damage_leaves_a_profile_or_none(data):
    text = "begin\n" + "".join(LINES[:4]) + "end\n"
    for _ in range(data.draw(st.integers(1, 4))):
        at, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 300))
        text = (
            text[:at] + data.draw(st.sampled_from(["", "x", "\n", "algoprof:1:", "\u20ac", "\r"])) + text[at + length :]
        )
    found = extract(text)
    assert found.profile is None or found.profile.name == "apply"
    assert len(found.text) <= len(text)


def test_a_text_full_of_headers_takes_linear_time():
    def seconds(count):
        text = f"algoprof:1:{RUN}:1/9:00000000:{'A' * 40}" * count
        began = time.process_time()
        extract(text)
        return time.process_time() - began

    seconds(100)
    small, large = min(seconds(2_000) for _ in range(3)), min(seconds(20_000) for _ in range(3))
    assert large < 4 * 10 * small
