"""A small camera that looks at a still picture in quick, smooth turns, as N-MNIST was recorded."""

from __future__ import annotations

from typing import Final

import numpy as np

from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.simulate.camera import Camera, FloatArray, View

CAMERA: Final = Camera(
    sensor=Sensor(34, 34),
    step_us=1000,
    threshold=0.2,
    jitter_us=150.0,
    jitter_by_pixel=True,
    noise_hz=0.5,
    sensor_seed=1,
)
STEPS: Final = 300
MARGIN: Final = 16
"""Pixels of picture around the sensor; no turn goes further."""
WIDTH: Final = CAMERA.sensor.width + 2 * MARGIN
HEIGHT: Final = CAMERA.sensor.height + 2 * MARGIN
"""Of the picture, pixels."""


def view(log_intensity: FloatArray, corners: FloatArray) -> View:
    """A (HEIGHT, WIDTH) picture seen from corner to corner in equal times, starting and stopping smoothly.

    `corners`: (count, 2), where the gaze rests, pixels (x, y) from the middle, each below MARGIN in size.
    """
    legs = len(corners) - 1
    progress = np.arange(STEPS + 1) * legs / STEPS
    leg = np.minimum(progress.astype(int), legs - 1)
    u = (progress - leg)[:, None]
    gaze = corners[leg] + (corners[leg + 1] - corners[leg]) * u * u * (3.0 - 2.0 * u)
    return View(log_intensity, -(gaze + MARGIN))
