"""The state of a network, described once: sections in their order, types, sizes and the names of their words.

The offsets of the emitted C, the packers of twin and host, the names in messages and the table of the
numerics page (section 8) are all made from this module. Run it to print that table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.fading_readout import FadingSize
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Shape

Kind = Literal["i16", "u16", "i32", "u32", "i64", "u64"]
Words = npt.NDArray[np.uint16]
Values = Mapping[str, npt.ArrayLike]
"""What a stage holds, by section."""

WORD_BITS: Final = 16
WORDS_OF: Final[dict[Kind, int]] = {"i16": 1, "u16": 1, "i32": 2, "u32": 2, "i64": 4, "u64": 4}
_DTYPES: Final[dict[Kind, str]] = {
    "i16": "<i2",
    "u16": "<u2",
    "i32": "<i4",
    "u32": "<u4",
    "i64": "<i8",
    "u64": "<u8",
}

ACCEPTANCE: Final = "acceptance"
FILTER: Final = "filter"
READOUT: Final = "readout"
UNUSED: Final = "unused"
"""Sections that no stage holds: they are 0."""


@dataclass(frozen=True)
class Section:
    """Values of one kind that lie together, low word first."""

    name: str
    kind: Kind
    meaning: str
    label: str
    """What a word is called; indices by extent, e.g. ``"weight {D} of feature {F}"``."""
    extents: tuple[str, ...] = ()
    """Symbols of the sizes, outermost first; none for a single value."""

    @property
    def words_of_value(self) -> int:
        """16-bit words of one value."""
        return WORDS_OF[self.kind]

    @property
    def size(self) -> str:
        """Its words in symbols.

        >>> Section("wins", "u32", "", "", ("F",)).size
        '2*F'
        """
        return "*".join(
            (
                *([str(self.words_of_value)] if self.words_of_value > 1 or not self.extents else []),
                *self.extents,
            )
        )


LEARNED: Final = (
    Section("weights", "i16", "weights, feature by feature", "weight {D} of feature {F}", ("F", "D")),
    Section("thresholds", "i32", "selection thresholds", "threshold of feature {F}", ("F",)),
    Section("dither", "u32", "dither state `x`", "dither state"),
)
"""What a layer learns."""
ACTIVITY: Final = (
    Section("learning", "u16", "learning on (1) or off (0)", "learning switch"),
    Section("started", "u16", "1 if an event was accepted since the reset", "started flag"),
    Section("t_us", "u64", "time of the last accepted event (0 before the first)", "time of the last event"),
    Section("octave", "u64", "octave `e` (0 before the first event)", "octave"),
    Section("phase", "u32", "`phase` (0 before the first event)", "phase"),
    Section("wins", "u32", "`wins`", "wins of feature {F}", ("F",)),
    Section("misses", "u32", "`misses`", "counter of misses"),
    Section("border", "u32", "`border`", "counter of border"),
)
REJECTED: Final = (
    Section("outside", "u32", "`outside`; of an upper layer 0", "counter of outside"),
    Section("backwards", "u32", "`backwards`; of an upper layer 0", "counter of backwards"),
)
"""Counted before the first stage, so that no layer has them."""
WINDOW: Final = (
    Section("window_events", "u16", "`window_events`", "window_events"),
    Section("window_misses", "u16", "`window_misses`", "window_misses"),
    Section("last_window_misses", "u16", "`last_window_misses`", "last_window_misses"),
)
FILTERED: Final = (
    Section("filtered", "u32", "with filters: `filtered`", "counter of filtered"),
    Section("seen", "u16", "with filters: 1 if an event was seen since the reset", "seen flag"),
    Section(
        "seen_us",
        "u64",
        "with filters: time of the last event seen (0 before)",
        "time of the last event seen",
    ),
)
LIMITER: Final = (
    Section("limited", "u32", "with a limiter: `limited`", "counter of limited"),
    Section("backlog", "u32", "with a limiter: `backlog` at the last event seen", "backlog of the limiter"),
    Section("age", "u32", "with a limiter: `age` at the last event seen", "age of the limiter's period"),
    Section(
        "spent",
        "u16",
        "with a limiter: `spent` of each block (section 14)",
        "events spent by block x={BW} y={BH}",
        ("BH", "BW"),
    ),
)
TICKS_LEFT: Final = Section(
    "ticks_left",
    "u16",
    "with a filter that keeps times: ticks for which each cell's last event still counts (section 14)",
    "ticks left of filter cell x={CW} y={CH}",
    ("CH", "CW"),
)
_PIXEL: Final = "pixel x={W} y={H} of surface {S}"
SURFACE: Final = Section(
    "surface", "i16", "surface values at octave `e`, surface by surface, row by row", _PIXEL, ("S", "H", "W")
)
SURFACE_OF_CHANNELS: Final = Section("surface", "i16", SURFACE.meaning, _PIXEL, ("H", "S", "W"))
"""The same of an upper layer: row by row, within a row channel by channel."""
SCORES: Final = (
    Section(
        "scores",
        "i64",
        "with a readout (section 13): scores, class by class",
        "score of class {classes}",
        ("classes",),
    ),
    Section("scored", "u16", "with a readout: 1 if an event was scored since the reset", "scored flag"),
)
HISTOGRAM: Final = (
    Section(
        "entries",
        "u16",
        "with a fading readout (section 15), in place of `scores`: entries after all halvings, feature by "
        "feature, row by row",
        "entry of feature {F}, cell x={GW} y={GH}",
        ("F", "GH", "GW"),
    ),
    Section("excess", "u16", "with a fading readout: excess `k`", "excess"),
    Section("fade_step", "u16", "with a fading readout: step `j` within the octave", "step of the readout"),
    Section(
        "fade_us",
        "u64",
        "with a fading readout: `t_s` (0 before the first event scored)",
        "time of the readout's step",
    ),
)
"""What a fading readout holds before the last section of `SCORES`."""


@dataclass(frozen=True)
class Placed:
    """A section where it lies in the state of a certain network."""

    section: Section
    stage: str
    """Who holds it: ``layer1``, ``layer2``, FILTER, READOUT, ACCEPTANCE or UNUSED."""
    start: int
    """Index of its first word."""
    shape: tuple[int, ...]
    suffix: str = ""
    """Ends the name of each of its words."""

    @property
    def words(self) -> int:
        """Its 16-bit words."""
        return self.section.words_of_value * prod(self.shape)

    @property
    def end(self) -> int:
        """Index of the word behind its last one."""
        return self.start + self.words

    def word_name(self, index: int) -> str:
        """What word `index` (0 .. words - 1) of the section is called."""
        position = np.unravel_index(index // self.section.words_of_value, self.shape or (1,))
        indices = {symbol: int(i) for symbol, i in zip(self.section.extents, position, strict=False)}
        return self.section.label.format(**indices) + self.suffix


@dataclass(frozen=True)
class Span:
    """Neighbouring words of the state that are neighbours in their stage, too."""

    stage: str
    start: int
    end: int
    own: int
    """Index of the first one among the words of the stage."""
    sections: tuple[str, ...]


@dataclass(frozen=True)
class StateLayout:
    """Sections of a network's state in their order; those with what was learned come first."""

    placed: tuple[Placed, ...]
    learned_words: int

    @property
    def words(self) -> int:
        """16-bit words of the whole state."""
        return self.placed[-1].end

    def stages(self) -> dict[str, tuple[Placed, ...]]:
        """The sections of each stage, from 0 on: where they lie among its own words."""
        stages: dict[str, list[Placed]] = {}
        for each in self.placed:
            own = stages.setdefault(each.stage, [])
            start = own[-1].end if own else 0
            own.append(Placed(each.section, each.stage, start, each.shape, each.suffix))
        return {stage: tuple(own) for stage, own in stages.items()}

    def spans(self) -> tuple[Span, ...]:
        """The state as runs of words of one stage."""
        spans: list[Span] = []
        ends: dict[str, int] = {}
        for each in self.placed:
            own = ends.get(each.stage, 0)
            ends[each.stage] = own + each.words
            if spans and spans[-1].stage == each.stage:
                last = spans[-1]
                names = (*last.sections, each.section.name)
                spans[-1] = Span(last.stage, last.start, each.end, last.own, names)
            else:
                spans.append(Span(each.stage, each.start, each.end, own, (each.section.name,)))
        return tuple(spans)

    def find(self, stage: str, name: str) -> Placed:
        """A section; raises KeyError if the state has none of this name."""
        for each in self.placed:
            if (each.stage, each.section.name) == (stage, name):
                return each
        raise KeyError(f"{stage}.{name}")

    def word_name(self, index: int) -> str:
        """What word `index` is part of, e.g. ``"weight 17 of feature 3"``.

        Raises IndexError beyond the state.
        """
        for each in self.placed:
            if index < each.end:
                return each.word_name(index - each.start)
        raise IndexError(index)

    def pack(self, stages: Mapping[str, Values], *, learned_only: bool = False) -> Words:
        """uint16 (words,): all values, or the learned part alone; integers wrap at their size."""
        end = self.learned_words if learned_only else self.words
        words = np.zeros(end, "<u2")
        for each in self._up_to(end):
            if each.stage != UNUSED:
                value = np.asarray(stages[each.stage][each.section.name])
                dtype = _DTYPES[each.section.kind]
                words[each.start : each.end] = value.astype(dtype).reshape(-1).view("<u2")
        return words.astype(np.uint16, copy=False)

    def unpack(self, words: Words) -> dict[str, dict[str, npt.NDArray[np.integer[Any]]]]:
        """Values by stage and section, of a whole state or of its learned part.

        Raises FeastError for another number of words.
        """
        if len(words) not in (self.learned_words, self.words):
            raise FeastError(f"{len(words)} words: expected {self.learned_words} or {self.words}")
        raw = np.ascontiguousarray(words, "<u2")
        stages: dict[str, dict[str, npt.NDArray[np.integer[Any]]]] = {}
        for each in self._up_to(len(words)):
            value = raw[each.start : each.end].view(_DTYPES[each.section.kind]).reshape(each.shape)
            stages.setdefault(each.stage, {})[each.section.name] = value
        return stages

    def _up_to(self, end: int) -> Iterator[Placed]:
        return (each for each in self.placed if each.end <= end)


def layer_names(shape: Shape) -> tuple[str, ...]:
    """What the layers are called, the one that gives the results last."""
    return ("layer1",) if shape.lower is None else ("layer1", "layer2")


def state_layout(shape: Shape) -> StateLayout:
    """The state of a network as it is emitted: give ``shape.emitted(options)``.

    Layers go from the upper one to the lower one: first what they learned, then the rest, then class scores.
    """
    lowest = shape.lower or shape
    layers = [(shape, layer_names(shape)[-1], "")]
    if shape.lower is not None:
        layers.append((shape.lower, layer_names(shape)[0], " of the lower layer"))
    order: list[tuple[Section, str, dict[str, int], str]] = []
    for layer, stage, suffix in layers:
        order += [(section, stage, _extents(layer), suffix) for section in LEARNED]
    learned = len(order)
    for layer, stage, suffix in layers:
        counted = ACCEPTANCE if layer is lowest else UNUSED
        surface = SURFACE_OF_CHANNELS if layer.params.channels > 1 else SURFACE
        parts = [
            *((section, stage) for section in ACTIVITY),
            *((section, counted) for section in REJECTED),
            *((section, stage) for section in WINDOW),
            *((section, FILTER) for section in _filter_sections(layer.filters)),
            (surface, stage),
        ]
        order += [(section, holder, _extents(layer), suffix) for section, holder in parts]
    if shape.readout is not None:
        order += [(section, READOUT, _readout_extents(shape), "") for section in _readout_sections(shape)]
    placed: list[Placed] = []
    for section, stage, extents, suffix in order:
        sizes = tuple(extents[symbol] for symbol in section.extents)
        placed.append(Placed(section, stage, placed[-1].end if placed else 0, sizes, suffix))
    return StateLayout(tuple(placed), placed[learned - 1].end)


def score_words(classes: int) -> int:
    """Words of class scores, at the end of a state; 0 for no classes."""
    sizes = (section.words_of_value * (classes if section.extents else 1) for section in SCORES)
    return sum(sizes) if classes else 0


def markdown() -> str:
    """The table of the numerics page: every section in its order."""
    rows = [
        *LEARNED,
        *ACTIVITY,
        *REJECTED,
        *WINDOW,
        *FILTERED,
        *LIMITER,
        TICKS_LEFT,
        SURFACE,
        SCORES[0],
        *HISTOGRAM,
        SCORES[1],
    ]
    lines = ["| section | type | words | content |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | {row.kind} | {row.size} | {row.meaning} |" for row in rows]
    return "\n".join(lines)


def _filter_sections(filters: Filters | None) -> tuple[Section, ...]:
    if filters is None:
        return ()
    limiter = LIMITER if filters.max_rate else ()
    return (*FILTERED, *limiter, TICKS_LEFT) if filters.keeps_times else (*FILTERED, *limiter)


def _readout_sections(shape: Shape) -> tuple[Section, ...]:
    return (*HISTOGRAM, SCORES[-1]) if isinstance(shape.readout, FadingSize) else SCORES


def _readout_extents(shape: Shape) -> dict[str, int]:
    readout = shape.readout
    if readout is None:
        return {}
    return {
        **{"classes": readout.classes, "F": shape.params.total_features},
        **{"GH": readout.grid, "GW": readout.grid},
    }


def _extents(layer: Shape) -> dict[str, int]:
    params, filters = layer.params, layer.filters
    sizes = {
        **{"F": params.total_features, "D": params.dims, "S": params.surfaces},
        **{"H": layer.sensor.height, "W": layer.sensor.width},
    }
    if filters is not None:
        sizes |= {"CH": filters.cells.height, "CW": filters.cells.width}
        sizes |= {"BH": filters.blocks.height, "BW": filters.blocks.width}
    return sizes


if __name__ == "__main__":
    print(markdown())
