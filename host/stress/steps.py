"""What a stress script is made of: steps, events from rows, and where and when a network is tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import QuantModel, effective_filters
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.options import Options

Words = npt.NDArray[np.uint16]
Row = tuple[int, int, int, int]
"""Time, x, y, polarity."""
POLARITIES: Final = (0, 1, 0, 2, 0, 128, 1, 255)
SEED: Final = 2**15
_WORK: Final = 200_000_000
"""Products that the dense events of one step may take."""


@dataclass(frozen=True, eq=False)
class Feed:
    """Events (``EVENT_DTYPE``) in one call."""

    events: Events


@dataclass(frozen=True)
class Look:
    """Nothing but a look at the state."""


@dataclass(frozen=True)
class Reset:
    """The start of a recording."""


@dataclass(frozen=True)
class SetLearning:
    """Learning switched on or off."""

    on: bool


@dataclass(frozen=True, eq=False)
class Import:
    """A learned state: words `before` by index, then all of `words` in order, then the finish."""

    words: Words
    before: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Beyond:
    """A word with an index beyond the learned state, outside of an import: it changes nothing."""

    index: int
    word: int


Step = Beyond | Feed | Look | Reset | SetLearning | Import
Named = tuple[str, Step]


@dataclass(frozen=True)
class Script:
    """Steps in order, each with the name of what it tries."""

    steps: tuple[Named, ...]

    @property
    def events(self) -> int:
        """Events of all steps."""
        return sum(len(step.events) for _, step in self.steps if isinstance(step, Feed))


def to_events(rows: Iterable[Row]) -> Events:
    """Events of (time, x, y, polarity), times modulo 2^64."""
    listed = [(t % 2**64, x, y, p) for t, x, y, p in rows]
    events = np.zeros(len(listed), EVENT_DTYPE)  # the bytes between fields, too
    events[:] = listed
    return events


def recording(name: str, *parts: Iterable[Row]) -> list[Named]:
    """A reset, then each part in one call."""
    return [(name, Reset()), *((name, Feed(to_events(part))) for part in parts)]


@dataclass(frozen=True, eq=False)
class Place:
    """Where and when things happen: in camera pixels and microseconds."""

    camera: Sensor
    scale: int
    """Camera pixels to a pixel of the network."""
    radius: int
    octaves: tuple[int, ...]
    """Lengths of an octave, Q8, of the layers; the upper one's first."""
    dense: int
    """Events that make a long step."""
    filters: Filters | None

    @staticmethod
    def of(quant: QuantModel, options: Options) -> Place:
        """For a network as emitted with `options`."""
        lower = quant.lower
        filters = effective_filters(lower or quant, options)
        params = quant.params
        work = params.features * params.dims + (lower.params.features * lower.params.dims if lower else 0)
        return Place(
            camera=filters.camera if filters else quant.sensor,
            scale=1 << filters.downsample_shift if filters else 1,
            radius=max(params.radius, lower.params.radius if lower else 0),
            octaves=(quant.octave_q8, *((lower.octave_q8,) if lower else ())),
            dense=int(np.clip(_WORK // work, 100, 2 * formats.WINDOW_EVENTS + 100)),
            filters=filters,
        )

    @property
    def octave_us(self) -> float:
        """Microseconds of an octave of the upper layer."""
        return self.octaves[0] / 2**formats.TIME_BITS

    @property
    def middle(self) -> tuple[int, int]:
        """A pixel in the middle of the camera."""
        return self.camera.width // 2, self.camera.height // 2

    def around(self, most: int) -> list[tuple[int, int]]:
        """Up to `most` pixels of the patch around the middle, without the middle itself, at random."""
        x, y = self.middle
        reach = range(-self.radius, self.radius + 1)
        near = [(x + self.scale * i, y + self.scale * j) for j in reach for i in reach if (i, j) != (0, 0)]
        inside = [(i, j) for i, j in near if 0 <= i < self.camera.width and 0 <= j < self.camera.height]
        order = np.random.default_rng(SEED).permutation(len(inside))[:most]
        return [inside[i] for i in sorted(order)]

    def random(self, count: int, seed: int, gap_us: float, start_us: int = 1000) -> list[Row]:
        """Events in time order, half of them in clusters, so that they support each other."""
        rng = np.random.default_rng((SEED, seed))
        times = start_us + np.cumsum(rng.exponential(gap_us, count)).astype(np.uint64)
        width, height = self.camera.width, self.camera.height
        x, y = rng.integers(0, width, count), rng.integers(0, height, count)
        spread = self.scale * (self.radius + 1)
        middle = self.middle
        for axis, size, centre in ((x, width, middle[0]), (y, height, middle[1])):
            near = centre + rng.integers(-spread, spread + 1, count)
            axis[::2] = np.clip(near, 0, size - 1)[::2]
        polarity = rng.choice(POLARITIES, count)
        return list(zip(times.tolist(), x.tolist(), y.tolist(), polarity.tolist(), strict=True))


def instant(quant: QuantModel, octave: int, fraction: int) -> int | None:
    """Microseconds after the first event that lie in this fraction of this octave, if a whole one does."""
    start = octave * quant.octave_q8 + -(-(fraction << 32) // quant.fraction_factor)
    t = -(-start >> formats.TIME_BITS)
    found, phase = divmod(t << formats.TIME_BITS, quant.octave_q8)
    return t if (found, (phase * quant.fraction_factor) >> 32) == (octave, fraction) else None
