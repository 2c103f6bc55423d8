"""Every line and branch of the emitted C is taken, except those that its kind of network cannot reach."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.proofs import scenario
from tests.support.proofs.driver import KERNELS, build_driver, drive, emitted
from tests.support.proofs.gcov import uncovered
from tests.support.proofs.products import all_options, networks

SIZES = ((1, 5), (2, 11))
"""Radius and features. Together: the middle is the first or second cell of a pair; one block, or more."""
ETA = 0.002
"""So slow that dither alone moves a weight beyond its range."""
MISSES = r"if \(missed\)|missed \? |self->misses\+\+"
UNREACHABLE = {
    "nearest": (rf"_step\.h: .*({MISSES})|feast\.c: .*result >= 0", "a frozen nearest feature always wins"),
    "unsigned": (r"internal\.h: return value < 0", "values of a surface without sign are not negative"),
    "skip": (r"kernel\.h: .*rows < FEAST_LAYER\d_ROWS", "with border skip a patch is always whole"),
    "below": (
        rf"layer1_step\.h: .*({MISSES})|feast\.c: .*result >= 0",
        "the lower layer is frozen and nearest",
    ),
    "above": (
        r"feast_layer2_learn\.c: .*index < FEAST_LAYER2_AT_LEARNING",
        "words of the lower layer do not come there",
    ),
}
"""What a kind of network leaves out, and why."""

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None or shutil.which("gcov") is None, reason="gcc with gcov is not on PATH"
)


def kinds(network: str, options: Options) -> set[str]:
    found = set() if options.learning or options.select == "threshold" else {"nearest"}
    found |= set() if network == "signed" else {"unsigned"}
    found |= {"skip"} if network in ("signed", "merged") else set()
    return found | ({"below", "above"} if network == "layers" else set())


def left_out(network: str, options: Options, kernel: Kernel, folder: Path) -> list[str]:
    """What neither size takes and no kind explains; the answers are the twin's, too."""
    missed: set[str] | None = None
    for radius, features in SIZES:
        model = networks(radius, features)[network]
        model = replace(model, params=replace(model.params, eta=ETA))
        quant, _ = quantise(model)
        calls = scenario.scenario(model, options, quant)
        files, script = emitted(model, options, kernel), scenario.encode(calls)
        if missed is None:
            answers = drive(build_driver(files, folder / "plain", ["gcc", "-O1"]), script).stdout
            assert answers == scenario.carry_out(calls, partial(Twin, quant, options))
        found = set(uncovered(files, script, folder / str(radius)))
        missed = found if missed is None else missed & found
    explained = [re.compile(UNREACHABLE[kind][0]) for kind in kinds(network, options)]
    return sorted(each for each in missed or () if not any(pattern.search(each) for pattern in explained))


@pytest.mark.parametrize(
    ("network", "options", "kernel"),
    [("layers", Options(learning=True), "vector"), ("signed", Options(select="threshold"), "portable")],
    ids=["layers", "signed"],
)
def test_every_line_and_branch_is_taken(
    network: str, options: Options, kernel: Kernel, tmp_path: Path
) -> None:
    """Two libraries that have most of the code; the whole product is a longer check."""
    assert left_out(network, options, kernel, tmp_path) == []


def test_the_long_check_meets_every_option() -> None:
    """An empty list of parameters would pass without a word."""
    chosen = {
        (options.learning, options.select, options.weights, options.readout) for options in all_options()
    }
    assert len(chosen) == len(all_options()) == 12  # 2^4 without int8 weights that learn


@pytest.mark.prove
@pytest.mark.parametrize("network", networks())
@pytest.mark.parametrize("options", all_options(), ids=lambda options: options.flags or "defaults")
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_line_and_branch_is_taken_everywhere(
    kernel: Kernel, options: Options, network: str, tmp_path: Path
) -> None:
    assert left_out(network, options, kernel, tmp_path) == []


def test_a_line_that_is_not_taken_is_seen(tmp_path: Path) -> None:
    model = networks()["merged"]
    calls = scenario.scenario(model, Options(), quantise(model)[0])
    files = emitted(model, Options(), "small")
    entry = "    const uint32_t x = (uint32_t)event->x >> FEAST_DOWNSAMPLE;"
    assert files["src/feast.c"].count(entry) == 1
    files["src/feast.c"] = files["src/feast.c"].replace(
        entry, f"    if (event->t_us == 12345678u) {{\n        self->outside = 7u;\n    }}\n{entry}"
    )
    found = uncovered(files, scenario.encode(calls), tmp_path)
    assert "feast.c: self->outside = 7u;" in found
    assert any(each.startswith("feast.c: if (event->t_us == 12345678u) { (branch") for each in found)
