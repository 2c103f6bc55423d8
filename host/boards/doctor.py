"""What is installed here, and what can be done with each board from here."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from feast_codegen.codegen.base.processes import run
from feast_codegen.codegen.boards.board import Board
from feast_codegen.host.boards.emulator import QEMU
from feast_codegen.host.boards.flash import find_program, methods

COMPILER: Final = "arm-none-eabi-gcc"
_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class Tool:
    """A program or package that some jobs need."""

    name: str
    purpose: str
    version: str | None
    """None: it is not there, or does not work."""
    install: str
    """The command that installs it on this system."""


@dataclass(frozen=True)
class BoardState:
    """What can be done with a board from here. `flash`: the ways whose program is there."""

    name: str
    build: bool
    run: bool
    flash: tuple[str, ...]
    missing: tuple[str, ...]
    """Tools whose installation would allow more."""


@dataclass(frozen=True)
class _Program:
    name: str
    purpose: str
    packages: Mapping[str, str]
    """Package by package manager."""


_PROGRAMS: Final = (
    _Program("cc", "codegen verify", {"apt": "gcc libc6-dev", "dnf": "gcc", "pacman": "gcc"}),
    _Program(
        COMPILER,
        "codegen build",
        {
            "apt": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
            "dnf": "arm-none-eabi-gcc-cs arm-none-eabi-newlib",
            "pacman": "arm-none-eabi-gcc arm-none-eabi-newlib",
            "brew": "--cask gcc-arm-embedded",
        },
    ),
    _Program(
        QEMU,
        "codegen emulate",
        {"apt": "qemu-system-arm", "dnf": "qemu-system-arm", "pacman": "qemu-system-arm", "brew": "qemu"},
    ),
    _Program(
        "openocd",
        "codegen flash --programmer openocd",
        {"apt": "openocd", "dnf": "openocd", "pacman": "openocd", "brew": "open-ocd"},
    ),
)
_DISTRIBUTIONS: Final = (
    ("platformio", "codegen build", "pip install 'platformio>=6.1.15'"),
    ("scons", "codegen build", "pip install scons"),
    ("pyocd", "codegen flash --programmer pyocd", "pip install 'feast-codegen[flash]'"),
)
_MANAGERS: Final = {
    "apt": ("apt-get", "sudo apt-get install"),
    "dnf": ("dnf", "sudo dnf install"),
    "pacman": ("pacman", "sudo pacman -S"),
    "brew": ("brew", "brew install"),
}


def examine() -> list[Tool]:
    """Every tool, looked up now. Nothing is changed, nothing is fetched."""
    tools = [Tool("python", "everything", platform.python_version(), "")]
    tools += [
        Tool(program.name, program.purpose, _program_version(program.name), _install_command(program))
        for program in _PROGRAMS
    ]
    for name, purpose, install in _DISTRIBUTIONS:
        tools.append(Tool(name, purpose, _distribution_version(name), install))
    return tools


def assess(board: Board, has: Callable[[str], bool]) -> BoardState:
    """What can be done with `board`, given which tools are there by name."""
    needed = [name for name in (COMPILER, "platformio", "scons") if not has(name)]
    build = not needed
    if board.qemu and not has(QEMU):
        needed.append(QEMU)
    ways = methods(board)
    usable = tuple(way for way in ways if way == "uf2" or has(way))
    if ways and not usable:
        needed.append(ways[0])
    return BoardState(
        name=board.name,
        build=build,
        run=build and board.qemu is not None and has(QEMU),
        flash=usable if build else (),
        missing=tuple(needed),
    )


def _distribution_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _program_version(name: str) -> str | None:
    if name == "cc":
        name = os.environ.get("CC", "cc").split()[0]
    program = find_program(name)
    if program is None:
        return None
    try:
        done = run([program, "--version"], limit_s=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or (name == COMPILER and not _has_newlib(program)):
        return None
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def _has_newlib(compiler: str) -> bool:
    """The C library is a package of its own on Debian; without it nothing links."""
    try:
        done = run([compiler, "-print-file-name=libc.a"], limit_s=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "/" in done.stdout or "\\" in done.stdout


def _install_command(program: _Program) -> str:
    if sys.platform == "darwin" and program.name == "cc":
        return "xcode-select --install"
    for manager, (executable, command) in _MANAGERS.items():
        if manager in program.packages and shutil.which(executable):
            return f"{command} {program.packages[manager]}"
    return f"install the package {next(iter(program.packages.values()))} (on Windows: in WSL)"
