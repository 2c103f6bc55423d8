"""Every name, C type, constant and byte budget of the code to be emitted; refuses what does not fit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from codegen import qformat, wire
from codegen.boards import Board
from codegen.errors import FeastError
from codegen.options import Options
from codegen.quantise import INITIAL_DITHER, QuantModel, check_learnable

API_VERSION: Final = (1, 0, 0)
NUMERICS_VERSION: Final = 1
"""Goes up when docs/numerics.md changes any result; part of the build id."""

_TYPE_BYTES: Final = {"uint64_t": 8, "uint32_t": 4, "int32_t": 4, "uint16_t": 2, "int16_t": 2, "bool": 1}
_CODE_BYTES: Final = {False: 2048, True: 4096}
"""Room kept for the library's code, by learning: measured 1.0 and 2.2 KiB on a Cortex-M4 at -O2."""


@dataclass(frozen=True)
class Member:
    """One member of ``feast_t``; ``count`` 0 is a scalar."""

    name: str
    ctype: str
    count: int
    comment: str

    @property
    def bytes(self) -> int:
        """Size without padding."""
        return _TYPE_BYTES[self.ctype] * max(1, self.count)


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
    surfaces: int
    margin: int
    stride: int
    learning: bool
    select_threshold: bool
    uses_range: bool
    signed_surface: bool
    skip_border: bool
    surface_bits: int
    dead_octaves: int
    window_events: int
    octave_q8: int
    fraction_factor: int
    eta_q30: int
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
    mantissas: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.int16]
    thresholds: npt.NDArray[np.int32]


def make_plan(quant: QuantModel, board: Board | None, options: Options) -> Plan:
    """Lay out the emitted library; `board` None plans for the host and sets no limit.

    Raises FeastError if learning cannot be expressed, or if the model is too large for the board;
    the message says what would fit.
    """
    if options.learning:
        check_learnable(quant.params)
    if quant.params.features > 32767:
        raise FeastError(f"{quant.params.features} features: results are int16_t, at most 32767 fit")
    plan = _layout(quant, options, board.name if board else "host")
    if board:
        _check_fit(plan, quant, board)
    return plan


def build_id(quant: QuantModel, options: Options) -> str:
    """16 hex digits over geometry, options, number formats and protocol: what host and device must share."""
    params = quant.params
    content = {
        "sensor": [quant.sensor.width, quant.sensor.height],
        "geometry": [params.neurons, params.radius, params.polarity, params.border],
        "formats": [NUMERICS_VERSION, quant.surface_bits, quant.octave_q8],
        "learning": [quant.eta_q30, quant.delta_i_q30, quant.delta_e_q30] if options.learning else None,
        "select": options.select,
        "api": API_VERSION,
        "protocol": wire.VERSION,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _layout(quant: QuantModel, options: Options, board: str) -> Plan:
    params, sensor = quant.params, quant.sensor
    margin = params.radius if params.border == "zero" else 0
    stride = sensor.width + 2 * margin
    members = _members(quant, options, stride)
    learned = params.features * params.dims + 2 * params.features + 2
    tables = 2 * quant.weights.size + 4 * quant.thresholds.size + 2 * quant.mantissas.size
    return Plan(
        api_version=API_VERSION,
        model_id=quant.model_id,
        build_id=build_id(quant, options),
        state_id=quant.state_id,
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
        surfaces=quant.surfaces,
        margin=margin,
        stride=stride,
        learning=options.learning,
        select_threshold=options.select == "threshold",
        uses_range=options.learning or options.select == "threshold",
        signed_surface=params.polarity == "signed",
        skip_border=params.border == "skip",
        surface_bits=quant.surface_bits,
        dead_octaves=qformat.DEAD_OCTAVES,
        window_events=qformat.WINDOW_EVENTS,
        octave_q8=quant.octave_q8,
        fraction_factor=quant.fraction_factor,
        eta_q30=quant.eta_q30,
        delta_i_q30=quant.delta_i_q30,
        delta_e_q30=quant.delta_e_q30,
        learning_shift=quant.learning_shift,
        initial_dither=INITIAL_DITHER,
        norm_tolerance=qformat.NORM_TOLERANCE,
        members=members,
        state_words=learned,
        snapshot_words=learned
        + 12
        + 2 * params.features
        + 11
        + quant.surfaces * sensor.width * sensor.height,
        ram_bytes=struct_bytes(members),
        table_bytes=tables,
        flash_bytes=tables + _CODE_BYTES[options.learning],
        mantissas=quant.mantissas,
        weights=quant.weights,
        thresholds=quant.thresholds,
    )


def _members(quant: QuantModel, options: Options, stride: int) -> tuple[Member, ...]:
    features = quant.params.features
    rows = quant.surfaces * quant.sensor.height
    always = [
        Member("t_us", "uint64_t", 0, "time of the last accepted event"),
        Member("octave", "uint64_t", 0, "octaves of tau * ln 2 since the first event"),
        Member("phase", "uint32_t", 0, "position within the octave, 1/256 us"),
        Member("misses", "uint32_t", 0, "missed events"),
        Member("border", "uint32_t", 0, "events without a full patch"),
        Member("outside", "uint32_t", 0, "events off the sensor"),
        Member("backwards", "uint32_t", 0, "events out of order"),
        Member("wins", "uint32_t", features, "events each feature won"),
        Member("row_octave", "uint32_t", rows, "octave each surface row was brought up to, low bits"),
    ]
    learned = [
        Member("dither", "uint32_t", 0, "generator that makes rounding unbiased"),
        Member("thresholds", "int32_t", features, "selection thresholds, Q30"),
        Member("norm2", "uint32_t", features, "squared norm of each feature, Q30"),
        Member("weights", "int16_t", features * quant.params.dims, "features, Q15"),
    ]
    last = [
        Member("surface", "int16_t", rows * stride, "rows of cells with zero margins"),
        Member("window_events", "uint16_t", 0, "compared events in the current window"),
        Member("window_misses", "uint16_t", 0, "missed events among them"),
        Member("last_window_misses", "uint16_t", 0, "missed events in the last full window"),
        Member("started", "bool", 0, "an event was accepted since the reset"),
    ]
    switch = [Member("learning", "bool", 0, "features adapt")]
    if options.learning:
        return (*always, *learned, *last, *switch)
    return (*always, *last)


def struct_bytes(members: tuple[Member, ...]) -> int:
    """``sizeof`` of a struct of these members under the Arm and the x86-64 ABI (natural alignment).

    >>> struct_bytes((Member("a", "uint64_t", 0, ""), Member("c", "int16_t", 3, "")))
    16
    """
    offset = 0
    for member in members:
        size = _TYPE_BYTES[member.ctype]
        offset = -(-offset // size) * size + member.bytes
    largest = max(_TYPE_BYTES[member.ctype] for member in members)
    return -(-offset // largest) * largest


def _check_fit(plan: Plan, quant: QuantModel, board: Board) -> None:
    for kind, need, have in (
        ("RAM", plan.ram_bytes, board.model_ram_bytes),
        ("flash", plan.flash_bytes, board.model_flash_bytes),
    ):
        if need > have:
            raise FeastError(
                f"model too large for {board.name}: it needs {need} bytes of {kind}, "
                f"{max(0, have)} are free beside the firmware; {_what_fits(plan, quant, board)}"
            )


def _what_fits(plan: Plan, quant: QuantModel, board: Board) -> str:
    banks, dims = plan.banks, plan.dims
    ram_each = banks * (4 + (8 + 2 * dims if plan.learning else 0))
    flash_each = banks * (2 * dims + 4)
    over_ram = plan.ram_bytes - board.model_ram_bytes
    over_flash = plan.flash_bytes - board.model_flash_bytes
    fewer = max(-(-over_ram // ram_each), -(-over_flash // flash_each))
    if plan.neurons - fewer >= 1:
        return f"up to {plan.neurons - fewer} neurons would fit"
    surface = plan.surfaces * plan.height * (2 * plan.stride + 4)
    return (
        f"the {plan.sensor} time surface alone takes {surface} bytes: use a smaller sensor or a larger board"
    )
