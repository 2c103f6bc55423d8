"""The largest sizes that the project allows, each stated once: for models, boards and the serial protocol."""

from __future__ import annotations

from typing import Final

MOST_SIDE: Final = 4096
"""Width and height of a sensor, pixels."""
MOST_RADIUS: Final = 15
"""Radius of a patch, pixels."""
MOST_FEATURES_PER_BANK: Final = 4096
"""Features of a bank."""
MOST_DIMS: Final = 254**2
"""Components of a patch, over all channels."""
MOST_SHIFT: Final = 6
"""Logarithm of the pixels that a filter cell, or a pixel of a downsampled network, is wide."""
MOST_CLASSES: Final = 256
"""Classes of a readout."""
