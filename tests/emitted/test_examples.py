"""The examples: compiled for this machine and for bare Cortex-M, their results compared with the twin."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import serial

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.compiled_library import WARNINGS
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.emulator import emulate
from feast_codegen.host.boards.run import emit_for_board
from tests.support.firmware_project import needs_compiler, needs_emulator
from tests.support.networks import make_events, make_model
from tests.support.paths import ROOT
from tests.support.waiting import LIMIT_S

EXAMPLES = ROOT / "examples"
MOCK = ROOT / "tests" / "support" / "arduino_mock"
PROBE = ROOT / "tests" / "support" / "driver_probe"
CORES = ["cortex-m0", "cortex-m4", "cortex-m33"]
MODES = [Options(), Options(learning=True)]

needs_native = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("c++") is None, reason="cc or c++ is not installed"
)


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=4, radius=2)


def library(model: Model, options: Options, folder: Path) -> list[str]:
    """Emit for any Cortex-M; gives the compiler arguments that take it in."""
    write(render(make_plan(quantise(model)[0], None, options)), folder)
    return [f"-I{folder / 'include'}", *(str(path) for path in sorted((folder / "src").glob("*.c")))]


def run(command: Sequence[str | Path], text: str = "") -> str:
    done = subprocess.run(
        [str(word) for word in command], input=text, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def events_of(rows: list[list[int]]) -> Events:
    """Rows of time, x, y, polarity."""
    events = np.zeros(len(rows), EVENT_DTYPE)
    for name, column in zip(("t_us", "x", "y", "polarity"), zip(*rows, strict=True), strict=True):
        events[name] = column
    return events


@needs_native
@pytest.mark.parametrize("options", MODES, ids=["frozen", "learning"])
def test_the_minimal_program_gives_the_results_of_the_twin(
    options: Options, model: Model, tmp_path: Path
) -> None:
    sources = library(model, options, tmp_path / "feast")
    program = tmp_path / "minimal"
    run(["cc", *WARNINGS, "-O2", *sources, EXAMPLES / "minimal" / "src" / "main.c", "-o", program])
    rows = [[int(word) for word in line.split()] for line in run([program]).splitlines()]
    assert len(rows) == 34 * 34
    events = events_of([row[:4] for row in rows])
    assert [row[4] for row in rows] == Twin(quantise(model)[0], options).step(events).tolist()


@needs_native
def test_the_sketch_gives_the_results_of_the_twin(model: Model, tmp_path: Path) -> None:
    include, *sources = library(model, Options(), tmp_path / "feast")
    objects = []
    for source in sources:  # C stays C, as in the Arduino build
        objects.append(str(tmp_path / f"{Path(source).stem}.o"))
        run(["cc", "-O2", "-c", include, source, "-o", objects[-1]])
    sketch = EXAMPLES / "arduino" / "FeastDemo" / "FeastDemo.ino"
    program = tmp_path / "sketch"
    warnings = ["-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    cpp = ["c++", *warnings, include, f"-I{MOCK}", "-x", "c++", sketch, MOCK / "main.cpp", "-x", "none"]
    run([*cpp, *objects, "-o", program])
    events = make_events(300)
    lines = "".join(f"{event['t_us']} {event['x']} {event['y']} {event['polarity']}\n" for event in events)
    results = [int(line) for line in run([program], lines).split()]
    assert results == Twin(quantise(model)[0], Options()).step(events).tolist()


@pytest.mark.firmware
@needs_compiler
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("options", MODES, ids=["frozen", "learning"])
def test_the_minimal_program_links_for_a_bare_cortex_m(
    core: str, options: Options, model: Model, tmp_path: Path
) -> None:
    sources = library(model, options, tmp_path / "feast")
    bare = [
        f"-mcpu={core}",
        "-mthumb",
        "-Os",
        "-ffreestanding",
        "-nostdlib",
        "-Wl,-e,main",
        "-Wl,--fatal-warnings",
    ]
    elf = tmp_path / "minimal.elf"
    main = EXAMPLES / "minimal" / "src" / "main.c"
    run(["arm-none-eabi-gcc", *WARNINGS, *bare, *sources, main, "-lgcc", "-lc", "-lgcc", "-o", elf])
    undefined = run(["arm-none-eabi-nm", "--undefined-only", elf])
    assert undefined == ""


@pytest.mark.firmware
@needs_compiler
@pytest.mark.skipif(shutil.which("arm-none-eabi-g++") is None, reason="arm-none-eabi-g++ is not installed")
def test_the_sketch_compiles_for_a_bare_cortex_m(model: Model, tmp_path: Path) -> None:
    include, *_ = library(model, Options(), tmp_path / "feast")
    sketch = EXAMPLES / "arduino" / "FeastDemo" / "FeastDemo.ino"
    flags = [
        "-mcpu=cortex-m4",
        "-mthumb",
        "-Os",
        "-std=c++11",
        "-fno-exceptions",
        "-Wall",
        "-Wextra",
        "-Werror",
    ]
    headers = ["-x", "c++", include, f"-I{MOCK}"]
    run(["arm-none-eabi-g++", *flags, *headers, "-c", sketch, "-o", tmp_path / "sketch.o"])


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("make")), reason="no cmake or no make")
@needs_native
@pytest.mark.parametrize("options", MODES, ids=["frozen", "learning"])
def test_cmake_builds_the_library_inside_a_project(options: Options, model: Model, tmp_path: Path) -> None:
    library(model, options, tmp_path / "feast")
    shutil.copyfile(EXAMPLES / "minimal" / "src" / "main.c", tmp_path / "main.c")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(mine C)\nadd_subdirectory(feast)\n"
        "add_executable(mine main.c)\ntarget_link_libraries(mine PRIVATE feast)\n"
    )
    run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"])
    run(["cmake", "--build", tmp_path / "build"])
    assert len(run([tmp_path / "build" / "mine"]).splitlines()) == 34 * 34


@pytest.mark.firmware
@needs_compiler
@needs_emulator
def test_a_driver_of_ones_own_takes_the_place_of_the_link(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The camera example on an emulated board, raising its own interrupts; its results against the twin's."""
    board = get_board("mps2_an386")
    project = tmp_path / "firmware"
    emit_for_board(model, board, Options(), project)
    with_link = build(board, project)
    assert b"link_poll" in with_link.elf.read_bytes()
    driver = tmp_path / "driver"
    shutil.copytree(EXAMPLES / "camera", driver)
    shutil.copyfile(PROBE / "output.c", driver / "output.c")
    result = build(board, project, driver)
    assert result.ram_bytes < with_link.ram_bytes, "no receive ring, no frame buffers"
    assert b"link_poll" not in result.elf.read_bytes()
    with emulate(board, result.elf) as emulator:
        port = serial.serial_for_url(emulator.url, timeout=LIMIT_S)
        records = [struct.unpack("<IHHHhI", port.read(16)) for _ in range(1000)]
        port.close()
    events = events_of([list(record[:4]) for record in records])
    assert [record[4] for record in records] == Twin(quantise(model)[0], Options()).step(events).tolist()
    fed = [record[5] for record in records]
    assert all(after > before for before, after in itertools.pairwise(fed)), "the watchdog is fed"
    assert str(tmp_path).encode() not in result.elf.read_bytes()


@pytest.mark.firmware
@needs_compiler
@pytest.mark.parametrize("name", ["bbcmicrobit", "pico", "nrf52840dk", "nucleo_h743zi"])
def test_the_camera_example_builds_for_other_boards(name: str, model: Model, tmp_path: Path) -> None:
    board = get_board(name)
    emit_for_board(model, board, Options(), tmp_path / "firmware")
    result = build(board, tmp_path / "firmware", EXAMPLES / "camera")
    assert result.flash_bytes < board.flash.bytes


def test_a_folder_without_code_is_no_driver(model: Model, tmp_path: Path) -> None:
    board = get_board("mps2_an386")
    emit_for_board(model, board, Options(), tmp_path / "firmware")
    with pytest.raises(FeastError, match=r"holds no \.c file: expected the folder of a driver"):
        build(board, tmp_path / "firmware", tmp_path)
