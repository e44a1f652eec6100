"""Where every command has its key from: the same options everywhere, a prompt for whoever watches."""

import os
import pty
import subprocess
import sys

import pytest

KEY = "simVerySecretKey"


@pytest.fixture
def seen(platform):
    """Return the keys that the platform was shown."""
    shown = []
    usual = platform.answer

    def answer(path, headers, body):
        shown.append(headers.get("authorization"))
        return usual(path, headers, body)

    platform.answer = answer
    return shown


CALL = ("call", "demo/Hello", "--data", "1")
NO_KEY = {"ALGORITHMIA_API_KEY": ""}


def test_a_key_in_an_argument_works_and_is_warned_of(command_line, seen):
    done = command_line(*CALL, "--api-key", "simGiven")
    assert (done.returncode, done.stdout, seen) == (0, "1\n", ["Simple simGiven"])
    assert "warning: --api-key can be read in the list of processes" in done.stderr
    assert "simGiven" not in done.stderr
    assert "warning" not in command_line(*CALL).stderr


def test_an_account_is_named_for_any_command(command_line, seen, platform, tmp_path):
    (tmp_path / "accounts").write_text(f'[profiles.work]\napi_key = "simWork"\napi_server = "{platform.address}"\n')
    elsewhere = {"ALGORITHMIA_API": "http://127.0.0.1:9"}
    assert command_line(*CALL, "--account", "work", env=elsewhere).returncode == 0
    assert seen == ["Simple simWork"]
    for command in (
        CALL,
        ("builds", "list", "demo/Hello"),
        ("versions", "list", "demo/Hello"),
        ("doctor", "demo/Hello"),
    ):
        unknown = command_line(*command, "--account", "play")
        assert unknown.returncode == 1
        assert "no account 'play' is configured: there is work" in unknown.stderr
    both = command_line(*CALL, "--account", "work", "--data-dir", str(tmp_path))
    assert "say one of them" in both.stderr


def test_without_anybody_to_ask_nothing_is_asked(command_line, seen):
    assert command_line(*CALL, env=NO_KEY).returncode == 0
    assert seen == [None]


def test_whoever_watches_is_asked_and_what_they_type_is_not_seen(seen):
    keyboard, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "algoprof", *CALL],
            env=os.environ | NO_KEY,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            start_new_session=True,
        )
        said = b""
        while not said.endswith(b"(Enter for none): "):  # the blank comes when nothing is echoed any more
            said += os.read(keyboard, 4096)
        os.write(keyboard, b"simTyped\n")
        assert process.communicate(timeout=60)[0] == b"1\n"
        os.close(terminal)
        terminal = -1
        said += os.read(keyboard, 65536)
    finally:
        os.close(keyboard)
        if terminal >= 0:
            os.close(terminal)
    assert (process.returncode, seen) == (0, ["Simple simTyped"])
    assert b"simTyped" not in said


def test_no_failure_shows_the_key(algoprof, command_line, platform):
    platform.answer = lambda path, headers, body: (401, {"error": {"code": 2002, "message": headers["authorization"]}})
    for command in (CALL, (*CALL, "--json"), ("builds", "list", "demo/Hello"), ("doctor", "demo/Hello", "--json")):
        done = command_line(*command)
        assert done.returncode == 1
        assert KEY not in done.stdout + done.stderr
    done = algoprof("builds", "list", "demo/Hello", env={"ALGOPROF_DEBUG": "1"})
    assert "Traceback" in done.stderr
    assert KEY not in done.stdout + done.stderr
