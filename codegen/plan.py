"""Every name, C type, constant and byte budget of the code to be emitted; refuses what does not fit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from codegen import qformat, wire
from codegen.boards import Board, Kernel
from codegen.bounds import weight_energy
from codegen.errors import FeastError
from codegen.filters import Filters
from codegen.layout import VECTOR, make_layout, pack_weights
from codegen.memory import Member, budget, check_fit, row_stride, score_members, state_members
from codegen.model import Sensor
from codegen.options import Options
from codegen.quantise import (
    INITIAL_DITHER,
    QuantModel,
    state_id,
    stored_weights,
    used_filters,
    used_readout,
)
from codegen.readout import QuantReadout, cells_along
from codegen.snapshot import score_words

API_VERSION: Final = (1, 0, 0)
NUMERICS_VERSION: Final = 1
"""Goes up when docs/numerics.md changes any result; part of the build id."""


@dataclass(frozen=True, eq=False)
class ReadoutPlan:
    """Class scores: labels and constant tables."""

    grid: int
    labels: tuple[str, ...]
    row_bits: int
    row_cells: npt.NDArray[np.int64]
    """(height,): the first cell of the row of cells that a sensor row lies in."""
    column_cells: npt.NDArray[np.int64]
    """(width,): the column of cells that a sensor column lies in."""
    rows: npt.NDArray[np.int16]
    """(cells * features, classes)"""


@dataclass(frozen=True, eq=False)
class Plan:
    """What the templates are given; see the emitted header for the meaning of each name."""

    api_version: tuple[int, int, int]
    model_id: str
    build_id: str
    state_id: int
    board: str
    sensor: str
    width: int
    height: int
    radius: int
    side: int
    dims: int
    neurons: int
    banks: int
    features: int
    channels: int
    surfaces: int
    margin: int
    stride: int
    learning: bool
    select_threshold: bool
    uses_range: bool
    signed_surface: bool
    skip_border: bool
    kernel: Kernel
    group: int
    last_group: int
    blocks: int
    block_words: int
    narrow: bool
    weight_fraction: int
    pairs: int
    vectors: int
    row_vectors: tuple[int, ...]
    """Where in a patch row the vector kernel's copies start; the last ones overlap."""
    surface_bits: int
    weight_energy: int
    dead_octaves: int
    window_events: int
    octave_q8: int
    fraction_factor: int
    eta_q32: int
    twice_eta_q32: int
    delta_i_q30: int
    delta_e_q30: int
    learning_shift: int
    initial_dither: int
    norm_tolerance: int
    members: tuple[Member, ...]
    state_words: int
    snapshot_words: int
    ram_bytes: int
    table_bytes: int
    flash_bytes: int
    stack_bytes: int
    mantissas: npt.NDArray[np.uint16]
    weight_pairs: npt.NDArray[np.uint32]
    thresholds: npt.NDArray[np.int32]
    takes_channels: bool
    """Its events are those of the layer below."""
    filters: Filters | None
    """In front of this layer, or of the lower of two; None: events reach it as they are."""
    leaves_filters_out: bool
    """The model has filters, the library does not."""
    layers: tuple[Plan, ...] = ()
    """Of two layers, each by itself, the lower one first; all else is then of both: what a user of the
    library sees, who gives events to the lower layer and gets results of the upper one."""
    readout: ReadoutPlan | None = None
    """Of the library as a whole, not of one of two layers."""
    readout_left_out: bool = False


def make_plan(quant: QuantModel, board: Board | None, options: Options, kernel: Kernel | None = None) -> Plan:
    """Lay out the emitted library; `board` None plans for the host and sets no limit.

    `kernel` replaces the one that suits the board; all give the same bits. Raises FeastError if
    learning cannot be expressed, or if the model is too large for the board; the message says what
    would fit.
    """
    if quant.params.features > 32767:
        raise FeastError(f"{quant.params.features} features: results are int16_t, at most 32767 fit")
    if board is None:
        return _lay_out_all(quant, options, "host", kernel or "portable")
    check_fit(quant.shape, options, board)
    return _lay_out_all(quant, options, board.name, kernel or board.kernel)


def build_id(quant: QuantModel, options: Options) -> str:
    """16 hex digits over geometry, options, number formats and protocol: what host and device must share."""
    params = quant.params
    content: dict[str, Any] = {
        "sensor": [quant.sensor.width, quant.sensor.height],
        "geometry": [params.neurons, params.radius, params.polarity, params.border],
        "formats": [NUMERICS_VERSION, quant.surface_bits, quant.octave_q8],
        "learning": [quant.eta_q32, quant.delta_i_q30, quant.delta_e_q30] if options.learning else None,
        "select": options.select,
        "weights": options.weights,
        "api": API_VERSION,
        "protocol": wire.VERSION,
    }
    if quant.lower is not None:
        content["lower"] = build_id(quant.lower, options.below)
    readout = used_readout(quant, options)
    if readout is not None:
        content["readout"] = [readout.grid, readout.labels, readout.bits, readout.digest]
    if filters := used_filters(quant, options):
        content["filters"] = asdict(filters)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _lay_out_all(quant: QuantModel, options: Options, board: str, kernel: Kernel) -> Plan:
    plan = _lay_out_layers(quant, options, board, kernel)
    readout = used_readout(quant, options)
    if readout is None:
        return replace(plan, readout_left_out=quant.readout is not None)
    return replace(
        plan,
        snapshot_words=plan.snapshot_words + score_words(readout.size.classes),
        readout=_lay_out_readout(readout, quant.sensor),
    )


def _lay_out_readout(readout: QuantReadout, sensor: Sensor) -> ReadoutPlan:
    return ReadoutPlan(
        grid=readout.grid,
        labels=readout.labels,
        row_bits=readout.bits,
        row_cells=cells_along(sensor.height, readout.grid) * readout.grid,
        column_cells=cells_along(sensor.width, readout.grid),
        rows=readout.rows,
    )


def _lay_out_layers(quant: QuantModel, options: Options, board: str, kernel: Kernel) -> Plan:
    upper = _lay_out(quant, options, board, kernel)
    if quant.lower is None:
        return upper
    lower = _lay_out(quant.lower, options.below, board, kernel)
    shape = quant.shape.emitted(options)
    size = budget(shape, options, kernel)
    scores, scored = score_members(shape.readout)
    members = [
        Member(name, f"feast{number}_t", 0, f"{name} layer")
        for number, name in enumerate(("lower", "upper"), start=1)
    ]
    members += [*scores, *scored]
    if options.learning:
        members.append(
            Member(
                "foreign", "uint32_t", 0, "1 + index of an imported word that the lower layer does not have"
            )
        )
    return replace(
        upper,
        members=tuple(members),
        state_words=upper.state_words + lower.state_words,
        snapshot_words=upper.snapshot_words + lower.snapshot_words,
        ram_bytes=size.ram,
        table_bytes=size.tables,
        flash_bytes=size.flash,
        stack_bytes=size.stack,
        takes_channels=False,
        filters=lower.filters,
        leaves_filters_out=lower.leaves_filters_out,
        layers=(lower, upper),
    )


def _lay_out(quant: QuantModel, options: Options, board: str, kernel: Kernel) -> Plan:
    params, sensor, filters = quant.params, quant.sensor, used_filters(quant, options)
    shape = quant.shape.layer
    stored = stored_weights(quant, options)
    layout = make_layout(params, kernel, options.weights == "int8")
    size = budget(shape, options, kernel)
    learned = params.features * params.dims + 2 * params.features + 2
    return Plan(
        api_version=API_VERSION,
        model_id=quant.model_id,
        build_id=build_id(quant, options),
        state_id=state_id(quant, options),
        board=board,
        sensor=str(sensor),
        width=sensor.width,
        height=sensor.height,
        radius=params.radius,
        side=params.side,
        dims=params.dims,
        neurons=params.neurons,
        banks=params.banks,
        features=params.features,
        channels=params.channels,
        surfaces=params.surfaces,
        margin=params.radius if params.border == "zero" else 0,
        stride=row_stride(shape, kernel),
        learning=options.learning,
        select_threshold=options.select == "threshold",
        uses_range=options.learning or options.select == "threshold",
        signed_surface=params.polarity == "signed",
        skip_border=params.border == "skip",
        kernel=kernel,
        group=layout.group,
        last_group=layout.last_group,
        blocks=layout.blocks,
        block_words=layout.block_words,
        narrow=layout.narrow,
        weight_fraction=stored.fraction,
        pairs=layout.pairs,
        vectors=layout.vectors,
        row_vectors=tuple(min(at, params.side - VECTOR) for at in range(0, params.side, VECTOR)),
        surface_bits=quant.surface_bits,
        weight_energy=weight_energy(quant, stored, options),
        dead_octaves=qformat.DEAD_OCTAVES,
        window_events=qformat.WINDOW_EVENTS,
        octave_q8=quant.octave_q8,
        fraction_factor=quant.fraction_factor,
        eta_q32=quant.eta_q32,
        twice_eta_q32=quant.twice_eta_q32,
        delta_i_q30=quant.delta_i_q30,
        delta_e_q30=quant.delta_e_q30,
        learning_shift=quant.learning_shift,
        initial_dither=INITIAL_DITHER,
        norm_tolerance=qformat.NORM_TOLERANCE,
        members=state_members(shape, options, kernel),
        state_words=learned,
        snapshot_words=learned
        + 12
        + 2 * params.features
        + 11
        + params.surfaces * sensor.width * sensor.height
        + (filters.snapshot_words if filters else 0),
        ram_bytes=size.ram,
        table_bytes=size.tables,
        flash_bytes=size.flash,
        stack_bytes=size.stack,
        mantissas=quant.mantissas,
        weight_pairs=pack_weights(stored.values, layout),
        thresholds=quant.thresholds,
        takes_channels=quant.lower is not None,
        filters=filters,
        leaves_filters_out=quant.filters is not None and filters is None,
    )
