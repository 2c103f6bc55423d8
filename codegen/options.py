"""What a user may choose about the generated code, apart from model and board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codegen.errors import FeastError

Select = Literal["nearest", "threshold"]
Weights = Literal["int16", "int8"]


@dataclass(frozen=True)
class Options:
    """Options of emission; the twin takes the same."""

    learning: bool = False
    """Keep the learned state in RAM and learn on the device; else features are const tables."""
    select: Select = "nearest"
    """Selection while features are frozen: nearest feature, or only those in range."""
    weights: Weights = "int16"
    """Stored weights; int8 halves the tables of frozen features and costs some agreement."""
    readout: bool = True
    """Keep class scores, if the model has a readout."""
    filters: bool = True
    """Filter as the model says; without, events come filtered and in pixels of the network already."""

    def check(self) -> None:
        """Raise FeastError for options that exclude each other."""
        if self.learning and self.weights == "int8":
            raise FeastError("weights int8: learning needs weights int16")

    @property
    def below(self) -> Options:
        """Options of the lower of two layers: frozen, the nearest wins (docs/numerics.md section 12)."""
        return Options(weights=self.weights, readout=False, filters=self.filters)
