"""Seeded simulated recordings: one camera, and the scenes it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from feast_codegen.host.recordings.simulate import bars, digits, planes
from feast_codegen.host.recordings.simulate.camera import Scene

SCENES: Final[Mapping[str, Scene]] = {"digits": digits.SCENE, "bars": bars.SCENE, "planes": planes.SCENE}
"""By the name that follows `sim:`."""
