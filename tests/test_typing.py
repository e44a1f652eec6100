"""What a type checker sees of decorated code: the original, to the last argument."""

import re
from pathlib import Path

from mypy import api

SAMPLE = Path(__file__).parent / "typing" / "decorators.py"


def test_mypy_sees_through_the_decorators():
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    wanted = {number: line.partition("# E: ")[2] for number, line in enumerate(lines, 1) if "# E: " in line}
    output, problems, _ = api.run(["--strict", "--no-error-summary", "--hide-error-codes", str(SAMPLE)])
    assert problems == ""
    found = {
        int(number): message
        for number, message in re.findall(r"^.*decorators\.py:(\d+): error: (.*)$", output, re.MULTILINE)
    }
    assert found.keys() == wanted.keys(), output
    for number, message in wanted.items():
        assert message.lower() in found[number].lower()
