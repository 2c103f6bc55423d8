"""Emission: deterministic text, reviewed goldens, and a folder that is only ever whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from feast_codegen.codegen.base import temporary, tool
from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.temporary import folder_lock
from feast_codegen.codegen.boards.board import Kernel, get_board
from feast_codegen.codegen.emit.budget import struct_bytes
from feast_codegen.codegen.emit.compiled_library import WARNINGS, build_native
from feast_codegen.codegen.emit.jinja_filters import hex_bytes
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import MANIFEST, render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.options import Options
from tests.support.networks import behind, make_model, make_stack, with_fading_readout, with_readout
from tests.support.paths import ROOT

FORMATTER = Path(sys.executable).with_name("clang-format")
"""Its pinned version: others lay text out in other ways."""
GOLDEN = Path(__file__).parent / "golden"
SMALL = {"radius": 1, "features": 3, "tau_us": 5000.0}
VARIANTS = {
    "frozen": (make_model(Sensor(8, 6), **SMALL), Options()),
    "learning": (
        make_model(Sensor(8, 6), **SMALL, polarity="separate", border="skip"),
        Options(learning=True),
    ),
    "readout": (with_readout(make_model(Sensor(8, 6), **SMALL), grid=2), Options()),
    "fading": (with_fading_readout(make_model(Sensor(8, 6), **SMALL), grid=2), Options()),
    "layers": (make_stack(make_model(Sensor(8, 6), **SMALL), **SMALL), Options(learning=True)),
    "filters": (
        behind(Filters(Sensor(15, 12), ((3, 1), (14, 11)), 100, 2000, 1, 1), **SMALL),
        Options(),
    ),
}


def emitted(variant: str) -> dict[str, str]:
    model, options = VARIANTS[variant]
    return render(make_plan(quantise(model)[0], None, options))


@pytest.mark.parametrize("variant", VARIANTS)
def test_emitted_text_is_the_reviewed_one(variant: str) -> None:
    """After an intended change: UPDATE_GOLDEN=1 ./run test tests/emitted/test_emit.py; review the diff."""
    folder = GOLDEN / variant
    files = emitted(variant)
    if os.environ.get("UPDATE_GOLDEN"):
        write(files, folder)
    stored = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    assert stored == files


def test_emission_is_deterministic_and_names_nothing_of_this_machine() -> None:
    for variant in VARIANTS:
        files = emitted(variant)
        assert files == emitted(variant)
        text = "\n".join(files.values())
        assert str(Path.home()) not in text and os.uname().nodename not in text
        assert not re.search(r"20\d\d-\d\d-\d\d", text)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compiles_with_a_bare_compiler_and_every_warning(
    tmp_path: Path, variant: str, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        subprocess.run([compiler, "--version"], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip(f"{compiler} is not installed")
    monkeypatch.setenv("CC", compiler)
    for optimise in ("-O0", "-O2", "-Os", "-O3"):
        native = build_native(emitted(variant), optimise)
        model, options = VARIANTS[variant]
        assert native.ram_bytes == make_plan(quantise(model)[0], None, options).budget.ram
    assert "-Wconversion" in WARNINGS


def test_public_names_are_prefixed() -> None:
    for variant in VARIANTS:
        for path, text in emitted(variant).items():
            if path.startswith("include/"):
                code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
                for name in re.findall(r"#define (\w+)|^\w[\w ]*?[ *](\w+)\(|^} (\w+);", code, flags=re.M):
                    assert "".join(name).lower().startswith("feast"), name


def test_second_emission_leaves_unchanged_files_untouched(tmp_path: Path) -> None:
    files = emitted("learning")
    first = write(files, tmp_path / "lib")
    assert set(first.written) == set(files)
    stamps = {path: (tmp_path / "lib" / path).stat().st_mtime_ns for path in files}
    second = write(files, tmp_path / "lib")
    assert second.written == () and set(second.unchanged) == set(files)
    assert stamps == {path: (tmp_path / "lib" / path).stat().st_mtime_ns for path in files}


def test_files_of_an_earlier_emission_are_removed(tmp_path: Path) -> None:
    write(emitted("learning"), tmp_path)
    assert write(emitted("frozen"), tmp_path).removed == (
        "src/feast_layer1_learn.c",
        "src/feast_layer1_learn.h",
    )
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(
        emitted("frozen")
    )


def test_foreign_folders_are_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FeastError, match="not an emitted library"):
        write(emitted("frozen"), tmp_path)
    with pytest.raises(FeastError, match="is a file"):
        write(emitted("frozen"), tmp_path / "thesis.tex")
    (tmp_path / MANIFEST).write_text('{"files": ["../thesis.tex"]}')
    with pytest.raises(FeastError, match="outside its folder"):
        write(emitted("frozen"), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, "thesis.tex"]


def test_a_model_too_large_for_the_board_is_refused_with_what_fits() -> None:
    model = make_model(features=2000)
    with pytest.raises(
        FeastError, match=r"too large for netduinoplus2.*RAM.*up to (\d+) features would fit"
    ) as error:
        make_plan(quantise(model)[0], get_board("netduinoplus2"), Options(learning=True))
    found = re.search(r"up to (\d+) features", str(error.value))
    assert found
    fits = int(found[1])
    make_plan(quantise(make_model(features=fits))[0], get_board("netduinoplus2"), Options(learning=True))
    with pytest.raises(FeastError, match="too large"):
        make_plan(
            quantise(make_model(features=fits + 1))[0],
            get_board("netduinoplus2"),
            Options(learning=True),
        )
    wide = make_model(Sensor(640, 480), features=1)
    with pytest.raises(FeastError, match="time surface alone"):
        make_plan(quantise(wide)[0], get_board("netduinoplus2"), Options())


def test_build_id_follows_geometry_and_options_not_weights_or_board() -> None:
    def build_id(options: Options = Options(), board: str | None = None, **params: object) -> str:
        quant = quantise(make_model(**params))[0]  # type: ignore[arg-type]
        return make_plan(quant, get_board(board) if board else None, options).ids.build

    assert build_id() == build_id(seed=5) == build_id(board="mps2_an386")
    ids = [build_id(), build_id(Options(True)), build_id(Options(select="threshold"))]
    ids += [
        build_id(features=8),
        build_id(radius=4),
        build_id(tau_us=1e4),
        build_id(polarity="signed"),
    ]
    ids += [build_id(border="skip"), build_id(sensor=Sensor(34, 33))]
    assert len(set(ids)) == len(ids)


def test_build_id_covers_the_readout_that_is_in_the_flash() -> None:
    def build_id(grid: int = 3, seed: int = 0, options: Options = Options()) -> str:
        model = with_readout(make_model(), grid, seed=seed)
        return make_plan(quantise(model)[0], None, options).ids.build

    def fading_id(seed: int = 0, **size: int) -> str:
        model = with_fading_readout(make_model(), seed=seed, **size)
        return make_plan(quantise(model)[0], None, Options()).ids.build

    assert len({fading_id(), fading_id(1), fading_id(grid=4), fading_id(hidden=5), build_id()}) == 5
    without = make_plan(quantise(make_model())[0], None, Options()).ids.build
    assert len({build_id(), build_id(grid=4), build_id(seed=1), without}) == 4
    assert build_id(options=Options(readout=False)) == without


def test_a_readout_that_is_left_out_leaves_nothing_behind() -> None:
    model, plain = with_readout(make_model(Sensor(8, 6), **SMALL)), make_model(Sensor(8, 6), **SMALL)
    plans = [
        make_plan(quantise(model)[0], None, Options(readout=False)),
        make_plan(quantise(plain)[0], None, Options()),
    ]
    left_out, files = map(render, plans)
    assert json.loads(left_out[MANIFEST])["command"] == "codegen emit MODEL --no-readout"
    ids = {" --no-readout": "", '"readout": false': '"readout": true'}
    for of in ("model", "library"):
        mine, other = (getattr(plan.ids, of) for plan in plans)
        ids |= {mine: other, mine[:16]: other[:16], hex_bytes(mine[:16]): hex_bytes(other[:16])}
    for mine, other in ids.items():
        left_out = {path: text.replace(mine, other) for path, text in left_out.items()}
    assert left_out == files


def test_a_readout_too_large_for_the_board_is_refused_with_what_fits() -> None:
    fading = with_fading_readout(make_model(), grid=16, classes=10, hidden=64)
    with pytest.raises(FeastError, match=r"bytes of RAM.*all of them without the readout \(--no-readout\)"):
        make_plan(quantise(fading)[0], get_board("stm32vldiscovery"), Options())
    model = with_readout(make_model(), grid=40, classes=4)
    with pytest.raises(FeastError, match=r"bytes of flash.*all of them without the readout \(--no-readout\)"):
        make_plan(quantise(model)[0], get_board("stm32vldiscovery"), Options())
    make_plan(quantise(model)[0], get_board("stm32vldiscovery"), Options(readout=False))


def test_struct_size_is_a_multiple_of_its_alignment() -> None:
    plan = make_plan(quantise(make_model(features=1, radius=1, sensor=Sensor(3, 3)))[0], None, Options())
    assert struct_bytes(plan.members) % 8 == 0


def test_an_emission_beside_another_one_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "lib"
    write(emitted("frozen"), library)
    with folder_lock(library):
        monkeypatch.setattr(temporary, "LOCK_LIMIT_S", 0.1)
        with pytest.raises(FeastError, match="lib: cannot write the library: another process has"):
            write(emitted("learning"), library)
    assert not write(emitted("frozen"), library).written, "nothing was changed"
    write(emitted("learning"), library)


def test_what_an_interrupted_emission_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "lib" / "src").mkdir(parents=True)
    (tmp_path / "lib" / "src" / "feast.c.partial").write_text("half")
    assert set(write(emitted("frozen"), tmp_path / "lib").written) == set(emitted("frozen"))


@pytest.mark.skipif(not FORMATTER.is_file(), reason="clang-format is not in this environment (./run lint)")
@pytest.mark.parametrize("kernel", ["portable", "dsp", "vector"])
def test_emitted_text_is_formatted(kernel: Kernel, tmp_path: Path) -> None:
    for variant, (model, options) in VARIANTS.items():
        files = render(make_plan(quantise(model)[0], None, options, kernel))
        sources = [tmp_path / variant / path for path in files if path.endswith((".c", ".h"))]
        write(files, tmp_path / variant)
        style = f"--style=file:{ROOT / '.clang-format'}"
        done = subprocess.run(
            [FORMATTER, "--dry-run", "-Werror", style, *sources],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_every_emitted_file_says_who_made_it_and_on_which_terms() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["name"], project["dynamic"]) == (tool.NAME, ["version"])
    assert f"version: {tool.VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{tool.VERSION}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for variant in VARIANTS:
        for path, text in emitted(variant).items():
            if path.endswith((".c", ".h", ".txt")):
                assert f"{tool.NAME} {tool.VERSION}" in text and "SPDX-License-Identifier: 0BSD" in text, path
