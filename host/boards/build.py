"""Builds the firmware of a board with PlatformIO and measures the result."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.processes import run
from feast_codegen.codegen.base.temporary import temporary_folder, variables
from feast_codegen.codegen.boards.board import Board
from feast_codegen.codegen.emit.write import write
from feast_codegen.host.boards.firmware_project import PROJECT, check_project, prepare_project
from feast_codegen.host.boards.identity import Identity, identity_of_library, require_identity
from feast_codegen.host.boards.platformio_env import platformio_environment, prepare_scons
from feast_codegen.host.boards.project_lock import HELD, project_lock
from feast_codegen.host.boards.uf2 import flash_pages, uf2_image

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
    identity: Identity | None = None
    """The ids that the ELF carries; None for a library without ids, such as one written by hand."""


def build(
    board: Board,
    project_dir: Path = PROJECT,
    driver: Path | None = None,
    library: Mapping[str, str] | None = None,
) -> BuildResult:
    """Build the library emitted to ``project_dir/lib/feast`` for `board`.

    driver: a folder of C files that replaces the serial link (docs/use/boards.md). library: files to emit
    there first. The same bytes as `pio run -e NAME` in the project's folder; boards that take UF2 get
    firmware.uf2 beside the ELF. One build at a time runs in a project, others wait. The ELF of the result is
    a copy that only a build of the same board, driver, build id and model id replaces, and carries these ids.

    Raises FeastError if nothing was emitted, if tools are missing, if the ELF carries other ids than the
    library, or with the compiler's first complaint.
    """
    check_project(project_dir)
    if driver is not None and not any(driver.glob("*.c")):
        raise FeastError(
            f"{driver}: holds no .c file: expected the folder of a driver, see docs/use/boards.md"
        )
    with project_lock(project_dir):
        prepare_project(project_dir)
        folder = project_dir / "lib" / "feast"
        if library is not None:
            write(dict(library), folder)
        if not (folder / "library.json").is_file():
            raise FeastError(
                f"{folder} holds no emitted library: run `codegen emit MODEL.npz --board {board.name}` first"
            )
        prepare_scons()
        identity, before = identity_of_library(folder), _digest(folder)
        log = project_dir / ".pio" / f"{board.name}.log"
        if identity is not None:
            log = own_firmware_path(board, identity, project_dir, driver).with_name(log.name)
        _run_platformio(board, project_dir, driver, log)
        elf = firmware_path(board, project_dir)
        if _digest(folder) != before:
            raise FeastError(f"{folder}: was changed during the build: run it again")
        if identity is not None:
            elf = _checked_copy(elf, log.parent, identity)
        for each in {elf, firmware_path(board, project_dir)} if board.program and board.program.uf2 else ():
            assert board.program and board.program.uf2
            each.with_suffix(".uf2").write_bytes(uf2_image(flash_pages(elf), board.program.uf2.family))
    return replace(measure(elf, board), identity=identity)


def firmware_path(board: Board, project_dir: Path = PROJECT) -> Path:
    """Where PlatformIO leaves the firmware that was built last for a board."""
    return project_dir / ".pio" / "build" / board.name / "firmware.elf"


def own_firmware_path(
    board: Board, identity: Identity, project_dir: Path = PROJECT, driver: Path | None = None
) -> Path:
    """Where the firmware of a board with that library is, or will be: no other is ever put there."""
    name = identity.folder if driver is None else f"{identity.folder}-{_digest(driver)[:8]}"
    return project_dir / ".pio" / "feast" / board.name / name / "firmware.elf"


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


def _digest(folder: Path) -> str:
    """Hash of all files of a folder, names and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _checked_copy(elf: Path, folder: Path, identity: Identity) -> Path:
    """A copy of `elf` in `folder`, whole or not at all: an emulator may be loading the one that is there.

    Raises FeastError if it does not carry `identity`.
    """
    target = folder / elf.name
    partial = target.with_name(target.name + ".partial")
    try:
        shutil.copyfile(elf, partial)
        require_identity(partial, identity, elf)
        partial.replace(target)
    except OSError as error:
        raise FeastError(f"{target}: cannot write the firmware: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return target


def _run_platformio(board: Board, project_dir: Path, driver: Path | None, log: Path) -> None:
    environment = platformio_environment()
    # The firmware is looked for in the project's own folder.
    for folder in ("BUILD", "WORKSPACE", "SRC", "LIB", "PLATFORMS"):
        environment.pop(f"PLATFORMIO_{folder}_DIR", None)
    environment["FEAST_DRIVER"] = str(driver.resolve()) if driver else ""
    environment[HELD] = "1"
    command = [sys.executable, "-m", "platformio", "run", "-d", str(project_dir), "-e", board.name]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as output, temporary_folder("build") as temporary:
            environment = variables(temporary, environment)
            done = run(command, limit_s=_TIMEOUT_S, env=environment, stdout=output, stderr=subprocess.STDOUT)
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
