"""What the rule of FEAST is given, with the only defaults: command line, estimator and search take these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Polarity = Literal["merged", "separate", "signed"]
Border = Literal["zero", "skip"]


@dataclass(frozen=True)
class Hyperparameters:
    """What the rule of FEAST is given. Defaults are the paper's scale for 11x11 patches."""

    features: int = 16
    """Features per bank (`separate` polarity has two banks)."""
    radius: int = 5
    """The context is a (2*radius + 1) square patch."""
    tau_us: float = 20_000.0
    """Decay constant of the time surface, microseconds."""
    eta: float = 0.001
    """Learning rate of the winning feature."""
    delta_i: float = 0.001
    """Rise of the winner's selection threshold."""
    delta_e: float = 0.003
    """Fall of all selection thresholds of the bank on a missed event."""
    polarity: Polarity = "merged"
    border: Border = "zero"
    channels: int = 1
    """Surfaces that a context spans: the features of the layer below, 1 for a layer on events. Not stored:
    it follows from the lower layer."""

    @property
    def side(self) -> int:
        """K, the side of the context in pixels."""
        return 2 * self.radius + 1

    @property
    def dims(self) -> int:
        """D = channels*K*K, the components of a context."""
        return self.channels * self.side**2

    @property
    def banks(self) -> int:
        """Sets of features, each with surfaces of its own."""
        return 2 if self.polarity == "separate" else 1

    @property
    def surfaces(self) -> int:
        """Time surfaces: one for each bank, or one for each channel."""
        return self.banks * self.channels

    @property
    def total_features(self) -> int:
        """Features over all banks; ids continue across banks."""
        return self.banks * self.features

    @property
    def law_miss_rate(self) -> float:
        """Steady miss rate while thresholds stay in bounds: 1 / (1 + N * delta_e / delta_i)."""
        return 1.0 / (1.0 + self.features * self.delta_e / self.delta_i)


DEFAULTS: Final = Hyperparameters()
"""Of every command and class that makes a network."""


@dataclass(frozen=True)
class ReadoutParameters:
    """What a fading readout is given, with the only defaults."""

    grid: int = 5
    """The sensor has grid x grid overlapping cells."""
    tau_us: float = 80_000.0
    """Time in which the histogram fades to 1/e, microseconds."""
    hidden: int = 32
    """ReLU units between histogram and classes; 0: scores are linear."""


READOUT_DEFAULTS: Final = ReadoutParameters()
"""Of every command that fits a fading readout."""

ReadoutKind = Literal["linear", "fading"]
READOUT_KIND: Final[ReadoutKind] = "linear"
"""The default of every command."""
