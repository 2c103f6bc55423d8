"""What a device says about itself, and whether it is the one that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Code
from feast_codegen.host.link.device_limits import UNKNOWN, check_fields, hello_quantities

_SAME: Final = (
    *(
        "state_id",
        "state_words",
        "snapshot_words",
        "features_per_bank",
        "radius",
        "banks",
        "classes",
        "downsample",
    ),
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
    model_id: str
    """First 16 hex digits of the id of the model in flash: weights and all else."""
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
    features_per_bank: int
    radius: int
    banks: int
    classes: int
    """Classes of its readout; 0 for a build without."""
    fades: bool
    """Its readout fades: it gives decisions, not scores."""
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
    can_persist: bool
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
        return self.banks * self.features_per_bank

    @property
    def layered(self) -> bool:
        """Has a layer below: the learned state is then longer than that of these features alone."""
        return self.state_words != self.features * ((2 * self.radius + 1) ** 2 + 2) + 2

    @property
    def identity(self) -> Hello:
        """What stays the same however often the device restarts: all but its state, its runs and faults."""
        return replace(self, state_id=0, last_run=0, uploading=False, clock_fallback=False, fault="")

    @property
    def quantities(self) -> dict[str, int]:
        """What limits of `feast_codegen.codegen.protocol.messages` name of a device."""
        return {
            "features": self.features,
            "classes": self.classes,
            "state_words": self.state_words,
            "snapshot_words": self.snapshot_words,
            "result_bytes": 2 if self.wide_results else 1,
        }

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> Hello:
        """From the fields of a HELLO_REPLY of this protocol version.

        Raises FeastError if one of them lies outside its limits, or does not suit the others.
        """
        known = hello_quantities(fields)
        known |= {"asked_nonce": fields["nonce"], "asked_version": messages.VERSION}
        known |= {"stream_accepted": 0, "stream_sent": UNKNOWN}
        check_fields(messages.HELLO_REPLY, fields, known)

        def has(flag: Code) -> bool:
            return bool(fields["flags"] & flag.value)

        fault = ""
        if fields["fault_kind"]:
            kind = _FAULTS.get(fields["fault_kind"], f"fault {fields['fault_kind']}")
            fault = f"{kind} at {fields['fault_where']:#x}, status {fields['fault_status']:#x}"
        return Hello(
            build_id=fields["build_id"].hex(),
            model_id=fields["model_id"].hex(),
            sensor=Sensor(fields["width"], fields["height"]),
            camera=Sensor(fields["camera_width"], fields["camera_height"]),
            learning=has(messages.FLAG_LEARNING),
            select_threshold=has(messages.FLAG_THRESHOLD),
            wide_results=has(messages.FLAG_WIDE_RESULTS),
            wide_coordinates=has(messages.FLAG_WIDE_COORDINATES),
            can_persist=has(messages.FLAG_PERSISTS),
            fades=has(messages.FLAG_FADES),
            uploading=has(messages.FLAG_UPLOADING),
            clock_fallback=has(messages.FLAG_CLOCK_FALLBACK),
            fault=fault,
            **{name: fields[name] for name in _SAME},
        )

    def require(self, build_id: str, state_id: int | None = None, model_id: str | None = None) -> None:
        """Raise FeastError unless the device was built as `build_id` and holds the state `state_id`.

        state_id None accepts any learned state of the device. model_id: of the model that the device must
        have been built from; its first 16 hex digits count.
        """
        if self.build_id != build_id:
            raise FeastError(
                f"device was built as {self.build_id} ({self._describe()}), this model and these options "
                f"give {build_id}: build the firmware from this model (codegen build) and flash it"
            )
        if model_id is not None and self.model_id != model_id[: len(self.model_id)]:
            raise FeastError(
                f"device was built from the model {self.model_id}, the one named is "
                f"{model_id[: len(self.model_id)]}, of the same geometry: name the model that the device was "
                "built from, or build the firmware from this one (codegen build) and flash it"
            )
        if state_id is not None and self.state_id != state_id:
            raise FeastError(
                f"device holds the learned state {self.state_id:08x}, the model has {state_id:08x}: go on "
                "from the device's state (--use-device-state), start from the model's (--reset-to-model), or "
                "flash this model"
            )

    def require_same(self, before: Hello) -> None:
        """Raise FeastError unless this is the device that `before` came from."""
        names = [name for name, value in vars(before.identity).items() if vars(self.identity)[name] != value]
        if names:
            raise FeastError(
                f"another device answers than before, other in {', '.join(names)}: connect the first one "
                "again, or run again with this one"
            )

    def _describe(self) -> str:
        side = 2 * self.radius + 1
        kind = "learning" if self.learning else "frozen"
        camera = f"camera {self.camera}, " if self.downsample else ""
        scores = f", scores of {self.classes} classes" if self.classes else ""
        return f"{camera}sensor {self.sensor}, {self.features} features of {side}x{side}, {kind}{scores}"
