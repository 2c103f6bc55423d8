"""Bars in four orientations, swept to and fro across their length."""

from __future__ import annotations

from typing import Final

import numpy as np

from feast_codegen.host.recordings.simulate import saccades
from feast_codegen.host.recordings.simulate.camera import FloatArray, Scene, View


def _draw(generator: np.random.Generator, orientation: int) -> View:
    angle = np.pi / 4 * orientation + generator.normal(0.0, 0.05)
    x, y = (np.arange(side) - (side - 1) / 2 for side in (saccades.WIDTH, saccades.HEIGHT))
    along = np.cos(angle) * x + np.sin(angle) * y[:, None]
    across = -np.sin(angle) * x + np.cos(angle) * y[:, None]
    width, length = generator.uniform(1.5, 2.5), generator.uniform(9.0, 12.0)
    bar = _soft(width - abs(across)) * _soft(length - abs(along))
    ends = np.array([-8.0, 8.0, -8.0, 8.0]) + generator.uniform(-2.0, 2.0, 4)
    corners = ends[:, None] * (-np.sin(angle), np.cos(angle))
    return saccades.view(np.log1p(generator.uniform(0.7, 1.1) * bar), corners)


SCENE: Final = Scene(saccades.CAMERA, 4, _draw)
"""Labels are orientations in steps of 45 degrees."""


def _soft(distance: FloatArray) -> FloatArray:
    """0 to 1 over a pixel or two: an edge seen through a lens."""
    return np.asarray(1.0 / (1.0 + np.exp(-3.0 * distance)))
