"""Names as label values: valid UTF-8 and short enough for every monitoring system."""

from zlib import crc32

LONGEST = 256
"""Characters of a label value; a longer one is cut and ends in a checksum, so that two such stay two."""


def label(name: str) -> str:
    """Return a name as a label value.

    >>> label("load"), label("bad" + chr(0xDCFF)), len(label("x" * 1_000_000))
    ('load', 'bad?', 256)
    """
    if len(name) > LONGEST:
        checksum = crc32(name.encode("utf-8", "surrogatepass"))
        name = f"{name[: LONGEST - 11]}...{checksum:08x}"
    return name.encode("utf-8", "replace").decode()
