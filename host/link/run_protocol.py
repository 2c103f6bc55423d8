"""One run over the link, host side, without I/O: frames and the time come in, bytes to send come out.

The device only answers; all repair is here. Every device frame says how far it has the events (`received`)
and which of our frames it saw last (`ack`): bytes up to `ack` have left its buffer, and if it should have
more events by then, some were lost and are sent again from where it stands. Results carry their index: a gap
is asked for again with POLL, and so is an answer that does not come. the protocol page has the whole story.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Message
from feast_codegen.host.link.device_limits import check_fields, check_items, count_items
from feast_codegen.host.link.framing import SEQUENCE_MODULUS, Frame, Sender, encoded_bound
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.payloads import PackedEvents, pack_events, unpack_results
from feast_codegen.host.link.serial_port import LinkError

POLL_RESERVE_BYTES: Final = 2 * encoded_bound(messages.POLL.size_bytes)
"""Kept free of the device's receive buffer, so that a question always finds room."""
_INDEX_MODULUS: Final = 1 << 32
_REFUSALS: Final = {error.value: error.meaning.split(";")[0] for error in messages.ERRORS}
NO_LEARNING: Final = "device was built without learning: build the firmware with --learning and flash it"


def refusal_text(fields: Mapping[str, Any]) -> str:
    """What an ERROR frame says, for people."""
    meaning = _REFUSALS.get(fields["code"], "unknown reason")
    return f"error {fields['code']}, {meaning} ({fields['detail']})"


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, seconds. docs/reference/protocol.md says what the defaults come to."""

    answer_s: float = 0.25
    """For an answer, before asking again; doubled each time, up to `max_answer_s`."""
    max_answer_s: float = 2.0
    progress_s: float = 8.0
    """Until the run or the answer has got further, before giving up. Only what brings it further counts."""
    standstill_s: float = 14.0
    """Until the next result, however much further the run has got without one; at least `progress_s`."""


@dataclass(frozen=True)
class _Sent:
    """A frame in flight: its sequence number, its bytes, and the events sent by its end."""

    sequence: int
    size_bytes: int
    events: int


class RunExchange:
    """Carries one run from START to DONE: alternate `send` and `receive` until `done` is set.

    ``results``: results received and handed on. ``counters``: ``rewinds`` (events sent again from an
    earlier one), ``polls``, ``results_repeated`` (results received more than once).
    """

    def __init__(
        self,
        hello: Hello,
        sender: Sender,
        run: int,
        batches: Iterable[Events],
        on_results: Callable[[Results], None],
        *,
        now: float,
        flags: int = 0,
        one_at_a_time: bool = False,
        timeouts: Timeouts = Timeouts(),
        state_id: int | None = None,
        give_up_at: float = math.inf,
    ) -> None:
        """run: number of the run, 1 to 255. flags: of START. state_id: that the run must end with, if known.
        give_up_at: when the first result must be here, regardless of other progress.

        batches: the events in order. An empty batch says that there are none yet: it is asked again with
        the next `send`.

        on_results: is given each chunk of results once, in order. one_at_a_time: send nothing while the
        device computes.
        """
        self.done: dict[str, Any] | None = None
        self.results = 0
        self.hold = False
        """Set to send no more events for the time being, until the line `is_at_rest`."""
        self.counters: Counter[str] = Counter(rewinds=0, polls=0, results_repeated=0)
        self._hello, self._sender, self._run, self._flags = hello, sender, run, flags
        self._batches, self._on_results = iter(batches), on_results
        self._standstill_s = max(timeouts.standstill_s, timeouts.progress_s)
        self.give_up_at = min(give_up_at, now + self._standstill_s)
        """When the next result must be here."""
        self._timeouts = timeouts
        self._one_at_a_time, self._state_id = one_at_a_time, state_id
        self._quantities = hello.quantities
        self._credit_bytes = hello.rx_bytes - POLL_RESERVE_BYTES
        self._longest_tail = _longest_tail(hello, self._credit_bytes)
        self._tail_bytes = self._longest_tail  # of the next frame: halved by a loss, grows with each success
        self._frame_events = max(1, hello.result_window // 2)
        self._packed: deque[PackedEvents] = deque()
        self._total: int | None = None  # events of the run, once the last batch is packed
        self._ran_dry = False  # the last batch asked for was empty
        self._digest = 0
        self._accepted = 0  # events the device has
        self._position = 0  # event to send next
        self._furthest = 0  # events ever sent
        self._in_flight: deque[_Sent] = deque()
        self._in_flight_bytes = 0
        self._first_sequence = sender.next_sequence  # of this run
        self._valid_from = sender.next_sequence  # frames before it were sent before the last rewind
        self._poll_sequence: int | None = None  # POLL whose answer is awaited
        self._question = messages.START  # what to ask when no answer comes
        self._ask_now = True
        self._answer_s = timeouts.answer_s
        self._asked_at = self._heard_at = self._progress_at = now

    @property
    def is_at_rest(self) -> bool:
        """The run has begun, and there is a result for every event sent."""
        return self._question is not messages.START and self.results == self._accepted == self._position

    @property
    def is_waiting(self) -> bool:
        """Everything sent is answered, and the batches have no more events yet."""
        return self._ran_dry and self.is_at_rest

    @property
    def sent(self) -> int:
        """Events sent so far."""
        return self._furthest

    def excuse(self, away_s: float, now: float) -> None:
        """Leave `away_s` seconds out of all limits: the host was busy, so the silence is not the device's."""
        self._asked_at = min(self._asked_at + away_s, now)
        self._heard_at = min(self._heard_at + away_s, now)
        self._progress_at = min(self._progress_at + away_s, now)
        self.give_up_at += away_s

    def still_s(self, now: float) -> float:
        """Seconds since the run has last got further."""
        return now - self._progress_at

    # --- outgoing ---

    def send(self, now: float) -> bytes:
        """Bytes to write now; perhaps none. Raises FeastError if the run stands still for too long."""
        if now >= min(self._progress_at + self._timeouts.progress_s, self.give_up_at):
            raise LinkError(self._standstill(now))
        self._ran_dry = False
        frames = list(self._event_frames()) if self._question is messages.POLL and not self.hold else []
        if self._total is not None and self.results == self._total == self._accepted:
            self._ask_now |= self._question is not messages.END
            self._question = messages.END
        if now >= max(self._heard_at, self._asked_at) + self._answer_s:
            self._answer_s = min(2 * self._answer_s, self._timeouts.max_answer_s)
            self._ask_now = True
        if self._ask_now:
            self._ask_now, self._asked_at = False, now
            frames.append(self._ask())
        return b"".join(frames)

    def wait_s(self, now: float) -> float:
        """How long to wait for an answer before `send` must be called again."""
        until = max(self._heard_at, self._asked_at) + self._answer_s
        return max(0.0, min(until, self._progress_at + self._timeouts.progress_s, self.give_up_at) - now)

    def _ask(self) -> bytes:
        if self._question is messages.POLL:
            self.counters["polls"] += 1
            self._poll_sequence = self._sender.next_sequence
            return self._encode(messages.POLL)
        if self._question is messages.END:
            return self._encode(messages.END, events=self.results % _INDEX_MODULUS)
        return self._encode(messages.START, flags=self._flags)

    def _event_frames(self) -> Iterator[bytes]:
        """EVENTS frames, for as long as the device has room for the bytes and for the results."""
        while (packed := self._packed_at(self._position)) is not None:
            start = self._position
            end = packed.cut(start, self._tail_bytes, self._frame_events)
            tail = packed.tail(start, end)
            size = encoded_bound(messages.EVENTS.size_bytes + len(tail))
            if end - self.results > self._hello.result_window:
                return
            if self._in_flight_bytes + size > self._credit_bytes:
                return
            if self._one_at_a_time and (self._in_flight or self.results < start):
                return
            self._position = end
            self._furthest = max(self._furthest, end)
            base_us = int(packed.base_us[start - packed.first])
            yield self._encode(messages.EVENTS, tail, first=start % _INDEX_MODULUS, base_us=base_us)

    def _packed_at(self, index: int) -> PackedEvents | None:
        """The batch that holds event `index`; None if the run ends before it."""
        while self._packed and self._packed[0].end <= min(self._accepted, index) and len(self._packed) > 1:
            self._packed.popleft()
        while self._total is None and (not self._packed or self._packed[-1].end <= index):
            if not self._pack_next():
                break
        return next((packed for packed in self._packed if packed.first <= index < packed.end), None)

    def _pack_next(self) -> bool:
        """Ask for the next batch; False if there is none yet."""
        last = self._packed[-1] if self._packed else None
        first, previous_us = (last.end, last.last_us) if last else (0, None)
        events = next(self._batches, None)
        if events is None:
            self._total = first
        elif len(events):
            self._packed.append(pack_events(events, first, previous_us, self._hello.wide_coordinates))
        else:
            self._ran_dry = True
        return not self._ran_dry

    def _encode(self, message: Message, tail: bytes = b"", **fields: int) -> bytes:
        sequence = self._sender.next_sequence
        received = self.results % _INDEX_MODULUS
        frame = self._sender.encode(message, tail, run=self._run, received=received, **fields)
        self._in_flight.append(_Sent(sequence, len(frame), self._position))
        self._in_flight_bytes += len(frame)
        return frame

    # --- incoming ---

    def receive(self, frames: Iterable[Frame], now: float) -> None:
        """Take received frames. Raises FeastError if the device refuses to go on or its digest differs."""
        for frame in frames:
            if self._is_refusal(frame):
                raise self._refusal(frame.fields)
            if frame.fields["run"] != self._run or "ack" not in frame.fields or self.done is not None:
                continue
            self._check(frame)
            self._heard_at, self._answer_s = now, self._timeouts.answer_s
            before = (self._accepted, self.results, self._question)
            polled = self._poll_sequence
            self._settle(frame.fields["ack"], frame.fields["received"])
            self._take(frame)
            idle = self.is_waiting and self._poll_sequence != polled  # nothing is owed but an answer to POLL
            if idle or before != (self._accepted, self.results, self._question):
                self._progress_at = now
            if idle or self.results > before[1]:
                self.give_up_at = now + self._standstill_s

    def _check(self, frame: Frame) -> None:
        """Raise FeastError if a frame of this run says what cannot be."""
        last = (self._sender.next_sequence - 1) % SEQUENCE_MODULUS
        fields = frame.fields | {
            "received": unwrap_index(frame.fields["received"], self._accepted),
            "ack": last + sequence_step(last, frame.fields["ack"]),
        }
        if frame.message is messages.RESULTS:
            fields["first"] = unwrap_index(fields["first"], self.results)
        known = {"stream_accepted": 0, "stream_sent": self._furthest, "last_sequence": last}
        check_fields(frame.message, fields, self._quantities | known)
        if frame.message is messages.RESULTS:
            count_items(frame.message, frame.tail, fields["first"], self._quantities | known)

    def _settle(self, ack: int, received: int) -> None:
        """Everything up to our frame `ack` has arrived or is lost; the device has `received` events."""
        last = None
        while self._in_flight and not is_after(self._in_flight[0].sequence, ack):
            last = self._in_flight.popleft()
            self._in_flight_bytes -= last.size_bytes
        if self._poll_sequence is not None and not is_after(self._poll_sequence, ack):
            self._poll_sequence = None
        accepted = max(self._accepted, unwrap_index(received, self._accepted))
        if accepted > self._accepted:
            self._tail_bytes = min(self._tail_bytes + messages.MAX_EVENT_BYTES, self._longest_tail)
        self._accepted = accepted
        if last and not is_after(self._valid_from, last.sequence) and self._accepted < last.events:
            self._rewind()
        self._position = max(self._position, self._accepted)

    def _rewind(self) -> None:
        """Send again from the first event the device does not have, in shorter frames."""
        self.counters["rewinds"] += 1
        self._tail_bytes = max(self._tail_bytes // 2, messages.MAX_EVENT_BYTES)
        self._position = self._accepted
        self._valid_from = self._sender.next_sequence

    def _take(self, frame: Frame) -> None:
        fields = frame.fields
        if frame.message is messages.CREDIT and self._question is messages.START:
            self._question = messages.POLL
        elif frame.message is messages.RESULTS:
            self._take_results(frame)
        elif frame.message is messages.DONE and self._question is messages.END:
            self._check_done(fields)
            self.done = fields
        elif frame.message is messages.ERROR and fields["code"] == messages.ERROR_DAMAGED.value:
            self._recover((fields["ack"] + 1) % SEQUENCE_MODULUS)

    def _recover(self, damaged: int) -> None:
        """Our frame `damaged`, or one soon after it, arrived damaged."""
        if not self._in_flight or is_after(self._valid_from, damaged):
            return  # nothing of ours, or sent before a rewind that has recovered it
        self._ask_now |= self._question is not messages.POLL or self._poll_sequence is not None
        if self._position > self._accepted:
            self._rewind()

    def _take_results(self, frame: Frame) -> None:
        results = unpack_results(frame.tail, self._hello.wide_results)
        check_items(frame.message, results, self._quantities)
        missing = unwrap_index(frame.fields["first"], self.results) - self.results
        if missing > 0:
            self._ask_now |= self._poll_sequence is None
            return
        fresh = results[-missing:]
        self.counters["results_repeated"] += len(results) - len(fresh)
        if len(fresh):
            self.results += len(fresh)
            self._digest = messages.result_digest(fresh, self._digest)
            self._on_results(fresh)

    def _check_done(self, fields: dict[str, Any]) -> None:
        if self._state_id is not None and fields["state_id"] != self._state_id:
            raise FeastError(
                f"device ends the run with the learned state {fields['state_id']:08x}, it began with "
                f"{self._state_id:08x} and was not to learn: do not trust its results, flash it again"
            )
        if fields["events"] != self._total or fields["result_digest"] != self._digest:
            raise FeastError(
                f"device processed {fields['events']} events to result digest {fields['result_digest']:08x}, "
                f"received were {self._total} with {self._digest:08x}: do not trust these results, run again"
            )

    def _is_refusal(self, frame: Frame) -> bool:
        fields = frame.fields
        return (
            frame.message is messages.ERROR
            and fields["code"] >= messages.FIRST_REFUSAL
            and not is_after(self._first_sequence, fields["ack"])
        )

    def _refusal(self, fields: dict[str, Any]) -> FeastError:
        code, where = fields["code"], f"{self.results} results received"
        if code in (
            messages.ERROR_NO_RUN.value,
            messages.ERROR_VERSION.value,
        ):  # it has forgotten run or HELLO
            return LinkError(
                f"device has restarted, {where}: the run and what was learned are lost, run again"
            )
        if code == messages.ERROR_UNSUPPORTED.value:
            return FeastError(NO_LEARNING)
        return FeastError(f"device refused to go on, {where}: {refusal_text(fields)}")

    def _standstill(self, now: float) -> str:
        where = f"{self.results} results received"
        silent_s, still_s = now - self._heard_at, self.still_s(now)
        if silent_s >= still_s / 2:
            return (
                f"no answer from the device for {silent_s:.0f} s, {where}: check cable and power, run again"
            )
        return (
            f"no progress for {still_s:.0f} s, {where}, though the device answers: "
            "the line is too noisy, check cable and baud rate"
        )


def _longest_tail(hello: Hello, credit_bytes: int) -> int:
    """Bytes of events in the longest frame: one the device takes, two of which fit its receive buffer."""
    stuffed = credit_bytes // 2 - 2
    frame = min(hello.frame_bytes, stuffed - stuffed // 254)
    tail = frame - messages.CRC_BYTES - messages.EVENTS.size_bytes
    if tail < messages.MAX_EVENT_BYTES:
        raise FeastError(
            f"device takes frames of {hello.frame_bytes} bytes into a buffer of {hello.rx_bytes}: too small, "
            "build the firmware with larger buffers"
        )
    return tail


def is_after(a: int, b: int) -> bool:
    """Sequence number `a` comes after `b`, on the shorter way round."""
    return 0 < (a - b) % SEQUENCE_MODULUS < SEQUENCE_MODULUS // 2


def sequence_step(a: int, b: int) -> int:
    """How far sequence number `b` comes after `a`, on the shorter way round; negative if before."""
    half = SEQUENCE_MODULUS // 2
    return (b - a + half) % SEQUENCE_MODULUS - half


def unwrap_index(value: int, near: int) -> int:
    """The index congruent to `value` modulo 2^32 that is nearest to `near`."""
    half = _INDEX_MODULUS // 2
    return near + (value - near + half) % _INDEX_MODULUS - half
