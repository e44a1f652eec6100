"""What kind of project a folder is found to hold."""

import pytest

from algoprof.errors import ProjectError
from algoprof.server.building import projects

APPLY = "def apply(input):\n    return input\n"
ADK = "from Algorithmia import ADK\ndef apply(input): ...\nADK(apply).init()\n"
GUARDED = "try:\n    import x\nexcept ImportError:\n    x = None\nif x is None:\n    def apply(input): ...\n"
CONFIGURED = '{"username": "demo", "algoname": "Hello"}'


@pytest.mark.parametrize(
    ("files", "algorithm", "kind", "module"),
    [
        ({"algorithmia.conf": CONFIGURED, "src/Hello.py": APPLY}, "demo/Hello", "apply", "src.Hello"),
        (
            {"algorithmia.conf": CONFIGURED, "src/Hello.py": ADK, "src/other.py": APPLY},
            "demo/Hello",
            "adk",
            "src.Hello",
        ),
        ({"algorithmia.conf": CONFIGURED, "src/Algorithm.py": APPLY}, "demo/Hello", "apply", "src.Algorithm"),
        ({"algorithmia.conf": CONFIGURED, "Hello.py": APPLY}, "demo/Hello", "apply", "Hello"),
        ({".adk": "", "src/given.py": APPLY}, "local/given", "adk", "src.given"),
        ({"main.py": APPLY, "util.py": "x = 1\n"}, "local/given", "apply", "main"),
        ({"given.py": APPLY, "second.py": APPLY}, "local/given", "apply", "given"),
        ({"main.py": "from other import apply\n", "util.py": ""}, "local/given", "apply", "main"),
        ({"main.py": "from other import *\n"}, "local/given", "apply", "main"),
        ({"main.py": "apply = len\n"}, "local/given", "apply", "main"),
        ({"main.py": GUARDED}, "local/given", "apply", "main"),
        (
            {"main.py": "from adk import ADK as A\ndef apply(input): ...\nA(apply).init()\n"},
            "local/given",
            "adk",
            "main",
        ),
    ],
)
def test_each_shape_is_found(project, files, algorithm, kind, module):
    found = projects.find(project("given", files))
    assert (found.algorithm, found.kind, found.module) == (algorithm, kind, module)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"README.md": ""}, "has no algorithm: make src/given.py"),
        ({"main.py": "def run(): ...\n"}, "main.py: has no function 'apply'"),
        ({"a.py": APPLY, "b.py": APPLY}, r"several files could be the algorithm \(a.py, b.py\); add algorithmia.conf"),
        ({"algorithmia.conf": "[]", "a.py": APPLY}, "is JSON but no object"),
        ({"algorithmia.conf": "{", "a.py": APPLY}, "is not readable as JSON"),
        ({"algorithmia.conf": '{"username": "demo"}', "a.py": APPLY}, "algoname is missing"),
        ({"algorithmia.conf": '{"username": "a/b", "algoname": "x"}', "a.py": APPLY}, "username is 'a/b'"),
        ({"algorithmia.conf": '{"username": 5, "algoname": "x"}', "a.py": APPLY}, "username is 5"),
        ({"a.py": "def apply(:\n"}, "a.py: line 1: invalid syntax"),
        ({"a.py": "def apply(input): ...\0"}, "a.py: (source code string|line 1: source|is not readable)"),
    ],
)
def test_what_cannot_be_hosted_is_told_with_file_and_remedy(project, files, words):
    with pytest.raises(ProjectError, match=words):
        projects.find(project("given", files))


def test_a_folder_name_that_makes_no_name_is_told(project):
    with pytest.raises(ProjectError, match=r"makes no algorithm name; add algorithmia\.conf"):
        projects.find(project("1st", {"a.py": APPLY}))
    assert projects.find(project("my-algo.v2", {"a.py": APPLY})).name == "my_algo_v2"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a.py").write_text(APPLY)
    with pytest.raises(ProjectError, match="is no folder"):
        projects.find(tmp_path / "a.py")
