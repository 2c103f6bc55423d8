"""What the emitted library takes: the members of its state, its RAM and flash, and what fits a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import Board, Kernel
from feast_codegen.codegen.emit.footprint_model import (
    JOINT_CODE_BYTES,
    JOINT_STACK_BYTES,
    READOUT_CODE_BYTES,
    code_bytes,
    filter_code_bytes,
    stack_bytes,
)
from feast_codegen.codegen.emit.weight_layout import make_layout
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.state_layout import FILTER, READOUT, layer_names
from feast_codegen.codegen.model.fading_readout import FadingSize
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Shape
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import ReadoutSize

_TYPE_BYTES: Final = {
    **{"uint64_t": 8, "int64_t": 8, "uint32_t": 4, "int32_t": 4},
    **{"uint16_t": 2, "int16_t": 2, "bool": 1},
}


STATE_ALIGNMENT: Final = 8
"""Address multiple of the state: packed loads and vectors take eight bytes at once."""


@dataclass(frozen=True)
class Member:
    """One member of a struct; ``count`` 0 is a scalar."""

    name: str
    ctype: str
    count: int
    comment: str
    parts: tuple[Member, ...] = ()
    """Of a struct: its own members."""
    aligned: bool = False
    """Declared to lie at a multiple of `STATE_ALIGNMENT`, under any ABI."""

    @property
    def bytes(self) -> int:
        """Size without padding behind it."""
        return (struct_bytes(self.parts) if self.parts else _TYPE_BYTES[self.ctype]) * max(1, self.count)

    @property
    def alignment(self) -> int:
        """Address multiple that its type asks for, under the Arm and the x86-64 ABI."""
        return max(part.alignment for part in self.parts) if self.parts else _TYPE_BYTES[self.ctype]


@dataclass(frozen=True)
class Budget:
    """Bytes the library takes of a board: RAM and tables exactly, code and stack at most."""

    ram: int
    """``sizeof(feast_t)``."""
    tables: int
    """Constant tables in flash."""
    flash: int
    """Tables and code; of the code, the most that any GCC from 12 to 14 makes of it at -O2."""
    stack: int
    """Of ``feast_step`` and what it calls."""


def row_stride(shape: Shape, kernel: Kernel) -> int:
    """Cells of a surface row with its zero margins, a multiple of 4 or 8 for packed shifts."""
    margin = shape.params.radius if shape.params.border == "zero" else 0
    cells = 8 if kernel == "vector" else 4
    return -(-(shape.sensor.width + 2 * margin) // cells) * cells


def layer_members(shape: Shape, options: Options, kernel: Kernel) -> tuple[Member, ...]:
    """Members of a layer's struct in their order."""
    features = shape.params.total_features
    rows = shape.params.surfaces * shape.sensor.height
    cells = rows * row_stride(shape, kernel) + 4
    time = [
        Member("t_us", "uint64_t", 0, "time of the last accepted event", aligned=True),
        Member("octave", "uint64_t", 0, "octaves of tau * ln 2 since the first event"),
    ]
    # Behind the 64-bit members, so that both arrays lie at multiples of 8: their sizes are ones, too.
    surface = Member("surface", "int16_t", cells, "rows of cells with zero margins")
    learned = [
        Member(
            "weights", "uint32_t", make_layout(shape.params, kernel).words, "features, Q15, two to a word"
        ),
        Member("thresholds", "int32_t", features, "selection thresholds, Q30"),
        Member("norm2", "uint32_t", features, "squared norm of each feature, Q30"),
        Member("dither", "uint32_t", 0, "generator that makes rounding unbiased"),
    ]
    counters = [
        Member("wins", "uint32_t", features, "events each feature won"),
        Member("row_octave", "uint32_t", rows, "octave each surface row was brought up to, low bits"),
        Member("phase", "uint32_t", 0, "position within the octave, 1/256 us"),
        Member("misses", "uint32_t", 0, "missed events"),
        Member("border", "uint32_t", 0, "events without a full patch"),
        Member("window_events", "uint16_t", 0, "compared events in the current window"),
        Member("window_misses", "uint16_t", 0, "missed events among them"),
        Member("last_window_misses", "uint16_t", 0, "missed events in the last full window"),
        Member("started", "bool", 0, "an event was accepted since the reset"),
    ]
    switch = [Member("learning", "bool", 0, "features adapt")]
    if options.learning:
        return (*time, surface, *learned, *counters, *switch)
    return (*time, surface, *counters)


def check_emittable(readout: ReadoutSize | FadingSize) -> ReadoutSize:
    """The size of class scores; raises FeastError for a fading readout, of which there is no C."""
    if isinstance(readout, FadingSize):
        raise FeastError(
            "the model's readout fades, and this version emits no C for it: give --no-readout for the "
            "network alone"
        )
    return readout


def readout_members(readout: ReadoutSize) -> tuple[Member, ...]:
    """Members of the struct of class scores."""
    return (
        Member("scores", "int64_t", readout.classes, "sums of readout rows since the reset"),
        Member("scored", "bool", 0, "an event was scored since the reset"),
    )


def filter_members(filters: Filters) -> tuple[Member, ...]:
    """Members of the struct of filters."""
    cells = filters.cells
    rows = Member("row_tick", "uint64_t", cells.height, "tick each row of stamps counts from")
    stamps = Member("stamps", "uint16_t", cells.width * cells.height, "when each cell last fired, ticks")
    return (
        Member("seen_us", "uint64_t", 0, "time of the last event seen, filtered or not"),
        *((rows,) if filters.keeps_times else ()),
        Member("filtered", "uint32_t", 0, "events the filters left out"),
        Member("seen", "bool", 0, "an event was seen since the reset"),
        *((stamps,) if filters.keeps_times else ()),
    )


def network_members(shape: Shape, options: Options, kernel: Kernel) -> tuple[Member, ...]:
    """Members of ``feast_t``: a struct for each stage, and the counters of what no stage is given."""
    shape = shape.emitted(options)
    layers = [(shape, options)] if shape.lower is None else [(shape.lower, options.below), (shape, options)]
    members = [
        _struct(name, "layer" if len(layers) == 1 else f"{which} layer", layer_members(layer, chosen, kernel))
        for name, which, (layer, chosen) in zip(layer_names(shape), ("lower", "upper"), layers, strict=False)
    ]
    filters = (shape.lower or shape).filters
    if filters is not None:
        members.append(_struct(FILTER, "filters before the network", filter_members(filters)))
    if shape.readout is not None:
        members.append(_struct(READOUT, "class scores", readout_members(check_emittable(shape.readout))))
    members += [
        Member("outside", "uint32_t", 0, "events off the camera"),
        Member("backwards", "uint32_t", 0, "events out of order"),
    ]
    if options.learning and shape.lower is not None:
        members.append(
            Member(
                "foreign", "uint32_t", 0, "1 + index of an imported word that the lower layer does not have"
            )
        )
    return tuple(members)


def _struct(name: str, comment: str, parts: tuple[Member, ...]) -> Member:
    return Member(name, f"feast_{name}_t", 0, comment, parts)


def struct_bytes(members: tuple[Member, ...]) -> int:
    """``sizeof`` of a struct of these members under the Arm and the x86-64 ABI (natural alignment).

    >>> struct_bytes((Member("a", "uint64_t", 0, ""), Member("c", "int16_t", 3, "")))
    16
    """
    offset = 0
    for member in members:
        offset = -(-offset // member.alignment) * member.alignment + member.bytes
    largest = max(member.alignment for member in members)
    return -(-offset // largest) * largest


def budget(shape: Shape, options: Options, kernel: Kernel) -> Budget:
    """RAM, flash and stack of the library for a network, with what `options` leave of it.

    Raises FeastError for options that exclude each other.
    """
    options.check()
    shape = shape.emitted(options)
    layers = [(shape, options)] if shape.lower is None else [(shape.lower, options.below), (shape, options)]
    layouts = [
        (make_layout(layer.params, kernel, chosen.weights == "int8"), chosen) for layer, chosen in layers
    ]
    filters = (shape.lower or shape).filters
    tables = sum(4 * layout.words for layout, _ in layouts)
    tables += sum(4 * layer.params.total_features + 2 * formats.MANTISSAS for layer, _ in layers)
    tables += readout_table_bytes(shape) + (filters.hot_mask.nbytes if filters and filters.hot_pixels else 0)
    code = sum(code_bytes(layout, chosen) for layout, chosen in layouts) + filter_code_bytes(filters)
    code += (READOUT_CODE_BYTES if shape.readout else 0) + (JOINT_CODE_BYTES if shape.lower else 0)
    return Budget(
        ram=struct_bytes(network_members(shape, options, kernel)),
        tables=tables,
        flash=tables + code,
        stack=max(stack_bytes(layout, chosen) for layout, chosen in layouts)
        + (JOINT_STACK_BYTES if shape.lower else 0),
    )


def readout_table_bytes(shape: Shape) -> int:
    """Constant tables of class scores: the rows, and the cell of each sensor row and column."""
    if shape.readout is None:
        return 0
    rows = shape.readout.grid**2 * shape.params.total_features
    return 2 * (rows * shape.readout.classes + shape.sensor.height + shape.sensor.width)


def fits(shape: Shape, options: Options, board: Board) -> bool:
    """Whether the library fits beside the firmware."""
    need = budget(shape, options, board.kernel)
    return all(needed <= have for _, needed, have in _limits(need, board))


def largest_fitting(shape: Shape, options: Options, board: Board) -> int:
    """Most features per bank that fit the board, 0 if not even one does."""
    low, high = 0, 1
    while fits(shape.changed(features=high), options, board):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(shape.changed(features=middle), options, board):
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
                + (f"up to {most} features would fit" if most else _too_large(kind, shape, options, board))
                + (", and all of them without the readout (--no-readout)" if plain and most else "")
                + (", or leave out the readout (--no-readout)" if plain and not most else "")
            )


def _limits(need: Budget, board: Board) -> tuple[tuple[str, int, int], ...]:
    """(kind, needed, available) of all that can run out, first what fewer features do not cure."""
    return (
        ("stack", need.stack, board.model_stack_bytes),
        ("RAM", need.ram, board.model_ram_bytes),
        ("flash", need.flash, board.model_flash_bytes),
    )


def _too_large(kind: str, shape: Shape, options: Options, board: Board) -> str:
    """What to do where `kind` runs out even with one feature."""
    if kind == "stack":
        ways = _less_stack(shape, options, board) or ["a board with more stack"]
        return f"fewer features need no less, choose {' or '.join(ways)}"
    if kind == "flash":
        return "not even one feature would fit, choose a larger board"
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
