"""A hostile device behind a hostile line, in memory and in its own time.

The firmware's link (support/link_device.py) answers; what it says is then changed on its way, frame by frame.
No second passes: a clock goes on when somebody reads, and a wait that is too long is an error.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cobs import cobs

from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Message
from feast_codegen.host.link.clock import TURN_S, Clock, OnWait
from feast_codegen.host.link.framing import encode_frame
from feast_codegen.host.link.serial_port import WRITE_LIMIT_S, LinkError
from tests.support.link_device import FakeDevice

HANG_S = 20.0
"""No report may take longer after the last thing that brought the work further."""
_READ_S = 0.0005
_BYTE_S = 1e-5
_MOST_READS = 400_000

Body = tuple[Message, dict[str, Any], bytes]
"""A frame: its message, its fields and its tail."""
Change = Callable[["Body", random.Random], list["Body"]]
"""What becomes of a frame that the device sends."""


class HangError(AssertionError):
    """The host waits for longer than it may."""


class FakeTime:
    """Seconds that pass only when a test lets them pass. ``alive_at``: when the work has last got further."""

    def __init__(self) -> None:
        self.now = self.alive_at = 0.0
        self.reads = 0
        self.clock = Clock(lambda: self.now, self.pass_on)

    def pass_on(self, seconds: float) -> None:
        self.now += seconds
        if self.now - self.alive_at > HANG_S:
            raise HangError(f"{self.now - self.alive_at:.1f} s without getting further")

    def alive(self) -> None:
        self.alive_at = self.now


@dataclass
class Plan:
    """What goes wrong. A moment is a number of frames that the device has sent before."""

    changes: list[Change] = field(default_factory=list)
    """Of every frame of the device, from moment `begin` on, `times` of them at most."""
    begin: int = 0
    times: int = 1 << 30
    up: Callable[[bytes, random.Random], bytes] | None = None
    """What the line makes of bytes to the device."""
    down: Callable[[bytes, random.Random], bytes] | None = None
    mute_at: int | None = None
    """From this moment on nothing of the device arrives, but what drips."""
    mute_once: bool = False
    """Until the link is opened again."""
    drip: Callable[[FakeWorld], bytes] | None = None
    """What arrives each `drip_s` seconds once the device is mute."""
    drip_s: float = 1.0
    events: list[tuple[int, str]] = field(default_factory=list)
    """(moment, ``cut`` | ``gone`` | ``restart`` | ``block`` | ``stall``), ascending."""
    stall_s: float = 1.0
    delay_s: float = 0.0
    """How long each answer takes."""


class FakeWorld:
    """The device, the line and the time. ``frames``: sent by the device so far; ``last``: the last one."""

    def __init__(self, device: FakeDevice, plan: Plan, seed: int) -> None:
        self.device, self.plan, self.rng, self.time = device, plan, random.Random(seed), FakeTime()
        self.frames = self.inserted = 0
        self.gone = self.mute = False
        self.last: Body | None = None
        self.seen: dict[str, Body] = {}
        device.boot()

    def open(self, on_wait: OnWait) -> FakeLine:
        """A new connection. Raises LinkError once the line is gone."""
        self.time.pass_on(0.01)
        if self.gone:
            raise LinkError("the port cannot be opened: it is gone")
        if self.plan.mute_once:
            self.mute, self.plan.mute_at = False, None
        return FakeLine(self, on_wait)

    def answer(self, data: bytes) -> bytes:
        """What arrives at the host after it has sent `data`."""
        if self.plan.up is not None:
            data = self.plan.up(data, self.rng)
        sent = b""
        for encoded in self.device.exchange(data).split(b"\0")[:-1]:
            body = cobs.decode(encoded)[: -messages.CRC_BYTES]
            message = messages.BY_CODE[body[0]]
            fields, tail = message.unpack(body)
            self.last = self.seen[message.name] = (message, fields, tail)
            self.frames += 1
            if self.plan.mute_at is not None and self.frames > self.plan.mute_at:
                self.mute = True
            if not self.mute:
                changed = self._changed(self.last)
                self.inserted -= not changed
                for i, new in enumerate(changed):
                    self.inserted += i > 0
                    sent += self.encode((new[0], new[1] | {"sequence": fields["sequence"]}, new[2]))
        return sent if self.plan.down is None else self.plan.down(sent, self.rng)

    def encode(self, body: Body) -> bytes:
        """A frame with the next sequence number, regardless of what was put in between."""
        message, fields, tail = body
        values = {name: value for name, value in fields.items() if name != "type"}
        values["sequence"] = (values["sequence"] + self.inserted) % (1 << 16)
        return encode_frame(message.pack(tail, **values))

    def _changed(self, body: Body) -> list[Body]:
        if self.frames <= self.plan.begin or not self.plan.times:
            return [body]
        bodies = [body]
        for change in self.plan.changes:
            bodies = [new for old in bodies for new in change(old, self.rng)]
        if bodies != [body]:
            self.plan.times -= 1
        return bodies

    def due(self) -> str | None:
        """What is planned to happen now."""
        if self.plan.events and self.frames >= self.plan.events[0][0]:
            return self.plan.events.pop(0)[1]
        return None


class FakeLine:
    """A port in the eyes of the link."""

    def __init__(self, world: FakeWorld, on_wait: OnWait) -> None:
        self._world, self._on_wait = world, on_wait
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._ready_at = 0.0  # nothing overtakes what was sent before
        self._dripped_at = world.time.now

    def write(self, data: bytes) -> None:
        world = self._world
        world.time.pass_on(len(data) * _BYTE_S)
        self._happen()
        fresh = world.answer(data)
        if fresh:
            self._ready_at = max(self._ready_at, world.time.now + world.plan.delay_s)
            self._waiting.append((self._ready_at, fresh))

    def read(self, limit_s: float) -> bytes:
        world = self._world
        world.time.reads += 1
        if world.time.reads > _MOST_READS:
            raise HangError(f"{_MOST_READS} reads and no end")
        world.time.pass_on(min(_READ_S, limit_s))
        self._happen()
        plan, end = world.plan, world.time.now + limit_s
        drips = plan.drip is not None and world.mute
        next_drip = self._dripped_at + plan.drip_s if drips else float("inf")
        until = min(end, next_drip, self._waiting[0][0] if self._waiting else end)
        if until > world.time.now:
            world.time.pass_on(until - world.time.now)
        data = b""
        if drips and world.time.now >= next_drip:
            assert plan.drip is not None
            self._dripped_at = world.time.now
            data = plan.drip(world)
        while self._waiting and world.time.now >= self._waiting[0][0]:
            data += self._waiting.popleft()[1]
        return data

    def close(self) -> None:
        """Nothing of it is left for the next connection."""

    def _happen(self) -> None:
        world = self._world
        while (what := world.due()) is not None:
            if what == "restart":
                world.device.boot()
            elif what == "stall":
                self._ready_at = max(self._ready_at, world.time.now) + world.plan.stall_s
            elif what == "block":
                for turn in range(round(WRITE_LIMIT_S / TURN_S)):
                    world.time.pass_on(TURN_S)
                    self._on_wait("the line takes no bytes", TURN_S * (turn + 1))
                raise LinkError(f"hostile: takes no more bytes for {WRITE_LIMIT_S:.0f} s")
            else:
                world.gone = what == "gone"
                raise LinkError("hostile: connection lost")
