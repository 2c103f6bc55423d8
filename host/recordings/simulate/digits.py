"""Handwritten digits (scikit-learn's bundled 8x8 ones, enlarged smoothly), seen in three saccades."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from feast_codegen.host.recordings.simulate import saccades
from feast_codegen.host.recordings.simulate.camera import FloatArray, Scene, View


def _draw(generator: np.random.Generator, digit: int) -> View:
    images = _handwriting()[digit]
    image = images[generator.integers(len(images))]
    size = generator.uniform(2.6, 3.0)
    centre = generator.uniform(-1.0, 1.0, 2)
    across, down = _enlarge(size, saccades.WIDTH, centre[0]), _enlarge(size, saccades.HEIGHT, centre[1])
    corners = np.array([(-2.5, -1.5), (0.0, 2.5), (2.5, -1.5), (-2.5, -1.5)])
    corners += generator.normal(0.0, 0.3, corners.shape)
    contrast = generator.uniform(3.0, 5.0)
    return saccades.view(np.log1p(contrast * (down @ image @ across.T)), corners)


SCENE: Final = Scene(saccades.CAMERA, 10, _draw)
"""Labels are the digits."""


def _enlarge(size: float, side: int, centre: float) -> FloatArray:
    """(side, 8): weights that draw 8 source pixels as Gaussian spots of `size` picture pixels each."""
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
