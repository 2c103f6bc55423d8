"""The size of a sensor."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codegen.errors import FeastError


@dataclass(frozen=True)
class Sensor:
    """Sensor size in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @staticmethod
    def parse(text: str) -> Sensor:
        """Read ``"34x34"``. Raises FeastError unless both sides are 1 to 4096."""
        match = re.fullmatch(r"(\d{1,4})[xX](\d{1,4})", text.strip())
        if match:
            width, height = int(match[1]), int(match[2])
            if 1 <= width <= 4096 and 1 <= height <= 4096:
                return Sensor(width, height)
        raise FeastError(f"sensor size {text!r}: expected WIDTHxHEIGHT, each 1 to 4096, e.g. 34x34")
