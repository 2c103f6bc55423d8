"""The same bytes from any folder, process and clock: the wheel, and what `codegen emit` writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.model import Sensor
from tests.support.networks import make_model
from tests.support.paths import ROOT

FOLDERS = ("codegen", "host", "templates", "firmware")
FILES = ("boards.yaml", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
LEFT_BEHIND = shutil.ignore_patterns(".pio", "feast", "__pycache__")


def checkout(folder: Path, age_s: int) -> Path:
    """A copy of what is packaged, in another folder, with other times and permissions, in other order."""
    for name in FOLDERS if age_s else reversed(FOLDERS):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_BEHIND, copy_function=shutil.copyfile)
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        os.utime(path, (1e9 + age_s, 1e9 + age_s))
        if path.is_file():
            path.chmod(0o600 if age_s else 0o644)
    return folder


def build_wheel(folder: Path, **variables: str) -> Path:
    command = [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel"]
    environment = {
        name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"
    } | variables
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def test_the_wheel(tmp_path: Path) -> None:
    wheels = []
    for age_s, zone in ((0, "UTC"), (10**7, "Asia/Kathmandu")):
        folder = tmp_path / f"checkout of {age_s}"
        folder.mkdir()
        wheels.append(build_wheel(checkout(folder, age_s), TZ=zone, PYTHONHASHSEED=str(age_s)))
    assert wheels[0].name == wheels[1].name
    assert wheels[0].read_bytes() == wheels[1].read_bytes()


@pytest.mark.parametrize("options", [[], ["--learning"]], ids=["frozen", "learning"])
def test_the_emitted_library(options: list[str], tmp_path: Path) -> None:
    model = make_model(Sensor(20, 16), features=4, radius=2)
    emitted = []
    for seed, zone, name in (("0", "UTC", "a"), ("4711", "America/Lima", "elsewhere/b c")):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        save_model(model, folder / "model.npz")
        command = [
            sys.executable,
            "-P",
            "-m",
            "feast_codegen",
            "emit",
            "model.npz",
            "--board",
            "mps2_an386",
        ]
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "COLUMNS": seed}
        subprocess.run(
            [*command, "-o", "out", *options], cwd=folder, env=environment, check=True, capture_output=True
        )
        files = (path for path in (folder / "out").rglob("*") if path.is_file())
        emitted.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
    assert len(emitted[0]) > 5
    assert emitted[0] == emitted[1]
