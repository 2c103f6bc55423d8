"""Questions to a device besides its runs: signals, counters, reading and writing the learned state.

Every question is asked until its answer is whole; what was lost of a long answer is asked for again. An
answer belongs to one moment: the device gives all of it before it takes another event.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import HEADER, Message
from feast_codegen.host.link.clock import REAL, TURN_S, Clock, OnWait, ignore
from feast_codegen.host.link.device_limits import UNKNOWN, check_fields, check_items, count_items
from feast_codegen.host.link.framing import SEQUENCE_MODULUS, Frame, Receiver, Sender
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.run_protocol import (
    NO_LEARNING,
    Timeouts,
    is_after,
    refusal_text,
    sequence_step,
    unwrap_index,
)
from feast_codegen.host.link.serial_port import LinkError, Port

_SIGNALS: Final = (
    *("hits", "misses", "border", "outside", "backwards", "filtered"),
    *("window_events", "window_misses", "last_window_misses"),
)
_FEATURE: Final = np.dtype([("threshold", "<i4"), ("wins", "<u4")])
_UPLOADS: Final = 3
_NO_SCORES: Final = (
    "device keeps no class scores: train with --readout, build the firmware from that model and flash it"
)
_FADES: Final = "the device's readout fades: it gives decisions, not scores"
_NO_DECISION: Final = (
    "device has no fading readout: train a model with one, build the firmware from it and flash it"
)
_NO_MEMORY: Final = "device has no memory to keep a state over a loss of power: save it to a file instead"
_NOT_TAKEN: Final = (
    "the device's memory did not take the state: what was kept before is still there; check its supply "
    "and try again, or save the state to a file"
)
_LACKING: Final = {
    messages.WRITE_STATE.code: NO_LEARNING,
    messages.APPLY_STATE.code: NO_LEARNING,
    messages.SCORES.code: _NO_SCORES,
    messages.DECIDE.code: _NO_DECISION,
    messages.PERSIST.code: _NO_MEMORY,
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
    """(classes,); docs/reference/numerics.md section 13."""


@dataclass(frozen=True)
class DeviceDecision:
    """What the fading readout of a device makes of the events so far (numerics page section 15)."""

    event: int
    """Events of the run before this moment, modulo 2^32."""
    label: int
    """Index of the class with the largest score; -1 before a feature has won, or when all has faded."""
    margin: int
    """How far it is ahead of the next class."""
    typicality: int
    """Cosine with the nearest class mean, Q15."""
    abstains: bool
    """The answer is "unknown"."""
    ticks: int
    """Ticks that the device took for it."""


class Questions:
    """Asks over a port that nobody else uses meanwhile.

    ``moment``: of the last answer, events of the run modulo 2^32.
    """

    def __init__(
        self,
        port: Port,
        sender: Sender,
        receiver: Receiver,
        timeouts: Timeouts,
        hello: Hello,
        *,
        events: int | None = None,
        clock: Clock = REAL,
        on_wait: OnWait = ignore,
        give_up_at: float = math.inf,
    ) -> None:
        """events: that the present run has come to; None where there is no run, or it is not known.

        on_wait: is called again and again while an answer is waited for. give_up_at: when the answer must be
        whole, regardless of progress.
        """
        self._port, self._sender, self._receiver, self._timeouts = port, sender, receiver, timeouts
        self._hello, self._events, self._clock, self._on_wait = hello, events, clock, on_wait
        self._asked_end, self._give_up_at = 0, give_up_at
        self.moment = 0

    def signals(self) -> DeviceSignals:
        """Counters, thresholds and win counts of one moment."""
        answer = self._ask_all(messages.SIGNALS, messages.SIGNALS_REPLY, 0, self._hello.features)
        values, fixed = np.frombuffer(answer.items, _FEATURE), answer.fields
        return DeviceSignals(
            event=fixed["received"],
            thresholds_q30=values["threshold"].copy(),
            wins=values["wins"].copy(),
            **{name: fixed[name] for name in _SIGNALS},
        )

    def scores(self) -> DeviceScores:
        """Class scores of one moment. Raises FeastError for a device without class scores."""
        if not self._hello.classes or self._hello.fades:
            raise FeastError(_FADES if self._hello.fades else _NO_SCORES)
        answer = self._ask_all(messages.SCORES, messages.SCORES_REPLY, 0, self._hello.classes)
        label = -1 if answer.fields["label"] == messages.NO_LABEL else answer.fields["label"]
        scores = np.frombuffer(answer.items, "<i8").astype(np.int64)
        return DeviceScores(answer.fields["received"], label, scores)

    def decision(self) -> DeviceDecision:
        """The decision at this moment. Raises FeastError for a device without a fading readout."""
        if not self._hello.fades:
            raise FeastError(_NO_DECISION)
        fields = self._answer(messages.DECIDE, messages.DECISION)
        return DeviceDecision(
            event=fields["received"],
            label=-1 if fields["label"] == messages.NO_LABEL else fields["label"],
            margin=fields["margin"],
            typicality=fields["typicality"],
            abstains=bool(fields["abstains"]),
            ticks=fields["ticks"],
        )

    def counters(self) -> Counter[str]:
        """Ticks, stack and counters of the run so far; names as in `protocol.messages.COUNTERS_REPLY`."""
        fields = self._answer(messages.COUNTERS_NOW, messages.COUNTERS_REPLY)
        header = {field.name for field in HEADER}
        return Counter({name: n for name, n in fields.items() if name not in header and name != "ack"})

    def read(self, first: int, count: int) -> Words:
        """Words `first` to `first` + `count` - 1 of the state; all below ``hello.snapshot_words``."""
        if not count:
            return np.empty(0, np.uint16)
        answer = self._ask_all(messages.READ_STATE, messages.STATE, first, first + count)
        self.moment = answer.fields["received"]
        return np.frombuffer(answer.items, "<u2").astype(np.uint16)

    def write(self, words: Words) -> None:
        """Make the device go on from a learned state. Raises FeastError if it does not take it."""
        if not self._hello.learning:
            raise FeastError(NO_LEARNING)
        if len(words) != self._hello.state_words:
            raise FeastError(
                f"a learned state of {len(words)} words for a device that holds {self._hello.state_words}: "
                "take one of the same number and size of features"
            )
        wanted = messages.snapshot_digest(words)
        room = min(self._hello.frame_bytes, self._hello.rx_bytes // 2) - messages.CRC_BYTES
        per_frame = (room - messages.WRITE_STATE.size_bytes) // 2
        data = np.ascontiguousarray(words, "<u2").tobytes()
        for attempt in range(1, _UPLOADS + 1):
            for first in range(0, len(words), per_frame):
                tail = data[2 * first : 2 * (first + per_frame)]
                self._answer(messages.WRITE_STATE, messages.CREDIT, tail, first=first)
            try:
                self._answer(messages.APPLY_STATE, messages.STATE_ID, state_id=wanted)
                return
            except _NotAcceptedError:
                if attempt == _UPLOADS:
                    raise FeastError(
                        "device did not accept the learned state: a feature is not of unit length, a "
                        "threshold lies outside [-1, 1], or its lower layer is another; it has gone back to "
                        "its model's own"
                    ) from None

    def persist(self) -> int:
        """Persist the learned state; returns how many states were persisted so far."""
        if not self._hello.can_persist:
            raise FeastError(_NO_MEMORY)
        return int(self._answer(messages.PERSIST, messages.STATE_ID)["persisted"])

    def _answer(self, question: Message, answer: Message, tail: bytes = b"", **fields: int) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def take(frame: Frame) -> _Taken:
            if frame.message is not answer:
                return _Taken.NOTHING
            found.update(frame.fields)
            return _Taken.ALL

        self._ask(question, take, lambda: fields, tail)
        return found

    def _ask_all(self, question: Message, answer: Message, first: int, end: int) -> _Answer:
        """Items `first` to `end` - 1, one at least, in as many answers as it takes."""
        items, fields, have = bytearray(), dict[str, Any](), first

        def take(frame: Frame) -> _Taken:
            nonlocal have
            if frame.message is not answer or frame.fields["first"] != have:
                return _Taken.NOTHING
            have += count_items(answer, frame.tail, have, self._known())
            if answer is messages.SIGNALS_REPLY:
                check_items(answer, np.frombuffer(frame.tail, _FEATURE)["threshold"], self._known())
            items.extend(frame.tail)
            fields.update(frame.fields)
            return _Taken.ALL if have == end else _Taken.SOME

        def rest() -> dict[str, int]:
            return (
                {"first": have, "count": end - have} if question is messages.READ_STATE else {"first": have}
            )

        self._asked_end = end
        self._ask(question, take, rest)
        return _Answer(bytes(items), fields)

    def _known(self) -> dict[str, int]:
        """What limits of answers name."""
        last = (self._sender.next_sequence - 1) % SEQUENCE_MODULUS
        accepted, sent = (0, UNKNOWN) if self._events is None else (self._events, self._events)
        known = {"stream_accepted": accepted, "stream_sent": sent, "last_sequence": last}
        return self._hello.quantities | known | {"asked_end": self._asked_end}

    def _check(self, frame: Frame) -> None:
        """Raise FeastError if an answer says what cannot be."""
        known, fields = self._known(), dict(frame.fields)
        if frame.message is messages.ERROR:  # also of a device that has restarted and stands at 0
            known |= {"stream_accepted": 0, "stream_sent": UNKNOWN}
        fields["ack"] = known["last_sequence"] + sequence_step(known["last_sequence"], fields["ack"])
        if self._events is not None:
            fields["received"] = unwrap_index(fields["received"], self._events)
        check_fields(frame.message, fields, known)

    def _ask(
        self,
        question: Message,
        take: Callable[[Frame], _Taken],
        fields: Callable[[], dict[str, int]],
        tail: bytes = b"",
    ) -> None:
        """Ask until `take`, which is given every frame that may be an answer, says that it has all.

        Only what `take` takes renews the limit.
        """
        now, answer_s = self._clock.now, self._timeouts.answer_s
        got_at = now()

        def limit() -> float:
            return min(got_at + self._timeouts.progress_s, self._give_up_at)

        sequence = self._sender.next_sequence  # an answer to any asking will do, however late it comes
        while now() < limit():
            run = self._hello.last_run
            self._port.write(self._sender.encode(question, tail, run=run, received=0, **fields()))
            deadline = now() + answer_s
            damaged = False
            while not damaged and (left := min(deadline, limit()) - now()) > 0:
                self._on_wait(f"no answer to {question.name}", now() - got_at)
                for frame in self._receiver.feed(self._port.read(min(left, TURN_S))):
                    damaged |= frame.fields.get("code") == messages.ERROR_DAMAGED.value
                    if damaged or self._is_foreign(frame, sequence):
                        continue
                    self._check(frame)
                    _raise_refusal(frame)
                    taken = take(frame)
                    if taken is _Taken.ALL:
                        return
                    if taken is _Taken.SOME:
                        got_at = now()
                        deadline = got_at + answer_s
            answer_s = min(2 * answer_s, self._timeouts.max_answer_s)
        raise LinkError(
            f"no answer to {question.name} for {now() - got_at:.0f} s: check cable and power, run again"
        )

    def _is_foreign(self, frame: Frame, sequence: int) -> bool:
        """It answers no question of ours, or an earlier one than that of number `sequence`."""
        ack, run = frame.fields.get("ack"), frame.fields["run"]
        if ack is None or is_after(sequence, ack):
            return True
        return frame.message is not messages.ERROR and run != self._hello.last_run


class _NotAcceptedError(FeastError):
    """The device refused an uploaded state, or has not all of it."""


class _Taken(Enum):
    """What a frame brought of an answer."""

    NOTHING = auto()
    SOME = auto()
    ALL = auto()


@dataclass(frozen=True)
class _Answer:
    """All items of an answer, one after the other, and the fields of its last frame."""

    items: bytes
    fields: Mapping[str, Any]


def _raise_refusal(frame: Frame) -> None:
    """Raise what an ERROR frame means."""
    if frame.message is not messages.ERROR or frame.fields["code"] < messages.FIRST_REFUSAL:
        return
    code = frame.fields["code"]
    if code == messages.ERROR_VERSION.value:
        raise LinkError("device has restarted: what it had learned since is lost, run again")
    if code == messages.ERROR_STATE.value:
        raise _NotAcceptedError(refusal_text(frame.fields))
    if code == messages.ERROR_PERSIST.value:
        raise FeastError(_NOT_TAKEN)
    if code == messages.ERROR_UNSUPPORTED.value:
        lacking = _LACKING.get(frame.fields["detail"])
        raise FeastError(lacking or f"device refused: {refusal_text(frame.fields)}")
    raise FeastError(f"device refused: {refusal_text(frame.fields)}")
