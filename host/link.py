"""The serial link to a device: open it, learn who it is, run recordings on it.

    with open_link("/dev/ttyACM0") as link:
        link.hello.require(build_id, state_id)
        result = link.run(events, learning=False)

Every wait has a limit, and every failure is a FeastError that says what to do.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final

import numpy as np

from codegen import wire
from codegen.errors import FeastError
from codegen.records import RESULT_DTYPE, Events, Results
from host.console import Progress, silent
from host.exchange import Patience, RunExchange
from host.framing import Frame, Receiver, Sender
from host.hello import Hello
from host.port import Port, open_port

DEFAULT_BAUD: Final = 115_200
DEFAULT_PATIENCE: Final = Patience()
BATCH_EVENTS: Final = 16_384
"""Events encoded at a time."""
_FIRST_HELLO_S: Final = 0.2
_MAX_RUN: Final = 255
_OF_DONE: Final = (
    *("events", "result_digest", "snapshot_digest", "state_id"),
    *("ticks_total", "ticks_max", "stack_used"),
)
"""Fields of DONE that a summary takes over."""


@dataclass(frozen=True)
class Summary:
    """What the device says about a finished run; result counts and digests agree with what was received."""

    events: int
    result_digest: int
    """CRC-32 of all results; see `codegen.wire.result_digest`."""
    snapshot_digest: int
    """CRC-32 of the whole state after the run; see `codegen.wire.snapshot_digest`."""
    state_id: int
    """CRC-32 of the learned state after the run."""
    ticks_total: int
    """Ticks spent in feast_step; the measurement itself is taken off, and so are interrupts, by the port."""
    ticks_max: int
    tick_hz: int
    stack_used: int
    """Deepest stack use since reset, bytes."""
    counters: Mapping[str, int]
    """Everything dropped or sent twice, by ``device_`` and ``host_`` name; see `codegen.wire.COUNTERS`."""


@dataclass(frozen=True, eq=False)
class RunResult(Summary):
    """A finished run and its results, int16 (events,)."""

    results: Results


class Link:
    """An open link. Made by `open_link`; use as a context manager."""

    def __init__(self, port: Port, name: str, patience: Patience, connect_s: float) -> None:
        self.name = name
        self._port, self._patience = port, patience
        self._connect_s = connect_s
        self._sender, self._receiver = Sender(), Receiver()
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

        batches = (events[i : i + BATCH_EVENTS] for i in range(0, len(events), BATCH_EVENTS))
        summary = self.run_batches(
            batches, take, learning=learning, initialise=initialise, one_at_a_time=one_at_a_time
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
        if not self._in_step:
            self.hello = self._say_hello()
        flags = learning * wire.START_LEARNING.value | initialise * wire.START_INITIALISE.value
        run = self.hello.last_run % _MAX_RUN + 1
        self.hello = replace(self.hello, last_run=run)
        self._in_step = False
        before = self._receiver.counters
        exchange = RunExchange(
            self.hello,
            self._sender,
            run,
            batches,
            on_results,
            now=time.monotonic(),
            flags=flags,
            one_at_a_time=one_at_a_time,
            patience=self._patience,
        )
        while exchange.done is None:
            data = exchange.send(time.monotonic())
            if data:
                self._port.write(data)
            frames = self._receiver.feed(self._port.read(exchange.wait_s(time.monotonic())))
            exchange.receive(frames, time.monotonic())
        self._in_step = True
        self.hello = replace(self.hello, state_id=exchange.done["state_id"])
        host = {name: count - before[name] for name, count in self._receiver.counters.items()}
        return self._summary(exchange.done, host | exchange.counters)

    def _summary(self, done: Mapping[str, Any], host: Mapping[str, int]) -> Summary:
        counters = {f"device_{name}": int(done[name]) for name, _ in wire.COUNTERS}
        counters |= {f"host_{name}": count for name, count in host.items()}
        return Summary(
            **{name: done[name] for name in _OF_DONE}, tick_hz=self.hello.tick_hz, counters=counters
        )

    def _say_hello(self) -> Hello:
        """Ask until the device answers; what a former conversation left on the line is ignored."""
        nonce = secrets.randbits(32)
        limit, answer_s = time.monotonic() + self._connect_s, _FIRST_HELLO_S
        while time.monotonic() < limit:
            # The zero byte ends whatever half a frame the device may have received before.
            hello = self._sender.encode(wire.HELLO, run=0, received=0, nonce=nonce, version=wire.VERSION)
            self._port.write(b"\0" + hello)
            deadline = min(limit, time.monotonic() + answer_s)
            answer_s = min(2 * answer_s, self._patience.max_answer_s)
            while (left := deadline - time.monotonic()) > 0:
                for frame in self._receiver.feed(self._port.read(left)):
                    if frame.fields.get("nonce") == nonce:
                        return self._take_hello(frame)
        raise FeastError(
            f"{self.name}: no answer to HELLO for {self._connect_s:.0f} s ({self._heard()}): check port and "
            "baud rate, and that the firmware is flashed and running"
        )

    def _take_hello(self, frame: Frame) -> Hello:
        version = frame.fields["version"]
        if version != wire.VERSION or frame.message is not wire.HELLO_REPLY:
            older = version < wire.VERSION
            raise FeastError(
                f"{self.name}: device speaks protocol version {version}, this program {wire.VERSION}: "
                + ("build the firmware again and flash it" if older else "update this program")
            )
        return Hello.from_fields(frame.fields)

    def _heard(self) -> str:
        counters = self._receiver.counters
        bad = counters["bad_frame"] + counters["bad_crc"] + counters["too_long"] + counters["unknown"]
        return f"{counters['frames']} other frames and {bad} damaged ones heard"


def open_link(
    url: str,
    *,
    baud: int = DEFAULT_BAUD,
    connect_s: float = 5.0,
    patience: Patience = DEFAULT_PATIENCE,
) -> Link:
    """Open a port and say HELLO.

    url: what pyserial takes: a device such as ``/dev/ttyACM0`` or ``COM3``, ``socket://host:port``,
    ``rfc2217://host:port``. connect_s: limit for opening a network port and for the answer, each.
    Raises FeastError if the port cannot be opened, nothing answers, or the protocol version differs.
    """
    port = open_port(url, baud, connect_s)
    try:
        return Link(port, url, patience, connect_s)
    except BaseException:
        port.close()
        raise
