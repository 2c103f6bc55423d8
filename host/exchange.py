"""One run over the link, host side, without I/O: frames and the time come in, bytes to send come out.

The device only answers; all repair is here. Every device frame says how far it has the events (`received`)
and which of our frames it saw last (`ack`): bytes up to `ack` have left its buffer, and if it should have
more events by then, some were lost and are sent again from where it stands. Results carry their index: a gap
is asked for again with POLL, and so is an answer that does not come. docs/protocol.md has the whole story.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from codegen import wire
from codegen.errors import FeastError
from codegen.records import Events, Results
from codegen.wire_message import Message
from host.framing import SEQUENCE_MODULUS, Frame, Sender, encoded_bound
from host.hello import Hello
from host.packing import PackedEvents, pack_events, unpack_results
from host.port import LinkError

POLL_RESERVE_BYTES: Final = 2 * encoded_bound(wire.POLL.size_bytes)
"""Kept free of the device's receive buffer, so that a question always finds room."""
_INDEX_MODULUS: Final = 1 << 32
_REFUSALS: Final = {error.value: error.meaning.split(";")[0] for error in wire.ERRORS}
NO_LEARNING: Final = "device was built without learning: build the firmware with --learning and flash it"


def refusal_text(fields: Mapping[str, Any]) -> str:
    """What an ERROR frame says, for people."""
    meaning = _REFUSALS.get(fields["code"], "unknown reason")
    return f"error {fields['code']}, {meaning} ({fields['detail']})"


@dataclass(frozen=True)
class Patience:
    """How long to wait, seconds."""

    answer_s: float = 0.25
    """For an answer, before asking again; doubled each time, up to `max_answer_s`."""
    max_answer_s: float = 2.0
    progress_s: float = 10.0
    """For progress of any kind, before giving up."""


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
        patience: Patience = Patience(),
    ) -> None:
        """run: number of the run, 1 to 255. flags: of START.

        batches: the events in order. An empty batch says that there are none yet: it is asked again with
        the next `send`.

        on_results: is given each stretch of results once, in order. one_at_a_time: send nothing while the
        device computes.
        """
        self.done: dict[str, Any] | None = None
        self.results = 0
        self.hold = False
        """Set to send no more events for the time being, until the line `is_at_rest`."""
        self.counters: Counter[str] = Counter(rewinds=0, polls=0, results_repeated=0)
        self._hello, self._sender, self._run, self._flags = hello, sender, run, flags
        self._batches, self._on_results = iter(batches), on_results
        self._one_at_a_time, self._patience = one_at_a_time, patience
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
        self._question = wire.START  # what to ask when no answer comes
        self._ask_now = True
        self._answer_s = patience.answer_s
        self._asked_at = self._heard_at = self._progress_at = now

    @property
    def is_at_rest(self) -> bool:
        """The run has begun, and there is a result for every event sent."""
        return self._question is not wire.START and self.results == self._accepted == self._position

    @property
    def is_waiting(self) -> bool:
        """Everything sent is answered, and the batches have no more events yet."""
        return self._ran_dry and self.is_at_rest

    @property
    def sent(self) -> int:
        """Events sent so far."""
        return self._furthest

    def excuse(self, now: float) -> None:
        """Nobody attended to the run until now: that does not count against the device."""
        self._asked_at = self._heard_at = self._progress_at = now

    # --- outgoing ---

    def send(self, now: float) -> bytes:
        """Bytes to write now; perhaps none. Raises FeastError if the run stands still for too long."""
        if now - self._progress_at > self._patience.progress_s:
            raise LinkError(self._standstill(now))
        self._ran_dry = False
        frames = list(self._event_frames()) if self._question is wire.POLL and not self.hold else []
        if self._total is not None and self.results == self._total == self._accepted:
            self._ask_now |= self._question is not wire.END
            self._question = wire.END
        if self.wait_s(now) == 0.0:
            self._answer_s = min(2 * self._answer_s, self._patience.max_answer_s)
            self._ask_now = True
        if self._ask_now:
            self._ask_now, self._asked_at = False, now
            frames.append(self._ask())
        return b"".join(frames)

    def wait_s(self, now: float) -> float:
        """How long to wait for an answer before `send` must be called again."""
        return max(0.0, max(self._heard_at, self._asked_at) + self._answer_s - now)

    def _ask(self) -> bytes:
        if self._question is wire.POLL:
            self.counters["polls"] += 1
            self._poll_sequence = self._sender.next_sequence
            return self._encode(wire.POLL)
        if self._question is wire.END:
            return self._encode(wire.END, events=self.results % _INDEX_MODULUS)
        return self._encode(wire.START, flags=self._flags)

    def _event_frames(self) -> Iterator[bytes]:
        """EVENTS frames, for as long as the device has room for the bytes and for the results."""
        while (packed := self._packed_at(self._position)) is not None:
            start = self._position
            end = packed.cut(start, self._tail_bytes, self._frame_events)
            tail = packed.tail(start, end)
            size = encoded_bound(wire.EVENTS.size_bytes + len(tail))
            if end - self.results > self._hello.result_window:
                return
            if self._in_flight_bytes + size > self._credit_bytes:
                return
            if self._one_at_a_time and (self._in_flight or self.results < start):
                return
            self._position = end
            self._furthest = max(self._furthest, end)
            base_us = int(packed.base_us[start - packed.first])
            yield self._encode(wire.EVENTS, tail, first=start % _INDEX_MODULUS, base_us=base_us)

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
            self._heard_at, self._answer_s = now, self._patience.answer_s
            before = (self._accepted, self.results, self._question)
            self._settle(frame.fields["ack"], frame.fields["received"])
            self._take(frame)
            if before != (self._accepted, self.results, self._question) or self.is_waiting:
                self._progress_at = now

    def _settle(self, ack: int, received: int) -> None:
        """Everything up to our frame `ack` has arrived or is lost; the device has `received` events."""
        last = None
        while self._in_flight and not is_after(self._in_flight[0].sequence, ack):
            last = self._in_flight.popleft()
            self._in_flight_bytes -= last.size_bytes
        if self._poll_sequence is not None and not is_after(self._poll_sequence, ack):
            self._poll_sequence = None
        accepted = max(self._accepted, _unwrap(received, self._accepted))
        if accepted > self._accepted:
            self._tail_bytes = min(self._tail_bytes + wire.MAX_EVENT_BYTES, self._longest_tail)
        self._accepted = accepted
        if self._accepted > self._furthest:
            raise FeastError(f"device claims {self._accepted} events, {self._furthest} were sent: restart it")
        if last and not is_after(self._valid_from, last.sequence) and self._accepted < last.events:
            self._rewind()
        self._position = max(self._position, self._accepted)

    def _rewind(self) -> None:
        """Send again from the first event the device does not have, in shorter frames."""
        self.counters["rewinds"] += 1
        self._tail_bytes = max(self._tail_bytes // 2, wire.MAX_EVENT_BYTES)
        self._position = self._accepted
        self._valid_from = self._sender.next_sequence

    def _take(self, frame: Frame) -> None:
        fields = frame.fields
        if frame.message is wire.CREDIT and self._question is wire.START:
            self._question = wire.POLL
        elif frame.message is wire.RESULTS:
            self._take_results(frame)
        elif frame.message is wire.DONE and self._question is wire.END:
            self._check_done(fields)
            self.done = fields
        elif frame.message is wire.ERROR and fields["code"] == wire.ERROR_DAMAGED.value:
            self._mend((fields["ack"] + 1) % SEQUENCE_MODULUS)

    def _mend(self, damaged: int) -> None:
        """Our frame `damaged`, or one soon after it, arrived damaged."""
        if not self._in_flight or is_after(self._valid_from, damaged):
            return  # nothing of ours, or sent before a rewind that has mended it
        self._ask_now |= self._question is not wire.POLL or self._poll_sequence is not None
        if self._position > self._accepted:
            self._rewind()

    def _take_results(self, frame: Frame) -> None:
        results = unpack_results(frame.tail, self._hello.wide_results)
        missing = _unwrap(frame.fields["first"], self.results) - self.results
        if missing > 0:
            self._ask_now |= self._poll_sequence is None
            return
        fresh = results[-missing:]
        self.counters["results_repeated"] += len(results) - len(fresh)
        if len(fresh):
            self.results += len(fresh)
            self._digest = wire.result_digest(fresh, self._digest)
            self._on_results(fresh)

    def _check_done(self, fields: dict[str, Any]) -> None:
        if fields["events"] != self._total or fields["result_digest"] != self._digest:
            raise FeastError(
                f"device processed {fields['events']} events to result digest {fields['result_digest']:08x}, "
                f"received were {self._total} with {self._digest:08x}: do not trust these results, run again"
            )

    def _is_refusal(self, frame: Frame) -> bool:
        fields = frame.fields
        return (
            frame.message is wire.ERROR
            and fields["code"] >= wire.FIRST_REFUSAL
            and not is_after(self._first_sequence, fields["ack"])
        )

    def _refusal(self, fields: dict[str, Any]) -> FeastError:
        code, where = fields["code"], f"{self.results} results received"
        if code in (wire.ERROR_NO_RUN.value, wire.ERROR_VERSION.value):  # it has forgotten run or HELLO
            return LinkError(
                f"device has restarted, {where}: the run and what was learned are lost, run again"
            )
        if code == wire.ERROR_UNSUPPORTED.value:
            return FeastError(NO_LEARNING)
        return FeastError(f"device refused to go on, {where}: {refusal_text(fields)}")

    def _standstill(self, now: float) -> str:
        where = f"{self.results} results received"
        silent_s = now - self._heard_at
        if silent_s >= self._patience.progress_s:
            return (
                f"no answer from the device for {silent_s:.0f} s, {where}: check cable and power, run again"
            )
        return (
            f"no progress for {self._patience.progress_s:.0f} s, {where}, though the device answers: "
            "the line is too noisy, check cable and baud rate"
        )


def _longest_tail(hello: Hello, credit_bytes: int) -> int:
    """Bytes of events in the longest frame: one the device takes, two of which fit its receive buffer."""
    stuffed = credit_bytes // 2 - 2
    frame = min(hello.frame_bytes, stuffed - stuffed // 254)
    tail = frame - wire.CRC_BYTES - wire.EVENTS.size_bytes
    if tail < wire.MAX_EVENT_BYTES:
        raise FeastError(
            f"device takes frames of {hello.frame_bytes} bytes into a buffer of {hello.rx_bytes}: too small, "
            "build the firmware with larger buffers"
        )
    return tail


def is_after(a: int, b: int) -> bool:
    """Sequence number `a` comes after `b`, on the shorter way round."""
    return 0 < (a - b) % SEQUENCE_MODULUS < SEQUENCE_MODULUS // 2


def _unwrap(value: int, near: int) -> int:
    """The index congruent to `value` modulo 2^32 that is nearest to `near`."""
    half = _INDEX_MODULUS // 2
    return near + (value - near + half) % _INDEX_MODULUS - half
