"""Removes what builds have left below a data directory and no build needs any more."""

import re
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path

SNAPSHOTS, ENVIRONMENTS, WHEELS = "projects", "environments", "wheels"
"""The folders of a data directory that builds write: copies of projects, what was installed, algoprof's own wheels."""

_ASIDE = "removed"
_OURS = {
    SNAPSHOTS: re.compile(r"[0-9a-f]{40}|\..+"),  # the latter was being copied when a server was killed
    ENVIRONMENTS: re.compile(r"[0-9a-f]{16}"),
    WHEELS: re.compile(r"[0-9a-f]{16}"),
}


def set_aside(data: Path, folder: str, needed: Collection[str]) -> int:
    """Take what is not needed out of a folder, at once; `empty` then removes it.

    Args:
        data: the data directory. No build runs there meanwhile.
        folder: one of those above.
        needed: the names in it that are needed. Names that no build gives are left alone.

    Returns:
        How many were taken out.

    Raises:
        OSError: if one cannot be moved.
    """
    try:
        found = [path for path in (data / folder).iterdir() if _OURS[folder].fullmatch(path.name)]
    except FileNotFoundError:
        return 0
    unneeded = [path for path in found if path.name not in needed]
    if unneeded:
        (data / _ASIDE).mkdir(exist_ok=True, mode=0o700)
    for path in unneeded:
        path.rename(data / _ASIDE / f"{path.name}-{uuid.uuid4()}")
    return len(unneeded)


def empty(data: Path) -> None:
    """Remove what was set aside, now or by a server that was killed."""
    shutil.rmtree(data / _ASIDE, ignore_errors=True)
