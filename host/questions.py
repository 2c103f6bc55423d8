"""Questions to a device besides its runs: signals, counters, reading and writing the learned state.

Every question is asked until its answer is whole; what was lost of a long answer is asked for again. An
answer belongs to one moment: the device gives all of it before it takes another event.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from codegen import wire
from codegen.errors import FeastError
from codegen.wire_message import HEADER, Message
from host.exchange import NO_LEARNING, Patience, is_after, refusal_text
from host.framing import Frame, Receiver, Sender
from host.hello import Hello
from host.port import LinkError, Port

_SIGNALS: Final = (
    *("hits", "misses", "border", "outside", "backwards", "filtered"),
    *("window_events", "window_misses", "last_window_misses"),
)
_FEATURE: Final = np.dtype([("threshold", "<i4"), ("wins", "<u4")])
_UPLOADS: Final = 3
_NO_SCORES: Final = (
    "device keeps no class scores: train with --readout, build the firmware from that model and flash it"
)
_NO_MEMORY: Final = "device has no memory to keep a state over a loss of power: save it to a file instead"
_NOT_TAKEN: Final = (
    "the device's memory did not take the state: what was kept before is still there; check its supply "
    "and try again, or save the state to a file"
)
_LACKING: Final = {
    wire.WRITE_STATE.code: NO_LEARNING,
    wire.ADOPT.code: NO_LEARNING,
    wire.SCORES.code: _NO_SCORES,
    wire.KEEP.code: _NO_MEMORY,
}
"""What to do about a message that a build does not know, by its id."""

Words = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class DeviceSignals:
    """What a device says about its network; counters since feast_init, modulo 2^32."""

    event: int
    """Events of the run before this moment, modulo 2^32."""
    hits: int
    misses: int
    border: int
    outside: int
    backwards: int
    window_events: int
    window_misses: int
    last_window_misses: int
    filtered: int
    """Events that filters on the device left out."""
    thresholds_q30: npt.NDArray[np.int32]
    """(features,), 2^30 is a cosine of 1."""
    wins: npt.NDArray[np.uint32]
    """(features,)"""

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """(features,), -1 to 1."""
        return self.thresholds_q30 / 2.0**30

    @property
    def miss_rate(self) -> float:
        """Misses of all compared events; NaN before the first."""
        compared = self.hits + self.misses
        return self.misses / compared if compared else float("nan")


@dataclass(frozen=True, eq=False)
class DeviceScores:
    """How the classes of a device stand, since its run began."""

    event: int
    """Events of the run before this moment, modulo 2^32."""
    label: int
    """Index of the class with the largest score; -1 before a feature has won."""
    scores: npt.NDArray[np.int64]
    """(classes,); docs/numerics.md section 13."""


class Questions:
    """Asks over a port that nobody else uses meanwhile.

    ``moment``: of the last answer, events of the run modulo 2^32.
    """

    def __init__(
        self, port: Port, sender: Sender, receiver: Receiver, patience: Patience, hello: Hello
    ) -> None:
        self._port, self._sender, self._receiver, self._patience = port, sender, receiver, patience
        self._hello = hello
        self.moment = 0

    def signals(self) -> DeviceSignals:
        """Counters, thresholds and win counts of one moment."""
        tails: list[bytes] = []
        features, fixed = 0, dict[str, Any]()

        def take(frame: Frame) -> bool:
            nonlocal features
            if frame.message is wire.SIGNALS_REPLY and frame.fields["first"] == features:
                features += _values(frame, _FEATURE.itemsize, self._hello.features - features)
                fixed.update(frame.fields)
                tails.append(frame.tail)
            return features >= self._hello.features

        self._ask(wire.SIGNALS, take, lambda: {"first": features})
        values = np.frombuffer(b"".join(tails), _FEATURE)
        return DeviceSignals(
            event=fixed["received"],
            thresholds_q30=values["threshold"].copy(),
            wins=values["wins"].copy(),
            **{name: fixed[name] for name in _SIGNALS},
        )

    def scores(self) -> DeviceScores:
        """Class scores of one moment. Raises FeastError for a device without class scores."""
        if not self._hello.classes:
            raise FeastError(_NO_SCORES)
        tails: list[bytes] = []
        classes, fixed = 0, dict[str, Any]()

        def take(frame: Frame) -> bool:
            nonlocal classes
            if frame.message is wire.SCORES_REPLY and frame.fields["first"] == classes:
                classes += _values(frame, 8, self._hello.classes - classes)
                fixed.update(frame.fields)
                tails.append(frame.tail)
            return classes >= self._hello.classes

        self._ask(wire.SCORES, take, lambda: {"first": classes})
        label = -1 if fixed["label"] == wire.NO_LABEL else fixed["label"]
        scores = np.frombuffer(b"".join(tails), "<i8").astype(np.int64)
        return DeviceScores(fixed["received"], label, scores)

    def counters(self) -> Counter[str]:
        """Ticks, stack and counters of the run so far; names as in `codegen.wire.COUNTERS_REPLY`."""
        fields = self._answer(wire.COUNTERS_NOW, wire.COUNTERS_REPLY)
        header = {field.name for field in HEADER}
        return Counter({name: n for name, n in fields.items() if name not in header and name != "ack"})

    def read(self, first: int, count: int) -> Words:
        """Words `first` to `first` + `count` - 1 of the state; all below ``hello.snapshot_words``."""
        tails: list[bytes] = []
        have = 0

        def take(frame: Frame) -> bool:
            nonlocal have
            if frame.message is wire.STATE and frame.fields["first"] == first + have:
                have += _values(frame, 2, count - have)
                self.moment = frame.fields["received"]
                tails.append(frame.tail)
            return have >= count

        if count:
            self._ask(wire.READ_STATE, take, lambda: {"first": first + have, "count": count - have})
        return np.frombuffer(b"".join(tails), "<u2").astype(np.uint16)

    def write(self, words: Words) -> None:
        """Make the device go on from a learned state. Raises FeastError if it does not take it."""
        if not self._hello.learning:
            raise FeastError(NO_LEARNING)
        if len(words) != self._hello.state_words:
            raise FeastError(
                f"a learned state of {len(words)} words for a device that holds {self._hello.state_words}: "
                "take one of the same number and size of features"
            )
        wanted = wire.snapshot_digest(words)
        room = min(self._hello.frame_bytes, self._hello.rx_bytes // 2) - wire.CRC_BYTES
        per_frame = (room - wire.WRITE_STATE.size_bytes) // 2
        data = np.ascontiguousarray(words, "<u2").tobytes()
        for attempt in range(1, _UPLOADS + 1):
            for first in range(0, len(words), per_frame):
                tail = data[2 * first : 2 * (first + per_frame)]
                self._answer(wire.WRITE_STATE, wire.CREDIT, tail, first=first)
            try:
                self._answer(wire.ADOPT, wire.STATE_ID, state_id=wanted)
                return
            except _NotAcceptedError:
                if attempt == _UPLOADS:
                    raise FeastError(
                        "device did not accept the learned state: a feature is not of unit length, a "
                        "threshold lies outside [-1, 1], or its lower layer is another; it has gone back to "
                        "its model's own"
                    ) from None

    def keep(self) -> int:
        """Keep the learned state over a loss of power; returns how many states were kept so far."""
        if not self._hello.keeps:
            raise FeastError(_NO_MEMORY)
        return int(self._answer(wire.KEEP, wire.STATE_ID)["kept"])

    def _answer(self, question: Message, answer: Message, tail: bytes = b"", **fields: int) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def take(frame: Frame) -> bool:
            if frame.message is answer:
                found.update(frame.fields)
            return bool(found)

        self._ask(question, take, lambda: fields, tail)
        return found

    def _ask(
        self,
        question: Message,
        take: Callable[[Frame], bool],
        fields: Callable[[], dict[str, int]],
        tail: bytes = b"",
    ) -> None:
        """Ask until `take`, which is given every answer, says that it has all."""
        answer_s = self._patience.answer_s
        limit = time.monotonic() + self._patience.progress_s
        while time.monotonic() < limit:
            sequence = self._sender.next_sequence
            run = self._hello.last_run
            self._port.write(self._sender.encode(question, tail, run=run, received=0, **fields()))
            deadline = time.monotonic() + answer_s
            damaged = False
            while not damaged and (left := deadline - time.monotonic()) > 0:
                for frame in self._receiver.feed(self._port.read(left)):
                    damaged |= frame.fields.get("code") == wire.ERROR_DAMAGED.value
                    if is_after(sequence, frame.fields.get("ack", sequence)) or damaged:
                        continue
                    _check(frame)
                    if take(frame):
                        return
                    deadline = time.monotonic() + answer_s
                    limit = time.monotonic() + self._patience.progress_s
            answer_s = min(2 * answer_s, self._patience.max_answer_s)
        raise LinkError(
            f"no answer to {question.name} for {self._patience.progress_s:.0f} s: "
            "check cable and power, run again"
        )


class _NotAcceptedError(FeastError):
    """The device refused an uploaded state, or has not all of it."""


def _values(frame: Frame, size_bytes: int, most: int) -> int:
    """How many values an answer brings. Raises LinkError if it is cut within one, or brings too many."""
    count, rest = divmod(len(frame.tail), size_bytes)
    if rest or count > most:
        raise LinkError(
            f"device's {frame.message.name} brings {len(frame.tail)} bytes where at most {most} values of "
            f"{size_bytes} are missing: its firmware is broken, build it anew and flash it"
        )
    return count


def _check(frame: Frame) -> None:
    """Raise what an ERROR frame means."""
    if frame.message is not wire.ERROR or frame.fields["code"] < wire.FIRST_REFUSAL:
        return
    code = frame.fields["code"]
    if code == wire.ERROR_VERSION.value:
        raise LinkError("device has restarted: what it had learned since is lost, run again")
    if code == wire.ERROR_STATE.value:
        raise _NotAcceptedError(refusal_text(frame.fields))
    if code == wire.ERROR_KEEP.value:
        raise FeastError(_NOT_TAKEN)
    if code == wire.ERROR_UNSUPPORTED.value:
        lacking = _LACKING.get(frame.fields["detail"])
        raise FeastError(lacking or f"device refused: {refusal_text(frame.fields)}")
    raise FeastError(f"device refused: {refusal_text(frame.fields)}")
