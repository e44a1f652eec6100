"""Requirements files with other versions in them: everything else stays as it is, to the byte."""

import codecs
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from algoprof.bisection.requirement_lines import decoded
from algoprof.bisection.results import Change

_COMMENT = re.compile(r"\s+#.*$")
_ADDED = "# pinned by `algoprof builds bisect`: what is asked for above brings it along"


def edited(changes: Iterable[Change]) -> dict[Path, tuple[str, str]]:
    """Return the text of each file that changes, as it is and as it is to be.

    Raises:
        OSError: if one cannot be read.
    """
    by_file: dict[Path, list[Change]] = {}
    for change in changes:
        by_file.setdefault(change.line.file, []).append(change)
    return {path: _edited(decoded(path.read_bytes())[0], mine) for path, mine in by_file.items()}


def diff(texts: Mapping[Path, tuple[str, str]], root: Path) -> str:
    """Return the difference as `patch` takes it, files named from a folder."""
    parts: list[str] = []
    for path, (old, new) in texts.items():
        name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        parts += difflib.unified_diff(old.splitlines(), new.splitlines(), name, name, lineterm="")
    return "".join(f"{line}\n" for line in parts)


def encoded(text: str, path: Path) -> bytes:
    """Return a text in the encoding of the file that it is to replace."""
    content = path.read_bytes()
    encoding = decoded(content)[1]
    if encoding == "utf-16" and content.startswith(codecs.BOM_UTF16_BE):
        return codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    return text.encode(encoding)


def _edited(text: str, changes: list[Change]) -> tuple[str, str]:
    lines = text.splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    for change in sorted(changes, key=lambda one: -one.line.first):
        first, last = change.line.first, change.line.last
        if first:
            comment = _COMMENT.search(lines[last - 1].rstrip("\r\n"))
            end = ending if lines[last - 1].endswith(("\n", "\r")) else ""
            lines[first - 1 : last] = [f"{change.text}{comment[0] if comment else ''}{end}"]
    added = sorted(change.text for change in changes if not change.line.first)
    new = "".join(lines)
    if added:
        new = new if not new or new.endswith(("\n", "\r")) else new + ending
        new += "".join(f"{one}{ending}" for one in (*([] if _ADDED in new else [_ADDED]), *added))
    return text, new
