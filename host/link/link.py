"""The serial link to a device: open it, learn who it is, run recordings on it.

    with open_link("/dev/ttyACM0") as link:
        link.hello.require(build_id, state_id)
        result = link.run(events, learning=False)
        for chunk in link.stream(more_events):
            ...

Every wait has a limit, and every failure is a FeastError that says what to do.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import RESULT_DTYPE, Events, Results
from feast_codegen.codegen.protocol import messages
from feast_codegen.host.link.clock import REAL, TURN_S, Clock, OnWait, ignore
from feast_codegen.host.link.device_limits import BROKEN
from feast_codegen.host.link.framing import Frame, Receiver, Sender
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.requests import DeviceScores, DeviceSignals, Questions, Words
from feast_codegen.host.link.run_protocol import RunExchange, Timeouts
from feast_codegen.host.link.run_results import (
    Latency,
    ResultChunk,
    RunResult,
    Summary,
    batches_of,
    take_events,
)
from feast_codegen.host.link.serial_port import LinkError, Port, open_port
from feast_codegen.host.progress import Progress, silent

DEFAULT_BAUD: Final = 115_200
DEFAULT_TIMEOUTS: Final = Timeouts()
CONNECT_S: Final = 4.5
"""For opening a port and the answer to HELLO; shorter than the 5 s within which one hears what goes on."""
_FIRST_HELLO_S: Final = 0.2
_NO_RESULTS: Final = np.empty(0, RESULT_DTYPE)
_SOURCE_S: Final = 0.002
"""How often a source that has no events yet is asked again."""
_MAX_RUN: Final = 255


class Link:
    """An open link. Made by `open_link`; use as a context manager."""

    def __init__(
        self,
        port: Port,
        name: str,
        timeouts: Timeouts,
        connect_s: float,
        clock: Clock = REAL,
        on_wait: OnWait = ignore,
    ) -> None:
        """connect_s: limit for the answer to HELLO. on_wait: as for `open_link`."""
        self.name, self.clock, self.on_wait = name, clock, on_wait
        self.model_state_id: int | None = None
        """CRC-32 of the learned state of the model in flash, where that is known."""
        self._port, self._timeouts = port, timeouts
        self._connect_s = connect_s
        self.give_up_at = math.inf
        """When the next result must be here, regardless of other progress; infinite once there was one."""
        self._first_hello: Hello | None = None
        self._sender, self._receiver = Sender(), Receiver()
        self._exchange: RunExchange | None = None
        self._counted_before: Counter[str] = Counter()
        self._latency = Latency()
        self.summary: Summary | None = None
        """Of the last run that ended well."""
        self.hello = self._say_hello()
        self._in_step = True  # no run was left unfinished

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port; the device keeps what it has learned."""
        self._port.close()

    def run(
        self,
        events: Events,
        *,
        learning: bool = False,
        initialise: bool = True,
        one_at_a_time: bool = False,
        progress: Progress = silent,
    ) -> RunResult:
        """Process one recording; returns when every result is here and the digests agree.

        learning: adapt to it; the device must be built with learning. initialise: begin with the model's
        weights and thresholds, else with what the device has learned. one_at_a_time: send nothing while the
        device computes, so that its ticks repeat exactly (slower).
        Raises FeastError if an event cannot be sent, or the run cannot be finished without loss; the next run
        then says HELLO again, which brings `hello` up to date.
        """
        results = np.empty(len(events), RESULT_DTYPE)
        done = 0

        def take(fresh: Results) -> None:
            nonlocal done
            results[done : done + len(fresh)] = fresh
            done += len(fresh)
            progress(done, len(events))

        summary = self.run_batches(
            batches_of(events), take, learning=learning, initialise=initialise, one_at_a_time=one_at_a_time
        )
        return RunResult(**vars(summary), results=results)

    def run_batches(
        self,
        batches: Iterable[Events],
        on_results: Callable[[Results], None],
        *,
        learning: bool = False,
        initialise: bool = True,
        one_at_a_time: bool = False,
    ) -> Summary:
        """Like `run`, in constant memory: events from an iterable, results to a function, in order."""
        self._begin(batches, on_results, learning, initialise, one_at_a_time)
        while not self._step():
            pass
        return self._end()

    def stream(
        self, events: Events | Iterable[Events], *, learning: bool = False, initialise: bool = True
    ) -> Generator[ResultChunk, None, Summary]:
        """Give events and results of one recording as they come, in order, in constant memory.

        events: all of them, or an iterable of batches; an empty batch says that there are none yet, so that
        live sources can be streamed. A chunk is empty while the source has nothing. Between two chunks
        the device may be asked for `signals` and `read_state`. The generator's return value is the summary,
        also kept in `summary`; raises as `run`.
        """
        waiting: deque[Events] = deque()
        ready: deque[Results] = deque()
        first = 0

        def noted() -> Iterator[Events]:
            for batch in batches_of(events) if isinstance(events, np.ndarray) else events:
                if len(batch):
                    waiting.append(batch)
                yield batch

        self._begin(noted(), ready.append, learning, initialise)
        ended = False
        while not ended:
            ended = self._step()
            if ready or (self._exchange is not None and self._exchange.is_waiting):
                results = np.concatenate([_NO_RESULTS, *ready])
                ready.clear()
                chunk = ResultChunk(first, take_events(waiting, len(results)), results)
                first += len(results)
                left_at = self.clock.now()
                yield chunk
                if self._exchange is not None:
                    self._exchange.excuse(self.clock.now() - left_at, self.clock.now())
        return self._end()

    def _begin(
        self,
        batches: Iterable[Events],
        on_results: Callable[[Results], None],
        learning: bool,
        initialise: bool,
        one_at_a_time: bool = False,
    ) -> None:
        if not self._in_step:
            self.hello = self._say_hello()
        flags = learning * messages.START_LEARNING.value | initialise * messages.START_INITIALISE.value
        run = self.hello.last_run % _MAX_RUN + 1
        self.hello = replace(self.hello, last_run=run)
        self._in_step = False
        self.summary = None
        self._latency = Latency()
        self._counted_before = self._receiver.counters
        self._restores_model = initialise and not learning
        self._exchange = RunExchange(
            self.hello,
            self._sender,
            run,
            batches,
            on_results,
            now=self.clock.now(),
            flags=flags,
            one_at_a_time=one_at_a_time,
            timeouts=self._timeouts,
            state_id=self._final_state_id(learning, initialise),
            give_up_at=self.give_up_at,
        )

    def _final_state_id(self, learning: bool, initialise: bool) -> int | None:
        """Of the learned state after a run, where it is known: one that does not learn changes nothing."""
        if learning:
            return None
        if initialise and self.hello.learning:
            return self.model_state_id
        return None if self.hello.uploading else self.hello.state_id

    def _step(self) -> bool:
        """Send what may be sent, take what comes within a moment; True once the run is over."""
        exchange = self._exchange
        assert exchange is not None
        now = self.clock.now()
        data = exchange.send(now)
        if data:
            self._port.write(data)
            now = self.clock.now()
            self._latency.sent(exchange.sent, now)
        limit_s = min(exchange.wait_s(now), _SOURCE_S if exchange.is_waiting else TURN_S)
        frames = self._receiver.feed(self._port.read(limit_s))
        now = self.clock.now()
        exchange.receive(frames, now)
        if exchange.results:
            self.give_up_at = math.inf
        if exchange.still_s(now) > 0.0:
            self.on_wait("no progress", exchange.still_s(now))
        self._latency.answered(exchange.results, now)
        return exchange.done is not None

    def _end(self) -> Summary:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        assert exchange.done is not None
        self._in_step = True
        self.hello = replace(self.hello, state_id=exchange.done["state_id"], uploading=False)
        if self._restores_model and self.hello.learning:
            self.model_state_id = self.hello.state_id
        received = self._receiver.counters
        host = {name: count - self._counted_before[name] for name, count in received.items()}
        self.summary = Summary.from_done(exchange.done, self.hello.tick_hz, host | exchange.counters)
        return self.summary

    # --- questions ---

    @property
    def sent_bytes(self) -> int:
        """Bytes that the line has taken since it was opened."""
        return self._port.sent_bytes

    @property
    def received_bytes(self) -> int:
        """Bytes that have come since it was opened."""
        return self._port.received_bytes

    @property
    def latency(self) -> Latency:
        """From sending an event to receiving its result, in the present run or the last one."""
        return self._latency

    @property
    def losses(self) -> Mapping[str, int]:
        """Losses that the host has recovered in the present run, by name; see `RunExchange.counters`."""
        return dict(self._exchange.counters) if self._exchange is not None else {}

    def signals(self) -> DeviceSignals:
        """Counters, thresholds and win counts, also in the middle of a `stream`."""
        with self._at_rest() as questions:
            return questions.signals()

    def scores(self) -> DeviceScores:
        """Class scores since the run began, also in the middle of a `stream`.

        Raises FeastError for a device that was built without them.
        """
        with self._at_rest() as questions:
            return questions.scores()

    def counters(self) -> Counter[str]:
        """The device's own counters of the run, also in the middle of a `stream`."""
        with self._at_rest() as questions:
            return questions.counters()

    def read_state(self, first: int = 0, count: int | None = None) -> Words:
        """Words of the device's state, uint16; by default all of the learned state.

        Also in the middle of a `stream`. Order: docs/reference/numerics.md section 8.
        """
        with self._at_rest() as questions:
            words = questions.read(first, self.hello.state_words - first if count is None else count)
        whole = first == 0 and len(words) == self.hello.state_words
        if whole and self._exchange is None and messages.snapshot_digest(words) != self.hello.state_id:
            raise FeastError(
                f"device holds the learned state {messages.snapshot_digest(words):08x} and says that it is "
                f"{self.hello.state_id:08x}: {BROKEN}"
            )
        return words

    def write_state(self, words: Words) -> None:
        """Let the device go on from another learned state; not during a run.

        Raises FeastError if the device was built without learning, is of another size, or refuses a value.
        """
        if self._exchange is not None:
            raise FeastError("a learned state can be uploaded between runs only")
        try:
            with self._at_rest() as questions:
                questions.write(words)
        finally:
            self._in_step = False
        self.hello = self._say_hello()
        self._in_step = True
        if self.hello.state_id != messages.snapshot_digest(words):
            raise LinkError("device has restarted: the state that it had just taken is lost, run again")

    def persist_state(self) -> int:
        """Let the device persist its learned state; returns how many it has persisted."""
        with self._at_rest() as questions:
            return questions.persist()

    @contextmanager
    def _at_rest(self) -> Iterator[Questions]:
        """Hold the run, if there is one, until every event sent is answered."""
        exchange = self._exchange
        if exchange is None:
            if not self._in_step:
                self.hello = self._say_hello()
                self._in_step = True
        else:
            exchange.hold = True
            while not exchange.is_at_rest:
                self._step()
        began = self.clock.now()
        try:
            yield Questions(
                self._port,
                self._sender,
                self._receiver,
                self._timeouts,
                self.hello,
                events=exchange.results if exchange is not None else None,
                clock=self.clock,
                on_wait=self.on_wait,
                give_up_at=self.give_up_at,
            )
        finally:
            if exchange is not None:
                exchange.hold = False
                exchange.excuse(self.clock.now() - began, self.clock.now())

    def _say_hello(self) -> Hello:
        """Ask until the device answers; what a former conversation left on the line is ignored."""
        nonce = secrets.randbits(32)
        now, answer_s = self.clock.now, _FIRST_HELLO_S
        began = now()
        limit = min(began + self._connect_s, self.give_up_at)
        while now() < limit:
            # The zero byte ends half a frame that the device may have received before.
            hello = self._sender.encode(
                messages.HELLO, run=0, received=0, nonce=nonce, version=messages.VERSION
            )
            self._port.write(b"\0" + hello)
            deadline = min(limit, now() + answer_s)
            answer_s = min(2 * answer_s, self._timeouts.max_answer_s)
            while (left := deadline - now()) > 0:
                self.on_wait("no answer to HELLO", now() - began)
                for frame in self._receiver.feed(self._port.read(min(left, TURN_S))):
                    if frame.fields.get("nonce") == nonce:
                        return self._take_hello(frame)
        raise LinkError(
            f"{self.name}: no answer to HELLO for {self._connect_s:.0f} s ({self._heard()}): check port and "
            "baud rate, and that the firmware is flashed and running"
        )

    def _take_hello(self, frame: Frame) -> Hello:
        version = frame.fields["version"]
        if version != messages.VERSION or frame.message is not messages.HELLO_REPLY:
            older = version < messages.VERSION
            raise FeastError(
                f"{self.name}: device speaks protocol version {version}, this program {messages.VERSION}: "
                + ("build the firmware again and flash it" if older else "update this program")
            )
        hello = Hello.from_fields(frame.fields)
        if self._first_hello is not None:
            hello.require_same(self._first_hello)
        self._first_hello = hello
        return hello

    @property
    def still_s(self) -> float:
        """Seconds since the present run has last got further; 0 where there is none."""
        return self._exchange.still_s(self.clock.now()) if self._exchange is not None else 0.0

    def _heard(self) -> str:
        counters = self._receiver.counters
        bad = counters["bad_frame"] + counters["bad_crc"] + counters["too_long"] + counters["unknown"]
        return f"{counters['frames']} other frames and {bad} damaged ones heard"


def open_link(
    url: str,
    *,
    baud: int = DEFAULT_BAUD,
    connect_s: float = CONNECT_S,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    name: str | None = None,
    clock: Clock = REAL,
    on_wait: OnWait = ignore,
) -> Link:
    """Open a port and say HELLO.

    url: what pyserial takes: a device such as ``/dev/ttyACM0`` or ``COM3``, ``socket://host:port``,
    ``rfc2217://host:port``. connect_s: limit for opening the port and for the answer, together.
    name: what errors and the link itself call it, if not by its url. on_wait: is called again and again while
    the device is waited for.
    Raises FeastError if the port cannot be opened, nothing answers, or the protocol version differs.
    """
    limit = clock.now() + connect_s
    port = open_port(url, baud, connect_s, clock, on_wait)
    try:
        return Link(port, name or url, timeouts, limit - clock.now(), clock, on_wait)
    except BaseException:
        port.close()
        raise
