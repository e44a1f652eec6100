"""Which published version a selector means: none, `latest`, `1.2.3`, `1.2`, `1.*`, a commit hash."""

import re
from collections.abc import Sequence

from algoprof.server.state.store import Version

_PART = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\.\*)?")
_HASH = re.compile(r"[0-9a-f]{40}")


def select(versions: Sequence[Version], selector: str, commits: dict[str, str]) -> Version | None:
    """Return the newest version that a selector means, or None.

    Every version here is public, so `latestPrivate` means none.

    Args:
        versions: newest first.
        selector: from the URL; empty for the newest.
        commits: the commit of each build id.

    >>> one, two = (Version(n, "", 1, n, 0, "", str(n), 0) for n in (1, 2))
    >>> select([two, one], "1.*", {}).semantic, select([two, one], "1.1", {}).semantic
    ('1.2.0', '1.1.0')
    """
    if selector in ("", "latest"):
        return versions[0] if versions else None
    if _HASH.fullmatch(selector):
        return next((version for version in versions if commits.get(version.build_id) == selector), None)
    match = _PART.fullmatch(selector)
    if match is None or (match[3] is not None and selector.endswith("*")):
        return None
    wanted = tuple(int(part) for part in match.groups() if part is not None)
    for version in versions:
        if (version.major, version.minor, version.patch)[: len(wanted)] == wanted:
            return version
    return None
