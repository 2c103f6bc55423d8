"""The size of a sensor."""

from __future__ import annotations

import re
from dataclasses import dataclass

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.limits import MOST_SIDE


@dataclass(frozen=True)
class Sensor:
    """Sensor size in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    def holds(self, other: Sensor) -> bool:
        """Whether a sensor of the size `other` is no larger in width and in height."""
        return other.width <= self.width and other.height <= self.height

    @staticmethod
    def parse(text: str) -> Sensor:
        """Read ``"34x34"``. Raises FeastError unless both sides are 1 to 4096."""
        match = re.fullmatch(r"(\d{1,4})[xX](\d{1,4})", text.strip())
        if match:
            width, height = int(match[1]), int(match[2])
            if 1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE:
                return Sensor(width, height)
        raise FeastError(f"sensor size {text!r}: expected WIDTHxHEIGHT, each 1 to {MOST_SIDE}, e.g. 34x34")
