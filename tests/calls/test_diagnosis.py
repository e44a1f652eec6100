"""Real build logs and what they are to be told to say; and any text whatever. `tools/build_logs.py` writes the logs."""

import json
import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoprof.calls.diagnosis import LARGEST, Reason, diagnose
from algoprof.calls.diagnosis.clues import CLUES

LOGS = Path(__file__).parent / "build_logs"


class Expected(NamedTuple):
    log: str
    reason: str
    package: str = ""
    version: str = ""
    step: int = 4
    says: str = ""


NOTHING = 0  # a step that the log does not tell

FAILED = [
    Expected("no_such_package", "no_matching_distribution", "algoprof-no-such-package", "1.0", says="correct the name"),
    Expected(
        "no_such_package_beside_others",
        "no_matching_distribution",
        "algoprof-no-such-package",
        "1.0",
        says="is for another Python only",
    ),
    Expected("no_such_version", "no_matching_distribution", "requests", "99.1", says="write requests==2."),
    Expected("no_such_version_old_pip", "no_matching_distribution", "requests", "99.1", says="the newest is 2.27.1"),
    Expected("no_such_dependency", "no_matching_distribution", "algoprof-no-such-package", says="which routing wants"),
    Expected("module_for_package", "no_matching_distribution", "cv2", step=NOTHING, says="opencv-python-headless"),
    Expected("part_of_python", "compilation_failed", "functools", "0.5", says="is a part of Python"),
    Expected("build_requirement_missing", "no_matching_distribution", "algoprof-no-such-package"),
    Expected(
        "no_wheel_for_this_python", "no_wheel_for_this_python", "tensorflow", "2.4.0", says="oldest version that has"
    ),
    Expected(
        "needs_newer_python", "no_wheel_for_this_python", "numpy", "1.26.4", says="newest version that has is 1.24.4"
    ),
    Expected("needs_other_python", "no_wheel_for_this_python", "routing", says="it wants <3.9,>=3.6"),
    Expected("only_binary_none", "no_wheel_for_this_python", "termcolor", "1.1.0", NOTHING),
    Expected("wheel_of_other_platform", "no_wheel_for_this_python", "routing", "1.2", says="cp36 cp36m win_amd64"),
    Expected("other_python_only", "module_missing", "numpy", "1.21.0", says="a Python before 3.12"),
    Expected("conflict", "conflict", "urllib3", "1.20", says="requests 2.31.0 wants urllib3<3 and >=1.21.1"),
    Expected("conflict_of_two", "conflict", "werkzeug", says="flask 2.0.0 wants Werkzeug>=2.0"),
    Expected("conflict_with_itself", "conflict", "six", "1.15.0", NOTHING, says="ask for one version of six"),
    Expected("conflict_with_constraint", "conflict", "idna", "1.0", says="the constraints want idna==1.0"),
    Expected("double_requirement_old_pip", "conflict", "six", "1.16.0", says="asked for twice"),
    Expected("compiler_missing", "compiler_missing", "routing", says="apt-get install -y build-essential"),
    Expected("compiler_missing_old_pip", "compiler_missing", "routing", says="the gcc compiler is not there"),
    Expected("rust_missing", "compiler_missing", "routing", says="cargo rustc"),
    Expected("header_missing", "library_missing", "routing", says="apt-get install -y libgeos-dev"),
    Expected("library_missing", "library_missing", "routing", says="the library gdal-none"),
    Expected("pg_config_missing", "program_missing", "psycopg2", "2.9.5", says="psycopg2-binary"),
    Expected("pkg_config_missing", "program_missing", "mysqlclient", "2.2.0", says="apt-get install -y pkg-config"),
    Expected("cmake_missing", "program_missing", "dlib", "19.24.0", says="the program CMake"),
    Expected("git_missing", "program_missing", "routing", says="the program git"),
    Expected("command_missing", "program_missing", says="the program pipenv"),
    Expected("apt_package_missing", "program_missing", says="apt-get update before"),
    Expected("compile_error", "compilation_failed", "routing", says="does not compile"),
    Expected("setup_imports_numpy", "module_missing", "routing", says="imports numpy"),
    Expected("distutils_gone", "module_missing", "routing", says="distutils"),
    Expected("backend_missing", "module_missing", "routing", says="nothing.build"),
    Expected("pkg_resources_gone", "module_missing", "routing", says="setuptools<81"),
    Expected("module_missing", "module_missing", step=5, says="add routing to the requirements"),
    Expected("deprecated_name", "metadata_failed", "sklearn", "0.0.post12", says="replace sklearn by scikit-learn"),
    Expected("two_packages_in_one", "metadata_failed", "routing", says="Multiple top-level packages"),
    Expected("setup_raises", "metadata_failed", "routing", says="RuntimeError: set ROUTING_HOME first"),
    Expected("setup_for_python_2", "metadata_failed", "routing", says="written for Python 2"),
    Expected("setup_uses_2to3", "metadata_failed", "routing", says="written for Python 2"),
    Expected("single_equals_sign", "invalid_requirement", "requests", says="write requests==2.31.0"),
    Expected("single_equals_sign_new_pip", "invalid_requirement", "requests", says="write requests==2.31.0"),
    Expected("unknown_option", "invalid_requirement", says="'--no-such-option' is no option"),
    Expected("path_missing", "file_missing", says="./no-such-package"),
    Expected("nothing_to_install", "file_missing", says="neither setup.py nor pyproject.toml"),
    Expected("requirements_missing", "file_missing", says="requirements.txt"),
    Expected("copy_missing", "file_missing", step=3, says="requirements.txt"),
    Expected("copy_missing_classic", "file_missing", step=3, says="requirements.txt"),
    Expected("hash_mismatch", "hash_mismatch", "six", "1.16.0", says="not the one whose hash"),
    Expected("hash_left_out", "hash_mismatch", "idna", "3.6", says="add version and hash to each"),
    Expected("wheel_broken", "damaged_package", "routing", "1.2"),
    Expected("download_broken_off", "damaged_package", "six", "1.16.0"),
    Expected("download_incomplete", "network", "six", "1.16.0", says="the connection broke off"),
    Expected("index_unreachable", "network", "six", "1.16.0", says="nothing answers there"),
    Expected("index_name_unknown", "network", "six", says="its name is not known"),
    Expected("index_silent", "network", "six", step=NOTHING, says="no answer came in time"),
    Expected("certificate_unknown", "network", "six", "1.16.0", NOTHING, says="its certificate is not trusted"),
    Expected("file_gone", "network", "routing", "1.2", says="there is no such file"),
    Expected("file_unreachable", "network", "routing", "1.2", says="the file's address could not be read"),
    Expected("apt_unreachable", "network", says="apt-get's source of packages could not be read: nothing answers"),
    Expected("git_unreachable", "network", "routing", says="the repository could not be read"),
    # pip itself tells neither of these from a package that is not there
    Expected(
        "index_failing", "no_matching_distribution", "six", step=NOTHING, says="refuses or fails looks to pip like"
    ),
    Expected("index_forbids", "no_matching_distribution", "six", "1.16.0", says="refuses or fails looks to pip like"),
    Expected("index_wants_password", "access_denied", says="a password or a token"),
    Expected("disk_full", "disk_full", "numpy", "1.26.4", says="no space left"),
    Expected("compiler_out_of_memory", "out_of_memory", "routing", says="MAX_JOBS=1"),
    Expected("killed", "killed", "routing", says="for want of memory"),
    Expected("permission_denied", "permission_denied", "six", "1.16.0", says="/usr/lib/none"),
    Expected("read_only", "permission_denied", "six", "1.16.0", says="/opt/algorithm/packages"),
    Expected("externally_managed", "externally_managed", says="virtual environment"),
]

SUCCEEDED = {
    "succeeded": ("requests", "six"),
    "succeeded_bare": ("algorithmia", "six"),
    "succeeded_buildkit": ("flask", "asgiref"),
    "succeeded_from_source": ("routing", "six"),
    "succeeded_yanked": ("cryptography", "cffi"),
    "succeeded_misfit": ("urllib3", "idna"),
    "succeeded_misfit_old_pip": ("urllib3", "idna"),
}


def read(name: str) -> str:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8")


def test_every_log_of_the_corpus_is_expected_to_say_something():
    assert sorted(path.stem for path in LOGS.glob("*.log")) == sorted([*(one.log for one in FAILED), *SUCCEEDED])
    assert {one.reason for one in FAILED} == {reason.value for reason in Reason} - {"command_failed", "unknown"}


@pytest.mark.parametrize("expected", FAILED, ids=lambda expected: expected.log)
def test_a_real_log_says_why_the_build_failed(expected):
    found = diagnose(read(expected.log))
    told = (found.outcome, found.reason, found.package, found.version, found.step.number if found.step else NOTHING)
    assert told == ("failed", *expected[1:5])
    words = "\n".join([found.sentence, *found.advice])
    assert expected.says in words
    assert found.advice
    assert found.evidence
    assert found.evidence[0][:60] in " ".join(read(expected.log).split("\n")[found.line - 1].split())
    assert not re.search(r"\bNone\b|\{|  | [,;:]", words), words
    json.dumps(found.to_json())


@pytest.mark.parametrize(("name", "packages"), SUCCEEDED.items())
def test_a_real_log_of_a_build_that_succeeded_says_what_was_installed(name, packages):
    found = diagnose(read(name))
    assert (found.outcome, found.reason) == ("succeeded", None)
    assert ("does not fit together: requests 2." in found.sentence) == ("misfit" in name)
    assert found.sentence.startswith("the build succeeded")
    assert set(packages) <= {name.lower() for name in found.installed}
    assert all(re.fullmatch(r"\d[\w.]*", version) for version in found.installed.values())


def test_what_is_not_pinned_is_listed():
    assert diagnose(read("succeeded_bare")).unpinned == ("requests>=2.28", "six")
    assert diagnose(read("succeeded_buildkit")).unpinned == ("flask[async]>=2",)
    requirements = "# ours\nrequests  # any\nsix==1.16.0\nidna @ https://packages.example.org/idna.whl\n-r more.txt\n"
    assert diagnose(read("succeeded"), requirements=requirements).unpinned == ("requests",)


def test_other_steps_and_trouble_that_passed_are_not_the_reason():
    log = """Step 1/3 : RUN make docs
error: command 'gcc' failed with exit status 1
Step 2/3 : RUN pip install -r requirements.txt
WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError': /simple/six/
Collecting six
ERROR: Could not find a version that satisfies the requirement nothing==1 (from versions: none)
The command '/bin/sh -c pip install -r requirements.txt' returned a non-zero code: 1
"""
    found = diagnose(log.replace("(from versions: none)", "(from versions: 0.1, 2.0)"))
    assert (found.reason, found.package, found.step.number) == ("no_matching_distribution", "nothing", 2)


def test_versions_for_other_pythons_are_those_of_the_only_package_looked_at():
    log = """ERROR: Ignored the following versions that require a different python version: 2.0 Requires-Python >=3.13
ERROR: Could not find a version that satisfies the requirement routing>=1 (from versions: none)
"""
    assert diagnose(log).reason == "no_wheel_for_this_python"
    assert diagnose("Collecting numpy\n" + log).reason == "no_matching_distribution"
    assert diagnose("Collecting numpy\n" + log.replace(">=1 ", "==2.0 ")).reason == "no_wheel_for_this_python"


def test_a_log_that_says_nothing_known_has_an_answer():
    found = diagnose(
        "Step 1/1 : RUN ./prepare\nsorry\nThe command '/bin/sh -c ./prepare' returned a non-zero code: 3\n"
    )
    assert (found.reason, found.exit_code, found.line) == ("command_failed", 3, 2)
    assert found.sentence == "RUN ./prepare failed with exit status 3, and says nothing that is known here"
    assert diagnose("sorry", status="failed").reason == "unknown"


def test_without_a_log_the_status_says_why_there_is_none():
    assert diagnose("", status="failed").outcome == "no_log"
    assert "has no log" in diagnose("Build logs unavailable", status="failed").sentence
    assert diagnose("\n", status="in-progress").outcome == "unfinished"
    stops = diagnose("Step 1/2 : RUN pip install six\nCollecting six\n")
    assert (stops.outcome, stops.step.number) == ("unfinished", 1)
    assert "not yet finished" in stops.sentence


def test_a_known_status_wins_over_what_the_log_seems_to_say():
    assert diagnose(read("killed"), status="succeeded").outcome == "succeeded"
    assert diagnose(read("succeeded"), status="failed").outcome == "failed"


def test_colours_progress_bars_and_time_stamps_do_not_matter():
    log = read("conflict_of_two")
    dressed = "".join(f"2022-05-12T10:00:00.123Z \x1b[31m{line}\x1b[0m\r\n" for line in log.split("\n"))
    assert diagnose(dressed).to_json() == diagnose(log).to_json()


def test_passwords_in_addresses_are_not_repeated():
    log = "Step 1/1 : RUN pip install -i https://me:simSecret@host/simple x\nERROR: https://me:simSecret@host/ failed\n"
    assert "simSecret" not in json.dumps(diagnose(log).to_json())


LITERALS = [re.sub(r"\(\?.*?\)|[\\\[\]{}()?+*|^$]", " ", clue.pattern.pattern)[:80] for clue in CLUES]
PIECES = st.sampled_from(
    [*LITERALS, "Step 1/2 : ", "#8 [4/4] ", "#8 ERROR: ", "Collecting ", "╰─> ", "(from versions: ", "'"]
)
JOINTS = st.sampled_from(["\n", " ", "\r", "\x1b[", "==", "1.0"])
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=20), JOINTS), max_size=20).map("".join)


@settings(max_examples=25)
@given(TEXTS, TEXTS, st.sampled_from(["", "failed", "succeeded", "in-progress", "other"]))
def test_any_text_gives_an_answer(log, requirements, status):
    found = diagnose(log, requirements=requirements, status=status)
    assert found.sentence
    assert (found.reason is not None) == (found.outcome == "failed")
    assert len(found.sentence) < 5_000
    json.dumps(found.to_json())


@given(st.data())
def test_a_real_log_cut_anywhere_gives_an_answer(data):
    log = read(data.draw(st.sampled_from([one.log for one in FAILED])))
    begin = data.draw(st.integers(0, len(log)))
    assert diagnose(log[begin : data.draw(st.integers(begin, len(log)))]).sentence


@pytest.mark.parametrize("unit", [*LITERALS, "error (from versions: ", "error: '", "Package 'a ", "\n", "error\n"])
def test_the_time_grows_with_the_length_and_no_faster(unit):
    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length]
        began = time.process_time()
        diagnose(text)
        return time.process_time() - began

    assert min(seconds(32_000) for _ in range(2)) < 8 * 4 * min(seconds(4_000) for _ in range(3)) + 0.05


def test_of_a_huge_log_the_beginning_and_the_end_are_read():
    log = read("no_such_version")
    begin, _, end = log.partition("#8 [4/4]")
    noise = "noise\n" * (LARGEST // 5)
    huge = f"{begin}{noise}#8 [4/4]{end}"
    found = diagnose(huge)
    assert (found.reason, found.package, found.version) == ("no_matching_distribution", "requests", "99.1")
    assert found.left_out == len(huge) - LARGEST
    assert found.evidence[0][:40] in huge.split("\n")[found.line - 1]
