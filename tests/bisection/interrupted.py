"""Bisects a project that has two faults as a user would: Ctrl-C, once more to the end, and once more when it is mended.

Prints what each of the three has said, as JSON: `python interrupted.py FOLDER`.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from packages import write_index


def main() -> None:
    """Make the index and the project in the folder, and bisect it."""
    root = Path(sys.argv[1])
    (root / "index").mkdir()
    write_index(root / "index")
    project = root / "project"
    project.mkdir()
    options = f"--no-index\n--find-links {root / 'index'}\n"
    (project / "requirements.txt").write_text(f"{options}alpha  # first\n-r more.txt\nholder\napp==1.0\nbeta\n")
    (project / "more.txt").write_text("core == 2.1  # newest\n")
    (root / "temporary").mkdir()
    environment = os.environ | {"PIP_CONFIG_FILE": os.devnull, "TMPDIR": str(root / "temporary")}
    command = [sys.executable, "-m", "algoprof", "builds", "bisect", str(project), "--data", str(root / "kept")]

    def begin(*options: str) -> "subprocess.Popen[str]":
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, text=True, env=environment, **pipes)

    interrupted = begin()
    assert interrupted.stderr is not None
    seen = "".join(interrupted.stderr.readline() for _ in range(3))
    interrupted.send_signal(signal.SIGINT)
    out, errors = interrupted.communicate()
    told = [{"status": interrupted.returncode, "out": out, "errors": seen + errors}]
    left = [path.name for path in (root / "temporary").iterdir()]
    for options in (["--json", "--write"], []):
        process = begin(*options)
        out, errors = process.communicate()
        told.append({"status": process.returncode, "out": out, "errors": errors})
    files = {path.name: path.read_text() for path in project.iterdir()}
    print(json.dumps({"told": told, "files": files, "left": left}))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    main()
