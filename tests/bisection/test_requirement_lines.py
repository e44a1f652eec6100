"""How a requirements.txt is read: what asks for something, what holds for all, and where each stands."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.bisection.requirement_lines import decoded, line, logical_lines, read
from algoprof.errors import FileProblem


@pytest.fixture
def written(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.txt").write_text(text)
        return read(tmp_path)

    return write


def test_lines_options_and_constraints_are_told_apart(written, tmp_path):
    (tmp_path / "wheels").mkdir()
    found = written(
        requirements="""
# for the demo
-f wheels
--extra-index-url https://user:secret@index.example.org/simple  # ours
-c limits.txt
six==1.16.0  # old
Flask[async] \\
    >= 2 ; python_version > "3"
./vendor/routing
-e ./vendor/other
routing @ https://example.org/routing.zip
-r more.txt
-r gone.txt
--no-such-option
six = 1
""",
        limits="idna==3.6\n",
        more="requests>=2 --hash=sha256:00\n",
    )
    assert [(one.text, one.file.name, one.first, one.last) for one in found.lines] == [
        ("six==1.16.0", "requirements.txt", 6, 6),
        ('Flask[async]     >= 2 ; python_version > "3"', "requirements.txt", 7, 8),
        ("./vendor/routing", "requirements.txt", 9, 9),
        ("-e ./vendor/other", "requirements.txt", 10, 10),
        ("routing @ https://example.org/routing.zip", "requirements.txt", 11, 11),
        ("requests>=2 --hash=sha256:00", "more.txt", 1, 1),
        (f"-r {tmp_path}/gone.txt", "requirements.txt", 13, 13),
        ("--no-such-option", "requirements.txt", 14, 14),
        ("six = 1", "requirements.txt", 15, 15),
    ]
    assert found.options == [
        f"-f {tmp_path}/wheels",
        "--extra-index-url https://user:secret@index.example.org/simple",
        f"-c {tmp_path}/limits.txt",
    ]
    assert [path.name for path in found.files] == ["requirements.txt", "more.txt"]
    assert found.constraints == [tmp_path / "limits.txt"]
    assert [one.name for one in found.lines] == ["six", "flask", "", "", "routing", "requests", "", "", ""]
    assert [one.changeable for one in found.lines] == [True, True, False, False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("text", "asked"), [("six==1.16.0", "1.16.0"), ("six==1.*", ""), ("six>=1", ""), ("six===1", "1"), ("./six", "")]
)
def test_the_one_version_that_is_asked_for(text, asked):
    assert line(text).asked == asked


def test_a_file_that_includes_itself_is_told(written):
    with pytest.raises(FileProblem, match=r"requirements\.txt: includes itself; remove the line"):
        written(requirements="-r more.txt\n", more="-r requirements.txt\n")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileProblem, match="there is no such file; name a requirements"):
        read(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_file_is_read_in_the_encoding_that_pip_takes_it_for(tmp_path, encoding):
    (tmp_path / "requirements.txt").write_text("six==1.16.0  # für alte\n", encoding=encoding)
    assert [one.text for one in read(tmp_path).lines] == ["six==1.16.0"]


@given(st.text())
def test_any_text_is_read_and_no_line_is_lost(text):
    numbers = [(first, last) for first, last, _ in logical_lines(text)]
    assert [first for first, _ in numbers] == [1, *(last + 1 for _, last in numbers)][: len(numbers)]
    assert (numbers[-1][1] if numbers else 0) == len(text.splitlines())
    for _, _, found in logical_lines(text):
        line(found)


@given(st.binary(), st.sampled_from([b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE]))
def test_any_content_is_a_text(content, mark):
    text, encoding = decoded(mark + content)
    assert isinstance(text, str)
    assert codecs.lookup(encoding)
