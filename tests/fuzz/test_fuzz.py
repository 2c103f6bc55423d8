"""The fuzz targets of tests/fuzz on the inputs that are kept, faults that they find, and new inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz import host
from tests.fuzz.targets import TARGETS, Files, Sources, build, corpus, fuzz, replay, sources
from tests.support.paths import ROOT

RUNS = int(os.environ.get("FUZZ_RUNS", "100000"))
"""Executions of each target in the long check."""


@pytest.fixture(scope="module")
def sanitizers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips, saying so, where there is no compiler with sanitizers."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    try:
        build("framing", sources("framing"), tmp_path_factory.mktemp("probe"), fuzz=False)
    except AssertionError as problem:
        pytest.skip(f"cc has no sanitizers here: {str(problem).splitlines()[0]}")


@pytest.mark.usefixtures("sanitizers")
@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs(target: str, tmp_path: Path) -> None:
    inputs = corpus(target)
    assert len(inputs) > 10
    done = replay(build(target, sources(target), tmp_path, fuzz=False), inputs)
    assert (done.returncode, done.stderr) == (0, "")


FAULTS = [
    ("framing", "framing.c", "self->length < self->capacity", "self->length <= self->capacity", "overflow"),
    ("framing", "framing.c", "self->code = CODE_FULL;", "self->code = 1;", "does not hold"),
    ("link", "link.c", "count > LINK_RESULT_WINDOW - ((uint32_t)self->events - self->received)",
     "count > LINK_RESULT_WINDOW", "does not hold"),
    ("link", "state.c", "if (first > FEAST_SNAPSHOT_WORDS || count > FEAST_SNAPSHOT_WORDS - first)",
     "if (first > FEAST_SNAPSHOT_WORDS)", ""),
    ("link", "framing.c", "return intact ? FRAMING_FRAME : FRAMING_BAD_CRC;",
     "return FRAMING_FRAME;", "does not hold"),
    ("persist", "persist.c", "checksum(slot, &found.number) == feast_wire_get_u32(stored)",
     "(checksum(slot, &found.number), true)", "does not hold"),
    ("persist", "persist.c", "slot = 1u;", "slot = 0u;", "does not hold"),
    ("input", "src/feast_evt2.c", "self->held == 0u", "self->held == 1u", "does not hold"),
    ("input", "src/feast_rows.c", "self->held = (uint8_t)((self->held + 1u) % FEAST_ROWS_BYTES);",
     "self->held = (uint8_t)(self->held + 1u);", "hold"),
    ("input", "src/feast_edvs.c", "size > count - at", "size > count", "overflow"),
    ("step-learning", "src/feast.c", "event->y >= FEAST_CAMERA_HEIGHT", "event->y > FEAST_CAMERA_HEIGHT", ""),
    ("step-learning", "src/feast_layer1_learn.c", "1664525u", "1664527u", "hold"),
    ("step-frozen", "src/feast_layer1_step.h", "octaves < FEAST_LAYER1_DEAD_OCTAVES", "octaves < UINT32_MAX",
     "shift exponent"),
]  # fmt: skip
"""Target, file, what is replaced (in the second variant of `step`), and a word of what is said."""
ONE_EACH = list({fault[0]: fault for fault in FAULTS}.values())
OTHERS = [pytest.param(*fault, marks=pytest.mark.prove) for fault in FAULTS if fault not in ONE_EACH]


def planted(target: str, path: str, right: str, wrong: str) -> Sources:
    def plant(files: Files) -> Files:
        assert files[path].count(right) == 1, f"{path}: {right!r} is not there once"
        return files | {path: files[path].replace(right, wrong)}

    made_of = sources(target)
    if path in made_of.firmware:
        return replace(made_of, firmware=plant(made_of.firmware))
    return replace(made_of, libraries=(*made_of.libraries[:-1], plant(made_of.libraries[-1])))


@pytest.mark.usefixtures("sanitizers")
@pytest.mark.parametrize(("target", "path", "right", "wrong", "said"), ONE_EACH + OTHERS)
def test_kept_inputs_find_a_planted_fault(
    target: str, path: str, right: str, wrong: str, said: str, tmp_path: Path
) -> None:
    program = build(target, planted(target, path, right, wrong), tmp_path, fuzz=False)
    done = replay(program, corpus(target))
    assert done.returncode != 0 and said in done.stderr, done.stderr


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips, saying so, where clang has no libFuzzer."""
    if shutil.which("clang") is None:
        pytest.skip("no clang")
    try:
        build("framing", sources("framing"), tmp_path_factory.mktemp("probe"), fuzz=True)
    except AssertionError as problem:
        pytest.skip(f"clang has no libFuzzer here: {str(problem).splitlines()[0]}")


POSIX = pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process as Linux does")


@POSIX
def test_damaged_files() -> None:
    """Recordings of all formats and model files; `python -m tests.fuzz.host` does the same for longer."""
    report, failed = host.watched(3000, seed=1)
    assert failed is None, report


@POSIX
@pytest.mark.prove
@pytest.mark.parametrize("seed", range(2, 6))
def test_more_damaged_files(seed: int) -> None:
    report, failed = host.watched(RUNS, seed)
    assert failed is None, report


@POSIX
def test_the_fuzzer_of_files_finds_a_planted_fault(tmp_path: Path) -> None:
    """In a process of its own, as `watched` does it: a reader that lets an error of zipfile out."""
    script = "import contextlib, feast_codegen.host.recordings.readers.arrays as a\n"
    script += "a._damaged = lambda *_: contextlib.nullcontext()\n"
    script += "from pathlib import Path; from tests.fuzz import host\n"
    script += f"host.run(Path({str(tmp_path)!r}), 2000, 1, ['npz of columns'])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1 and "FeastError" not in done.stderr.splitlines()[-1]
    assert list(tmp_path.glob("input*"))


@pytest.mark.prove
@pytest.mark.usefixtures("fuzzer")
@pytest.mark.parametrize("target", TARGETS)
def test_new_inputs(target: str, tmp_path: Path) -> None:
    """`python -m tests.fuzz` does the same for longer."""
    done = fuzz(build(target, sources(target), tmp_path, fuzz=True), corpus(target), RUNS, tmp_path / "fuzz")
    assert done.crash is None, f"{done.crash!r}\n{done.report[-3000:]}"
    assert done.executions >= RUNS


@pytest.mark.prove
@pytest.mark.usefixtures("fuzzer")
@pytest.mark.parametrize(("target", "path", "right", "wrong", "said"), ONE_EACH)
def test_the_fuzzer_finds_a_planted_fault_from_nothing(
    target: str, path: str, right: str, wrong: str, said: str, tmp_path: Path
) -> None:
    program = build(target, planted(target, path, right, wrong), tmp_path, fuzz=True)
    done = fuzz(program, [bytes(8)], 2_000_000, tmp_path / "fuzz")
    assert done.crash is not None and said in done.report
