"""Compiles the C kernel of the float model for this processor and keeps the result in the user's cache.

A library is named by the hash of its source, the compiler's version and everything that ``-march=native``
stands for, so a cache that several machines share holds one for each kind of processor.

The kernel takes the widest vectors that this processor has. ``FEAST_LANES=16``, ``8`` or ``4`` in the
environment sets their width in float32 values instead, on any machine: the instructions of wider vectors are
left out, and where this processor has none of that width the compiler splits each vector. The width decides
the order of float32 sums, so what is learned differs from width to width, from the last bits on.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import cffi

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.processes import run
from feast_codegen.codegen.base.temporary import temporary_folder, variables
from feast_codegen.host.progress import note

KERNELS: Final = Path(__file__).parent / "kernels"
SOURCE: Final = KERNELS / "feast_float.c"
HEADER: Final = KERNELS / "lanes.h"
_FLAGS: Final = (
    *("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared"),
    "-Wno-psabi",  # vectors wider than the processor's are passed between inlined functions only
)
_TARGETS: Final = (("-march=native",), ("-mcpu=native",), ())
"""Tried in turn: how compilers call this processor; with none the kernel is portable and still vectorised.
None goes beyond this processor: what it lacks is never executed, at any width."""
_WITHOUT: Final = {16: (), 8: ("-mno-avx512f",), 4: ("-mno-avx",)}
"""Lanes: what makes x86 a processor without wider vectors (and, at 4, without fused multiply-add)."""
LANES_VARIABLE: Final = "FEAST_LANES"
_LIMIT_S: Final = 120

_CDEF: Final = """
typedef struct {
    int32_t width, height, stride, features_per_bank, vectors;
    int32_t separate, is_signed, skip_border, learning, nearest;
    double octaves_per_us, eta, delta_i, delta_e;
} rule_t;
typedef struct {
    float *surfaces, *weights;
    double *thresholds;
    float *limits, *open, *energies, *sums;
    uint64_t *times_us;
    double *phase;
    int64_t *counters;
} state_t;
int32_t feast_lanes(void);
void feast_limits(const rule_t *rule, const state_t *state);
void feast_step(const rule_t *rule, const state_t *state, const void *events, int64_t count, int16_t *results,
                double *details);
"""


class Kernel:
    """The compiled kernel for one radius, loaded into this process."""

    def __init__(self, library: Path) -> None:
        """Raises OSError if the file cannot be loaded."""
        self.ffi = cffi.FFI()
        self.ffi.cdef(_CDEF)
        self.lib: Any = self.ffi.dlopen(str(library))
        self.lanes: int = self.lib.feast_lanes()
        """float32 values in a vector: 16, 8 or 4."""


def chosen_lanes() -> int | None:
    """The width that FEAST_LANES sets; None where it is unset or empty. Raises FeastError for any other."""
    text = os.environ.get(LANES_VARIABLE, "")
    if not text:
        return None
    if text not in map(str, _WITHOUT):
        raise FeastError(f"{LANES_VARIABLE}={text}: expected 4, 8 or 16, or unset for this processor's own")
    return int(text)


@functools.cache
def load_kernel(radius: int, lanes: int | None = None) -> Kernel | None:
    """The kernel for patches of this radius; None, said once on stderr, where it cannot be compiled.

    `lanes`: 4, 8 or 16 float32 values in a vector; None, as many as this processor has.
    """
    try:
        return Kernel(_library(radius, lanes))
    except (OSError, subprocess.SubprocessError) as error:
        _say_once(" ".join(str(error).split()))
        return None


@functools.cache
def _say_once(reason: str) -> None:
    note(f"codegen: no C kernel for the float model, numba steps it instead, several times slower: {reason}")


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``feast-codegen`` in XDG_CACHE_HOME, or in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "feast-codegen"


def _targets(lanes: int | None) -> list[tuple[str, ...]]:
    """Flags for this processor, tried in turn: first, for a width, those that leave wider vectors out."""
    if lanes is None:
        return list(_TARGETS)
    width = f"-DFEAST_LANES={lanes}"
    narrowed = [(*target, *_WITHOUT[lanes], width) for target in _TARGETS] if _WITHOUT[lanes] else []
    return [*narrowed, *((*target, width) for target in _TARGETS)]


def _library(radius: int, lanes: int | None = None) -> Path:
    """Path of the compiled library. Raises OSError or SubprocessError if there can be none."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        raise FileNotFoundError(f"{compiler[0] if compiler else 'CC'} is not on PATH; install gcc or clang")
    folder = _writable_cache()
    problem = ""
    for target in _targets(lanes):
        command = [*compiler, *_FLAGS, *target, f"-DFEAST_RADIUS={radius}"]
        library = folder / f"feast-{_key(command, folder)}.so"
        if not library.is_file():
            problem = _compile(command, library)
        if not problem:
            return library
    raise OSError(f"{compiler[0]} refused it: {problem}")


def _writable_cache() -> Path:
    """The cache folder, or a temporary one for this process where it cannot be written."""
    with contextlib.suppress(OSError, RuntimeError):  # there may be no home
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    return _temporary_folder()


@functools.cache
def _temporary_folder() -> Path:
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(temporary_folder("kernel"))


def _key(command: list[str], folder: Path) -> str:
    """Hash of the source and of the compiler's full command line, with the processor's name spelt out."""
    shown = run([*command, "-###", "-E", "-x", "c", os.devnull], limit_s=_LIMIT_S, cwd=folder)
    digest = hashlib.sha256(SOURCE.read_bytes() + HEADER.read_bytes())
    digest.update("\0".join(command).encode() + shown.stderr.encode())
    return digest.hexdigest()[:24]


def _compile(command: list[str], library: Path) -> str:
    """Write `library` whole or not at all; returns the compiler's first complaint, empty if there is none."""
    with temporary_folder("compile", library.parent) as folder:
        partial = folder / library.name
        done = run(
            [*command, f"-I{KERNELS}", "-o", str(partial), str(SOURCE), "-lm"],
            limit_s=_LIMIT_S,
            env=variables(folder),
        )
        if done.returncode == 0:
            partial.replace(library)
            return ""
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return next((line for line in lines if "error" in line), lines[-1])
