"""What an algorithm forges, profiles that it prints and whatever it puts where flight files are, changes no answer."""

import json
import time
from pathlib import Path

import pytest
import requests

from algoprof.calls.access.keys import Secret
from algoprof.calls.client import client as caller
from algoprof.profiles import inband
from algoprof.profiles.tree import Node, Profile
from algoprof.recorder import layout

FORGER = """
import os, threading
from pathlib import Path

FLIGHTS = Path(os.environ["ALGOPROF_FLIGHT_DIR"])


def apply(input):
    return globals()[input["do"]](**{key: value for key, value in input.items() if key != "do"}) or "done"


def leave():
    os._exit(0)


def say(text):
    print(text, flush=True)


def pipe():
    os.mkfifo(FLIGHTS / "1-1.flight")
    os.mkfifo(FLIGHTS / "totals.flight")


def link():
    for number, target in enumerate(("/dev/zero", "/dev/tty", "/etc/passwd", ".", "nowhere")):
        (FLIGHTS / f"1-{number}.flight").symlink_to(target)
    (FLIGHTS / "2-2.flight").mkdir()


def torn(start):
    (FLIGHTS / "1-1.flight").write_text(start)
    (FLIGHTS / "1-2.flight").write_text("")


def huge(start):
    with (FLIGHTS / "1-1.flight").open("w") as file:
        file.write(start)
        file.truncate(1 << 40)


def many(start):
    for number in range(2000):
        with (FLIGHTS / f"1-{number}.flight").open("w") as file:
            file.write(start)
            file.truncate(65536 * 2)


def odd():
    for name in (b"\\xff.flight", b"a\\nb.flight", b"\\x1b[2J.flight", b"x" * 248 + b".flight"):
        with open(os.fsencode(FLIGHTS) + b"/" + name, "wb") as file:
            file.truncate(1 << 20)


def unreadable():
    (FLIGHTS / "1-1.flight").write_text("x")
    (FLIGHTS / "1-1.flight").chmod(0)
    FLIGHTS.chmod(0)


def gone():
    FLIGHTS.rmdir()


def swapped():
    FLIGHTS.rmdir()
    FLIGHTS.symlink_to("/")


def control(kind):
    page = Path(os.environ["ALGOPROF_CONTROL"])
    page.unlink()
    if kind == "pipe":
        os.mkfifo(page)
    if kind == "full":
        page.symlink_to("/dev/full")
    if kind == "folder":
        page.mkdir()


def reply():
    pipe = FLIGHTS.parent / "reply"
    threading.Timer(0.2, pipe.unlink).start()  # soon after this one is out
    return str(pipe)
"""
START = layout.MAGIC.to_bytes(8, "little").decode("latin-1")
PRINTED = b"".join(inband.encode(Profile("forged", (Node("forged", 1, closed_ns=5),), run_id="ab" * 16))).decode()


@pytest.fixture(scope="module")
def forger(serve_module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects") / "forger"
    folder.mkdir()
    (folder / "main.py").write_text(FORGER)
    serving = serve_module(folder)
    assert serving.address, serving.said
    return serving


@pytest.mark.parametrize(
    "asked",
    [
        {"do": "pipe"},
        {"do": "link"},
        {"do": "torn", "start": START},
        {"do": "huge", "start": "x"},
        {"do": "huge", "start": START},
        {"do": "many", "start": START},
        {"do": "odd"},
        {"do": "unreadable"},
        {"do": "swapped"},
        {"do": "gone"},
        {"do": "control", "kind": "pipe"},
        {"do": "control", "kind": "full"},
        {"do": "control", "kind": "folder"},
        {"do": "control", "kind": "gone"},
    ],
    ids=lambda asked: asked["do"],
)
def test_what_lies_where_flight_files_are_changes_no_answer(forger, asked):
    began = time.monotonic()
    headers = {"Content-Type": "application/json", "X-Algoprof-Profile": "1"}
    forger.call("local/forger", {"do": "leave"})  # so that the next call finds nothing there
    for _ in range(2):
        answer = forger.call("local/forger", data=json.dumps(asked), headers=headers)
        if "error" in answer:  # it has done that already
            assert answer["error"]["stacktrace"].startswith("Traceback"), answer
        assert "profile" not in answer["metadata"]["algoprof"]
    assert forger.call("local/forger?timeout=60", {"do": "say", "text": "next"})["result"] == "done"
    assert requests.get(f"{forger.address}/healthz", timeout=20).json() == {"status": "ok"}
    assert time.monotonic() - began < 60
    assert "Traceback" not in forger.said


@pytest.mark.parametrize("text", [PRINTED, PRINTED[:-9], PRINTED.replace(":1/1:", ":1/9:"), PRINTED * 3])
def test_a_profile_that_is_printed_is_text_to_the_server_and_none_to_the_caller(forger, text):
    answer = forger.call("local/forger?stdout=true", {"do": "say", "text": text})
    assert answer["metadata"]["stdout"] == f"{text}\n"
    assert "profile" not in answer["metadata"]["algoprof"]
    with caller(Secret(forger.key), forger.address) as client:
        response = client.algo("local/forger").set_options(stdout=True).pipe({"do": "say", "text": text})
        assert response.result == "done"


def test_a_pipe_for_replies_that_is_removed_costs_its_worker_alone(forger):
    pipe = Path(forger.call("local/forger", {"do": "reply"})["result"])
    deadline = time.monotonic() + 60
    while pipe.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    error = forger.call("local/forger", {"do": "say", "text": "next"})["error"]
    assert (error["error_type"], "its reply could not be read" in error["message"]) == ("SystemExit", True)
    assert forger.call("local/forger", {"do": "say", "text": "next"})["result"] == "done"
    assert "Traceback" not in forger.said
