"""What analysers say about the emitted C, and that they would say it (docs/develop/verification.md)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.render import of_layer
from feast_codegen.codegen.model.filters import Filters, check_filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from tests.support.firmware_project import needs_compiler
from tests.support.networks import make_model, with_readout
from tests.support.proofs import eva, firmware
from tests.support.proofs.driver import KERNELS, SENSOR, emitted, write_library

LEARNING = Options(learning=True)
THRESHOLD = Options(select="threshold")

LEARNING_OVERFLOWS = (
    "sum0 += cell0 * feast_lane0(pair);",
    "sum0 += cell1 * feast_lane1(pair);",
    "sum1 += cell0 * feast_lane0(pair);",
    "sum1 += cell1 * feast_lane1(pair);",
    "return sum + factor * feast_lane0(a);",
    "return sum + factor * feast_lane1(a);",
    "return sum + feast_lane0(a) * feast_lane0(b) + feast_lane1(a) * feast_lane1(b);",
    "const int32_t cosine_q28 = feast_mulh(feast_asr(dot, 1u) * (int32_t)patch_scale, inverse);",
    "const int32_t lost_q30 =",
    "const int32_t first = one_q30 / 2 + 4 * feast_mulh(second, u);",
)
_LEARNING_ALARMS = {(statement, "signed overflow") for statement in LEARNING_OVERFLOWS}
_LEARNING_ALARMS |= {("const uint32_t dither = x >> (32u - bits);", "invalid RHS operand for shift")}
"""Statements whose bounds relate weights to their norm, which EVA does not follow."""
LEARNING_ALARMS = {(of_layer(statement, "layer1"), kind) for statement, kind in _LEARNING_ALARMS}
UPPER_ALARMS = {(of_layer(statement, "layer2"), kind) for statement, kind in _LEARNING_ALARMS}
"""The same statements of an upper layer that learns, and none of the lower one."""
SCORE_ALARM = ("self->scores[i] += row[i];", "signed overflow")
"""It takes 2^48 events to overflow, and EVA does not count them; docs/reference/numerics.md section 13."""

NEAREST = {"feast_layer1_compare": 2, "feast_layer1_count_compared": 1}
"""Statements without a way to them: a frozen nearest feature always wins."""
UNSIGNED = {"feast_layer1_halved": 3}
"""Values of surfaces without sign are not negative."""
NONE_LEFT_OUT = {"feast_step": 4}
"""Downsampling alone leaves no event out."""
LAYERS = NEAREST | {"feast_layer1_halved": 3, "feast_layer2_halved": 3}
"""The lower layer is frozen and nearest; both as above."""
PACKED = re.compile(
    r"feast_(load_pair|load_two|persist_two|mac2|mac_lane[01]|add_saturating|widen|widen_octet)$"
)
"""Inline functions of feast_simd.h that not every network calls."""

CAMERA = Sensor(9, 7)
HOT = ((3, 2), (8, 6))
ALL_FILTERS = Filters(CAMERA, HOT, refractory_us=1000, background_us=5000, cell_shift=1, downsample_shift=1)
LONG_FILTERS = Filters(CAMERA, HOT, refractory_us=10_000_000, background_us=3_000_000, downsample_shift=1)


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on PATH")


@pytest.mark.parametrize("kernel", ["portable", "vector"])
def test_packed_halving_is_halving_by_cell(kernel: Kernel, tmp_path: Path) -> None:
    """Every value in every lane by every count, the other lanes full or empty: EVA's assumption holds."""
    need("cc")
    files = emitted(make_model(SENSOR, radius=2, features=2), Options(), kernel)
    files["src/exhaust.c"] = of_layer(
        """#include "feast_kernel.h"
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
""",
        "layer1",
    )
    sources = write_library(files, tmp_path)
    program = tmp_path / "exhaust"
    command = ["cc", "-std=c11", "-O2", f"-I{tmp_path / 'include'}", "-o", str(program), *sources]
    subprocess.run(command, check=True)
    assert subprocess.run([program], check=False).returncode == 0


def eva_leaves(model: Model, options: Options, folder: Path) -> set[tuple[str, str]]:
    """Statement and kind of each alarm, after a look at what EVA did not get to."""
    need("frama-c")
    verdict = eva.analyse(eva.library(model, options), folder)
    layers = model.lower is not None
    expected = {} if options.learning or options.select == "threshold" else NEAREST
    if layers:
        expected = LAYERS if model.lower.params.polarity != "signed" else LAYERS | {"feast_layer1_halved": 0}
    elif model.params.polarity != "signed":
        expected = expected | UNSIGNED
    if model.filters and not (model.filters.keeps_times or model.filters.hot_pixels):
        expected = expected | NONE_LEFT_OUT
    assert verdict.unreached == {name: count for name, count in expected.items() if count}
    uncalled = {name for name in verdict.uncalled if not PACKED.match(name)}
    assert uncalled == set()
    return verdict.left


@pytest.mark.prove
@pytest.mark.parametrize(
    ("options", "polarity", "border"),
    [
        (Options(), "separate", "zero"),
        (Options(), "merged", "skip"),
        (Options(), "signed", "zero"),
        (Options(weights="int8"), "merged", "zero"),
        (THRESHOLD, "signed", "skip"),
        (THRESHOLD, "separate", "zero"),
    ],
)
def test_eva_leaves_no_alarm_in_frozen_code(
    options: Options, polarity: str, border: str, tmp_path: Path
) -> None:
    model = eva.small(polarity=polarity, border=border)
    assert eva_leaves(model, options, tmp_path) == set()


@pytest.mark.prove
def test_eva_leaves_one_argued_alarm_in_class_scores(tmp_path: Path) -> None:
    assert eva_leaves(with_readout(eva.small()), Options(), tmp_path) == {SCORE_ALARM}


@pytest.mark.prove
@pytest.mark.parametrize("border", ["zero", "skip"])
def test_eva_leaves_only_the_argued_alarms_in_learning_code(border: str, tmp_path: Path) -> None:
    assert eva_leaves(eva.small(border=border), LEARNING, tmp_path) == LEARNING_ALARMS


@pytest.mark.prove
@pytest.mark.parametrize(
    ("filters", "options", "polarity", "alarms"),
    [
        (Filters(CAMERA, HOT), Options(), "merged", set()),
        (Filters(CAMERA, refractory_us=32_768, cell_shift=2), THRESHOLD, "signed", set()),
        (Filters(CAMERA, background_us=5000), Options(), "merged", set()),
        (Filters(CAMERA, downsample_shift=1), Options(), "merged", set()),
        (LONG_FILTERS, Options(), "signed", set()),
        (ALL_FILTERS, THRESHOLD, "separate", set()),
        (ALL_FILTERS, LEARNING, "separate", LEARNING_ALARMS),
        (LONG_FILTERS, LEARNING, "merged", LEARNING_ALARMS),
    ],
    ids=["hot", "refractory", "background", "downsample", "long", "all", "all learning", "long learning"],
)
def test_eva_leaves_no_alarm_in_filters(
    filters: Filters, options: Options, polarity: str, alarms: set[tuple[str, str]], tmp_path: Path
) -> None:
    assert eva_leaves(eva.behind(check_filters(filters), polarity), options, tmp_path) == alarms


@pytest.mark.prove
@pytest.mark.parametrize(
    ("lower", "options", "alarms"),
    [
        (eva.small(polarity="merged"), Options(), set()),
        (eva.small(polarity="signed", border="skip"), THRESHOLD, set()),
        (with_readout(eva.stack(eva.behind(ALL_FILTERS))), Options(), {SCORE_ALARM}),
        (eva.small(polarity="merged"), LEARNING, UPPER_ALARMS),
        (eva.small(polarity="merged", border="skip"), LEARNING, UPPER_ALARMS),
    ],
    ids=["nearest", "threshold", "filters and readout", "learning", "learning skip"],
)
def test_eva_leaves_no_alarm_in_the_joint_of_two_layers(
    lower: Model, options: Options, alarms: set[tuple[str, str]], tmp_path: Path
) -> None:
    model = lower if lower.lower else eva.stack(lower, lower.params.border)
    assert eva_leaves(model, options, tmp_path) == alarms


JOINT = eva.stack(eva.small(features=1))
FILTERED = eva.behind(ALL_FILTERS)
FILTER = "src/feast_filter.c"
STEP = "src/feast_layer1_step.h"
BEYOND = "out of bounds"
JOINED = "src/feast.c"
ACROSS = "uninitialized"
"""Read from a gap between two arrays of the state (tests/support/proofs/eva_copy.py)."""


@pytest.mark.prove
@pytest.mark.parametrize(
    ("model", "path", "right", "wrong", "kind"),
    [
        (eva.small(), "src/feast.c", " || event->y >= FEAST_CAMERA_HEIGHT", "", BEYOND),
        (eva.small(), STEP, "octaves < FEAST_LAYER1_DEAD_OCTAVES", "octaves < UINT32_MAX", "shift"),
        (
            eva.small(),
            "src/feast.c",
            "(&self->layer1)[feature] :",
            "(&self->layer1)[feature] * 4 :",
            "signed overflow",
        ),
        (
            FILTERED,
            FILTER,
            "column + 1u < FEAST_FILTER_CELL_COLUMNS ? column + 1u : column",
            "column + 1u",
            ACROSS,
        ),
        (FILTERED, FILTER, "pixel / 32u", "pixel / 16u", BEYOND),
        (FILTERED, FILTER, "*stamp = (uint16_t)now;", "stamp[1] = (uint16_t)now;", "assertion"),
        (JOINT, "src/feast.c", "word(&self->layer2, index);", "word(&self->layer2, index + 1000u);", BEYOND),
    ],
    ids=["sensor", "bad shift", "signed overflow", "cell beside", "hot pixel", "write", "joint"],
)
def test_eva_finds_a_planted_fault(
    model: Model, path: str, right: str, wrong: str, kind: str, tmp_path: Path
) -> None:
    need("frama-c")
    files = eva.library(model, THRESHOLD)
    assert files[path].count(right) == 1
    files[path] = files[path].replace(right, wrong)
    assert any(kind in alarm.kind for alarm in eva.analyse(files, tmp_path).alarms)


def plant(files: dict[str, str], code: str) -> dict[str, str]:
    return files | {"src/feast_layer1_state.c": files["src/feast_layer1_state.c"] + code}


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
    """Warnings of bugprone, cert and the analyser, except for checks docs/develop/verification.md names."""
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
    files = emitted(make_model(SENSOR, radius=2, features=5), options, kernel)
    for tool in ("gcc", "clang-tidy"):
        need(tool)
    assert gcc_analyser(files, tmp_path / "gcc") == ""
    assert clang_tidy(files, tmp_path / "tidy") == ""


@pytest.mark.prove
def test_analysers_find_a_planted_violation(tmp_path: Path) -> None:
    for tool in ("gcc", "clang-tidy"):
        need(tool)
    files = emitted(make_model(SENSOR, radius=2, features=5), Options(), "portable")
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
