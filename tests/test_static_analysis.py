"""What analysers say about the emitted C, and that they would say it (docs/proofs.md)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from codegen.boards import Kernel
from codegen.options import Options
from tests.firmware_project import needs_compiler
from tests.networks import make_model
from tests.proofs import eva, firmware
from tests.proofs.driver import KERNELS, SENSOR, emitted, write_library

LEARNING = Options(learning=True)
THRESHOLD = Options(select="threshold")

LEARNING_ALARMS = {
    "sum0 += cell0 * feast_lane0(pair);",
    "sum0 += cell1 * feast_lane1(pair);",
    "sum1 += cell0 * feast_lane0(pair);",
    "sum1 += cell1 * feast_lane1(pair);",
    "return sum + factor * feast_lane0(a);",
    "return sum + factor * feast_lane1(a);",
    "return sum + feast_lane0(a) * feast_lane0(b) + feast_lane1(a) * feast_lane1(b);",
    "const int32_t cosine_q28 = mulh(feast_asr(dot, 1u) * (int32_t)patch_scale, inverse);",
    "const uint32_t dither = x >> (32u - bits);",
    "const int32_t lost_q30 = 4 * (one_q28 - norm2_q28 + mulh(FEAST_TWICE_ETA_Q32, norm2_q28 - cosine_q28));",
}
"""Statements whose bounds relate weights to their norm, which EVA does not follow; docs/proofs.md argues."""

SCORE_ALARM = "self->scores[i] += row[i];"
"""It takes 2^48 events to overflow, and EVA does not count them; docs/numerics.md section 13."""


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on PATH")


def statements(alarms: list[str]) -> set[str]:
    return {alarm.split(": ")[1] for alarm in alarms}


@pytest.mark.parametrize("kernel", ["portable", "vector"])
def test_packed_halving_is_halving_by_cell(kernel: Kernel, tmp_path: Path) -> None:
    """Every value in every lane by every count, the other lanes full or empty: what EVA is told holds."""
    need("cc")
    files = emitted(make_model(SENSOR, radius=2, neurons=2), Options(), kernel)
    files["src/exhaust.c"] = """#include "feast_kernel.h"
int main(void)
{
    for (uint32_t octaves = 0; octaves < FEAST_DEAD_OCTAVES; octaves++) {
        for (int32_t value = 0; value <= INT16_MAX; value++) {
            for (uint32_t lane = 0; lane < 4u; lane++) {
                for (int32_t other = 0; other <= INT16_MAX; other += INT16_MAX) {
                    union { int16_t cells[FEAST_STRIDE]; uint64_t align; } row;
                    for (uint32_t i = 0; i < FEAST_STRIDE; i++) {
                        row.cells[i] = (int16_t)(i % 4u == lane ? value : other);
                    }
                    feast_halve_row(row.cells, octaves);
                    for (uint32_t i = 0; i < FEAST_STRIDE; i++) {
                        if (row.cells[i] != (i % 4u == lane ? value : other) >> octaves) {
                            return 1;
                        }
                    }
                }
            }
        }
    }
    return 0;
}
"""
    sources = write_library(files, tmp_path)
    program = tmp_path / "exhaust"
    command = ["cc", "-std=c11", "-O2", f"-I{tmp_path / 'include'}", "-o", str(program), *sources]
    subprocess.run(command, check=True)
    assert subprocess.run([program], check=False).returncode == 0


@pytest.mark.prove
@pytest.mark.parametrize(
    ("options", "polarity", "border"),
    [
        (Options(), "separate", "zero"),
        (Options(), "merged", "skip"),
        (Options(), "signed", "zero"),
        (THRESHOLD, "signed", "skip"),
        (THRESHOLD, "separate", "zero"),
    ],
)
def test_eva_leaves_no_alarm_in_frozen_code(
    options: Options, polarity: str, border: str, tmp_path: Path
) -> None:
    need("frama-c")
    files = eva.library(options, polarity, border)
    if polarity != "signed":
        files = eva.halve_by_cell(files)
    assert eva.analyse(files, tmp_path) == []


@pytest.mark.prove
def test_eva_leaves_one_argued_alarm_in_class_scores(tmp_path: Path) -> None:
    need("frama-c")
    files = eva.halve_by_cell(eva.library(Options(), "separate", "zero", readout=True))
    assert statements(eva.analyse(files, tmp_path)) == {SCORE_ALARM}


@pytest.mark.prove
@pytest.mark.parametrize("border", ["zero", "skip"])
def test_eva_leaves_only_the_argued_alarms_in_learning_code(border: str, tmp_path: Path) -> None:
    need("frama-c")
    files = eva.halve_by_cell(eva.library(LEARNING, "separate", border))
    assert statements(eva.analyse(files, tmp_path)) <= LEARNING_ALARMS


@pytest.mark.prove
@pytest.mark.parametrize(
    ("path", "right", "wrong", "kind"),
    [
        ("src/feast.c", " || event->y >= FEAST_SENSOR_HEIGHT", "", "out of bounds"),
        ("src/feast.c", "octaves < FEAST_DEAD_OCTAVES", "octaves < UINT32_MAX", "shift"),
        ("src/feast_state.c", "(self)[feature];", "(self)[feature] * 4;", "signed overflow"),
    ],
    ids=["out of bounds", "bad shift", "signed overflow"],
)
def test_eva_finds_a_planted_fault(path: str, right: str, wrong: str, kind: str, tmp_path: Path) -> None:
    need("frama-c")
    files = eva.halve_by_cell(eva.library(THRESHOLD, "separate", "zero"))
    assert files[path].count(right) == 1
    files[path] = files[path].replace(right, wrong)
    assert any(kind in alarm for alarm in eva.analyse(files, tmp_path))


def plant(files: dict[str, str], code: str) -> dict[str, str]:
    return files | {"src/feast_state.c": files["src/feast_state.c"] + code}


def gcc_analyser(files: dict[str, str], folder: Path) -> str:
    sources = write_library(files, folder)
    return run_gcc(["gcc", f"-I{folder / 'include'}"], sources, folder)


def run_gcc(compiler: list[str], sources: Sequence[str | Path], folder: Path) -> str:
    """What -fanalyzer says; each source by itself, for two may have one name."""
    said = ""
    for source in sources:
        command = [*compiler, "-std=c11", "-O2", "-fanalyzer", "-o", folder / "analysed.o", "-c", source]
        said += subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return said


def clang_tidy(files: dict[str, str], folder: Path) -> str:
    sources = write_library(files, folder)
    return run_clang_tidy([f"-I{folder / 'include'}"], sources)


def run_clang_tidy(flags: list[str], sources: Sequence[str | Path], without: str = "") -> str:
    """Warnings of bugprone, cert and the analyser, but for checks docs/proofs.md names."""
    checks = (
        "-*,bugprone-*,cert-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,"
        "-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result,"
        "-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling" + without
    )
    command = ["clang-tidy", "--quiet", f"--checks={checks}", *sources]
    done = subprocess.run([*command, "--", "-std=c11", *flags], check=False, capture_output=True, text=True)
    assert "error:" not in done.stdout, done.stdout
    return "\n".join(line for line in done.stdout.splitlines() if "warning:" in line)


READS_FREED = """
#include <stdlib.h>
int feast_planted(void);
int feast_planted(void) { int *p = malloc(sizeof *p); if (p == NULL) { return 0; } free(p); return *p; }
"""


@pytest.mark.prove
@pytest.mark.parametrize("options", [Options(), THRESHOLD, LEARNING])
@pytest.mark.parametrize("kernel", KERNELS)
def test_analysers_are_content(kernel: Kernel, options: Options, tmp_path: Path) -> None:
    files = emitted(make_model(SENSOR, radius=2, neurons=5), options, kernel)
    for tool in ("gcc", "clang-tidy"):
        need(tool)
    assert gcc_analyser(files, tmp_path / "gcc") == ""
    assert clang_tidy(files, tmp_path / "tidy") == ""


@pytest.mark.prove
def test_analysers_find_a_planted_violation(tmp_path: Path) -> None:
    for tool in ("gcc", "clang-tidy"):
        need(tool)
    files = emitted(make_model(SENSOR, radius=2, neurons=5), Options(), "portable")
    assert "-Wanalyzer-use-after-free" in gcc_analyser(plant(files, READS_FREED), tmp_path / "gcc")
    assert "after it is freed" in clang_tidy(plant(files, READS_FREED), tmp_path / "tidy")


def newlib() -> Path:
    """Where the cross compiler has the headers of its C library."""
    command = ["arm-none-eabi-gcc", "-M", "-xc", "-"]
    done = subprocess.run(command, input="#include <string.h>", check=True, capture_output=True, text=True)
    return next(Path(word) for word in done.stdout.split() if word.endswith("/string.h")).parent


@needs_compiler
@pytest.mark.prove
def test_analysers_are_content_with_the_firmware(tmp_path: Path) -> None:
    """Every file once, the link with every library, as compiled for a board that has it."""
    for tool in ("gcc", "clang-tidy"):
        need(tool)
    target = ["--target=arm-none-eabi", f"-isystem{newlib()}"]
    for build in firmware.every_file(tmp_path):
        compiler = ["arm-none-eabi-gcc", *build.machine, *build.flags]
        assert run_gcc(compiler, build.sources, tmp_path) == ""
        flags = [*target, *build.machine, *build.flags]
        assert run_clang_tidy(flags, build.sources, without=",-bugprone-branch-clone") == ""


@needs_compiler
@pytest.mark.prove
def test_analysers_find_a_planted_violation_in_the_firmware(tmp_path: Path) -> None:
    for tool in ("gcc", "clang-tidy"):
        need(tool)
    build = firmware.every_file(tmp_path)[0]
    source = tmp_path / "framing.c"
    source.write_text(
        (firmware.LINK / "framing.c").read_text(encoding="utf-8") + READS_FREED, encoding="utf-8"
    )
    said = run_gcc(["arm-none-eabi-gcc", *build.machine, *build.flags], [source], tmp_path)
    assert "-Wanalyzer-use-after-free" in said
    flags = ["--target=arm-none-eabi", f"-isystem{newlib()}", *build.machine, *build.flags]
    assert "after it is freed" in run_clang_tidy(flags, [source])
