"""The filters of a model: which events of a camera its network never sees (numerics page, section 14)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.limits import MOST_SHIFT
from feast_codegen.codegen.base.sensor import Sensor

LONGEST_US: Final = 10_000_000
MOST_HOT_PIXELS: Final = 65_536
TICK_BITS: Final = 15
"""The longer of the two times takes at most 2^15 ticks."""
MOST_RATE: Final = 1_000_000
MOST_BURST: Final = 16_000
MOST_BURST_S: Final = 5
"""Seconds within which a burst must be earned."""
MOST_BLOCKS: Final = 64
_BURST: Final = 256
"""A burst if none is given: several events for each block."""
FEWEST_TICKS: Final = 8
"""The shorter one takes at least this many, so rounding moves it by a sixteenth at most."""


@dataclass(frozen=True)
class Filters:
    """Filters in their order; a time of 0 switches one off. Checked by `check_filters`."""

    camera: Sensor
    """What events are given in; `sensor` is what the network sees."""
    hot_pixels: tuple[tuple[int, int], ...] = ()
    """Camera pixels (x, y) that are left out, in the order of rows, each once."""
    refractory_us: int = 0
    """Ignore a cell for this many microseconds after each of its events that passed."""
    background_us: int = 0
    """An event passes if one of the eight cells around had one less than this many microseconds ago."""
    cell_shift: int = 0
    """One time is kept for a cell of 2^cell_shift x 2^cell_shift camera pixels."""
    downsample_shift: int = 0
    """A pixel of the network is 2^downsample_shift x 2^downsample_shift camera pixels."""
    max_rate: int = 0
    """Most events per second that reach the network, over more than a burst; 0: any."""
    burst: int = 0
    """Events that may pass at once, and are earned at `max_rate`; 0 without a rate."""

    @property
    def sensor(self) -> Sensor:
        """Sensor of the network."""
        return _shifted(self.camera, self.downsample_shift)

    @property
    def cells(self) -> Sensor:
        """Columns and rows of cells."""
        return _shifted(self.camera, self.cell_shift)

    @property
    def keeps_times(self) -> bool:
        """Whether a time is kept for each cell: with a refractory period or the background filter."""
        return self.refractory_us > 0 or self.background_us > 0

    @property
    def tick_shift(self) -> int:
        """A tick is 2^tick_shift microseconds: 1 us up to times of 32 ms.

        >>> Filters(Sensor(34, 34), background_us=32_769).tick_shift
        1
        """
        return max(0, (max(self.refractory_us, self.background_us, 1) - 1).bit_length() - TICK_BITS)

    @property
    def refractory_ticks(self) -> int:
        """`refractory_us` in ticks, to the nearest."""
        return _to_ticks(self.refractory_us, self.tick_shift)

    @property
    def background_ticks(self) -> int:
        """`background_us` in ticks, to the nearest."""
        return _to_ticks(self.background_us, self.tick_shift)

    @property
    def span_ticks(self) -> int:
        """Ticks for which the last event of a cell counts; 0 where no times are kept."""
        return max(self.refractory_ticks, self.background_ticks)

    @property
    def interval_q8(self) -> int:
        """What an event takes of the limiter, in 1/256 us: I of the numerics page.

        >>> Filters(Sensor(34, 34), max_rate=2700, burst=256).interval_q8
        94816
        """
        return (64_000_000 + self.max_rate // 2) // self.max_rate * 4

    @property
    def bucket_q8(self) -> int:
        """What the limiter's bucket holds, in 1/256 us: F of the numerics page."""
        return self.burst * self.interval_q8

    @property
    def block_shift(self) -> int:
        """A block of the limiter is 2^block_shift x 2^block_shift camera pixels: at most 64 blocks.

        >>> Filters(Sensor(34, 34)).block_shift, Filters(Sensor(320, 320)).block_shift
        (3, 6)
        """
        shift = 0
        while _area(_shifted(self.camera, shift)) > MOST_BLOCKS:
            shift += 1
        return shift

    @property
    def blocks(self) -> Sensor:
        """Columns and rows of blocks."""
        return _shifted(self.camera, self.block_shift)

    @property
    def stored(self) -> dict[str, Any]:
        """All settings by name, as model files and build ids have them; a limiter only where there is one."""
        stored = asdict(self)
        if not self.max_rate:
            del stored["max_rate"], stored["burst"]
        return stored

    def limited(self, max_rate: int) -> Filters | None:
        """The same with a limiter of `max_rate` events per second in place of its own; 0: without one.

        The burst stays, as far as the rate earns it in time. None if nothing is left. Raises FeastError as
        `check_filters`.
        """
        if not max_rate:
            bare = replace(self, max_rate=0, burst=0)
            return None if bare == Filters(self.camera) else bare
        burst = self.burst or default_burst(max_rate)
        return check_filters(replace(self, max_rate=max_rate, burst=min(burst, MOST_BURST_S * max_rate)))

    @property
    def hot_mask(self) -> npt.NDArray[np.uint32]:
        """uint32 (ceil(pixels / 32),): one bit a camera pixel, row by row, lowest bit first."""
        pixels = self.camera.width * self.camera.height
        mask = np.zeros(-(-pixels // 32) * 32, np.uint8)
        for x, y in self.hot_pixels:
            mask[y * self.camera.width + x] = 1
        return np.packbits(mask, bitorder="little").view("<u4")

    def downsampled(self, events: Events) -> Events:
        """A copy of `events` in pixels of the network; nothing is left out."""
        moved = events.copy()
        moved["x"] >>= self.downsample_shift
        moved["y"] >>= self.downsample_shift
        return moved

    def __str__(self) -> str:
        """In words.

        >>> str(Filters(Sensor(128, 128), ((3, 4),), refractory_us=1000, downsample_shift=1))
        'hot pixels: 1, refractory 1000 us, downsampled 128x128 to 64x64'
        """
        cells = f" in cells of {1 << self.cell_shift}x{1 << self.cell_shift}" if self.cell_shift else ""
        parts = [
            f"hot pixels: {len(self.hot_pixels)}" if self.hot_pixels else "",
            f"refractory {self.refractory_us} us{cells}" if self.refractory_us else "",
            f"background {self.background_us} us{cells}" if self.background_us else "",
            f"at most {self.max_rate} events/s, bursts of {self.burst}" if self.max_rate else "",
            f"downsampled {self.camera} to {self.sensor}" if self.downsample_shift else "",
        ]
        return ", ".join(part for part in parts if part)


def make_filters(camera: Sensor, **settings: Any) -> Filters | None:
    """Checked filters, hot pixels put in order; None if the settings leave nothing out.

    A rate without a burst is given one.
    Raises FeastError as `check_filters`.
    """
    hot = sorted(set(settings.pop("hot_pixels", ())), key=lambda pixel: (pixel[1], pixel[0]))
    if settings.get("max_rate", 0) > 0 and not settings.get("burst"):
        settings["burst"] = default_burst(settings["max_rate"])
    filters = Filters(camera, hot_pixels=tuple(hot), **settings)
    if filters == Filters(camera):
        return None
    return check_filters(filters)


def check_filters(filters: Filters) -> Filters:
    """Return `filters` if they can be carried out, else raise FeastError naming the setting."""
    camera = filters.camera
    for name, value in (("refractory", filters.refractory_us), ("background", filters.background_us)):
        if not 0 <= value <= LONGEST_US:
            raise FeastError(f"{name} {value} us: expected 1 to {LONGEST_US}, or 0 for none")
    for name, value in (("cells", filters.cell_shift), ("downsample", filters.downsample_shift)):
        if not 0 <= value <= MOST_SHIFT:
            raise FeastError(f"{name} {value}: expected 0 to {MOST_SHIFT}, a power of two of camera pixels")
    if filters.cell_shift and not filters.keeps_times:
        raise FeastError("cells: of no use without a refractory period or the background filter")
    used = [ticks for ticks in (filters.refractory_ticks, filters.background_ticks) if ticks]
    times = (filters.refractory_us > 0) + (filters.background_us > 0)
    too_few = filters.tick_shift > 0 and min(used, default=FEWEST_TICKS) < FEWEST_TICKS
    if len(used) < times or too_few:
        least = FEWEST_TICKS << filters.tick_shift
        raise FeastError(
            f"refractory {filters.refractory_us} us and background {filters.background_us} us are too far "
            f"apart for one clock: beside the longer one the shorter must be {least} us or more"
        )
    _check_limiter(filters)
    if len(filters.hot_pixels) > MOST_HOT_PIXELS:
        raise FeastError(f"{len(filters.hot_pixels)} hot pixels: at most {MOST_HOT_PIXELS}")
    ordered = sorted(set(filters.hot_pixels), key=lambda pixel: (pixel[1], pixel[0]))
    for x, y in filters.hot_pixels:
        if not (0 <= x < camera.width and 0 <= y < camera.height):
            raise FeastError(f"hot pixel x={x} y={y} lies outside the {camera} camera")
    if list(filters.hot_pixels) != ordered:
        raise FeastError("hot pixels: expected in the order of rows, each once")
    if filters == Filters(camera):
        raise FeastError("filters: none of them is switched on")
    return filters


def default_burst(max_rate: int) -> int:
    """Events that may pass at once if nothing is said: 256, or 10 ms of the rate, but no more than 5 s of it.

    >>> default_burst(10), default_burst(2700), default_burst(100_000)
    (50, 256, 1000)
    """
    return min(max(_BURST, max_rate // 100), MOST_BURST_S * max_rate)


def _check_limiter(filters: Filters) -> None:
    rate, burst = filters.max_rate, filters.burst
    if not 0 <= rate <= MOST_RATE:
        raise FeastError(f"max-rate {rate} events/s: expected 1 to {MOST_RATE}, or 0 for none")
    if burst and not rate:
        raise FeastError(f"burst {burst}: of no use without --max-rate")
    most = min(MOST_BURST, MOST_BURST_S * rate)
    if rate and not 1 <= burst <= most:
        raise FeastError(
            f"burst {burst}: expected 1 to {most} events, at most {MOST_BURST_S} s of --max-rate {rate}"
        )


def _area(size: Sensor) -> int:
    return size.width * size.height


def _shifted(size: Sensor, shift: int) -> Sensor:
    return Sensor(((size.width - 1) >> shift) + 1, ((size.height - 1) >> shift) + 1)


def _to_ticks(time_us: int, shift: int) -> int:
    return (time_us + (1 << shift >> 1)) >> shift
