"""The small examples, run as the platform runs them: imported from their folder, asked through a pipe."""

import json
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_plain_file_shouts(run_python):
    done = run_python("import shout; print(shout.apply('quiet'))", env={"PYTHONPATH": str(EXAMPLES / "plain")})
    assert (done.stdout, done.returncode) == ("QUIET\n", 0)


def test_the_adk_example_greets_as_its_template_does_without_a_platform(run_python):
    done = run_python("import src.Hello", env={"PYTHONPATH": str(EXAMPLES / "hello_adk")})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["result"] == "Hello World"
