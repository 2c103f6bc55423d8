"""The wheel holds what the program needs, and works from there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.wheel import build_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def files(*folders: str, pattern: str = "*") -> set[str]:
    """Files of the checkout below `folders`, by their path in it, without what Python leaves behind."""
    found = {path for folder in folders for path in (ROOT / folder).rglob(pattern) if path.is_file()}
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def test_wheel_holds_code_templates_boards_and_firmware(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    resources = {name.removeprefix("feast_codegen/_resources/") for name in names if "/_resources/" in name}
    assert {"boards.yaml", "firmware/platformio.ini", "templates/package/feast.c.j2"} <= resources
    assert files("templates", "firmware/src", "firmware/platforms") <= resources
    assert {f"feast_codegen/{name}" for name in files("codegen", "host", pattern="*.py")} <= names


def test_wheel_holds_nothing_generated(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if ".pio/" in name or "lib/feast" in name or "__pycache__" in name]
    assert not [name for name in names if name.startswith(("tests/", "experiments/", "codegen/", "host/"))]


def test_wheel_carries_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_command_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = (
        "import sys, feast_codegen.host.cli.app; "
        f"assert feast_codegen.__file__.startswith({str(tmp_path)!r}), feast_codegen.__file__; "
        "sys.exit(feast_codegen.host.cli.app.execute(sys.argv[1:]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    def codegen(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-c", script, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    train = codegen("train", "sim:bars?count=2", "-o", "model.npz", "--features", "4", "--radius", "2")
    assert (train.returncode, train.stderr) == (0, "")
    emit = codegen("emit", "model.npz", "--board", "mps2_an386", "-o", "feast")
    assert (emit.returncode, emit.stderr) == (0, "")
    assert (tmp_path / "feast" / "include" / "feast.h").is_file()


@pytest.mark.prove
def test_pip_installs_into_a_new_environment(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = next(iter((tmp_path / "venv").glob("bin/python")), tmp_path / "venv" / "Scripts" / "python.exe")
    subprocess.run([python, "-m", "pip", "install", "-q", str(ROOT)], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    boards = subprocess.run(
        [python.with_name("codegen"), "boards", "--json"], cwd=tmp_path, check=True, capture_output=True
    )
    assert b"mps2_an386" in boards.stdout
