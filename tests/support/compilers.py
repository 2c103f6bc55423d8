"""The compilers for Cortex-M that are here, besides the one that the firmware is built with."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base import tool
from feast_codegen.codegen.boards.board import Kernel

CORES: Final[dict[Kernel, str]] = {
    "small": "cortex-m0",
    "portable": "cortex-m3",
    "dsp": "cortex-m4",
    "vector": "cortex-m55",
}
"""The core that each kernel is compiled for."""
NAMES: Final = (
    "arm-none-eabi-gcc",
    "clang",
    "clang-14",
    "clang-19",
    "zig cc",
    f"{sys.executable} -m ziglang cc",
)
"""Looked for on the PATH; FEAST_COMPILERS names others, separated by semicolons."""


@dataclass(frozen=True)
class Compiler:
    """A command that compiles C for Cortex-M."""

    command: tuple[str, ...]
    family: str
    """``gcc``, ``clang`` or ``zig``."""
    version: int

    def call(self, core: str) -> list[str]:
        """Command and flags that choose a core."""
        hard = core == "cortex-m55"
        if self.family == "zig":
            target = f"thumb-freestanding-eabi{'hf' if hard else ''}"
            return [*self.command, "-target", target, f"-mcpu={core.replace('-', '_')}"]
        flags = ["-mthumb", f"-mcpu={core}", f"-mfloat-abi={'hard' if hard else 'soft'}"]
        return [*self.command, *(["--target=arm-none-eabi"] if self.family == "clang" else []), *flags]

    def knows(self, core: str) -> bool:
        """Whether there is code for `core`."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text("int probe;\n", encoding="utf-8")
            call = [*self.call(core), "-ffreestanding", "-c", str(source), "-o", f"{source}.o"]
            return subprocess.run(call, capture_output=True, check=False).returncode == 0


@cache
def find(name: str) -> Compiler | None:
    """The compiler of that command; None where there is none, or one too old."""
    command = tuple(shlex.split(name))
    module = command[1:3] == ("-m", "ziglang")
    if shutil.which(command[0]) is None or (module and importlib.util.find_spec("ziglang") is None):
        return None
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    said = re.search(r"\b(clang) version (\d+)|\(.*\) (\d+)\.\d+\.\d+", done.stdout)
    if done.returncode or not said:
        return None
    family = "zig" if "zig" in name else said[1] or "gcc"
    version = int(said[2] or said[3])
    oldest = tool.OLDEST_GCC if family == "gcc" else tool.OLDEST_CLANG
    return Compiler(command, family, version) if version >= oldest else None


def names() -> list[str]:
    """Commands to look for."""
    return [*NAMES, *filter(None, os.environ.get("FEAST_COMPILERS", "").split(";"))]
