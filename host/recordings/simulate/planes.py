"""Seeded aeroplanes crossing the field of view of a 304x240 event camera held in the hand.

In the spirit of the second data set of the FEAST paper (model planes dropped in front of a camera),
which is not published. Four dark silhouettes seen from above against a bright sky: a straight-winged
airliner, a delta, a twin-boomed plane and a swept fighter. Every recording has its own speed, height
(thus size), place, tilt and contrast; the hand shakes the camera; pixels have background noise. A
recording begins when the tip of the plane enters at the top and ends when it has left at the bottom.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.simulate.camera import Camera, FloatArray, Scene, View

CAMERA: Final = Camera(
    sensor=Sensor(304, 240),
    step_us=500,
    threshold=0.25,
    jitter_us=100.0,
    jitter_by_pixel=False,
    noise_hz=0.2,
    sensor_seed=304,
    recording_seed=(304,),
)
NAMES: Final = ("airliner", "delta", "twin boom", "fighter")
"""Silhouettes by label."""
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

_OUTLINES: Final = (
    "0 -1  0.09 -0.85  0.1 -0.2  0.85 0.12  0.87 0.22  0.1 0.14  0.07 0.7  0.34 0.9  0.34 0.98  0 0.92",
    "0 -1  0.12 -0.55  0.72 0.62  0.72 0.78  0.2 0.72  0.12 0.95  0 0.85",
    "0 -0.75  0.1 -0.6  0.12 -0.28  0.3 -0.3  0.34 -0.6  0.4 -0.3  0.95 -0.18  0.95 -0.02  0.42 0.02 "
    "0.38 0.85  0.36 1  0 1  0 0.86  0.31 0.86  0.29 0.05  0 0.12",
    "0 -1  0.07 -0.65  0.14 -0.3  0.22 -0.15  0.66 0.42  0.66 0.54  0.22 0.4  0.22 0.62  0.46 0.88 "
    "0.46 0.98  0.14 0.9  0 0.98",
)
"""Half outlines: x y pairs from nose (y = -1) to tail (y = 1), x to the right; mirrored at x = 0."""


def _draw(generator: np.random.Generator, kind: int) -> View:
    length = generator.uniform(*LENGTH)
    tilt = generator.uniform(-TILT, TILT)
    picture = generator.uniform(0.8, 1.3) * silhouette(kind, length, tilt)
    return View(picture, _path(generator, length, tilt) - PATCH / 2)


SCENE: Final = Scene(CAMERA, len(NAMES), _draw)
"""Labels are indices of NAMES."""


def _path(generator: np.random.Generator, length: float, tilt: float) -> FloatArray:
    """(steps + 1, 2): centre of the plane at each step, pixels; from just above to just below the sensor."""
    speed = generator.uniform(*SPEED) * CAMERA.step_us / 1000.0
    steps = int((CAMERA.sensor.height + length) / speed)
    along = speed * np.arange(steps + 1)
    time_s = np.arange(steps + 1) * CAMERA.step_us * 1e-6
    start = generator.uniform(0.3, 0.7) * CAMERA.sensor.width + np.sin(tilt) * CAMERA.sensor.height / 2
    centre = np.stack([start - np.sin(tilt) * along, along - length / 2], axis=1)
    for axis in (0, 1):
        for _ in range(2):
            hertz, phase = generator.uniform(6.0, 12.0), generator.uniform(0.0, 2 * np.pi)
            swing = np.sin(2 * np.pi * hertz * time_s + phase) - np.sin(phase)
            centre[:, axis] += generator.uniform(0.3, 1.0) * SHAKE * swing
    return centre


def silhouette(kind: int, length: float, tilt: float) -> FloatArray:
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
