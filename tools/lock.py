"""Writes constraints.txt: the newest version of everything that pyproject.toml allows, to develop against."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = "# Exact versions for development, on Python 3.11 and Linux; `make lock` writes them anew.\n"


def resolved() -> list[str]:
    """Return `name==version` of every package that a fresh installation would take."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed", "--report", "-"]
    answer = subprocess.run(
        [*command, "--editable", ".[all,dev]"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    packages = [package["metadata"] for package in json.loads(answer.stdout)["install"]]
    pins = {re.sub(r"[-_.]+", "-", package["name"]).lower(): package["version"] for package in packages}
    return [f"{name}=={version}" for name, version in sorted(pins.items()) if name != "algoprof"]


def main() -> None:
    """Write the file and say what changed."""
    path = ROOT / "constraints.txt"
    before = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
    pins = resolved()
    path.write_text(HEADER + "".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    changed = sorted(set(pins) - before)
    print(f"constraints.txt: {len(pins)} packages, {len(changed)} of them new: {', '.join(changed) or 'none'}")


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit("the lock is made on the oldest Python that is supported: make clean && make lock PYTHON=python3.11")
    main()
