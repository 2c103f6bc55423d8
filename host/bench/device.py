"""Instructions per event on emulated boards, beside two baselines and the arithmetic floor."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.temporary import temporary_folder
from feast_codegen.codegen.boards.board import Board, Kernel, load_boards
from feast_codegen.codegen.emit.budget import fits
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Hyperparameters, Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.bench.baselines import FLOAT_CORES, render_baseline
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.emulator import CONNECT_S, emulate
from feast_codegen.host.boards.firmware_project import prepare_project
from feast_codegen.host.link.link import open_link
from feast_codegen.host.network.training import train
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source

Variant = Literal["product", "int16", "float"]

FLOOR_PER_MAC: Final[dict[Kernel, float]] = {"small": 3.0, "portable": 2.0, "dsp": 0.75, "vector": 0.25}
"""Fewest instructions for one multiply-accumulate with its share of loading the weight.

`small` (M0): load, multiply, add. `portable` (M3): load, multiply-accumulate. `dsp` (M4, M7, M33): one
SMLAD for two, one LDRD for four. `vector` (M55): one VMLADAVA and one VLDRH for eight.
"""


@dataclass(frozen=True)
class Case:
    """What is measured: a variant of the library, a size of the network."""

    variant: Variant
    features: int
    radius: int
    learning: bool


@dataclass(frozen=True)
class Row:
    """Counts of one case over the recordings."""

    case: Case
    instructions_per_event: float
    worst_event: int
    per_mac: float
    """Instructions per event over N * D."""
    floor: float
    """N * D multiply-accumulates at the core's best rate, loads of weights included."""
    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class CostFit:
    """Least-squares fit of instructions per event = a + b * N * D over frozen rows of the product."""

    a: float
    b: float


def counter_for(board: Board) -> Board:
    """Where the instructions of `board` are counted: itself, or an emulated board with its core.

    The M0 counts for the M0+, which has the same instructions. Raises FeastError if there is none.
    """
    emulated = [other for other in (board, *load_boards().values()) if other.qemu]
    same_core = [other for other in emulated if other.core == board.core]
    same_kernel = [other for other in emulated if other.kernel == board.kernel]
    for candidate in (*same_core, *same_kernel):
        return candidate
    raise FeastError(f"{board.name}: no emulated board has a {board.core} to count instructions with")


def cases(board: Board, features: Sequence[int], radii: Sequence[int]) -> list[Case]:
    """Every size of the product and the baselines, frozen and learning; float where there is an FPU."""
    variants: list[Variant] = ["product", "int16", *(["float"] if board.core in FLOAT_CORES else [])]  # type: ignore[list-item]
    modes = [(variant, learning) for variant in variants for learning in (False, True)]
    return [Case(variant, n, r, learning) for variant, learning in modes for r in radii for n in features]


def bench_device(
    board: Board,
    training: Source,
    recordings: Source,
    wanted: Sequence[Case],
    progress: Progress = silent,
) -> list[Row]:
    """Count instructions of each case that fits the board; `progress` counts cases.

    Instructions are counted on `counter_for(board)`. Models are trained on `training` once for each
    size. Cases too large for the board are left out.
    Raises FeastError if the board has no emulator or a tool is missing.
    """
    counter = counter_for(board)
    rows: list[Row] = []
    models: dict[tuple[int, int], Model] = {}
    with temporary_folder("bench") as project:
        prepare_project(project)
        for done, case in enumerate(wanted, start=1):
            size = (case.features, case.radius)
            if size not in models:
                params = Hyperparameters(features=case.features, radius=case.radius)
                models[size] = train(training, params).model
            options = Options(case.learning)
            if fits(models[size].shape, options, counter):
                row = _measure(counter, models[size], case, recordings, project)
                rows.extend([row] if row else [])
            progress(done, len(wanted))
    if not rows:
        raise FeastError(f"{board.name}: none of these networks fits the board")
    return rows


def fit_cost(rows: Sequence[Row]) -> CostFit | None:
    """Fit over the product's frozen rows; None with fewer than two sizes."""
    frozen = [row for row in rows if row.case.variant == "product" and not row.case.learning]
    macs = np.array([_macs(row.case) for row in frozen], np.float64)
    if np.unique(macs).size < 2:
        return None
    slope, offset = np.polyfit(macs, [row.instructions_per_event for row in frozen], 1)
    return CostFit(a=float(offset), b=float(slope))


def _macs(case: Case) -> int:
    return case.features * (2 * case.radius + 1) ** 2


def _measure(board: Board, model: Model, case: Case, recordings: Source, project: Path) -> Row | None:
    """Counts of one case on `board`; None for a baseline that overflows its memory."""
    quant, _ = quantise(model)
    plan = make_plan(quant, board, Options(case.learning))
    if case.variant == "product":
        files = render(plan)
    else:
        number = "int16_t" if case.variant == "int16" else "float"
        files = render_baseline(quant, plan, number, board.core)  # type: ignore[arg-type]
    shutil.rmtree(project / "lib" / "feast", ignore_errors=True)
    write(files, project / "lib" / "feast")
    try:
        built = build(board, project)
    except FeastError as error:
        if case.variant != "product" and "overflowed by" in str(error):
            return None
        raise
    ticks = worst = events = 0
    with emulate(board, built.elf) as emulator, open_link(emulator.url, connect_s=CONNECT_S) as link:
        for index, stream in enumerate(recordings):
            run = link.run(stream.events, learning=case.learning, initialise=index == 0)
            ticks += run.ticks_total
            worst = max(worst, run.ticks_max)
            events += run.events
        per_event = emulator.instructions(ticks) / events
        slowest = emulator.instructions(worst)
    return Row(
        case=case,
        instructions_per_event=round(per_event, 1),
        worst_event=round(slowest),
        per_mac=round(per_event / _macs(case), 3),
        floor=FLOOR_PER_MAC[board.kernel] * _macs(case),
        flash_bytes=built.flash_bytes,
        ram_bytes=built.ram_bytes,
    )
