"""What the emitted library takes: the members of its state, its RAM and flash, and what fits a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from codegen import qformat
from codegen.boards import Board, Kernel
from codegen.code_size import (
    JOINT_CODE_BYTES,
    JOINT_STACK_BYTES,
    READOUT_CODE_BYTES,
    code_bytes,
    filter_code_bytes,
    stack_bytes,
)
from codegen.errors import FeastError
from codegen.filters import Filters
from codegen.layout import make_layout
from codegen.model import Shape
from codegen.options import Options
from codegen.readout import ReadoutSize

_TYPE_BYTES: Final = {
    **{"uint64_t": 8, "int64_t": 8, "uint32_t": 4, "int32_t": 4},
    **{"uint16_t": 2, "int16_t": 2, "bool": 1},
}


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


@dataclass(frozen=True)
class Budget:
    """Bytes the library takes of a board."""

    ram: int
    """``sizeof(feast_t)``."""
    tables: int
    """Constant tables in flash."""
    flash: int
    """Tables and code."""
    stack: int
    """Of ``feast_step`` and what it calls."""

    def above(self, lower: Budget, members: int, code: int, stack: int) -> Budget:
        """Of this layer on a lower one, with what joining them adds."""
        return Budget(
            ram=self.ram + lower.ram + members,
            tables=self.tables + lower.tables,
            flash=self.flash + lower.flash + code,
            stack=max(self.stack, lower.stack) + stack,
        )


def row_stride(shape: Shape, kernel: Kernel) -> int:
    """Cells of a surface row with its zero margins, a multiple of 4 or 8 for packed shifts."""
    margin = shape.params.radius if shape.params.border == "zero" else 0
    cells = 8 if kernel == "vector" else 4
    return -(-(shape.sensor.width + 2 * margin) // cells) * cells


def state_members(shape: Shape, options: Options, kernel: Kernel) -> tuple[Member, ...]:
    """Members of ``feast_t`` in their order, of a network of one layer."""
    shape = shape.emitted(options)
    features = shape.params.features
    rows = shape.params.surfaces * shape.sensor.height
    cells = rows * row_stride(shape, kernel) + 4
    weight_words = make_layout(shape.params, kernel).words
    time = [
        Member("t_us", "uint64_t", 0, "time of the last accepted event"),
        Member("octave", "uint64_t", 0, "octaves of tau * ln 2 since the first event"),
    ]
    # Behind the 64-bit members, so that both arrays lie at multiples of 8: their sizes are ones, too.
    arrays = [
        Member("surface", "int16_t", cells, "rows of cells with zero margins"),
        Member("weights", "uint32_t", weight_words, "features, Q15, two to a word"),
    ]
    learned = [
        Member("thresholds", "int32_t", features, "selection thresholds, Q30"),
        Member("norm2", "uint32_t", features, "squared norm of each feature, Q30"),
        Member("dither", "uint32_t", 0, "generator that makes rounding unbiased"),
    ]
    filter_times, filter_cells, filter_counters, filter_flags = _filter_members(shape.filters)
    counters = [
        Member("wins", "uint32_t", features, "events each feature won"),
        Member("row_octave", "uint32_t", rows, "octave each surface row was brought up to, low bits"),
        Member("phase", "uint32_t", 0, "position within the octave, 1/256 us"),
        Member("misses", "uint32_t", 0, "missed events"),
        Member("border", "uint32_t", 0, "events without a full patch"),
        Member("outside", "uint32_t", 0, f"events off the {'camera' if shape.filters else 'sensor'}"),
        Member("backwards", "uint32_t", 0, "events out of order"),
        *filter_counters,
        Member("window_events", "uint16_t", 0, "compared events in the current window"),
        Member("window_misses", "uint16_t", 0, "missed events among them"),
        Member("last_window_misses", "uint16_t", 0, "missed events in the last full window"),
        *filter_cells,
        Member("started", "bool", 0, "an event was accepted since the reset"),
        *filter_flags,
    ]
    switch = [Member("learning", "bool", 0, "features adapt")]
    scores, scored = score_members(shape.readout)
    if options.learning:
        return (*time, *filter_times, *scores, *arrays, *learned, *counters, *switch, *scored)
    return (*time, *filter_times, *scores, arrays[0], *counters, *scored)


def score_members(readout: ReadoutSize | None) -> tuple[list[Member], list[Member]]:
    """Members that class scores add: those of 64 bits, and a flag; none without a readout."""
    if readout is None:
        return [], []
    scores = Member("scores", "int64_t", readout.classes, "sums of readout rows since the reset")
    return [scores], [Member("scored", "bool", 0, "an event was scored since the reset")]


def _filter_members(filters: Filters | None) -> tuple[list[Member], list[Member], list[Member], list[Member]]:
    """What filters add to the state: 64-bit, 16-bit and 32-bit members, and flags."""
    if filters is None:
        return [], [], [], []
    cells = filters.cells
    times = [Member("seen_us", "uint64_t", 0, "time of the last event seen, filtered or not")]
    stamps = []
    if filters.keeps_times:
        times.append(Member("row_tick", "uint64_t", cells.height, "tick each row of stamps counts from"))
        stamps.append(
            Member("stamps", "uint16_t", cells.width * cells.height, "when each cell last fired, ticks")
        )
    counters = [Member("filtered", "uint32_t", 0, "events the filters left out")]
    return times, stamps, counters, [Member("seen", "bool", 0, "an event was seen since the reset")]


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


def budget(shape: Shape, options: Options, kernel: Kernel) -> Budget:
    """RAM, flash and stack of the library for a network, with what `options` leave of it.

    Raises FeastError for options that exclude each other.
    """
    options.check()
    shape = shape.emitted(options)
    readout, filters = shape.readout, shape.filters
    layout = make_layout(shape.params, kernel, options.weights == "int8")
    tables = 4 * layout.words + 4 * shape.params.features + 2 * qformat.MANTISSAS
    tables += readout_table_bytes(shape) + (filters.hot_mask.nbytes if filters and filters.hot_pixels else 0)
    scoring = READOUT_CODE_BYTES if readout else 0
    own = Budget(
        ram=struct_bytes(state_members(shape.layer, options, kernel)),
        tables=tables,
        flash=tables + code_bytes(layout, options) + scoring + filter_code_bytes(filters),
        stack=stack_bytes(layout, options),
    )
    if shape.lower is None:
        return own
    below = budget(shape.lower, options.below, kernel)
    # The two states are multiples of 8 bytes; learning adds a uint32_t behind them, class scores a flag.
    behind = 8 if options.learning or readout else 0
    members = behind + (8 * readout.classes if readout else 0)
    return own.above(below, members, JOINT_CODE_BYTES, JOINT_STACK_BYTES)


def readout_table_bytes(shape: Shape) -> int:
    """Constant tables of class scores: the rows, and the cell of each sensor row and column."""
    if shape.readout is None:
        return 0
    rows = shape.readout.grid**2 * shape.params.features
    return 2 * (rows * shape.readout.classes + shape.sensor.height + shape.sensor.width)


def fits(shape: Shape, options: Options, board: Board) -> bool:
    """Whether the library fits beside the firmware."""
    need = budget(shape, options, board.kernel)
    return all(needed <= have for _, needed, have in _limits(need, board))


def largest_fitting(shape: Shape, options: Options, board: Board) -> int:
    """Most neurons per bank that fit the board, 0 if not even one does."""
    low, high = 0, 1
    while fits(shape.changed(neurons=high), options, board):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(shape.changed(neurons=middle), options, board):
            low = middle
        else:
            high = middle
    return low


def check_fit(shape: Shape, options: Options, board: Board) -> None:
    """Raise FeastError if the library is too large for the board, saying what would fit."""
    shape = shape.emitted(options)
    need = budget(shape, options, board.kernel)
    for kind, bytes_needed, have in _limits(need, board):
        if bytes_needed > have:
            most = largest_fitting(shape, options, board)
            plain = shape.readout is not None and fits(replace(shape, readout=None), options, board)
            raise FeastError(
                f"model too large for {board.name}: it needs {bytes_needed} bytes of {kind}, "
                f"{max(0, have)} are free beside the firmware; "
                + (f"up to {most} neurons would fit" if most else _too_large(kind, shape, options, board))
                + (", and all of them without the readout (--no-readout)" if plain and most else "")
                + (", or leave out the readout (--no-readout)" if plain and not most else "")
            )


def _limits(need: Budget, board: Board) -> tuple[tuple[str, int, int], ...]:
    """(kind, bytes needed, bytes there are) of all that can run out; first what fewer neurons do not cure."""
    return (
        ("stack", need.stack, board.model_stack_bytes),
        ("RAM", need.ram, board.model_ram_bytes),
        ("flash", need.flash, board.model_flash_bytes),
    )


def _too_large(kind: str, shape: Shape, options: Options, board: Board) -> str:
    """What to do where `kind` runs out even with one neuron."""
    if kind == "stack":
        ways = _less_stack(shape, options, board) or ["a board with more stack"]
        return f"fewer neurons need no less, choose {' or '.join(ways)}"
    if kind == "flash":
        return "not even one neuron would fit, choose a larger board"
    params, sensor, filters = shape.params, shape.sensor, shape.filters
    surface = 2 * params.surfaces * sensor.height * row_stride(shape, board.kernel)
    if shape.lower is not None:
        return (
            f"the {params.channels} {sensor} time surfaces of the second layer alone take {surface} bytes, "
            "choose a larger board or fewer features below"
        )
    if filters and filters.keeps_times:
        times = 2 * filters.cells.width * filters.cells.height
        return (
            f"the {sensor} time surface alone takes {surface} bytes and the filters' times {times}, choose a "
            "larger board or larger cells"
        )
    return f"the {sensor} time surface alone takes {surface} bytes, choose a larger board"


def _less_stack(shape: Shape, options: Options, board: Board) -> list[str]:
    """Each change that alone brings the stack within the board's."""
    below = shape.lower.changed(radius=1) if shape.lower else None
    changes = {
        "a smaller radius": (replace(shape.changed(radius=1), lower=below), options),
        "fewer features below": (shape.changed(channels=1), options),
        "no --learning": (shape, replace(options, learning=False)),
    }
    return [
        way
        for way, changed in changes.items()
        if budget(*changed, board.kernel).stack <= board.model_stack_bytes
    ]
