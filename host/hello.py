"""What a device says about itself, and whether it is the one that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from codegen import wire
from codegen.errors import FeastError
from codegen.model import Sensor
from codegen.wire_message import Code

_SAME: Final = (
    *("state_id", "state_words", "snapshot_words", "neurons", "radius", "banks", "classes", "downsample"),
    *("last_run", "rx_bytes", "frame_bytes", "results_per_frame", "result_window", "clock_hz", "tick_hz"),
    "stack_bytes",
)
"""Fields taken over as they are."""
_FAULTS: Final = {1: "an exception", 2: "a failed assertion"}


@dataclass(frozen=True)
class Hello:
    """Identity and limits of a device, from its HELLO_REPLY; units are in the names."""

    build_id: str
    """16 hex digits: geometry, options, formats and protocol."""
    state_id: int
    """CRC-32 of the learned state it holds now."""
    state_words: int
    snapshot_words: int
    sensor: Sensor
    """What the network sees."""
    camera: Sensor
    """What events are given in: the same unless the device downsamples."""
    downsample: int
    """A pixel of the network is 2^downsample of the camera wide and high."""
    neurons: int
    radius: int
    banks: int
    classes: int
    """Classes it keeps scores of; 0 for a build without."""
    learning: bool
    """Built with learning."""
    select_threshold: bool
    wide_results: bool
    wide_coordinates: bool
    rx_bytes: int
    frame_bytes: int
    results_per_frame: int
    result_window: int
    clock_hz: int
    keeps: bool
    """Has memory to keep a learned state over a loss of power."""
    uploading: bool
    """Holds part of an upload; `state_id` is of no use."""
    clock_fallback: bool
    """Runs on its reset clock, because the fast one did not start."""
    tick_hz: int
    stack_bytes: int
    last_run: int
    fault: str
    """Why the device last restarted itself, or empty."""

    @property
    def features(self) -> int:
        """Features over all banks."""
        return self.banks * self.neurons

    @property
    def layered(self) -> bool:
        """Has a layer below: the learned state is then longer than that of these features alone."""
        return self.state_words != self.features * ((2 * self.radius + 1) ** 2 + 2) + 2

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> Hello:
        """From the fields of a HELLO_REPLY of this protocol version."""

        def has(flag: Code) -> bool:
            return bool(fields["flags"] & flag.value)

        fault = ""
        if fields["fault_kind"]:
            kind = _FAULTS.get(fields["fault_kind"], f"fault {fields['fault_kind']}")
            fault = f"{kind} at {fields['fault_where']:#x}, status {fields['fault_status']:#x}"
        return Hello(
            build_id=fields["build_id"].hex(),
            sensor=Sensor(fields["width"], fields["height"]),
            camera=Sensor(fields["camera_width"], fields["camera_height"]),
            learning=has(wire.FLAG_LEARNING),
            select_threshold=has(wire.FLAG_THRESHOLD),
            wide_results=has(wire.FLAG_WIDE_RESULTS),
            wide_coordinates=has(wire.FLAG_WIDE_COORDINATES),
            keeps=has(wire.FLAG_KEEPS),
            uploading=has(wire.FLAG_UPLOADING),
            clock_fallback=has(wire.FLAG_CLOCK_FALLBACK),
            fault=fault,
            **{name: fields[name] for name in _SAME},
        )

    def require(self, build_id: str, state_id: int | None = None) -> None:
        """Raise FeastError unless the device was built as `build_id` and holds the state `state_id`.

        state_id None accepts whatever the device has learned.
        """
        if self.build_id != build_id:
            raise FeastError(
                f"device was built as {self.build_id} ({self._describe()}), this model and these options "
                f"give {build_id}: build the firmware from this model (codegen build) and flash it"
            )
        if state_id is not None and self.state_id != state_id:
            raise FeastError(
                f"device holds the learned state {self.state_id:08x}, the model has {state_id:08x}: start "
                "from the model's weights, adopt the device's state, or flash this model"
            )

    def _describe(self) -> str:
        side = 2 * self.radius + 1
        kind = "learning" if self.learning else "frozen"
        camera = f"camera {self.camera}, " if self.downsample else ""
        scores = f", scores of {self.classes} classes" if self.classes else ""
        return f"{camera}sensor {self.sensor}, {self.features} features of {side}x{side}, {kind}{scores}"
