"""A build log as lines: without colours and prefixes, each with the step of the Dockerfile that printed it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LARGEST = 4 * 1024 * 1024
"""Characters of a log that are read at most; of a larger one, its beginning and its end."""

_HEAD = LARGEST // 4
_MOST_LINES = 40_000
_LONGEST_LINE = 4_000  # characters; the middle of a longer one is left out
_KEPT_END = 1_000

_CREDENTIALS = re.compile(r"://[^/@\s]{1,4000}@")

_ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]?\d{0,9}(?:Z|[+-]\d\d:?\d\d)? ")
_CLASSIC = re.compile(r"Step (\d{1,4})/(\d{1,4}) : (.*)")
_CLASSIC_END = re.compile(r"(?:The command '.*' returned a non-zero code: (\d{1,5})|(?:COPY|ADD) failed: .*)")
_CLASSIC_SUCCESS = re.compile(r"Successfully (?:built [0-9a-f]{12}|tagged \S+)")
_KIT = re.compile(r"#(\d{1,5}) (.*)")
_KIT_STEP = re.compile(r"\[(?:[\w.-]{1,60} )?(\d{1,4})/(\d{1,4})\] (.*)")
_KIT_SAID = re.compile(r"\d{1,7}\.\d{1,3}(?: (.*))?")
_KIT_CODE = re.compile(r"exit code: (\d{1,5})")
_COMMAND = re.compile(r"\$ (\S.*)")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a build.

    Args:
        instruction: what was to be done: an instruction of the Dockerfile, or a command.
        number: which step it is, from 1; 0 where steps are not numbered.
        total: how many there are; 0 where they are not numbered.
        line: where in the log it begins, from 1.

    >>> str(Step("RUN pip install six", 3, 7))
    'step 3 of 7, RUN pip install six'
    """

    instruction: str
    number: int = 0
    total: int = 0
    line: int = 0

    def __str__(self) -> str:
        return f"step {self.number} of {self.total}, {self.instruction}" if self.number else self.instruction


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not empty, with its number in the log and the step that printed it."""

    number: int
    text: str
    step: Step | None


@dataclass(frozen=True, slots=True)
class Log:
    """What a log says of itself.

    Args:
        lines: those that are not empty.
        failed: the step that failed, where docker says which.
        code: the exit status of that step; None where it is not told.
        ended: how the build ended, where the log says so; else empty.
        left_out: characters in its middle that were not read.
        steps: those that began, in their order.
    """

    lines: tuple[Line, ...]
    failed: Step | None = None
    code: int | None = None
    ended: Literal["failed", "succeeded", ""] = ""
    left_out: int = 0
    steps: tuple[Step, ...] = ()


def read(text: str) -> Log:
    r"""Return a log as lines. Whatever the text is, this raises nothing and takes time in proportion to its length.

    >>> log = read("Step 1/1 : RUN pip install six\nno network\nThe command 'x' returned a non-zero code: 2")
    >>> log.failed.instruction, log.code, log.lines[0].text
    ('RUN pip install six', 2, 'no network')
    """
    left_out = max(0, len(text) - LARGEST)
    if left_out:
        begin, end = _HEAD, _HEAD + left_out
        skipped = text.count("\n", begin, end)
        numbered = [*_numbered(text[:begin], 1), *_numbered(text[end:], 1 + text.count("\n", 0, begin) + skipped)]
    else:
        numbered = list(_numbered(text, 1))
    if len(numbered) > _MOST_LINES:
        numbered = numbered[: _MOST_LINES // 4] + numbered[-3 * _MOST_LINES // 4 :]
    return _Reader(left_out).read(numbered)


def _numbered(text: str, first: int) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty with their numbers; passwords in addresses go no further than here."""
    for number, raw in enumerate(text.split("\n"), first):
        line = raw.rstrip("\r").rpartition("\r")[2]  # what a progress bar showed last
        if "@" in line:
            line = _CREDENTIALS.sub("://***@", line)
        if len(line) > _LONGEST_LINE:
            line = f"{line[: _LONGEST_LINE - _KEPT_END]} ... {line[-_KEPT_END:]}"
        line = _ANSI.sub("", line).rstrip()
        stamp = _TIMESTAMP.match(line)
        if stamp:
            line = line[stamp.end() :]
        if line:
            yield number, line


class _Reader:
    """Goes through the lines once and keeps in mind which step they belong to."""

    def __init__(self, left_out: int) -> None:
        self._left_out = left_out
        self._lines: list[Line] = []
        self._step: Step | None = None
        self._steps: list[Step] = []
        self._by_id: dict[int, Step] = {}
        self._failed: Step | None = None
        self._code: int | None = None
        self._ended: Literal["failed", "succeeded", ""] = ""

    def read(self, numbered: list[tuple[int, str]]) -> Log:
        for number, line in numbered:
            if self._ended == "failed" and line == "------":
                break  # BuildKit repeats what it has said
            kit = _KIT.fullmatch(line)
            if kit is None or not self._of_kit(number, int(kit[1]), kit[2]):
                self._plain(number, line)
        return Log(tuple(self._lines), self._failed, self._code, self._ended, self._left_out, tuple(self._steps))

    def _of_kit(self, number: int, id_: int, text: str) -> bool:
        """Take a line of BuildKit's, and return whether it is one."""
        step = _KIT_STEP.fullmatch(text)
        if step:
            self._by_id[id_] = Step(step[3], int(step[1]), int(step[2]), number)
            self._steps.append(self._by_id[id_])
            return True
        mine = self._by_id.get(id_)
        said = _KIT_SAID.fullmatch(text)
        if said:
            self._add(number, said[1] or "", mine)
            return True
        if text.startswith("ERROR: ") and (mine or self._by_id):
            code = _KIT_CODE.search(text)
            self._fail(mine, int(code[1]) if code else None)
            self._add(number, text, mine)
            return True
        if text.startswith("exporting layers done"):
            self._ended = "succeeded"
        return mine is not None or bool(self._by_id) or text.startswith(("[internal]", "transferring", "DONE"))

    def _plain(self, number: int, line: str) -> None:
        step, end, command = _CLASSIC.fullmatch(line), _CLASSIC_END.fullmatch(line), _COMMAND.fullmatch(line)
        if step:
            self._step = Step(step[3], int(step[1]), int(step[2]), number)
            self._steps.append(self._step)
            return
        if end:
            self._fail(self._step, int(end[1]) if end[1] else None)
            if end[1]:
                return
        elif command and not (self._step and self._step.number):
            self._step = Step(command[1], line=number)
            self._steps.append(self._step)
            return
        elif _CLASSIC_SUCCESS.fullmatch(line) and self._step:
            self._ended = "succeeded"
        elif line.startswith("ERROR: failed to solve: "):
            self._fail(self._failed, self._code)
        self._add(number, line, self._step)

    def _fail(self, step: Step | None, code: int | None) -> None:
        self._ended, self._failed, self._code = "failed", step, code

    def _add(self, number: int, text: str, step: Step | None) -> None:
        if text.strip():
            self._lines.append(Line(number, text, step))
