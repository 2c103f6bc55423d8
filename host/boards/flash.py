"""Gets a firmware onto a board: the command for each way, running it, and what to do when it fails."""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.processes import run
from feast_codegen.codegen.boards.board import Board, Program
from feast_codegen.host.boards.uf2 import flash_pages, uf2_image

Method = Literal["pyocd", "openocd", "uf2"]

INSTALL: Final = {
    "pyocd": "pip install 'feast-codegen[flash]'",
    "openocd": "sudo apt-get install openocd (macOS: brew install open-ocd)",
}
_TIMEOUT_S: Final = 180.0
_PLAIN_PROBES: Final = ("interface/jlink.cfg", "interface/cmsis-dap.cfg")
UF2_MARK: Final = "INFO_UF2.TXT"
"""A file that every UF2 boot loader shows on its drive."""


@dataclass(frozen=True)
class Flashing:
    """How a firmware gets onto a board: by a command, or by a copy to a drive."""

    board: Board
    method: Method
    command: tuple[str, ...]
    """Exactly what is run; for `uf2` the equivalent copy."""
    source: Path
    """What is written to the board."""


def methods(board: Board) -> tuple[Method, ...]:
    """Ways to flash a board, the preferred one first: a drive, then what needs no CMSIS pack."""
    program = board.program
    if program is None:
        return ()
    there: dict[Method, bool] = {
        "uf2": program.uf2 is not None,
        "pyocd": program.pyocd is not None and not program.pack,
        "openocd": program.openocd is not None,
    }
    found = [method for method, possible in there.items() if possible]
    return (*found, "pyocd") if program.pack else tuple(found)


def plan_flashing(
    board: Board, elf: Path, method: Method | None = None, probe: str | None = None
) -> Flashing:
    """The way to flash `elf`, the preferred one unless `method` is given.

    probe: serial number of the debug probe, or, for a drive, the folder it is mounted at. Raises
    FeastError if the board cannot be flashed, or not that way.
    """
    possible = methods(board)
    program = board.program
    if program is None or not possible:
        raise FeastError(
            f"board {board.name}: an FPGA image without a flash to write: load {elf} as its manual says "
            f"({board.url}), or run it emulated: codegen emulate --board {board.name} MODEL SOURCE"
        )
    chosen = method or possible[0]
    if chosen not in possible:
        raise FeastError(
            f"board {board.name} is not flashed by {chosen}: expected one of {', '.join(possible)}"
        )
    source = elf.with_suffix(".uf2") if chosen == "uf2" else elf
    return Flashing(board, chosen, _command(program, chosen, source, probe), source)


def _command(program: Program, method: Method, source: Path, probe: str | None) -> tuple[str, ...]:
    if method == "pyocd":
        serial = ("--uid", probe) if probe else ()
        # -W: without a probe it fails instead of waiting for one.
        return ("pyocd", "flash", "-W", "--target", str(program.pyocd), *serial, str(source))
    if method == "openocd":
        return ("openocd", *_openocd_setup(program, probe), "-c", _openocd_program(source))
    assert program.uf2
    drive = probe or find_drive(program.uf2.drive, drive_roots()) or drive_roots()[0] / program.uf2.drive
    return ("cp", str(source), str(drive))


def _openocd_program(elf: Path) -> str:
    return f"program {{{elf.as_posix()}}} verify reset; shutdown"


def _openocd_setup(program: Program, probe: str | None) -> list[str]:
    """The files; between interface and target, the transport and speed that generic probes need."""
    first, *rest = program.openocd or ()
    words = ["-f", first]
    if first in _PLAIN_PROBES:
        words += ["-c", "transport select swd; adapter speed 1000"]
    if probe:
        words += ["-c", f"adapter serial {probe}"]
    return words + [word for name in rest for word in ("-f", name)]


def find_program(name: str) -> str | None:
    """Path of an executable: beside this Python first, then on PATH."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=beside) or shutil.which(name)


def flash(flashing: Flashing, elf: Path, probe: str | None = None) -> None:
    """Write the firmware to the board. Raises FeastError with what to do next."""
    if flashing.method == "uf2":
        _copy(flashing, elf, probe)
        return
    name, *arguments = flashing.command
    program = find_program(name)
    if program is None:
        raise FeastError(f"{name} is not installed: {INSTALL[name]}")
    try:
        done = run([program, *arguments], limit_s=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise FeastError(
            f"{name} did not finish in {_TIMEOUT_S:.0f} s: unplug the board, plug it in again, and repeat"
        ) from None
    output = done.stdout + done.stderr
    failed = done.returncode != 0 or "** Programming Failed **" in output
    if failed:
        raise FeastError(explain(flashing, output))


def udev_rule(usb: Iterable[str]) -> str:
    """The command that lets users of this Linux machine use USB devices of these ids (vendor:product)."""
    rules = " ".join(
        f'\'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}", TAG+="uaccess"\''
        for vendor, product in (device.split(":") for device in usb)
    )
    return (
        f"printf '%s\\n' {rules} | sudo tee /etc/udev/rules.d/70-feast-probe.rules && "
        "sudo udevadm control --reload && sudo udevadm trigger"
    )


_CAUSES: Final = (
    (r"access denied|LIBUSB_ERROR_ACCESS|permission|insufficient permissions|Errno 13", "permission"),
    (r"resource busy|LIBUSB_ERROR_BUSY|already open|in use|Errno 16", "busy"),
    (r"target type .* (not|isn't) recogni[sz]ed|unknown target|CMSIS-Pack", "pack"),
    (r"can't find .*\.cfg", "config"),
    (r"APPROTECT|is locked|secured|readout protect|device is protected", "locked"),
    (
        r"no available debug probes|no connected debug probe|no probe|unable to find a matching|"
        r"no device found|open failed|unable to open|no cmsis-dap device",
        "probe",
    ),
    (
        r"no ack|idcode|init mode failed|unable to connect to the target|could not find MEM-AP|"
        r"wrong|mismatch|error connecting|cannot connect|SWD/JTAG communication failure",
        "target",
    ),
)


def explain(flashing: Flashing, output: str) -> str:
    """One line for a flashing tool's failure: its own complaint, and what to do next."""
    board = flashing.board
    program = board.program
    assert program
    cause = next((name for pattern, name in _CAUSES if re.search(pattern, output, re.IGNORECASE)), None)
    advice = {
        "permission": "this user may not use the probe. On Linux run once: "
        f"{udev_rule(program.usb)}; then plug it in again",
        "busy": "another program has the probe: close debuggers and serial monitors, then repeat",
        "pack": f"pyOCD lacks this part: pyocd pack install {program.pyocd}; "
        "or repeat with --programmer openocd",
        "config": "this OpenOCD does not know the board: install a newer one (0.12 or later)"
        + (", or repeat with --programmer pyocd" if program.pyocd else ""),
        "locked": "the chip is protected; erasing all of it lifts that: "
        f"pyocd erase --mass -W --target {program.pyocd or board.name}",
        "probe": f"no debug probe found (USB {', '.join(program.usb)}): connect the board by its debug port, "
        "with a cable that carries data; `pyocd list` shows probes; on Linux it may need: "
        f"{udev_rule(program.usb)}",
        "target": f"the probe does not reach a chip like that of {board.name}: check --board, power and "
        "wiring; if the firmware sleeps or has crashed, hold the reset button while starting this again",
        None: "check cable, power and --board, then repeat",
    }[cause]
    complaint = _complaint(output) or "no message"
    return f"board {board.name}: {flashing.command[0]} failed ({complaint}): {advice}"


def _complaint(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for mark in ("error", "critical", "failed", "no "):
        for line in lines:
            if mark in line.lower():
                return line[:160]
    return lines[-1][:160] if lines else ""


# --- a drive -----------------------------------------------------------------------------------------


def drive_roots() -> list[Path]:
    """Folders that removable drives are mounted in or at, on Linux, macOS and Windows."""
    user = os.environ.get("USER") or os.environ.get("USERNAME") or ""
    if sys.platform == "win32":
        return [Path(f"{letter}:/") for letter in string.ascii_uppercase[3:]]
    if sys.platform == "darwin":
        return [Path("/Volumes")]
    return [Path("/media") / user, Path("/run/media") / user, Path("/media"), Path("/mnt")]


def find_drive(name: str, roots: Sequence[Path]) -> Path | None:
    """The mounted boot loader drive of that volume name."""
    for root in roots:
        for folder in (root / name, root):
            mark = folder / UF2_MARK
            try:
                text = mark.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if folder.name == name or name in text:
                return folder
    return None


def _copy(flashing: Flashing, elf: Path, probe: str | None) -> None:
    program = flashing.board.program
    assert program and program.uf2
    name = program.uf2.drive
    drive = Path(probe) if probe else find_drive(name, drive_roots())
    if drive is None:
        raise FeastError(
            f"board {flashing.board.name}: no drive {name} is mounted: hold BOOTSEL while plugging the board "
            "in, mount the drive if your system does not, then repeat; or name its folder with --probe"
        )
    if not (drive / UF2_MARK).is_file():
        raise FeastError(f"{drive}: has no {UF2_MARK}, so it is not the drive {name}: check --probe")
    image = uf2_image(flash_pages(elf), program.uf2.family)
    target = drive / flashing.source.name
    try:
        with target.open("wb") as file:
            file.write(image)
            file.flush()
            os.fsync(file.fileno())
    except PermissionError:
        raise FeastError(
            f"{target}: no permission to write: mount the drive as your user, for example by udisksctl mount"
        ) from None
    except OSError as error:
        raise FeastError(
            f"{target}: {error.strerror or error}: plug the board in again holding BOOTSEL, then repeat"
        ) from None
