"""Write the corpus of build logs anew: real pip and real commands, failing in as many ways as builds do.

    PATH=$PATH:.../python3.6/bin:... python tools/build_logs.py [NAME...]

Each case of `failing_builds.py` is a folder with a Dockerfile. Its instructions are run for real, in a folder instead
of a container, and around them stand the lines that docker prints: those of its classic builder, those of BuildKit, or
none. A case whose Python is not on PATH is left as it is. Paths and hosts are replaced by neutral ones.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from failing_builds import CASES, Case
from hostile_index import Index

LOGS = Path(__file__).parents[1] / "tests" / "calls" / "build_logs"
_PUBLIC = "packages.example.org"
_OWN = ("127.0.0.1", "localhost", "packages.example.org", "no-such-host.invalid")
_LIMIT = 120.0  # seconds that one instruction may take
_TAIL = 10  # lines of a failed step that BuildKit repeats


class Failed(Exception):  # noqa: N818  (how a step ended)
    """An instruction failed, in the words of whoever ran it."""


class Build:
    """One run of a case's Dockerfile in a folder that stands for the container's file system.

    Args:
        case: what to run.
        root: the folder.
        index: the index that fails on purpose.
    """

    def __init__(self, case: Case, root: Path, index: Index) -> None:
        self.case = case
        self.root = root
        self.context = root / "context"
        self.work = root / "opt" / "algorithm"
        self.python = root / "home" / "algo" / ".local"
        self.lines: list[str] = []
        for folder in (self.context, self.work, root / "tmp", root / "usr" / "bin"):
            folder.mkdir(parents=True)
        for name, content in case.files.items():
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content.replace("INDEX", index.address).replace("TLS", index.tls_address))
        self.instructions = [
            line.replace("INDEX", index.address).replace("TLS", index.tls_address)
            for line in case.dockerfile.strip().splitlines()
        ]

    def prepare(self) -> None:
        """Make the Python that the image would have, and the PATH without what the case lacks."""
        interpreter = shutil.which(f"python{self.case.python}")
        assert interpreter, self.case.python  # noqa: S101
        subprocess.run([interpreter, "-m", "venv", str(self.python)], check=True, capture_output=True)
        if self.case.pip:
            upgrade = [str(self.python / "bin" / "python"), "-m", "pip", "install", "-q", f"pip{self.case.pip}"]
            subprocess.run(upgrade, check=True, capture_output=True, env=self.environment())
        for folder in ("/usr/bin", "/bin"):
            for program in Path(folder).iterdir():
                link = self.root / "usr" / "bin" / program.name
                hidden = any(re.fullmatch(pattern, program.name) for pattern in self.case.hidden)
                if not hidden and not program.name.startswith(("python", "pip")) and not link.is_symlink():
                    link.symlink_to(program)

    def environment(self) -> dict[str, str]:
        """Return the variables that commands see."""
        certificates = {name: os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT") if name in os.environ}
        return certificates | {
            "PATH": f"{self.python}/bin:{self.root}/usr/bin",
            "HOME": str(self.root / "home" / "algo"),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            **self.case.environment,
        }

    def run(self) -> str:
        """Run every instruction until one fails, and return the log."""
        getattr(self, f"_{self.case.style}")()
        return self._neutral("\n".join(self.lines) + "\n")

    def _instruction(self, text: str) -> Iterator[str]:
        """Carry out one instruction and yield what it prints.

        Raises:
            Failed: if it fails.
        """
        word, _, rest = text.partition(" ")
        if word == "COPY":
            source = rest.split()[0]
            if not (self.context / source).exists():
                raise Failed(source)
            shutil.copytree(self.context, self.work, dirs_exist_ok=True)
        if word != "RUN":
            return
        process = subprocess.Popen(
            ["/bin/sh", "-c", rest],
            cwd=self.work,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            yield line.decode(errors="replace").rstrip("\n")
        code = process.wait(_LIMIT)
        if code:
            raise Failed(str(code if code > 0 else 128 - code))

    def _bare(self) -> None:
        with contextlib.suppress(Failed):
            for text in self.instructions:
                self.lines += self._instruction(text)

    def _classic(self) -> None:
        self.lines.append("Sending build context to Docker daemon  4.096kB")
        image = ""
        for number, text in enumerate(self.instructions, 1):
            self.lines.append(f"Step {number}/{len(self.instructions)} : {text}")
            running = _hash(image, "container")
            if text.startswith("RUN"):
                self.lines.append(f" ---> Running in {running}")
            try:
                self.lines += self._instruction(text)
            except Failed as failed:
                if text.startswith("COPY"):
                    self.lines.append(
                        "COPY failed: file not found in build context or excluded by .dockerignore: "
                        f"stat {failed}: file does not exist"
                    )
                else:
                    command = text.removeprefix("RUN ")
                    self.lines.append(f"The command '/bin/sh -c {command}' returned a non-zero code: {failed}")
                return
            if text.startswith("RUN"):
                self.lines.append(f"Removing intermediate container {running}")
            image = _hash(image, text)
            self.lines.append(f" ---> {image}")
        self.lines += [f"Successfully built {image}", "Successfully tagged demo/routes:latest"]

    def _buildkit(self) -> None:
        add = self.lines.append
        add("#1 [internal] load build definition from Dockerfile")
        add(f"#1 transferring dockerfile: {len(self.case.dockerfile)}B done\n#1 DONE 0.0s\n")
        counted = [text for text in self.instructions if not text.startswith("ENV")]
        for number, text in enumerate(counted, 1):
            step, title = f"#{number + 4}", f"[{number}/{len(counted)}] {text}"
            add(f"{step} {title}")
            began = time.monotonic()
            said: list[str] = []
            try:
                for line in self._instruction(text):
                    said.append(f"{time.monotonic() - began:.3f} {line}".rstrip())
                    add(f"{step} {said[-1]}")
            except Failed as failed:
                self._buildkit_failure(step, title, text, str(failed), said)
                return
            add(f"{step} DONE {time.monotonic() - began:.1f}s\n")
        last = f"#{len(counted) + 5}"
        add(f"{last} exporting to image\n{last} exporting layers done\n{last} DONE 0.1s")

    def _buildkit_failure(self, step: str, title: str, text: str, failed: str, said: list[str]) -> None:
        if text.startswith("COPY"):
            why = f'failed to calculate checksum of ref: "/{failed}": not found'
            self.lines.append(f"{step} ERROR: {why}")
        else:
            command = text.removeprefix("RUN ")
            why = f'process "/bin/sh -c {command}" did not complete successfully: exit code: {failed}'
            self.lines.append(f"{step} ERROR: {why}")
        number = self.instructions.index(text)
        self.lines += ["------", f" > {title}:", *said[-_TAIL:], "------", f"Dockerfile:{number + 1}", "-" * 20]
        for at, line in enumerate(self.instructions):
            self.lines.append(f"{at + 1:4} | {'>>>' if at == number else '   '} {line}")
        self.lines += ["-" * 20, f"ERROR: failed to solve: {why}"]

    def _neutral(self, log: str) -> str:
        """Replace the paths and hosts of this machine; all else is as it was printed."""
        base = Path(shutil.which(f"python{self.case.python}") or sys.executable).resolve().parents[1]
        for path, neutral in ((self.root, ""), (base, "/usr/local"), (Path.home(), "/home/algo")):
            log = log.replace(str(path), neutral)
        log = re.sub(
            r"(https?://)([^/\s'\"]+)", lambda found: found[0] if _is_own(found[2]) else f"{found[1]}{_PUBLIC}", log
        )
        log = re.sub(r"host='([^']+)'", lambda found: found[0] if _is_own(found[1]) else f"host='{_PUBLIC}'", log)
        log = re.sub(r"(?<=127\.0\.0\.1)(:|', port=)\d{4,5}", r"\g<1>8081", log)
        return re.sub(r"[ \t]+$", "", log, flags=re.MULTILINE)


def _is_own(host: str) -> bool:
    return host.partition(":")[0] in _OWN


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def main() -> None:
    """Write the log of each case that is named, or of all."""
    LOGS.mkdir(parents=True, exist_ok=True)
    unknown = set(sys.argv[1:]) - {case.name for case in CASES}
    if unknown:
        sys.exit(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(case.name for case in CASES)}")
    with Index() as index:
        for case in CASES:
            if sys.argv[1:] and case.name not in sys.argv[1:]:
                continue
            if shutil.which(f"python{case.python}") is None:
                print(f"{case.name}: left as it is, for there is no python{case.python} on PATH")
                continue
            with tempfile.TemporaryDirectory(prefix="build-logs-") as folder:
                build = Build(case, Path(folder).resolve() / "root", index)
                build.prepare()
                with case.around(build.root):
                    log = build.run()
            (LOGS / f"{case.name}.log").write_text(log, encoding="utf-8")
            print(f"{case.name}: {len(log.splitlines())} lines", flush=True)


if __name__ == "__main__":
    main()
