"""The library to be emitted, decided in full: ids, stages with memory and constants, state, budget.

A network is a pipeline of stages: filter? -> layer (1 or 2) -> readout?. What every stage answers is `Stage`;
templates ask the stages themselves. Refuses what does not fit a board.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.base.tool import VERSION
from feast_codegen.codegen.boards.board import Board, Kernel
from feast_codegen.codegen.emit.budget import (
    Budget,
    Member,
    budget,
    check_fit,
    filter_members,
    layer_members,
    network_members,
    readout_members,
    row_stride,
)
from feast_codegen.codegen.emit.fading_plan import FadingPlan
from feast_codegen.codegen.emit.weight_layout import VECTOR, Layout, make_layout, pack_weights
from feast_codegen.codegen.fixed_point.overflow_bounds import weight_energy
from feast_codegen.codegen.fixed_point.quantise import (
    INITIAL_DITHER,
    QuantModel,
    StoredWeights,
    effective_filters,
    effective_readout,
    state_id,
    stored_weights,
)
from feast_codegen.codegen.fixed_point.quantise_readout import QuantFading
from feast_codegen.codegen.fixed_point.state_layout import (
    FILTER,
    READOUT,
    Placed,
    StateLayout,
    layer_names,
)
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import norm_limit
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import QuantReadout, cells_along
from feast_codegen.codegen.protocol import messages

API_VERSION: Final = (1, 0, 0)
"""Of the functions and macros in the emitted header."""
NUMERICS_VERSION: Final = 2
"""Goes up when docs/reference/numerics.md changes any result; part of the build id."""
_KERNEL_TEMPLATES: Final[dict[Kernel, str]] = {
    "small": "kernel_pairs.h.j2",
    "portable": "kernel_pairs.h.j2",
    "dsp": "kernel_pairs.h.j2",
    "vector": "kernel_vector.h.j2",
}


@dataclass(frozen=True)
class Ids:
    """What tells one library from another."""

    model: str
    """64 hex digits: the model file's."""
    build: str
    """16 hex digits: what host and device must share to understand each other."""
    state: int
    """CRC-32 of the learned state it starts from."""
    library: str
    """16 hex digits over model, build, kernel, options and version: header and object code agree in it."""


class Stage(Protocol):
    """What the joint, the header and the state need of a stage."""

    @property
    def name(self) -> str:
        """In names of C (``feast_NAME_step``) and of the state (`StateLayout`)."""

    @property
    def title(self) -> str:
        """What it is, in words."""

    @property
    def members(self) -> tuple[Member, ...]:
        """Of its struct."""

    @property
    def sections(self) -> tuple[Placed, ...]:
        """Of its words of the state, from word 0 on."""

    @property
    def header(self) -> str:
        """What the joint includes."""

    @property
    def templates(self) -> dict[str, str]:
        """Template of each of its files; ``NAME`` in a path is the stage's."""

    @property
    def config(self) -> str:
        """Template of its constants in feast_config.h."""


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer: weights in the layout of a kernel, selection, learning."""

    name: str
    title: str
    quant: QuantModel
    options: Options
    """Of this layer: the lower one of two is frozen."""
    stored: StoredWeights
    layout: Layout
    stride: int
    """Cells of a surface row with its margins."""
    members: tuple[Member, ...]
    sections: tuple[Placed, ...]
    weight_energy: int
    """Most that squares of a feature's weights sum up to."""

    @property
    def learning(self) -> bool:
        """Weights lie in RAM and adapt."""
        return self.options.learning

    @property
    def select_threshold(self) -> bool:
        """While frozen, a feature must be in range of its threshold."""
        return self.options.select == "threshold"

    @property
    def uses_range(self) -> bool:
        """Code for the norm of a context is needed."""
        return self.learning or self.select_threshold

    @property
    def signed_surface(self) -> bool:
        """Surface values carry the polarity of their event."""
        return self.quant.params.polarity == "signed"

    @property
    def skip_border(self) -> bool:
        """Events without a full patch are left out."""
        return self.quant.params.border == "skip"

    @property
    def margin(self) -> int:
        """Zero cells left and right of each surface row."""
        return 0 if self.skip_border else self.quant.params.radius

    @property
    def many_channels(self) -> bool:
        """A context spans several surfaces, most of them quiet."""
        return self.quant.params.channels > 1

    @property
    def bank(self) -> str:
        """C expression of the bank that `input` chooses."""
        return "(input != 0u) ? (uint32_t)1 : (uint32_t)0" if self.quant.params.banks > 1 else "0"

    @property
    def channel(self) -> str:
        """C expression of the channel, among FEAST_CHANNELS surfaces, that `input` names."""
        return "input" if self.quant.lower is not None else "0u"

    @property
    def stored_value(self) -> str:
        """C expression of what a pixel is given, from `value` and `input`."""
        return "input != 0u ? value : (int16_t)-value" if self.signed_surface else "value"

    @property
    def uses_input(self) -> bool:
        """Whether `input` plays a part."""
        return self.quant.lower is not None or self.quant.params.polarity != "merged"

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates of one event."""
        return self.quant.params.features * self.quant.params.dims

    @property
    def input_meaning(self) -> str:
        """What `input` is to this layer."""
        return "feature of the layer below" if self.quant.lower is not None else "polarity"

    @property
    def row_vectors(self) -> tuple[int, ...]:
        """Where in a patch row the vector kernel's copies start; the last ones overlap."""
        side = self.quant.params.side
        return tuple(min(at, side - VECTOR) for at in range(0, side, VECTOR))

    @property
    def weight_words(self) -> npt.NDArray[np.uint32]:
        """The weights in the layout of the kernel."""
        return pack_weights(self.stored.values, self.layout)

    @property
    def norm_limit(self) -> int:
        """Most that the norm of a feature's weights is off 1, in units of a weight."""
        return norm_limit(self.quant.params.dims)

    @property
    def initial_dither(self) -> int:
        """Of a network that has learned nothing yet."""
        return INITIAL_DITHER

    @property
    def header(self) -> str:
        """The layer's step."""
        return f"feast_{self.name}_step.h"

    @property
    def config(self) -> str:
        """Template of its constants."""
        return "layer/config.h.j2"

    @property
    def templates(self) -> dict[str, str]:
        """Template of each of its files."""
        files = (
            "internal.h",
            "step.h",
            "state.c",
            "tables.c",
            *(("learn.c", "learn.h") if self.learning else ()),
        )
        return {
            **{f"src/feast_NAME_{file}": f"layer/{file}.j2" for file in files},
            "src/feast_NAME_kernel.h": f"layer/{_KERNEL_TEMPLATES[self.layout.kernel]}",
        }


@dataclass(frozen=True, eq=False)
class FilterPlan:
    """Filters in front of the lowest layer."""

    filters: Filters
    members: tuple[Member, ...]
    sections: tuple[Placed, ...]
    name: str = FILTER
    title: str = "filters before the network"
    header: str = "feast_filter.h"
    config: str = "filter/config.h.j2"

    @property
    def templates(self) -> dict[str, str]:
        """Template of each of its files."""
        names = {"src/feast_NAME.c": "filter.c", "src/feast_NAME.h": "filter.h"}
        names |= {"src/feast_NAME_tables.c": "tables.c"} if self.filters.hot_pixels else {}
        return {path: f"filter/{name}.j2" for path, name in names.items()}


@dataclass(frozen=True, eq=False)
class ReadoutPlan:
    """Class scores behind the last layer."""

    quant: QuantReadout
    sensor: Sensor
    features: int
    members: tuple[Member, ...]
    sections: tuple[Placed, ...]
    name: str = READOUT
    title: str = "class scores"
    header: str = "feast_readout.h"
    config: str = "readout/config.h.j2"
    fades: bool = False

    @property
    def row_cells(self) -> npt.NDArray[np.int64]:
        """(height,): the first cell of the row of cells that a sensor row lies in."""
        return cells_along(self.sensor.height, self.quant.grid) * self.quant.grid

    @property
    def column_cells(self) -> npt.NDArray[np.int64]:
        """(width,): the column of cells that a sensor column lies in."""
        return cells_along(self.sensor.width, self.quant.grid)

    @property
    def templates(self) -> dict[str, str]:
        """Template of each of its files."""
        names = {
            "src/feast_NAME.c": "readout.c",
            "src/feast_NAME.h": "readout.h",
            "src/feast_NAME_tables.c": "tables.c",
        }
        return {path: f"readout/{name}.j2" for path, name in names.items()}


@dataclass(frozen=True, eq=False)
class Plan:
    """What the templates are given; one meaning with one layer or two."""

    ids: Ids
    board: str
    options: Options
    layers: tuple[LayerPlan, ...]
    """In the order of an event's way; the last one gives the results."""
    filter: FilterPlan | None
    readout: ReadoutPlan | FadingPlan | None
    state: StateLayout
    budget: Budget

    @property
    def title(self) -> str:
        """The network, in words."""
        return f"FEAST for {self.camera}: " + ", on ".join(layer.title for layer in reversed(self.layers))

    @property
    def last(self) -> LayerPlan:
        """The layer that gives the results."""
        return self.layers[-1]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All of them; layers first, so that what every event touches lies near the start of the state."""
        others = [stage for stage in (self.filter, self.readout) if stage is not None]
        return (*self.layers, *others)

    @property
    def entry(self) -> Stage:
        """The stage that an event meets first, which knows the time of the event before."""
        return self.filter or self.layers[0]

    @property
    def camera(self) -> Sensor:
        """What events are given in."""
        return self.filter.filters.camera if self.filter else self.last.quant.sensor

    @property
    def downsample_shift(self) -> int:
        """A pixel of the network is 2^downsample_shift camera pixels wide and high."""
        return self.filter.filters.downsample_shift if self.filter else 0

    @property
    def members(self) -> tuple[Member, ...]:
        """Of the whole state: the stages' structs, and what the joint counts itself."""
        quant = self.last.quant
        return network_members(quant.shape, self.options, self.last.layout.kernel)


def make_plan(quant: QuantModel, board: Board | None, options: Options, kernel: Kernel | None = None) -> Plan:
    """Lay out the emitted library; `board` None plans for the host and sets no limit.

    `kernel` replaces the one that suits the board; all give the same bits. Raises FeastError if
    learning cannot be expressed, or if the model is too large for the board; the message says what
    would fit.
    """
    if quant.params.total_features > 32767:
        raise FeastError(f"{quant.params.total_features} features: results are int16_t, at most 32767 fit")
    if board is not None:
        check_fit(quant.shape, options, board)
    name, kernel = (board.name, kernel or board.kernel) if board else ("host", kernel or "portable")
    state = quant.state(options)
    stages = state.stages()
    models = ((quant.lower, options.below), (quant, options)) if quant.lower else ((quant, options),)
    filters = effective_filters(quant.lower or quant, options)
    readout = effective_readout(quant, options)
    build = build_id(quant, options)
    return Plan(
        ids=Ids(quant.model_id, build, state_id(quant, options), _library_id(quant, build, options, kernel)),
        board=name,
        options=options,
        layers=tuple(
            _lay_out(stage, layer, chosen, kernel, stages[stage])
            for stage, (layer, chosen) in zip(layer_names(quant.shape), models, strict=True)
        ),
        filter=FilterPlan(filters, filter_members(filters), stages[FILTER]) if filters else None,
        readout=_readout_plan(readout, quant, kernel, stages[READOUT]) if readout else None,
        state=state,
        budget=budget(quant.shape, options, kernel),
    )


def build_id(quant: QuantModel, options: Options) -> str:
    """16 hex digits over geometry, options, number formats and protocol: what host and device must share."""
    params = quant.params
    content: dict[str, Any] = {
        "sensor": [quant.sensor.width, quant.sensor.height],
        "geometry": [params.features, params.radius, params.polarity, params.border],
        "formats": [NUMERICS_VERSION, quant.surface_bits, quant.octave_q8],
        "learning": [quant.eta_q32, quant.delta_i_q30, quant.delta_e_q30] if options.learning else None,
        "select": options.select,
        "weights": options.weights,
        "api": API_VERSION,
        "protocol": messages.VERSION,
    }
    if quant.lower is not None:
        content["lower"] = build_id(quant.lower, options.below)
    readout = effective_readout(quant, options)
    if readout is not None:
        form = asdict(readout.size) if isinstance(readout, QuantFading) else readout.bits
        content["readout"] = [readout.grid, readout.labels, form, readout.digest]
    if filters := effective_filters(quant, options):
        content["filters"] = asdict(filters)
    return _digest(content)


def _readout_plan(
    readout: QuantReadout | QuantFading, quant: QuantModel, kernel: Kernel, sections: tuple[Placed, ...]
) -> ReadoutPlan | FadingPlan:
    features = quant.params.total_features
    members = readout_members(readout.size, features)
    if isinstance(readout, QuantFading):
        return FadingPlan(readout, quant.sensor, features, kernel, members, sections)
    return ReadoutPlan(readout, quant.sensor, features, members, sections)


def _library_id(quant: QuantModel, build: str, options: Options, kernel: Kernel) -> str:
    return _digest([VERSION, quant.model_id, build, kernel, asdict(options)])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _lay_out(
    name: str, quant: QuantModel, options: Options, kernel: Kernel, sections: tuple[Placed, ...]
) -> LayerPlan:
    stored, params = stored_weights(quant, options), quant.params
    alone = replace(quant.shape, lower=None, readout=None)
    kind = "learning" if options.learning else "frozen"
    return LayerPlan(
        name=name,
        title=f"{params.total_features} features of {params.side}x{params.side}, {kind}",
        quant=quant,
        options=options,
        stored=stored,
        layout=make_layout(params, kernel, options.weights == "int8"),
        stride=row_stride(alone, kernel),
        members=layer_members(alone, options, kernel),
        sections=sections,
        weight_energy=weight_energy(quant, stored, options),
    )
