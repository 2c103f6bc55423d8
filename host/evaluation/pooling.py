"""A recording as a vector: feature events pooled on a grid, counted or fading.

`counts` adds up the events of each feature in each cell; `surface` adds up what is left, at the end
(or at a given time), of each feature's own time surface. Cells may overlap: each pixel then goes to
its neighbouring cells with triangular weights that sum to one, so that a shift of a pixel moves no
event from one cell into another at once. Afterwards every component is raised to a power and the
vector scaled to unit L2 norm, which makes recordings of different length and contrast comparable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.readout import cells_along

Float64Array = npt.NDArray[np.float64]

Kind = Literal["counts", "surface"]


@dataclass(frozen=True)
class Pooling:
    """How a recording becomes a vector of ``grid * grid * channels`` components, cell by cell."""

    grid: int = 5
    kind: Kind = "counts"
    overlap: float = 0.0
    """0: cells side by side. Else half the width of a cell's triangular window, in cells, 1 or more."""
    power: float = 0.5
    tau_us: float = 50_000.0
    """Decay of the feature surfaces; used by `surface` alone."""
    until_us: int | None = None
    """Take only events up to this many microseconds after the first one."""

    def __str__(self) -> str:
        fading = f" fading with {self.tau_us / 1000:g} ms" if self.kind == "surface" else ""
        return f"{self.grid}x{self.grid} {self.kind}{fading}"


def check_pooling(pooling: Pooling) -> Pooling:
    """Return `pooling` if it makes sense; raises FeastError naming the field."""
    if pooling.grid < 1:
        raise FeastError(f"grid {pooling.grid}: expected 1 or more")
    if pooling.overlap != 0.0 and not 1.0 <= pooling.overlap <= 4.0:
        raise FeastError(f"overlap {pooling.overlap:g}: expected 0, or 1 to 4 cells")
    if not 0.0 < pooling.power <= 1.0:
        raise FeastError(f"power {pooling.power:g}: expected more than 0, at most 1")
    if pooling.tau_us <= 0.0:
        raise FeastError(f"tau {pooling.tau_us:g} us: expected more than 0")
    return pooling


def cell_weights(pixels: int, grid: int, overlap: float) -> Float64Array:
    """(pixels, grid): share of each pixel of a sensor side in each cell; rows sum to 1.

    >>> cell_weights(4, 2, 0.0).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    if overlap == 0.0:
        return np.asarray(cells_along(pixels, grid)[:, None] == np.arange(grid), np.float64)
    width = pixels / grid
    centres = (np.arange(grid) + 0.5) * width
    weights = np.maximum(0.0, 1.0 - abs(np.arange(pixels)[:, None] + 0.5 - centres) / (width * overlap))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def pool(
    channels: npt.NDArray[Any], events: Events, sensor: Sensor, count: int, pooling: Pooling
) -> Float64Array:
    """float64 (grid * grid * count,): the vector of one recording, unit L2 norm; 0 if it has no event.

    `channels`: integer (n,), one per event, below `count`: a result, or a polarity. Events with a
    negative channel (misses and the like) are left out.
    """
    return normalise(pool_sums(channels, events, sensor, count, pooling), pooling.power)


def pool_sums(
    channels: npt.NDArray[Any], events: Events, sensor: Sensor, count: int, pooling: Pooling
) -> Float64Array:
    """Like `pool`, before power and norm: sums of events, or of what is left of them."""
    check_pooling(pooling)
    across = cell_weights(sensor.width, pooling.grid, pooling.overlap)
    down = cell_weights(sensor.height, pooling.grid, pooling.overlap)
    kept = channels >= 0
    if pooling.until_us is not None and events.size:
        kept &= events["t_us"] <= events["t_us"][0] + np.uint64(pooling.until_us)
    chosen, seen = channels[kept].astype(np.int64), events[kept]
    if pooling.kind == "surface" and seen.size:
        fresh = _last_of_each_pixel(chosen, seen, sensor)
        chosen, seen = chosen[fresh], seen[fresh]
        now = _now(events, pooling)
        amounts = np.exp(-(now - seen["t_us"].astype(np.float64)) / pooling.tau_us)
    else:
        amounts = np.ones(seen.size)
    sums = np.zeros((pooling.grid, pooling.grid, count))
    _add(chosen, seen["x"], seen["y"], amounts, across, down, sums)
    return sums.ravel()


def normalise(sums: Float64Array, power: float) -> Float64Array:
    """Components (>= 0) to a power, rows scaled to unit L2 norm; rows of zeros stay zeros."""
    vector = np.asarray(sums, np.float64) ** power
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.asarray(vector / np.where(norm > 0.0, norm, 1.0))


def _now(events: Events, pooling: Pooling) -> float:
    """Time at which the surfaces are read: the last event, or `until_us` after the first if sooner."""
    last = float(events["t_us"][-1])
    return last if pooling.until_us is None else min(last, float(events["t_us"][0]) + pooling.until_us)


def _last_of_each_pixel(channels: npt.NDArray[np.int64], events: Events, sensor: Sensor) -> npt.NDArray[Any]:
    """Indices of the last event of every channel at every pixel."""
    place = (channels * sensor.height + events["y"]) * sensor.width + events["x"]
    _, newest = np.unique(place[::-1], return_index=True)
    return np.asarray(channels.size - 1 - newest)


@jit()
def _add(
    channels: npt.NDArray[np.int64],
    x: npt.NDArray[np.uint16],
    y: npt.NDArray[np.uint16],
    amounts: Float64Array,
    across: Float64Array,
    down: Float64Array,
    sums: Float64Array,
) -> None:
    """Add each event's amount to its cells of `sums` (grid, grid, channels)."""
    for i in range(channels.size):
        for row in range(sums.shape[0]):
            share = amounts[i] * down[y[i], row]
            if share == 0.0:
                continue
            for column in range(sums.shape[1]):
                sums[row, column, channels[i]] += share * across[x[i], column]
