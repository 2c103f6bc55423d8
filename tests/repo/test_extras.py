"""The package installs in parts: what the plain install runs, and what is said where an extra is missing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from feast_codegen.codegen.base.extras import MODULES_OF_EXTRA
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.model import Sensor
from tests.support.networks import make_model
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ALL_MODULES = sorted({module for modules in MODULES_OF_EXTRA.values() for module in modules})
HIDE = """
import sys
hidden = set(sys.argv.pop(1).split(","))
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from feast_codegen.host.cli.app import execute
sys.exit(execute(sys.argv[1:]))
"""
"""Runs the command line with some modules hidden, as if their extras were not installed."""


def codegen_without(modules: list[str], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", HIDE, ",".join(modules), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_every_extra_that_brings_modules_is_known_to_the_message() -> None:
    collections = {"all", "test", "dev"}
    assert set(EXTRAS) - collections == set(MODULES_OF_EXTRA)


def test_the_customers_packages_are_named() -> None:
    text = " ".join([*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)])
    assert all(name in text for name in ("jinja2", "cffi", "numpy", "tonic", "pytest", "platformio"))


def test_train_emit_and_verify_need_no_extra(tmp_path: Path) -> None:
    for arguments in (
        ("train", "sim:bars?count=4", "-o", "model.npz", "--radius", "1"),
        ("emit", "model.npz", "--board", "mps2_an386", "-o", "feast"),
        ("verify", "model.npz", "sim:bars?count=1"),
    ):
        done = codegen_without(ALL_MODULES, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), arguments


def test_the_public_api_imports_without_extras(tmp_path: Path) -> None:
    script = HIDE.replace("from feast_codegen.host.cli.app import execute", "import feast_codegen").replace(
        "sys.exit(execute(sys.argv[1:]))", "print(feast_codegen.Feast(radius=1))"
    )
    command = [sys.executable, "-P", "-c", script, ",".join(ALL_MODULES)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("link", ("stream", "sim:bars?count=1", "--port", "socket://127.0.0.1:1")),
        ("firmware", ("build", "--board", "mps2_an386", "model.npz")),
        ("report", ("report", "model.npz", "sim:bars?count=1", "-o", "report.html")),
        ("tune", ("tune", "sim:bars?count=4", "--board", "mps2_an386", "--trials", "1")),
        ("monitor", ("monitor", "sim:bars?count=1", "--port", "socket://127.0.0.1:1")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(
    extra: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    save_model(make_model(Sensor(34, 34), features=4, radius=1), tmp_path / "model.npz")
    done = codegen_without(list(MODULES_OF_EXTRA[extra]), *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"pip install 'feast-codegen[{extra}]'" in done.stderr
