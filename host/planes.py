"""Seeded aeroplanes crossing the field of view of a 304x240 event camera held in the hand.

In the spirit of the second data set of the FEAST paper (model planes dropped in front of a camera),
which is not to be had. Four dark silhouettes seen from above against a bright sky: a straight-winged
airliner, a delta, a twin-boomed plane and a swept fighter. Every recording has its own speed, height
(thus size), place, tilt and contrast; the hand shakes the camera; pixels have background noise. A
recording begins when the tip of the plane enters at the top and ends when it has left at the bottom.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from codegen.jit import jit
from codegen.model import Sensor
from codegen.records import EVENT_DTYPE, Events

SENSOR: Final = Sensor(304, 240)
NAMES: Final = ("airliner", "delta", "twin boom", "fighter")
"""Silhouettes by label."""
STEP_US: Final = 500
"""Log intensity is linear within a step; time stamps are finer."""
REFRACTORY_US: Final = 1000
THRESHOLD: Final = 0.25
"""Mean contrast threshold, in natural log of intensity."""
MISMATCH: Final = 0.03
"""Standard deviation of the thresholds between pixels."""
JITTER_US: Final = 100.0
"""Standard deviation of a time stamp."""
NOISE_HZ: Final = 0.2
"""Background events a pixel emits per second."""
SPEED: Final = (0.8, 1.3)
"""Pixels per millisecond, downwards."""
LENGTH: Final = (62.0, 96.0)
"""Pixels from nose to tail: the higher the plane, the smaller."""
TILT: Final = 0.3
"""Largest turn from straight down, radians."""
SHAKE: Final = 1.5
"""Pixels of hand tremor (amplitude of each of two sines, 6 to 12 Hz)."""
PATCH: Final = 144
"""Side of the picture of a plane, pixels."""

FloatArray = npt.NDArray[np.float64]

_OUTLINES: Final = (
    "0 -1  0.09 -0.85  0.1 -0.2  0.85 0.12  0.87 0.22  0.1 0.14  0.07 0.7  0.34 0.9  0.34 0.98  0 0.92",
    "0 -1  0.12 -0.55  0.72 0.62  0.72 0.78  0.2 0.72  0.12 0.95  0 0.85",
    "0 -0.75  0.1 -0.6  0.12 -0.28  0.3 -0.3  0.34 -0.6  0.4 -0.3  0.95 -0.18  0.95 -0.02  0.42 0.02 "
    "0.38 0.85  0.36 1  0 1  0 0.86  0.31 0.86  0.29 0.05  0 0.12",
    "0 -1  0.07 -0.65  0.14 -0.3  0.22 -0.15  0.66 0.42  0.66 0.54  0.22 0.4  0.22 0.62  0.46 0.88 "
    "0.46 0.98  0.14 0.9  0 0.98",
)
"""Half outlines: x y pairs from nose (y = -1) to tail (y = 1), x to the right; mirrored at x = 0."""


def label(index: int) -> int:
    """Label of a recording: the index of its silhouette in NAMES."""
    return index % len(NAMES)


def record(seed: int, index: int) -> Events:
    """Recording `index`: EVENT_DTYPE events in time order. The same whatever the number of recordings."""
    generator = np.random.default_rng([seed, index, 304])
    length = generator.uniform(*LENGTH)
    tilt = generator.uniform(-TILT, TILT)
    picture = generator.uniform(0.8, 1.3) * _silhouette(label(index), length, tilt)
    path = _path(generator, length, tilt)
    emitted = np.empty(400_000, EVENT_DTYPE)
    count = _emit(picture, path, _thresholds(seed), emitted)
    signal = emitted[:count]
    end = float((len(path) - 1) * STEP_US)
    moved = signal["t_us"] + np.rint(generator.normal(0.0, JITTER_US, count))
    signal["t_us"] = np.clip(moved, 0, end)
    events = np.concatenate([signal, _noise(generator, end)])
    return events[np.argsort(events["t_us"], kind="stable")]


def _path(generator: np.random.Generator, length: float, tilt: float) -> FloatArray:
    """(steps + 1, 2): centre of the plane at each step, pixels; from just above to just below the sensor."""
    speed = generator.uniform(*SPEED) * STEP_US / 1000.0
    steps = int((SENSOR.height + length) / speed)
    along = speed * np.arange(steps + 1)
    time_s = np.arange(steps + 1) * STEP_US * 1e-6
    start = generator.uniform(0.3, 0.7) * SENSOR.width + np.sin(tilt) * SENSOR.height / 2
    centre = np.stack([start - np.sin(tilt) * along, along - length / 2], axis=1)
    for axis in (0, 1):
        for _ in range(2):
            hertz, phase = generator.uniform(6.0, 12.0), generator.uniform(0.0, 2 * np.pi)
            swing = np.sin(2 * np.pi * hertz * time_s + phase) - np.sin(phase)
            centre[:, axis] += generator.uniform(0.3, 1.0) * SHAKE * swing
    return centre


def _silhouette(kind: int, length: float, tilt: float) -> FloatArray:
    """(PATCH, PATCH) log intensity: 0 in the sky, down to -1 on the plane; edges a pixel or two wide."""
    from matplotlib.path import Path

    half = np.array(_OUTLINES[kind].split(), np.float64).reshape(-1, 2)
    outline = Path(np.concatenate([half, (half * (-1.0, 1.0))[::-1]]))
    fine = 3  # samples a pixel and side
    place = ((np.arange(PATCH * fine) + 0.5) / fine - PATCH / 2) / (length / 2)
    x, y = np.meshgrid(place, place)
    c, s = np.cos(tilt), np.sin(tilt)
    points = np.stack([c * x + s * y, -(-s * x + c * y)], axis=-1)  # nose down: it flies downwards
    inside = outline.contains_points(points.reshape(-1, 2)).reshape(x.shape).astype(np.float64)
    picture = inside.reshape(PATCH, fine, PATCH, fine).mean(axis=(1, 3))
    for axis in (0, 1):  # the lens
        picture = (np.roll(picture, 1, axis) + 2.0 * picture + np.roll(picture, -1, axis)) / 4.0
    return np.asarray(-picture)


@lru_cache(maxsize=4)
def _thresholds(seed: int) -> FloatArray:
    """(2, height, width): contrast threshold of each pixel for darker and brighter."""
    shape = (2, SENSOR.height, SENSOR.width)
    draws = np.random.default_rng([seed, 2**32 - 1, 304]).normal(THRESHOLD, MISMATCH, shape)
    return np.maximum(draws, THRESHOLD / 4)


def _noise(generator: np.random.Generator, end_us: float) -> Events:
    mean = NOISE_HZ * SENSOR.width * SENSOR.height * end_us * 1e-6
    noise = np.zeros(generator.poisson(mean), EVENT_DTYPE)
    noise["t_us"] = generator.integers(0, int(end_us), noise.size)
    noise["x"] = generator.integers(0, SENSOR.width, noise.size)
    noise["y"] = generator.integers(0, SENSOR.height, noise.size)
    noise["polarity"] = generator.integers(0, 2, noise.size)
    return noise


@jit()
def _emit(picture: FloatArray, path: FloatArray, thresholds: FloatArray, emitted: Events) -> int:
    """Write the events of the plane, step by step, to `emitted`; returns their number.

    Only pixels under the picture can change; the sky around is even.
    """
    height, width = thresholds.shape[1], thresholds.shape[2]
    reference = np.full((height, width), np.nan)
    deaf_until = np.zeros((height, width))
    side = picture.shape[0]
    count = 0
    for step in range(path.shape[0] - 1):
        before, after = path[step] - side / 2, path[step + 1] - side / 2
        left = max(0, int(np.floor(min(before[0], after[0]))))
        right = min(width, int(np.ceil(max(before[0], after[0]))) + side + 1)
        top = max(0, int(np.floor(min(before[1], after[1]))))
        bottom = min(height, int(np.ceil(max(before[1], after[1]))) + side + 1)
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
                    moment = STEP_US * (step + min(max(share, 0.0), 1.0))
                    if moment >= deaf_until[y, x]:
                        deaf_until[y, x] = moment + REFRACTORY_US
                        emitted[count].t_us = np.uint64(moment)
                        emitted[count].x = x
                        emitted[count].y = y
                        emitted[count].polarity = rising
                        count += 1
    return count


@jit()
def _look(picture: FloatArray, x: float, y: float) -> float:
    """Log intensity at a place of the picture, between four of its points; 0 outside."""
    side = picture.shape[0]
    column, row = int(np.floor(x)), int(np.floor(y))
    if column < 0 or row < 0 or column >= side - 1 or row >= side - 1:
        return 0.0
    u, v = x - column, y - row
    above = picture[row, column] * (1.0 - u) + picture[row, column + 1] * u
    below = picture[row + 1, column] * (1.0 - u) + picture[row + 1, column + 1] * u
    level: float = above * (1.0 - v) + below * v
    return level
