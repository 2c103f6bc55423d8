"""Compiles the emitted C for this machine and drives it through cffi."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import cffi
import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, RESULT_DTYPE, Events, Results
from feast_codegen.codegen.base.processes import run
from feast_codegen.codegen.base.temporary import temporary_folder, variables

WARNINGS: Final = (
    *("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion"),
    *("-Wshadow", "-Wundef", "-Werror"),
)
_COMPILE_LIMIT_S: Final = 120

# A batch interface over the public API, so that one call crosses from Python for many events.
_SHIM: Final = """
#include "feast.h"
#include <stddef.h>
size_t native_bytes(void) { return sizeof(feast_t); }
void native_init(feast_t *self) { feast_init(self); }
void native_step(feast_t *self, const feast_event_t *events, size_t count, int16_t *results)
{
    for (size_t i = 0; i < count; i++) { results[i] = feast_step(self, &events[i]); }
}
uint32_t native_snapshot_words(void) { return FEAST_SNAPSHOT_WORDS; }
void native_snapshot(const feast_t *self, uint16_t *words)
{
    for (uint32_t i = 0; i < FEAST_SNAPSHOT_WORDS; i++) { words[i] = feast_snapshot_word(self, i); }
}
uint32_t native_features(void) { return FEAST_FEATURES; }
void native_wins(const feast_t *self, uint32_t *wins)
{
    for (uint32_t i = 0; i < FEAST_FEATURES; i++) { wins[i] = feast_wins(self, i); }
}
void native_thresholds(const feast_t *self, int32_t *thresholds)
{
    for (uint32_t i = 0; i < FEAST_FEATURES; i++) { thresholds[i] = feast_threshold(self, i); }
}
#if defined(FEAST_CLASSES) && !FEAST_FADES
uint32_t native_classes(void) { return FEAST_CLASSES; }
#else
uint32_t native_classes(void) { return 0; }
#endif
#if defined(FEAST_CLASSES) && FEAST_FADES
int native_fades(void) { return 1; }
#else
int native_fades(void) { return 0; }
#endif
#if FEAST_LEARNING
void native_set_learning(feast_t *self, int learning) { feast_set_learning(self, learning != 0); }
int native_import(feast_t *self, const uint16_t *words)
{
    for (uint32_t i = 0; i < FEAST_STATE_WORDS; i++) { feast_import_word(self, i, words[i]); }
    return feast_import_finish(self);
}
#endif
"""
_CDEF: Final = """
typedef struct feast feast_t;
typedef struct {
    uint32_t hits, misses, border, outside, backwards;
    uint16_t window_events, window_misses, last_window_misses;
    uint32_t filtered;
} feast_signals_t;
size_t native_bytes(void);
void native_step(feast_t *self, const void *events, size_t count, int16_t *results);
uint32_t native_snapshot_words(void);
void native_snapshot(const feast_t *self, uint16_t *words);
void native_set_learning(feast_t *self, int learning);
int native_import(feast_t *self, const uint16_t *words);
void feast_import_word(feast_t *self, uint32_t index, uint16_t word);
uint32_t native_features(void);
void native_wins(const feast_t *self, uint32_t *wins);
void native_thresholds(const feast_t *self, int32_t *thresholds);
uint32_t native_classes(void);
int native_fades(void);
typedef struct {
    uint32_t margin;
    int16_t label;
    uint16_t typicality;
    bool abstains;
} feast_decision_t;
void feast_classify(const feast_t *self, feast_decision_t *decision);
int64_t feast_score(const feast_t *self, uint32_t index);
int32_t feast_class(const feast_t *self);
void native_init(feast_t *self);
void feast_reset(feast_t *self);
void feast_signals(const feast_t *self, feast_signals_t *signals);
"""


class NativeFeast:
    """One network of an emitted library, loaded into this process."""

    def __init__(self, library: Path) -> None:
        ffi = cffi.FFI()
        ffi.cdef(_CDEF)
        self._ffi = ffi
        self._lib: Any = ffi.dlopen(str(library))
        # uint64_t[] gives the state the alignment that the compiler expects of it.
        self._memory = ffi.new("uint64_t[]", -(-self._lib.native_bytes() // 8))
        self._self = ffi.cast("feast_t *", self._memory)
        self._lib.native_init(self._self)

    @property
    def ram_bytes(self) -> int:
        """``sizeof(feast_t)`` on this machine."""
        return int(self._lib.native_bytes())

    def memory(self) -> bytes:
        """A copy of the state as it lies in memory, for `set_memory` of the same object."""
        return bytes(self._ffi.buffer(self._memory))

    def set_memory(self, memory: bytes) -> None:
        """Put a copied state back."""
        self._ffi.buffer(self._memory)[:] = memory

    def init(self) -> None:
        """Back to the model's weights; counters and surfaces cleared."""
        self._lib.native_init(self._self)

    def reset(self) -> None:
        """Start a new recording."""
        self._lib.feast_reset(self._self)

    def set_learning(self, learning: bool) -> None:
        """Switch learning; only for a library emitted with learning."""
        self._lib.native_set_learning(self._self, learning)

    def step(self, events: Events) -> Results:
        """Process events (``EVENT_DTYPE``) in order; int16 results of the same length."""
        events = np.ascontiguousarray(events, EVENT_DTYPE)
        results = np.empty(len(events), RESULT_DTYPE)
        self._lib.native_step(
            self._self,
            self._ffi.from_buffer(events) if len(events) else self._ffi.NULL,
            len(events),
            self._ffi.cast("int16_t *", results.ctypes.data),
        )
        return results

    def snapshot(self) -> npt.NDArray[np.uint16]:
        """The whole state in words (docs/reference/numerics.md section 8)."""
        words = np.empty(self._lib.native_snapshot_words(), np.uint16)
        self._lib.native_snapshot(self._self, self._ffi.cast("uint16_t *", words.ctypes.data))
        return words

    def signals(self) -> dict[str, int]:
        """The public signals by name."""
        signals = self._ffi.new("feast_signals_t *")
        self._lib.feast_signals(self._self, signals)
        return {name: int(getattr(signals, name)) for name in dir(signals)}

    @property
    def wins(self) -> npt.NDArray[np.uint32]:
        """uint32 (features,): how often each feature won, as the public function says."""
        wins = np.empty(self._lib.native_features(), np.uint32)
        self._lib.native_wins(self._self, self._ffi.cast("uint32_t *", wins.ctypes.data))
        return wins

    @property
    def thresholds(self) -> npt.NDArray[np.int32]:
        """int32 (features,), Q30: the selection thresholds, as the public function says."""
        thresholds = np.empty(self._lib.native_features(), np.int32)
        self._lib.native_thresholds(self._self, self._ffi.cast("int32_t *", thresholds.ctypes.data))
        return thresholds

    @property
    def scores(self) -> npt.NDArray[np.int64]:
        """Score of each class; empty for a library without class scores."""
        classes = range(self._lib.native_classes())
        return np.array([self._lib.feast_score(self._self, i) for i in classes], np.int64)

    @property
    def label(self) -> int:
        """Index of the class of the readout; -1 before a feature has won, or without a readout."""
        if self._lib.native_fades():
            return self.decision[0]
        return int(self._lib.feast_class(self._self)) if self._lib.native_classes() else -1

    @property
    def decision(self) -> tuple[int, int, int, bool]:
        """Label, margin, typicality and whether it abstains; only for a library whose readout fades."""
        decision = self._ffi.new("feast_decision_t *")
        self._lib.feast_classify(self._self, decision)
        return int(decision.label), int(decision.margin), int(decision.typicality), bool(decision.abstains)

    def import_word(self, index: int, word: int) -> None:
        """Give one word of a learned state, before `import_learned`; `index`: any of 32 bits."""
        self._lib.feast_import_word(self._self, index, word)

    def import_learned(self, words: npt.NDArray[np.uint16]) -> bool:
        """Replace the learned state; False if the library refused it and put its own back."""
        words = np.ascontiguousarray(words, np.uint16)
        return bool(
            self._lib.native_import(self._self, self._ffi.cast("const uint16_t *", words.ctypes.data))
        )


def build_native(files: dict[str, str], optimise: str = "-O2", flags: tuple[str, ...] = ()) -> NativeFeast:
    """Compile rendered files with the host compiler (``$CC``, else cc) and load them.

    Raises FeastError if there is no compiler or the code does not compile without warnings.
    """
    with temporary_folder("native") as folder:
        library = compile_library(files, folder, optimise, flags)
        return NativeFeast(library)


def compile_library(
    files: dict[str, str], folder: Path, optimise: str, flags: tuple[str, ...], command: str | None = None
) -> Path:
    """Write `files` and the batch shim below `folder` and compile them into one shared library.

    `command`: the compiler in place of ``$CC``.
    """
    compiler = shlex.split(command or os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        raise FeastError(f"no C compiler: {compiler[0]} is not on PATH; install gcc or clang, or set CC")
    for path, text in (files | {"src/native_shim.c": _SHIM}).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    sources = sorted(str(folder / path) for path in [*files, "src/native_shim.c"] if path.endswith(".c"))
    library = folder / "libfeast.so"
    call = [
        *compiler,
        *WARNINGS,
        optimise,
        *flags,
        "-fPIC",
        "-shared",
        f"-I{folder / 'include'}",
        "-o",
        str(library),
        *sources,
    ]
    try:
        done = run(call, limit_s=_COMPILE_LIMIT_S, env=variables(folder))
    except subprocess.TimeoutExpired:
        raise FeastError(f"{compiler[0]} did not finish within {_COMPILE_LIMIT_S} s") from None
    if done.returncode != 0:
        problem = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
        raise FeastError(f"{compiler[0]} refused the emitted C: {problem}")
    return library
