"""A seeded event camera looking at handwritten digits or bars: recordings when there are none.

A pixel emits an event whenever the logarithm of its intensity has moved by its contrast threshold
since its last one. On top come what makes recordings real: thresholds that differ from pixel to
pixel, a refractory time, jittered time stamps and background noise. Digits (scikit-learn's bundled
8x8 handwriting, enlarged smoothly) are swept by three saccades along a triangle, as N-MNIST was
recorded; bars are swept to and fro across their orientation.

Recording `index` of a seed is the same whatever the number of recordings, and the sensor (its
mismatch) is the same for all recordings of a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from codegen.jit import jit
from codegen.model import Sensor
from codegen.records import EVENT_DTYPE, Events
from host import planes

SENSOR: Final = Sensor(34, 34)
STEP_US: Final = 1000
STEPS: Final = 300
"""300 ms in steps of 1 ms, log intensity linear within a step; time stamps are finer than a step."""
REFRACTORY_US: Final = 1000
"""A pixel is deaf for this long after an event; at least STEP_US, so at most one event a step."""
THRESHOLD: Final = 0.2
"""Mean contrast threshold, in natural log of intensity."""
MISMATCH: Final = 0.03
"""Standard deviation of the thresholds between pixels."""
JITTER_US: Final = 150.0
"""Standard deviation of a time stamp."""
NOISE_HZ: Final = 0.5
"""Background events a pixel emits per second."""
MARGIN: Final = 16
"""Pixels of scene around the sensor; no motion goes further."""

FloatArray = npt.NDArray[np.float64]


class Scene(NamedTuple):
    """What passes before the sensor."""

    log_intensity: FloatArray
    """(height + 2*MARGIN, width + 2*MARGIN)."""
    path: FloatArray
    """(STEPS + 1, 2): where the gaze is at each step, pixels (x, y), each below MARGIN in size."""


def sensor_of(scene: str) -> Sensor:
    """Sensor that looks at the scene."""
    return planes.SENSOR if scene == "planes" else SENSOR


def label(scene: str, index: int) -> int:
    """Label of a recording: its digit, its silhouette, or its orientation in steps of 45 degrees."""
    if scene == "planes":
        return planes.label(index)
    return index % {"digits": 10, "bars": 4}[scene]


def record(scene: str, seed: int, index: int) -> Events:
    """Recording `index` of a scene of ALL_SCENES: EVENT_DTYPE events in time order."""
    if scene == "planes":
        return planes.record(seed, index)
    generator = np.random.default_rng([seed, index])
    view = SCENES[scene](generator, label(scene, index))
    shape = (STEPS * SENSOR.width * SENSOR.height,)
    emitted = np.empty(shape, EVENT_DTYPE)
    count = _emit(view.log_intensity, view.path, _thresholds(seed), emitted)
    signal = emitted[:count]
    jittered = signal["t_us"] + np.rint(generator.normal(0.0, JITTER_US, count))
    signal["t_us"] = np.clip(jittered, 0, STEPS * STEP_US)
    events = np.concatenate([signal, _noise(generator)])
    return events[np.argsort(events["t_us"], kind="stable")]


def _digits(generator: np.random.Generator, digit: int) -> Scene:
    images = _handwriting()[digit]
    image = images[generator.integers(len(images))]
    size = generator.uniform(2.6, 3.0)
    centre = generator.uniform(-1.0, 1.0, 2)
    across, down = (_enlarge(size, side, at) for side, at in zip(_extent(), centre, strict=True))
    corners = np.array([(-2.5, -1.5), (0.0, 2.5), (2.5, -1.5), (-2.5, -1.5)])
    corners += generator.normal(0.0, 0.3, corners.shape)
    contrast = generator.uniform(3.0, 5.0)
    return Scene(np.log1p(contrast * (down @ image @ across.T)), _saccades(corners))


def _bars(generator: np.random.Generator, orientation: int) -> Scene:
    angle = np.pi / 4 * orientation + generator.normal(0.0, 0.05)
    x, y = (np.arange(side) - (side - 1) / 2 for side in _extent())
    along = np.cos(angle) * x + np.sin(angle) * y[:, None]
    across = -np.sin(angle) * x + np.cos(angle) * y[:, None]
    width, length = generator.uniform(1.5, 2.5), generator.uniform(9.0, 12.0)
    bar = _soft(width - abs(across)) * _soft(length - abs(along))
    ends = np.array([-8.0, 8.0, -8.0, 8.0]) + generator.uniform(-2.0, 2.0, 4)
    corners = ends[:, None] * (-np.sin(angle), np.cos(angle))
    return Scene(np.log1p(generator.uniform(0.7, 1.1) * bar), _saccades(corners))


SCENES: Final[Mapping[str, Callable[[np.random.Generator, int], Scene]]] = {"digits": _digits, "bars": _bars}


ALL_SCENES: Final = (*SCENES, "planes")
"""Every scene; `planes` has a module and a sensor of its own."""


def _extent() -> tuple[int, int]:
    return SENSOR.width + 2 * MARGIN, SENSOR.height + 2 * MARGIN


def _saccades(corners: FloatArray) -> FloatArray:
    """(STEPS + 1, 2): from corner to corner in equal times, starting and stopping smoothly."""
    legs = len(corners) - 1
    progress = np.arange(STEPS + 1) * legs / STEPS
    leg = np.minimum(progress.astype(int), legs - 1)
    u = (progress - leg)[:, None]
    return np.asarray(corners[leg] + (corners[leg + 1] - corners[leg]) * u * u * (3.0 - 2.0 * u))


def _soft(distance: FloatArray) -> FloatArray:
    """0 to 1 over a pixel or two: an edge seen through a lens."""
    return np.asarray(1.0 / (1.0 + np.exp(-3.0 * distance)))


def _enlarge(size: float, side: int, centre: float) -> FloatArray:
    """(side, 8): weights that draw 8 source pixels as Gaussian spots of `size` scene pixels each."""
    target = (np.arange(side) - (side - 1) / 2 - centre) / size
    source = np.arange(8) - 3.5
    spots = np.exp(-0.5 * ((target[:, None] - source) / 0.5) ** 2)
    return np.asarray(spots / (0.5 * np.sqrt(2.0 * np.pi)))


@lru_cache(maxsize=1)
def _handwriting() -> list[FloatArray]:
    """For each digit its images, (count, 8, 8), values 0 to 1."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    return [digits.images[digits.target == digit] / 16.0 for digit in range(10)]


@lru_cache(maxsize=4)
def _thresholds(seed: int) -> FloatArray:
    """(2, height, width): contrast threshold of each pixel for darker and brighter."""
    draws = np.random.default_rng([seed, 2**32 - 1, 1]).normal(
        THRESHOLD, MISMATCH, (2, SENSOR.height, SENSOR.width)
    )
    return np.maximum(draws, THRESHOLD / 4)


def _noise(generator: np.random.Generator) -> Events:
    mean = NOISE_HZ * SENSOR.width * SENSOR.height * STEPS * STEP_US * 1e-6
    noise = np.zeros(generator.poisson(mean), EVENT_DTYPE)
    noise["t_us"] = generator.integers(0, STEPS * STEP_US, noise.size)
    noise["x"] = generator.integers(0, SENSOR.width, noise.size)
    noise["y"] = generator.integers(0, SENSOR.height, noise.size)
    noise["polarity"] = generator.integers(0, 2, noise.size)
    return noise


@jit()
def _emit(scene: FloatArray, path: FloatArray, thresholds: FloatArray, emitted: Events) -> int:
    """Write the events of all pixels, pixel by pixel, to `emitted`; returns their number."""
    count = 0
    for y in range(thresholds.shape[1]):
        for x in range(thresholds.shape[2]):
            level = _look(scene, path, 0, x, y)
            reference = level
            deaf_until = 0.0
            for step in range(path.shape[0] - 1):
                following = _look(scene, path, step + 1, x, y)
                rising = following > level
                threshold = thresholds[1 if rising else 0, y, x]
                change = threshold if rising else -threshold
                while abs(following - reference) >= threshold and (following > reference) == rising:
                    reference += change
                    moment = STEP_US * (step + (reference - level) / (following - level))
                    if moment >= deaf_until:
                        deaf_until = moment + REFRACTORY_US
                        emitted[count].t_us = np.uint64(moment)
                        emitted[count].x = x
                        emitted[count].y = y
                        emitted[count].polarity = rising
                        count += 1
                level = following
    return count


@jit()
def _look(scene: FloatArray, path: FloatArray, step: int, x: int, y: int) -> float:
    """Log intensity at a pixel, between four points of the scene."""
    left, top = path[step, 0] + MARGIN + x, path[step, 1] + MARGIN + y
    column, row = int(left), int(top)
    u, v = left - column, top - row
    above = scene[row, column] * (1.0 - u) + scene[row, column + 1] * u
    below = scene[row + 1, column] * (1.0 - u) + scene[row + 1, column + 1] * u
    level: float = above * (1.0 - v) + below * v
    return level
