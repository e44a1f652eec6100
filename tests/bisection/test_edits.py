"""Requirements files with other versions: what changes, and that nothing else does."""

import codecs

import pytest

from algoprof.bisection.edits import diff, edited, encoded
from algoprof.bisection.repairing import change_of
from algoprof.bisection.requirement_lines import line, read


def changes_in(path, *versions):
    """Return the change of each named package, those that the file does not name as lines to be added."""
    lines = {one.name: one for one in read(path).lines}
    return [change_of(lines.get(name) or line(name, path), version) for name, version in versions]


TEXT = 'six==1.16.0  # old code\n\nFlask[async] \\\n  >=2 ; python_version > "3"  # web\n-r more.txt\nidna'


def test_only_the_lines_that_change_do(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text(TEXT)
    (tmp_path / "more.txt").write_text("requests\n")
    changes = changes_in(path, ("flask", "3.0"), ("requests", "2.32"), ("idna", "3.6"), ("jinja2", "3.1"))
    texts = edited(changes)
    new = texts[path][1]
    assert new.splitlines() == [
        "six==1.16.0  # old code",
        "",
        'Flask[async]==3.0; python_version > "3"  # web',
        "-r more.txt",
        "idna==3.6",
        "# pinned by `algoprof builds bisect`: what is asked for above brings it along",
        "jinja2==3.1",
    ]
    assert texts[tmp_path / "more.txt"] == ("requests\n", "requests==2.32\n")
    shown = diff(texts, tmp_path)
    assert "--- more.txt\n+++ more.txt\n@@ -1 +1 @@\n-requests\n+requests==2.32\n" in shown


@pytest.mark.parametrize(
    "content",
    [
        "six\r\nidna  # ü\r\n".encode(),
        codecs.BOM_UTF8 + b"six\nidna",
        "six\nidna\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "six\nidna\n".encode("utf-16-be"),
        "six\nidna  # ü\n".encode("latin-1"),
    ],
)
def test_encoding_and_line_ends_stay(tmp_path, content):
    path = tmp_path / "requirements.txt"
    path.write_bytes(content)
    old, new = edited(changes_in(path, ("six", "1.16.0")))[path]
    assert encoded(old, path) == content
    assert new == old.replace("six", "six==1.16.0")
