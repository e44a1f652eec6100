"""The example of an exporter: its own tests pass, and installed it is found by its name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "exporter"


def test_its_own_tests_pass(tmp_path):
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", tmp_path]
    done = subprocess.run(
        [*command, EXAMPLE], cwd=EXAMPLE, capture_output=True, text=True, check=False, timeout=100, env=env
    )
    assert done.returncode == 0, done.stdout


def test_installed_it_is_found_by_its_name(run_python, tmp_path):
    source = shutil.copytree(EXAMPLE, tmp_path / "source")  # pip builds in it
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*install, "--disable-pip-version-check", "--target", tmp_path / "installed", source],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    env = {
        "PYTHONPATH": str(tmp_path / "installed"),
        "ALGOPROF_EXPORTERS": "jsonlines",
        "JSONLINES_FILE": str(tmp_path / "runs.jsonl"),
    }
    source = """
    from algoprof import profile, section
    with profile("plan"), section("load"):
        pass
    """
    done = run_python(source, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = (tmp_path / "runs.jsonl").read_text().splitlines()
    run = json.loads(line)
    assert (run["name"], run["outcome"], list(run["sections"])) == ("plan", "ok", ["plan", "plan/load"])
