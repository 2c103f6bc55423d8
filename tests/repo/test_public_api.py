"""The package `feast_codegen` keeps its promises, also beside a user's own `host` and `codegen`."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import feast_codegen
from feast_codegen.codegen.base.extras import MODULES_OF_EXTRA
from tests.support.networks import make_model
from tests.support.paths import ROOT
from tests.support.wheel import build_wheel

SMALL: dict[str, Any] = {"features": 4, "radius": 1}
SCRIPT = """
import json, sys, host, codegen, feast_codegen
assert host.MINE and codegen.MINE
recordings = feast_codegen.open_recordings("sim:bars?count=2")
model = feast_codegen.train(recordings, features=4, radius=1)
feast_codegen.save_model(model, "model.npz")
model = feast_codegen.load_model("model.npz")
emission = feast_codegen.emit(model, "feast", board="mps2_an386")
report = feast_codegen.verify("model.npz", recordings)
feast = feast_codegen.Feast(features=4, radius=1).fit(recordings)
foreign = [name for name in sys.modules if name.startswith(("host.", "codegen."))]
print(json.dumps([feast_codegen.__file__, feast_codegen.__version__, report.mismatches, foreign]))
"""
WITHOUT = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
import feast_codegen
try:
    exec(sys.argv[2])
except ImportError as error:
    assert isinstance(error, feast_codegen.FeastError)
    print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as an installation would."""
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(build_wheel(folder)).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A user's project, with modules of the names that this project's folders have."""
    (tmp_path / "host.py").write_text("MINE = True\n")
    (tmp_path / "codegen").mkdir()
    (tmp_path / "codegen" / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def in_tmp_path(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def python_files(*folders: Path) -> int:
    return sum(1 for folder in folders for path in folder.rglob("*.py"))


def product_files() -> int:
    """Those of the package: its own, and those behind its two links."""
    own = len(list((ROOT / "feast_codegen").glob("*.py")))
    return own + python_files(ROOT / "codegen", ROOT / "host")


# The list of names


def test_type_checkers_and_the_running_program_see_the_same_names() -> None:
    tree = ast.parse(Path(feast_codegen.__file__).read_text(encoding="utf-8"))
    seen = {
        (node.module, alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name for _, name in seen} | {"__version__"} == set(feast_codegen.__all__)
    for home, name in seen:
        assert home is not None
        assert getattr(feast_codegen, name) is getattr(importlib.import_module(home), name)
        assert home.removeprefix("feast_codegen.") in {*feast_codegen._HOMES, "host.api"}
    assert set(feast_codegen.__all__) <= set(dir(feast_codegen))
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = feast_codegen.tarin  # type: ignore[attr-defined]


def test_every_public_function_and_class_is_explained() -> None:
    for name in feast_codegen.__all__:
        value = getattr(feast_codegen, name)
        if callable(value):
            assert inspect.getdoc(value), name


def test_importing_loads_nothing_but_the_package_itself(tmp_path: Path) -> None:
    script = "import json, sys, feast_codegen; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    loaded = json.loads(run.stdout)
    assert "feast_codegen" in loaded
    heavy = ("numpy", "numba", "sklearn", "scipy", "pydantic", "yaml", "jinja2", "cffi", "feast_codegen.")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_train_takes_every_hyperparameter_with_its_default() -> None:
    taken = inspect.signature(feast_codegen.train).parameters
    for field in dataclasses.fields(feast_codegen.Hyperparameters):
        if field.name != "channels":  # follows from the layer below
            assert taken[field.name].default == field.default, field.name


# What the functions do beyond their examples


def test_the_manual_runs(in_tmp_path: Path) -> None:
    outcome = doctest.testmod(feast_codegen)
    assert outcome.attempted > 10 and outcome.failed == 0


def test_recordings_in_memory_train_to_the_same_features_as_their_source() -> None:
    source = feast_codegen.open_recordings("sim:bars?count=8")
    forms = [
        {"x": e["x"], "y": e["y"], "t_us": e["t_us"], "p": e["polarity"]} for e in (s.events for s in source)
    ]
    pairs = list(zip(forms, map(int, source.labels), strict=True))  # type: ignore[arg-type]
    wanted = feast_codegen.train(source, **SMALL, readout=True, readout_grid=2)
    got = feast_codegen.train(pairs, sensor=(34, 34), **SMALL, readout=True, readout_grid=2)
    np.testing.assert_array_equal(got.weights, wanted.weights)
    assert got.readout is not None and wanted.readout is not None
    np.testing.assert_array_equal(got.readout.weights, wanted.readout.weights)
    assert got.training.source == "recordings in memory"
    upper = feast_codegen.train(source, lower=wanted, features=2, radius=1)
    assert upper.lower is not None and upper.lower.params == wanted.params


def test_a_model_is_taken_as_a_path_too(tmp_path: Path) -> None:
    model = make_model(features=4, radius=1)
    feast_codegen.save_model(model, str(tmp_path / "a.npz"))
    feast_codegen.save_model(model, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    for each in (model, str(tmp_path / "a.npz"), tmp_path / "b.npz"):
        quant, _ = feast_codegen.quantise(each)
        assert quant.model_id == model.model_id
        feast_codegen.emit(each, tmp_path / "feast", board=feast_codegen.boards()["mps2_an386"])
    again = feast_codegen.emit(model, str(tmp_path / "feast"), board="mps2_an386")
    assert again.written == () and "include/feast.h" in again.unchanged


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda model: feast_codegen.train("sim:bars?count=2", features=0), "features"),
        (lambda model: feast_codegen.train("sim:bars?count=2", readout_grid=3), "readout_grid belongs to"),
        (lambda model: feast_codegen.train([[(0, 1, 1, 1)]], **SMALL), "give sensor=(width, height)"),
        (
            lambda model: feast_codegen.train([], sensor=(8, 8), **SMALL),
            "recordings in memory: there are none",
        ),
        (lambda model: feast_codegen.verify(model, [[(0, 40, 1, 1)]]), "recordings[0]: event 0: x=40"),
        (
            lambda model: feast_codegen.verify(model, feast_codegen.open_recordings("sim:planes?count=1")),
            "has a 304x240 sensor, expected 34x34",
        ),
        (lambda model: feast_codegen.verify("none.npz", "sim:bars"), "none.npz: no such model file"),
        (lambda model: feast_codegen.emit(model, "feast", board="pdp11"), "unknown board 'pdp11'"),
        (
            lambda model: feast_codegen.open_recordings("x", reading=feast_codegen.Reading()),
            "x: no such file",
        ),
        (lambda model: feast_codegen.open_recordings("sim:bars", labels=[1]), "are for recordings in memory"),
        (
            lambda model: feast_codegen.open_recordings([[]], sensor=(8, 8), skip_bad_events=True),
            "skip_bad_events and reading are for files",
        ),
        (lambda model: feast_codegen.run_on_board(model, "sim:bars", board="nrf52840dk"), "has no emulator"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(call: Any, problem: str) -> None:
    with pytest.raises(feast_codegen.FeastError) as caught:
        call(make_model(features=4, radius=1))
    assert problem in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "call"),
    [
        ("link", "with feast_codegen.open_link('socket://127.0.0.1:1'): pass"),
        ("firmware", "feast_codegen.build(None, board='mps2_an386')"),
        ("firmware", "feast_codegen.run_on_board('model.npz', 'sim:bars?count=1', board='mps2_an386')"),
    ],
)
def test_a_missing_extra_is_named(extra: str, call: str, tmp_path: Path) -> None:
    feast_codegen.save_model(make_model(features=4, radius=1), tmp_path / "model.npz")
    run = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT, ",".join(MODULES_OF_EXTRA[extra]), call],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    name = re.findall(r"feast_codegen\.(\w+)", call)[0]
    line = rf"{name} needs the module \w+, which is not installed: pip install 'feast-codegen\[{extra}\]'\n"
    assert re.fullmatch(line, run.stdout), run.stdout


def test_a_serial_link_needs_no_build_tools(tmp_path: Path) -> None:
    call = "feast_codegen.open_link('socket://127.0.0.1:1').__enter__()"
    run = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT, ",".join(MODULES_OF_EXTRA["firmware"]), call],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.stdout == ""
    assert "socket://127.0.0.1:1: cannot be opened" in run.stderr.splitlines()[-1], run.stderr


# Beside a user's own modules


def run_script(folder: Path, site: Path | None) -> list[Any]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
    run = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    values: list[Any] = json.loads(run.stdout)
    return values


def test_editable_installation_works_beside_a_users_host_and_codegen(own_folder: Path) -> None:
    where, _, mismatches, foreign = run_script(own_folder, None)
    assert Path(where).resolve() == ROOT / "feast_codegen" / "__init__.py"
    assert (mismatches, foreign) == (0, [])


def test_wheel_works_beside_a_users_host_and_codegen(own_folder: Path, wheel: Path) -> None:
    where, version, mismatches, foreign = run_script(own_folder, wheel)
    assert Path(where).resolve() == (wheel / "feast_codegen" / "__init__.py").resolve()
    (metadata,) = wheel.glob("feast_codegen-*.dist-info")
    assert metadata.name == f"feast_codegen-{version}.dist-info"
    assert (mismatches, foreign) == (0, [])


# What the checkers look at: both have ways to look at one file and say that all is well


def lint_imports(folder: Path, config: Path) -> str:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("import-linter is not installed: pip install 'feast-codegen[dev]'")
    run = subprocess.run(
        [program, "--no-cache", "--config", str(config)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


@pytest.mark.parametrize("installation", ["editable", "wheel"])
def test_the_contract_checker_looks_at_every_file(installation: str, tmp_path: Path, wheel: Path) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (root_package,) = re.findall(r'^root_package = "(\w+)"$', project, re.MULTILINE)
    config = tmp_path / "contracts.ini"  # without packages of others, which it would count as well
    config.write_text(
        f"[importlinter]\nroot_package = {root_package}\n"
        "[importlinter:contract:1]\nname = one\ntype = forbidden\n"
        "source_modules = feast_codegen.codegen\nforbidden_modules = feast_codegen.host\n"
    )
    folder = ROOT if installation == "editable" else wheel
    (files,) = re.findall(r"Analyzed (\d+) files", lint_imports(folder, config))
    assert int(files) == product_files()


def mypy(folder: Path, *arguments: str) -> str:
    pytest.importorskip("mypy", reason="mypy is not installed: pip install 'feast-codegen[dev]'")
    run = subprocess.run(
        [sys.executable, "-P", "-m", "mypy", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MYPYPATH": str(folder)},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_type_checker_looks_at_every_file() -> None:
    (files,) = re.findall(r"no issues found in (\d+) source files", mypy(ROOT))
    assert int(files) == product_files()


@pytest.mark.prove
def test_the_type_checker_looks_at_every_file_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    lenient = ("--ignore-missing-imports", "--no-namespace-packages", "--cache-dir", str(tmp_path))
    (files,) = re.findall(
        r"no issues found in (\d+) source files", mypy(wheel, "-p", "feast_codegen", *lenient)
    )
    assert int(files) == product_files()


@pytest.mark.prove
def test_a_users_type_checker_sees_the_types(own_folder: Path) -> None:
    (own_folder / "use.py").write_text(
        "import feast_codegen\n"
        'reveal_type(feast_codegen.train("sim:bars"))\n'
        'reveal_type(feast_codegen.boards()["mps2_an386"].name)\n'
        'with feast_codegen.open_link("COM3") as link:\n'
        "    reveal_type(link.hello.classes)\n"
    )
    said = mypy(own_folder, "use.py", "--cache-dir", str(own_folder / "cache"))
    revealed = [kind.removeprefix("builtins.") for kind in re.findall(r'Revealed type is "(.+)"', said)]
    assert revealed == ["feast_codegen.codegen.model.model.Model", "str", "int"]
