"""Instruction counts: the product beside its baselines, on the sizes that run in seconds."""

from __future__ import annotations

from typing import Any

import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board, load_boards
from feast_codegen.host.bench.device import (
    FLOOR_PER_MAC,
    Case,
    Row,
    Variant,
    bench_device,
    cases,
    counter_for,
    fit_cost,
)
from feast_codegen.host.bench.estimates import CYCLES_PER_INSTRUCTION, estimate
from feast_codegen.host.cli.commands.bench_device import _facts
from feast_codegen.host.recordings.open import open_source
from tests.support.firmware_project import needs_compiler, needs_emulator


@pytest.mark.firmware
@needs_compiler
@needs_emulator
def test_product_beats_its_baselines_and_respects_the_floor() -> None:
    source = open_source("sim:digits?count=10")
    board = get_board("mps2_an386")
    wanted = [*cases(board, [8], [2]), Case("product", 4, 2, False)]
    rows = bench_device(board, source, source.pick([0]), wanted)
    by_case = {(row.case.variant, row.case.features, row.case.learning): row for row in rows}
    product = by_case["product", 8, False]
    assert product.floor == 0.75 * 8 * 25
    assert product.floor < product.instructions_per_event < product.worst_event
    assert product.instructions_per_event < by_case["product", 8, True].instructions_per_event
    for baseline in ("int16", "float"):
        assert by_case[baseline, 8, False].instructions_per_event > 2 * product.instructions_per_event
    fit = fit_cost(rows)
    assert fit is not None and fit.b > FLOOR_PER_MAC["dsp"]


def test_every_board_has_a_place_to_count_and_an_estimate() -> None:
    for board in load_boards().values():
        counter = counter_for(board)
        assert counter.qemu is not None
        assert counter.kernel == board.kernel
        low, high = CYCLES_PER_INSTRUCTION[board.core]
        events = estimate(board, 1000.0).events_per_s
        assert events == (board.clock_hz / (1000.0 * high), board.clock_hz / (1000.0 * low))


def test_rows_have_every_count_of_one_size() -> None:
    def count(variant: Variant, features: int, learning: bool, instructions: float) -> Row:
        return Row(Case(variant, features, 1, learning), instructions, 900, 2.0, 54.0, 4000, 3000)

    counted = [
        count("product", 12, False, 300.0),
        count("product", 12, True, 500.0),
        count("int16", 12, False, 800.0),
        count("int16", 64, False, 4000.0),
    ]
    facts: Any = _facts("mps2_an386", "mps2_an386", counted, None, [])
    row = {
        "features": 12,
        "radius": 1,
        "instructions_per_event": 300.0,
        "worst_event": 900,
        "floor": 54.0,
        "learning": 500.0,
        "baseline_int16": 800.0,
        "baseline_float": None,
    }
    assert facts["rows"] == [row], "64 features of the product do not fit"
    assert {name: facts[name] for name in row} == row
    assert [(each["variant"], each["features"], each["mode"]) for each in facts["cases"]] == [
        ("product", 12, "frozen"),
        ("product", 12, "learning"),
        ("int16", 12, "frozen"),
        ("int16", 64, "frozen"),
    ]


def test_networks_too_large_for_the_board_are_left_out() -> None:
    source = open_source("sim:digits?count=4")
    with pytest.raises(FeastError, match="none of these networks fits"):
        bench_device(get_board("stm32vldiscovery"), source, source, [Case("product", 200, 5, True)])


@pytest.mark.firmware
@needs_compiler
@needs_emulator
def test_a_baseline_that_overflows_the_board_is_left_out() -> None:
    source = open_source("sim:digits?count=4")
    wanted = [Case("product", 16, 5, False), Case("int16", 16, 5, False)]
    rows = bench_device(get_board("stm32vldiscovery"), source, source.pick([0]), wanted)
    assert [row.case for row in rows] == wanted[:1]
