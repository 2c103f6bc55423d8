"""Whether C can be loaded here, and the kernel of the float model at each width of vectors."""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from feast_codegen.host.network.engines import c_kernel_build

WIDTHS: Final = ("4", "8", "16", "16 plain")
"""Values of FEAST_LANES; the last as on a processor without AVX-512, in plain vector code."""
NARROW: Final = "-mno-avx512f"


def compiler() -> list[str]:
    """The C compiler that the kernel is built with, with its flags."""
    return shlex.split(os.environ.get("CC", "cc"))


@cache
def loads_c() -> bool:
    """False without a C compiler, or with one for another processor.

    Asks for an empty function, not for the kernel: one that does not compile is no reason to skip.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "empty.c", Path(folder) / "empty.so"
        source.write_text("void empty(void); void empty(void) {}\n")
        try:
            subprocess.run(
                [*compiler(), "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True
            )
            ctypes.CDLL(str(library))
        except (OSError, subprocess.SubprocessError):
            return False
        return True


needs_c: Final = pytest.mark.skipif(
    not loads_c(), reason="no C compiler whose libraries load here (CC, or cc)"
)


@cache
def knows_x86_flags() -> bool:
    """Whether the compiler takes the flag that leaves AVX-512 out."""
    asked = subprocess.run(
        [*compiler(), NARROW, "-E", "-x", "c", os.devnull], capture_output=True, check=False
    )
    return asked.returncode == 0


@contextmanager
def kernel_of(width: str) -> Iterator[str]:
    """Networks made within step the kernel of this width of WIDTHS."""
    lanes, _, plain = width.partition(" ")
    if plain and not knows_x86_flags():
        pytest.skip(f"{compiler()[0]} has no AVX-512 to leave out: 16 lanes are plain vector code anyway")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAST_LANES", lanes)
        if plain:
            patch.setenv("CC", shlex.join([*compiler(), NARROW]))
        c_kernel_build.load_kernel.cache_clear()
        yield width
    c_kernel_build.load_kernel.cache_clear()
