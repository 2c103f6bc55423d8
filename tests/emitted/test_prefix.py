"""Several libraries in one program: names carry prefixes, and what does not belong together does not link."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.compiled_library import WARNINGS
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import MANIFEST, render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.emulator import emulate
from feast_codegen.host.boards.firmware_project import prepare_project
from feast_codegen.host.cli.app import app
from tests.support.firmware_project import needs_compiler, needs_emulator
from tests.support.networks import behind, make_events, make_model, make_stack, with_readout

CAMERA = Sensor(13, 9)
SMALL = {"radius": 1, "features": 3}
LEARNING = Options(learning=True)

needs_cc = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("cc", "ar", "nm")), reason="cc, ar or nm is not on PATH"
)


@dataclass(frozen=True)
class Library:
    """A model to be emitted under a prefix."""

    model: Model
    options: Options

    def files(self, board: str | None = None) -> dict[str, str]:
        quant, _ = quantise(self.model)
        return render(make_plan(quant, get_board(board) if board else None, self.options))

    def results(self, events: Events) -> list[int]:
        return [int(result) for result in Twin(quantise(self.model)[0], self.options).step(events)]


LIBRARIES = (
    Library(make_model(CAMERA, radius=2, features=5), Options(prefix="feast")),
    Library(
        make_model(CAMERA, seed=3, polarity="separate", eta=0.05, **SMALL),
        replace(LEARNING, prefix="left_eye"),
    ),
    Library(
        with_readout(
            make_stack(behind(Filters(CAMERA, ((1, 2),), 20, 5000, 1, 0), **SMALL), radius=1, features=4),
            2,
        ),
        replace(LEARNING, select="threshold", prefix="right_eye"),
    ),
)
"""Frozen, learning, and learning with every stage; the third one has two layers."""
EVENTS = make_events(400, CAMERA, seed=5, mean_gap_us=40.0)


def program(libraries: Sequence[Library], output: str) -> str:
    """C that gives all libraries the same events in turn; `output` is C that puts out an int16_t `result`."""
    names = [library.options.prefix for library in libraries]
    rows = ", ".join(
        f"{{ {event['t_us']}u, {event['x']}u, {event['y']}u, {event['polarity']}u }}" for event in EVENTS
    )
    steps = "\n".join(
        f"        {{ const {n}_event_t event = {{ rows[i].t, rows[i].x, rows[i].y, rows[i].polarity }};\n"
        f"          put({n}_step(&{n}, &event)); }}"
        for n in names
    )
    return (
        "".join(f'#include "{n}.h"\n' for n in names)
        + f"{output}\nstatic const struct {{ uint32_t t; uint16_t x, y; uint8_t polarity; }} "
        + f"rows[] = {{ {rows} }};\n"
        + "".join(f"static {n}_t {n};\n" for n in names)
        + "int main(void)\n{\n"
        + "".join(f"    {n}_init(&{n});\n" for n in names)
        + f"    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {{\n{steps}\n    }}\n"
        + "    return 0;\n}\n"
    )


PRINTED = '#include <stdio.h>\nstatic void put(int16_t result) { printf("%d\\n", (int)result); }'


def expected(libraries: Sequence[Library]) -> list[int]:
    return np.stack([library.results(EVENTS) for library in libraries], axis=1).reshape(-1).tolist()


def run(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def compiled(library: Library, folder: Path) -> list[Path]:
    """Object files of a library, which is written below `folder`."""
    home = folder / library.options.prefix
    write(library.files(), home)
    objects = []
    for source in sorted((home / "src").glob("*.c")):
        objects.append(home / f"{source.stem}.o")
        run(["cc", *WARNINGS, "-O2", f"-I{home / 'include'}", "-c", source, "-o", objects[-1]], folder)
    return objects


@needs_cc
@pytest.mark.parametrize("count", [2, 3])
def test_libraries_in_one_program_give_their_own_results(count: int, tmp_path: Path) -> None:
    """As objects, and as static archives in every order."""
    libraries = LIBRARIES[-count:]
    objects = {each.options.prefix: compiled(each, tmp_path) for each in libraries}
    for name, parts in objects.items():
        run(["ar", "rcs", f"lib{name}.a", *parts], tmp_path)
    (tmp_path / "main.c").write_text(program(libraries, PRINTED))
    include = [f"-I{tmp_path / name / 'include'}" for name in objects]
    run(["cc", "-std=c11", *include, "-c", "main.c", "-o", "main.o"], tmp_path)
    links: list[list[str | Path]] = [list(itertools.chain(*objects.values()))]
    links += [[f"lib{name}.a" for name in order] for order in itertools.permutations(objects)]
    for link in links:
        run(["cc", "main.o", *link, "-o", "main"], tmp_path)
        assert [int(line) for line in run(["./main"], tmp_path).split()] == expected(libraries)


@needs_cc
@pytest.mark.parametrize("library", LIBRARIES[1:], ids=lambda library: library.options.prefix)
def test_every_name_carries_the_prefix(library: Library, tmp_path: Path) -> None:
    """Symbols, local ones too; macros, types and include guards; files."""
    prefix = library.options.prefix
    names = set()
    for line in run(["nm", "--defined-only", *compiled(library, tmp_path)], tmp_path).splitlines():
        names |= {line.split()[-1]} if " " in line else set()
    for path, text in library.files().items():
        if path.startswith(("include/", "src/")):
            names.add(Path(path).name)
            code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
            for found in re.findall(r"#\s*define (\w+)|^static [^=;]*?(\w+)\(|^} (\w+);", code, flags=re.M):
                names.add("".join(found))
    assert len(names) > 50
    assert {
        name for name in names if not name.lower().startswith((f"{prefix}_", ".")) and name != f"{prefix}.h"
    } <= {f"{prefix}.c"}


@needs_cc
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on PATH")
def test_libraries_in_one_cmake_project(tmp_path: Path) -> None:
    for library in LIBRARIES:
        write(library.files(), tmp_path / library.options.prefix)
    names = [library.options.prefix for library in LIBRARIES]
    (tmp_path / "main.c").write_text(program(LIBRARIES, PRINTED))
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(eyes C)\n"
        + "".join(f"add_subdirectory({name})\n" for name in names)
        + f"add_executable(main main.c)\ntarget_link_libraries(main PRIVATE {' '.join(names)})\n"
    )
    run(["cmake", "-S", ".", "-B", "build", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"], tmp_path)
    run(["cmake", "--build", "build"], tmp_path)
    assert [int(line) for line in run(["build/main"], tmp_path).split()] == expected(LIBRARIES)


@needs_cc
@pytest.mark.parametrize(
    "other",
    [
        make_model(CAMERA, seed=1, radius=2, features=5),  # the same build, other weights
        make_model(CAMERA, radius=2, features=40),  # another state
    ],
    ids=["weights", "geometry"],
)
def test_a_header_and_an_archive_of_two_emissions_do_not_link(other: Model, tmp_path: Path) -> None:
    here = LIBRARIES[0]
    objects = compiled(here, tmp_path)
    run(["ar", "rcs", "libfeast.a", *objects], tmp_path)
    write(replace(here, model=other).files(), tmp_path / "other")
    (tmp_path / "main.c").write_text(program([here], PRINTED))
    for home, links in ((tmp_path / "feast", True), (tmp_path / "other", False)):
        command = ["cc", "-std=c11", f"-I{home / 'include'}", "main.c", "libfeast.a", "-o", "main"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == links
        assert links or re.search(r"feast_init_header_and_library_differ_[0-9a-f]{16}", done.stderr)


@needs_cc
def test_two_archives_of_one_prefix_do_not_link(tmp_path: Path) -> None:
    """Each caller would else run the first one."""
    models = {"one": LIBRARIES[0].model, "two": make_model(CAMERA, seed=1, radius=2, features=5)}
    for name, model in models.items():
        (tmp_path / name).mkdir()
        run(["ar", "rcs", f"lib{name}.a", *compiled(Library(model, Options()), tmp_path / name)], tmp_path)
        (tmp_path / f"{name}.c").write_text(
            f'#include "feast.h"\nstatic feast_t feast;\nint {name}(void);\n'
            f"int {name}(void) {{ feast_init(&feast); return 0; }}\n"
        )
        run(
            ["cc", f"-I{tmp_path / name / 'feast' / 'include'}", "-c", f"{name}.c", "-o", f"{name}.o"],
            tmp_path,
        )
    (tmp_path / "main.c").write_text(
        "int one(void); int two(void); int main(void) { return one() + two(); }\n"
    )
    command = ["cc", "main.c", "one.o", "two.o", "libone.a", "libtwo.a", "-o", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "multiple definition of `feast_" in done.stderr


@pytest.mark.firmware
@needs_compiler
@needs_emulator
def test_libraries_in_one_platformio_project(tmp_path: Path) -> None:
    """In lib/ of a firmware for an emulated board, which sends the results through its UART."""
    board = get_board("mps2_an386")
    prepare_project(tmp_path)
    for library in LIBRARIES:
        write(library.files(board.name), tmp_path / "lib" / library.options.prefix)
    put = """
static void put_byte(uint32_t value)
{
    volatile uint32_t *uart = (volatile uint32_t *)0x40004000u;
    while ((uart[1] & 1u) != 0u) { }
    uart[0] = value & 0xFFu;
}
static void put(int16_t result) { put_byte((uint16_t)result); put_byte((uint32_t)(uint16_t)result >> 8); }
"""
    text = program(LIBRARIES, put).replace("int main(void)\n{\n", "int main(void)\n{\n    UART_ON\n")
    on = "volatile uint32_t *uart = (volatile uint32_t *)0x40004000u; uart[4] = 217u; uart[2] = 1u;"
    end = "    while (1) { }\n    return 0;\n"
    (tmp_path / "src" / "main.c").write_text(text.replace("UART_ON", on).replace("    return 0;\n", end))
    built = build(board, tmp_path)
    import serial

    with emulate(board, built.elf) as emulator, serial.serial_for_url(emulator.url, timeout=20) as port:
        wanted = expected(LIBRARIES)
        received = port.read(2 * len(wanted))
    assert np.frombuffer(received, "<i2").tolist() == wanted


def test_manifest_reproduces_the_library(tmp_path: Path) -> None:
    """Its command, given the model, writes the very same files."""
    library = LIBRARIES[2]
    save_model(library.model, tmp_path / "model.npz")
    files = library.files("mps2_an386")
    manifest = json.loads(files[MANIFEST])
    assert {"generator", "version", "options", "library_id"} <= set(manifest)
    command = [
        str(tmp_path / "model.npz") if word == "MODEL" else word for word in manifest["command"].split()[1:]
    ]
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "lib")])
    assert done.exit_code == 0, done.output
    written = {
        str(p.relative_to(tmp_path / "lib")): p.read_text()
        for p in (tmp_path / "lib").rglob("*")
        if p.is_file()
    }
    assert written == files


@pytest.mark.parametrize("prefix", ["", "Eye", "9eye", "_eye", "an-eye", "a" * 25, "auge.", "é"])
def test_what_is_no_identifier_is_refused(prefix: str) -> None:
    with pytest.raises(FeastError, match="expected a C identifier in lower case"):
        Options(prefix=prefix).check()


@pytest.mark.parametrize("prefix", ["string", "stdint", "size", "uint16", "time", "math"])
def test_what_belongs_to_c_is_refused(prefix: str) -> None:
    with pytest.raises(FeastError, match="belongs to C itself"):
        Options(prefix=prefix).check()


def test_a_retrained_model_changes_tables_and_numbers_alone() -> None:
    model = make_model(CAMERA, radius=2, features=5)
    files = [
        Library(each, Options()).files() for each in (model, make_model(CAMERA, seed=1, radius=2, features=5))
    ]
    changed = {path for path in files[0] if files[0][path] != files[1][path]}
    assert changed == {"include/feast_config.h", "src/feast_layer1_tables.c", "manifest.json"}
