"""The first place where the emitted C and the twin disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feast_codegen.codegen.base.events import RESULT_NAMES
from feast_codegen.codegen.emit.compiled_library import NativeFeast
from feast_codegen.codegen.fixed_point.quantise import QuantModel
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.recordings.events import EventStream


@dataclass(frozen=True)
class Difference:
    """The first place where the emitted C and the twin disagree."""

    recording: str
    event: int
    """Index within the recording."""
    value: str
    """What differs: ``result``, or the name of a word of the state."""
    native: str
    twin: str

    def __str__(self) -> str:
        return f"{self.recording}, event {self.event}: {self.value}: C {self.native}, twin {self.twin}"


def first_difference(quant: QuantModel, native: NativeFeast, twin: Twin, stream: EventStream) -> Difference:
    """Step both event by event from equal states and return the first difference in result or state."""
    for index in range(len(stream.events)):
        event = stream.events[index : index + 1]
        results = int(native.step(event)[0]), int(twin.step(event)[0])
        if results[0] != results[1]:
            names = [RESULT_NAMES.get(result, f"feature {result}") for result in results]
            return Difference(stream.name, index, "result", *names)
        words = native.snapshot(), twin.snapshot()
        wrong = np.flatnonzero(words[0] != words[1])
        if wrong.size:
            at = int(wrong[0])
            name = quant.state(twin.options).word_name(at)
            return Difference(stream.name, index, name, f"0x{words[0][at]:04x}", f"0x{words[1][at]:04x}")
        if native.label != twin.label:
            return Difference(stream.name, index, "label", str(native.label), str(twin.label))
    return Difference(stream.name, len(stream.events), "the recording in one call", "differs", "differs")
