"""The wheel that the server makes of itself."""

import subprocess
import sys
import zipfile

import algoprof
from algoprof.server.building import wheel


def test_it_installs_and_works_in_an_environment_of_its_own(tmp_path):
    path = wheel.build(tmp_path / "wheels")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-P", "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", path]
    subprocess.run(pip, check=True, cwd=tmp_path)
    script = "import algoprof, algoprof.exporters; print(algoprof.__version__, algoprof.__file__)"
    done = subprocess.run([python, "-I", "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path)
    version, file = done.stdout.split()
    assert version == algoprof.__version__
    assert file.startswith(str(environment))
    assert (environment / "bin" / "algoprof").exists()


def test_it_holds_every_module_and_a_record_of_each(tmp_path):
    path = wheel.build(tmp_path)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        record = archive.read(f"algoprof-{algoprof.__version__}.dist-info/RECORD").decode()
        description = archive.read(f"algoprof-{algoprof.__version__}.dist-info/METADATA").decode()
    assert {"algoprof/server/building/wheel.py", "algoprof/exporters/__init__.py", "algoprof/py.typed"} <= names
    assert not any("__pycache__" in name for name in names)
    assert {line.split(",")[0] for line in record.splitlines()} == names
    assert "Name: algoprof\n" in description


def test_equal_content_makes_an_equal_wheel_made_once(tmp_path):
    first, second = wheel.build(tmp_path / "a"), wheel.build(tmp_path / "b")
    assert first.relative_to(tmp_path / "a") == second.relative_to(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    made = first.stat().st_ino
    assert wheel.build(tmp_path / "a").stat().st_ino == made
