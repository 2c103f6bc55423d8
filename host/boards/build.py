"""Builds the firmware of a board with PlatformIO and measures the result."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from codegen.boards import Board
from codegen.errors import FeastError
from host.boards.platformio_env import platformio_environment, prepare_scons
from host.boards.project import PROJECT, prepare_project
from host.boards.uf2 import flash_pages, uf2_image

_TIMEOUT_S: Final = 900.0
"""Longest build; the first one may fetch a toolchain."""


@dataclass(frozen=True)
class BuildResult:
    """A linked firmware and what it takes of the board."""

    elf: Path
    flash_bytes: int
    """Code, tables, and the initial values of variables."""
    ram_bytes: int
    """Variables: the state of the model, receive ring, frame buffers. The stack is not included."""
    stack_bytes: int
    """What is set aside for the stack, at the bottom of the RAM."""


def build(board: Board, project_dir: Path = PROJECT, driver: Path | None = None) -> BuildResult:
    """Build the library emitted to ``project_dir/lib/feast`` for `board`.

    driver: a folder of C files that takes the place of the serial link (docs/boards.md). The same bytes as
    `pio run -e NAME` in the project's folder; boards that take UF2 get firmware.uf2 beside the ELF. Raises
    FeastError if nothing was emitted, if tools are missing, or with the compiler's first complaint.
    """
    prepare_project(project_dir)
    library = project_dir / "lib" / "feast"
    if not (library / "library.json").is_file():
        raise FeastError(
            f"{library} holds no emitted library: run `codegen emit MODEL.npz --board {board.name}` first"
        )
    if driver is not None and not any(driver.glob("*.c")):
        raise FeastError(f"{driver}: holds no .c file: expected the folder of a driver, see docs/boards.md")
    prepare_scons()
    _run_platformio(board, project_dir, driver)
    elf = firmware_path(board, project_dir)
    if board.program and board.program.uf2:
        elf.with_suffix(".uf2").write_bytes(uf2_image(flash_pages(elf), board.program.uf2.family))
    return measure(elf, board)


def firmware_path(board: Board, project_dir: Path = PROJECT) -> Path:
    """Where the firmware of a board is, or will be, built."""
    return project_dir / ".pio" / "build" / board.name / "firmware.elf"


def measure(elf: Path, board: Board) -> BuildResult:
    """Sizes of a linked firmware, from its sections. Raises FeastError if it cannot be read."""
    flash = ram = stack = 0
    try:
        with elf.open("rb") as file:
            for section in ELFFile(file).iter_sections():
                if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC:
                    continue
                size, address = section["sh_size"], section["sh_addr"]
                if section["sh_type"] != "SHT_NOBITS":
                    flash += size
                if section.name == ".stack":
                    stack += size
                elif board.ram.origin <= address < board.ram.end:
                    ram += size
    except (OSError, ELFError) as error:
        raise FeastError(f"{elf}: not a readable firmware: {error}") from None
    return BuildResult(elf, flash, ram, stack)


def _run_platformio(board: Board, project_dir: Path, driver: Path | None) -> None:
    log = project_dir / ".pio" / f"{board.name}.log"
    environment = platformio_environment()
    # The firmware is looked for in the project's own folder.
    for folder in ("BUILD", "WORKSPACE", "SRC", "LIB", "PLATFORMS"):
        environment.pop(f"PLATFORMIO_{folder}_DIR", None)
    environment["FEAST_DRIVER"] = str(driver.resolve()) if driver else ""
    command = [sys.executable, "-m", "platformio", "run", "-d", str(project_dir), "-e", board.name]
    try:
        log.parent.mkdir(exist_ok=True)
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise FeastError(f"board {board.name}: the build took over {_TIMEOUT_S:.0f} s; see {log}") from None
    except OSError as error:
        raise FeastError(f"board {board.name}: cannot build: {error}") from None
    if done.returncode:
        reason = _first_complaint(log.read_text(encoding="utf-8", errors="replace"))
        if shutil.which("arm-none-eabi-gcc") is None:
            reason += " (no arm-none-eabi-gcc on PATH: install gcc-arm-none-eabi and libnewlib-arm-none-eabi)"
        raise FeastError(f"board {board.name}: the build failed: {reason}; whole output: {log}")


def _first_complaint(output: str) -> str:
    """The line of a build log that says what went wrong.

    >>> _first_complaint("Compiling x.o\\nx.c:1:2: error: no\\nscons: *** [x.o] Error 1")
    'x.c:1:2: error: no'
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # The linker names the cause before the compiler driver reports that linking failed.
    marks = ("overflowed by", "undefined reference", "cannot find", "error:", "error")
    for mark in marks:
        for line in lines:
            if mark in line.lower():
                return re.sub(r"^(Error|\S*/ld(\.bfd)?): ", "", line)
    return lines[-1] if lines else "PlatformIO printed nothing"
