"""A seeded event camera: simulated recordings for when there are no real ones.

A pixel emits an event whenever the logarithm of its intensity has moved by its contrast threshold
since its last one. On top come what makes recordings real: thresholds that differ from pixel to
pixel, a refractory time, jittered time stamps and background noise. What the camera looks at, and how
it moves, is a scene: `digits`, `bars` and `planes` beside this module.

Recording `index` of a seed is the same for any number of recordings, and the sensor (its
mismatch) is the same for all recordings of a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.model.model import Sensor

REFRACTORY_US: Final = 1000
"""A pixel emits nothing for this long after an event."""
MISMATCH: Final = 0.03
"""Standard deviation of the thresholds between pixels."""
MOST_EVENTS: Final = 400_000
"""A recording ends before more events than this, noise not counted."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """What one camera differs in from another."""

    sensor: Sensor
    step_us: int
    """Log intensity is linear within a step; time stamps are finer."""
    threshold: float
    """Mean contrast threshold, in natural log of intensity."""
    jitter_us: float
    """Standard deviation of a time stamp."""
    jitter_by_pixel: bool
    """Draw the jitter for one pixel after the other, and not for one step after the other."""
    noise_hz: float
    """Background events a pixel emits per second."""
    sensor_seed: int
    """Added to the seed of the thresholds."""
    recording_seed: tuple[int, ...] = ()
    """Added to the seed of a recording."""


class View(NamedTuple):
    """A picture that moves across the field of view."""

    log_intensity: FloatArray
    """(rows, columns); it is 0 around the picture."""
    origin: FloatArray
    """(steps + 1, 2): where the sensor has the first row and column of the picture, pixels (x, y)."""


@dataclass(frozen=True)
class Scene:
    """A camera and what passes before it."""

    camera: Camera
    classes: int
    draw: Callable[[np.random.Generator, int], View]
    """The view of a new recording of a class."""

    def label(self, index: int) -> int:
        """Class of recording `index`."""
        return index % self.classes

    def record(self, seed: int, index: int) -> Events:
        """Recording `index`: EVENT_DTYPE events in time order."""
        camera = self.camera
        generator = np.random.default_rng([seed, index, *camera.recording_seed])
        view = self.draw(generator, self.label(index))
        signal = emit(view, camera.step_us, thresholds(camera, seed))
        if camera.jitter_by_pixel:
            signal = signal[np.lexsort((signal["x"], signal["y"]))]
        end_us = (len(view.origin) - 1) * camera.step_us
        jittered = signal["t_us"] + np.rint(generator.normal(0.0, camera.jitter_us, signal.size))
        signal["t_us"] = np.clip(jittered, 0, end_us)
        events = np.concatenate([signal, _noise(generator, camera, end_us)])
        return events[np.argsort(events["t_us"], kind="stable")]


def emit(view: View, step_us: int, pixels: FloatArray) -> Events:
    """Events of a view without jitter and noise, step by step and in each row by row.

    `pixels`: their thresholds, (2, height, width).
    """
    emitted = np.empty(MOST_EVENTS, EVENT_DTYPE)
    return emitted[: _emit(view.log_intensity, view.origin, step_us, pixels, emitted)]


@lru_cache(maxsize=4)
def thresholds(camera: Camera, seed: int) -> FloatArray:
    """(2, height, width): contrast threshold of each pixel for darker and brighter."""
    shape = (2, camera.sensor.height, camera.sensor.width)
    generator = np.random.default_rng([seed, 2**32 - 1, camera.sensor_seed])
    return np.maximum(generator.normal(camera.threshold, MISMATCH, shape), camera.threshold / 4)


def _noise(generator: np.random.Generator, camera: Camera, end_us: int) -> Events:
    width, height = camera.sensor.width, camera.sensor.height
    noise = np.zeros(generator.poisson(camera.noise_hz * width * height * end_us * 1e-6), EVENT_DTYPE)
    noise["t_us"] = generator.integers(0, end_us, noise.size)
    noise["x"] = generator.integers(0, width, noise.size)
    noise["y"] = generator.integers(0, height, noise.size)
    noise["polarity"] = generator.integers(0, 2, noise.size)
    return noise


@jit()
def _emit(
    picture: FloatArray, origin: FloatArray, step_us: int, thresholds: FloatArray, emitted: Events
) -> int:
    """Write the events of all pixels, step by step, to `emitted`; returns their number.

    Only pixels under the picture can change.
    """
    height, width = thresholds.shape[1], thresholds.shape[2]
    rows, columns = picture.shape
    reference = np.full((height, width), np.nan)
    silent_until = np.zeros((height, width))
    count = 0
    for step in range(origin.shape[0] - 1):
        before, after = origin[step], origin[step + 1]
        left = max(0, int(np.floor(min(before[0], after[0]))))
        right = min(width, int(np.ceil(max(before[0], after[0]))) + columns + 1)
        top = max(0, int(np.floor(min(before[1], after[1]))))
        bottom = min(height, int(np.ceil(max(before[1], after[1]))) + rows + 1)
        for y in range(top, bottom):
            for x in range(left, right):
                level = _look(picture, x - before[0], y - before[1])
                following = _look(picture, x - after[0], y - after[1])
                if level == following:
                    continue
                if np.isnan(reference[y, x]):
                    reference[y, x] = level
                rising = following > level
                threshold = thresholds[1 if rising else 0, y, x]
                change = threshold if rising else -threshold
                while (
                    abs(following - reference[y, x]) >= threshold
                    and (following > reference[y, x]) == rising
                    and count < emitted.size
                ):
                    reference[y, x] += change
                    share = (reference[y, x] - level) / (following - level)
                    moment = step_us * (step + min(max(share, 0.0), 1.0))
                    if moment >= silent_until[y, x]:
                        silent_until[y, x] = moment + REFRACTORY_US
                        emitted[count].t_us = np.uint64(moment)
                        emitted[count].x = x
                        emitted[count].y = y
                        emitted[count].polarity = rising
                        count += 1
    return count


@jit()
def _look(picture: FloatArray, x: float, y: float) -> float:
    """Log intensity at a place of the picture, between four of its points; 0 outside."""
    column, row = int(np.floor(x)), int(np.floor(y))
    if column < 0 or row < 0 or column >= picture.shape[1] - 1 or row >= picture.shape[0] - 1:
        return 0.0
    u, v = x - column, y - row
    above = picture[row, column] * (1.0 - u) + picture[row, column + 1] * u
    below = picture[row + 1, column] * (1.0 - u) + picture[row + 1, column + 1] * u
    level: float = above * (1.0 - v) + below * v
    return level
