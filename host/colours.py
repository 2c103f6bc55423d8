"""The colours of the report, the monitor and the drawings: of features, and of weights."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

ON_COLOUR: Final = "#e8743b"
OFF_COLOUR: Final = "#3b8fe8"
WEIGHTS: Final = (
    "#000004", "#0b0724", "#210c4a", "#3d0965", "#57106e", "#71196e", "#8a226a", "#a32c61", "#bc3754",
    "#d24644", "#e45a31", "#f1731d", "#f98e09", "#fcac11", "#f9cb35", "#f2ea69", "#fcffa4",
)  # fmt: skip
"""Even steps of inferno, from 0 to the scale's end: its lightness rises all the way, for any eye."""
SIGNED_WEIGHTS: Final = (
    "#053061", "#175290", "#2a71b2", "#3f8ec0", "#6bacd1", "#9bc9e0", "#c2ddec", "#e0ecf3", "#f7f6f6",
    "#fbe5d8", "#fbccb4", "#f5aa89", "#e48066", "#d05548", "#ba2832", "#930e26", "#67001f",
)  # fmt: skip
"""Even steps of RdBu_r, from minus the scale's end to it."""
SCALE_SHARE: Final = 0.98
"""Share of the weights within the scale: the event's own pixel and a few more reach its end."""


def palette(count: int) -> list[str]:
    """`count` colours of like weight on light and dark ground, neighbours apart (OKLCH hue circle).

    >>> palette(2)
    ['#e8777a', '#0097a1']
    """
    steps = max(count, 1)
    colours = []
    for index in range(count):
        hue = math.radians(20 + 360 * index / steps)
        colours.append(_oklch((0.70, 0.60)[index % 2], 0.14, hue))
    return colours


def weight_scale_end(weights: npt.NDArray[np.float64]) -> float:
    """The weight at which the colours of `weights`, (features, cells) or any shape, end; above 0.

    One scale for all features of a network, so that they can be compared.
    """
    sizes = np.abs(weights)
    return float(np.quantile(sizes, SCALE_SHARE)) or float(sizes.max()) or 1.0


def coloured(values: npt.NDArray[np.float64], stops: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """RGBA of `values` from 0 to 1, of any shape, between even `stops`; shape (..., 4)."""
    table = np.array([rgb(stop) for stop in stops], np.float64)
    at = np.clip(values, 0.0, 1.0) * (len(stops) - 1)
    channels = [np.interp(at, np.arange(len(stops)), table[:, channel]) for channel in range(3)]
    stacked = np.rint(np.stack([*channels, np.full(values.shape, 255.0)], axis=-1))
    pixels: npt.NDArray[np.uint8] = stacked.astype(np.uint8)
    return pixels


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour like ``#e8743b``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """Hex colour of an OKLCH triple, hue in radians, clipped to sRGB (Ottosson 2020)."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    l_ = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m_ = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s_ = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
        -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
        -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
    )
    channels = (min(max(channel, 0.0), 1.0) for channel in linear)
    gammas = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in channels)
    return "#" + "".join(f"{round(255 * value):02x}" for value in gammas)
