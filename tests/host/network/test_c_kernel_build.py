"""The compiled kernel of the float model: kept in a cache, of the width asked for; and life without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.cli.app import execute
from feast_codegen.host.network.engines import c_kernel_build
from feast_codegen.host.network.engines.c_engine import NativeEngine
from feast_codegen.host.network.float_model import FloatFeast
from tests.support.c_kernel import compiler, needs_c
from tests.support.networks import make_model

SMALL = Sensor(9, 7)


@needs_c
def test_compiled_once_into_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = c_kernel_build._library(2)
    assert first.parent == tmp_path / "feast-codegen"
    monkeypatch.setattr(c_kernel_build, "_compile", lambda *arguments: pytest.fail("compiled again"))
    assert c_kernel_build._library(2) == first
    assert list(first.parent.iterdir()) == [first]


@needs_c
def test_each_width_is_a_library_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths = {c_kernel_build._library(1, lanes) for lanes in (None, 4, 8, 16)}
    assert len(paths) == 4
    assert {c_kernel_build.Kernel(path).lanes for path in paths} == {4, 8, 16}


@pytest.mark.parametrize("lanes", ["5", "32", "04", " 8", "all"])
def test_a_width_that_is_none_is_one_line(
    lanes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FEAST_LANES", lanes)
    assert execute(["train", "sim:bars?count=1", "-o", str(tmp_path / "m.npz")]) == 2
    error = capsys.readouterr().err
    assert f"FEAST_LANES={lanes}: expected 4, 8 or 16, or unset" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@needs_c
def test_another_processor_or_source_is_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*compiler(), "-O3", "-DFEAST_LANES=8"]
    key = c_kernel_build._key(command, tmp_path)
    assert key == c_kernel_build._key(command, tmp_path)
    assert key != c_kernel_build._key(command[:-1], tmp_path)
    assert key != c_kernel_build._key([*command[:-1], "-DFEAST_LANES=4"], tmp_path)
    changed = tmp_path / "changed.c"
    changed.write_bytes(c_kernel_build.SOURCE.read_bytes() + b"\n")
    monkeypatch.setattr(c_kernel_build, "SOURCE", changed)
    assert key != c_kernel_build._key(command, tmp_path)


def test_without_a_compiler_numba_steps_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "no-such-cc")
    c_kernel_build.load_kernel.cache_clear()
    c_kernel_build._say_once.cache_clear()
    model = make_model(SMALL, radius=1, features=3)
    nets = [FloatFeast(model), FloatFeast(make_model(SMALL, radius=2, features=3))]
    assert not any(isinstance(net._engine, NativeEngine) for net in nets)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no C kernel for the float model" in message and "no-such-cc is not on PATH" in message
    with pytest.raises(FeastError, match="engine native: needs a C compiler and float32"):
        FloatFeast(model, engine="native")
    monkeypatch.undo()
    c_kernel_build.load_kernel.cache_clear()
    with pytest.raises(FeastError, match="got float64"):
        FloatFeast(model, engine="native", dtype=np.float64)


@needs_c
def test_a_compiler_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int x = ;\n", encoding="utf-8")
    monkeypatch.setattr(c_kernel_build, "SOURCE", broken)
    with pytest.raises(OSError, match=r" refused it: .*error"):
        c_kernel_build._library(1)


@needs_c
def test_a_cache_that_cannot_be_written_costs_a_compilation_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert c_kernel_build._library(1).is_file()
