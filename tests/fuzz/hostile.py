"""A fuzzer for the host's end of the link: a device that lies, a line that does all it can.

Every field of every message at its limits, tails cut, grown and out of range, answers that never come or
never end, foreign ones in between, restarts, silence, noise. Recordings are streamed; the outcome is exact
results and states, or one clear line within 20 s of the last progress. Anything else comes out as an error.

What no host can see is left out: results and digest changed together, numbers within their limits that
nothing is compared with (a label, ticks, counters).

``python -m tests.fuzz.hostile --runs 1000 [--seed 1] [--kinds "a field lies,silent"]`` prints a table kinds
× outcomes. All time is that of a fake clock.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import statistics
import tempfile
import time
import unittest.mock
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import feast_codegen.host.link.requests
from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Field, Message
from feast_codegen.host.cli.commands.stream import _Status
from feast_codegen.host.link.device_limits import count_items
from feast_codegen.host.link.link import CONNECT_S, Link
from feast_codegen.host.link.run_protocol import Timeouts
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.streaming.streamer import Finished, Recorded, Streamer
from tests.fuzz.hostile_line import Body, Change, FakeWorld, Plan
from tests.support.link_device import FakeDevice, toy_events, toy_results

STATUS_S: Final = 5.0
"""Somebody who looks on hears of it at least as often."""
EXACT, REFUSED = "exact", "refused"
ANSWERS: Final = tuple(message for message in messages.MESSAGES if message.sender == "device")
BUILDS: Final[dict[str, dict[str, str]]] = {
    "plain": {},
    "tiny": {
        "LINK_FRAME_BYTES": "64u",
        "LINK_RESULT_WINDOW": "16u",
        "LINK_RESULTS_PER_FRAME": "8u",
        "FAKE_RX_BYTES": "160u",
    },
    "wide and frozen": {"FEAST_FEATURES_PER_BANK": "300", "FEAST_SENSOR_WIDTH": "300", "FEAST_LEARNING": "0"},
    "with scores": {"FEAST_CLASSES": "3u"},
    "with decisions": {"FEAST_CLASSES": "3u", "FEAST_FADES": "1"},
}


# What the device says


LIES: Final = 10
"""Kinds of them, for each field."""


def fields_of(message: Message) -> list[Field]:
    """Those that can lie."""
    return [each for each in message.fields if each.name not in ("type", "sequence")]


def lying_field(rng: random.Random) -> Change:
    """One field of one message, at a limit of its type or beside the truth."""
    message = rng.choice(ANSWERS)
    return lying(message, rng.choice(fields_of(message)), rng.randrange(LIES))


def every_lie() -> Iterator[Plan]:
    """Every field of every message in every way, always."""
    for message in ANSWERS:
        for which in fields_of(message):
            for kind in range(LIES):
                yield Plan([lying(message, which, kind)], events=[(30, "cut")] if kind % 2 else [])


def lying(message: Message, which: Field, kind: int) -> Change:
    """A device that says something else in a field. kind: below LIES."""

    def change(body: Body, rng: random.Random) -> list[Body]:
        def lie(true: int) -> int:
            top = (1 << 8 * which.size_bytes) - 1
            values = (0, 1, top, top - 1, top >> 1, (top >> 1) + 1, true + 1, true - 1, true ^ 1)
            return values[kind] & top if kind < len(values) else rng.randrange(top + 1)

        if body[0] is not message:
            return [body]
        true = body[1][which.name]
        value = bytes(lie(0) >> 8 * i & 255 for i in range(8)) if which.kind == "id8" else lie(true)
        return [(message, body[1] | {which.name: value}, body[2])]

    return change


def lying_tail(rng: random.Random) -> Change:
    """Results, words, features and scores: cut, grown, empty, or of other values."""
    message = rng.choice([message for message in ANSWERS if message.tail])
    kind = rng.randrange(7)

    def change(body: Body, rng: random.Random) -> list[Body]:
        tail = body[2]
        if body[0] is not message:
            return [body]
        at = rng.randrange(len(tail)) if tail else 0
        new = (
            tail[:at],
            tail + rng.randbytes(rng.randrange(1, 600)),
            tail + tail,
            b"",
            tail[:at] + bytes([rng.randrange(256)]) + tail[at + 1 :],
            b"\xfa" * len(tail),
            tail[2:],
        )[kind]
        return [(message, body[1], new)]

    return change


def repeating(rng: random.Random) -> Change:
    """It says what it says several times."""
    message, times = rng.choice([*ANSWERS, None, None]), rng.randrange(2, 6)

    def change(body: Body, _: random.Random) -> list[Body]:
        return [body] * times if message in (None, body[0]) else [body]

    return change


def reordering(rng: random.Random) -> Change:
    """It keeps frames back and sends them later."""
    kept: list[Body] = []
    rate = rng.choice([0.1, 0.3, 0.6])

    def change(body: Body, rng: random.Random) -> list[Body]:
        later = kept.copy()
        kept.clear()
        if rng.random() < rate:
            kept.append(body)
            return later
        return [body, *later]

    return change


def unasked(rng: random.Random) -> Change:
    """Messages of any kind that nobody asked for, most of them plausible, between the true ones."""
    rate = rng.choice([0.05, 0.3])
    wild = rng.random() < 0.3

    def change(body: Body, rng: random.Random) -> list[Body]:
        if rng.random() >= rate:
            return [body]
        message = rng.choice(ANSWERS)
        fields = {}
        for each in message.fields:
            if each.kind == "id8":
                fields[each.name] = rng.randbytes(8)
            else:
                fields[each.name] = rng.randrange(1 << 8 * each.size_bytes) if wild else rng.randrange(2)
        fields |= {name: body[1][name] for name in ("run", "sequence", "received")}
        fields |= {"ack": body[1]["ack"]} if "ack" in body[1] and "ack" in fields else {}
        tail = rng.randbytes(rng.randrange(20)) if message.tail else b""
        return [(message, fields, tail), body]

    return change


def swallowing(rng: random.Random) -> Change:
    """It never sends one kind of answer."""
    message = rng.choice(ANSWERS)
    return lambda body, _: [] if body[0] is message else [body]


# What the line does


def noise(rate: float) -> Callable[[bytes, random.Random], bytes]:
    """Flipped, lost, doubled and foreign bytes."""

    def spoil(data: bytes, rng: random.Random) -> bytes:
        out = bytearray()
        for byte in data:
            kind = rng.random() / rate
            if kind < 1:
                out.append(byte ^ 1 << rng.randrange(8))
            elif kind < 2:
                continue
            elif kind < 3:
                out += bytes((byte, byte))
            elif kind < 4:
                out += bytes((rng.randrange(256), byte))
            else:
                out.append(byte)
        return bytes(out)

    return spoil


def frames_that(do: str, rate: float) -> Callable[[bytes, random.Random], bytes]:
    """Whole frames that are lost, come twice or change places."""

    def spoil(data: bytes, rng: random.Random) -> bytes:
        out: list[bytes] = []
        for frame in data.split(b"\0")[:-1]:
            hit = rng.random() < rate
            if hit and do == "get lost":
                continue
            out.append(frame)
            if hit and do == "come twice":
                out.append(frame)
            elif hit and len(out) > 1:
                out[-2:] = out[:-3:-1]
        return b"".join(frame + b"\0" for frame in out)

    return spoil


def dripping(name: str, **own: int) -> Callable[[FakeWorld], bytes]:
    """One frame of this kind, as if the device lived: of the present run, all acknowledged."""
    message = next(message for message in ANSWERS if message.name == name)

    def drip(world: FakeWorld) -> bytes:
        world.inserted += 1
        last = world.last[1] if world.last is not None else {"run": 1, "received": 0, "sequence": 0}
        fields = {each.name: b"\0" * 8 if each.kind == "id8" else 0 for each in message.fields}
        fields |= {each: last[each] for each in ("run", "received", "sequence")}
        fields |= {"ack": last.get("ack", 0)} if "ack" in fields else {}
        return world.encode((message, fields | own, b""))

    return drip


def again(world: FakeWorld) -> bytes:
    """The last RESULTS, again and again."""
    world.inserted += 1
    return world.encode(world.seen.get("RESULTS", world.last)) if world.last is not None else b""


def garbage(world: FakeWorld) -> bytes:
    return world.rng.randbytes(4096)


def changing(kind: Callable[[random.Random], Change]) -> Callable[[random.Random], Plan]:
    """A device that changes what it says, once, a few times or always, from some moment on."""

    def plan(rng: random.Random) -> Plan:
        changes = [kind(rng) for _ in range(rng.choice([1, 1, 2]))]
        return Plan(changes, rng.choice([0, 0, rng.randrange(40)]), rng.choice([1, 3, 1 << 30, 1 << 30]))

    return plan


def line(make: Callable[[float], Callable[[bytes, random.Random], bytes]], *rates: float) -> MakePlan:
    def plan(rng: random.Random) -> Plan:
        spoil, ways = make(rng.choice(rates)), rng.choice(["up", "down", "both"])
        return Plan(up=spoil if ways != "down" else None, down=spoil if ways != "up" else None)

    return plan


def mute(drip: Callable[[FakeWorld], bytes] | None = None, drip_s: float = 1.0) -> MakePlan:
    return lambda rng: Plan(mute_at=rng.randrange(40), drip=drip, drip_s=drip_s)


def happening(*kinds: str, most: int = 3) -> MakePlan:
    def plan(rng: random.Random) -> Plan:
        events = sorted((rng.randrange(60), rng.choice(kinds)) for _ in range(rng.randrange(1, most + 1)))
        return Plan(events=events, stall_s=rng.choice([0.3, 1.0, 5.0, 11.0]))

    return plan


MakePlan = Callable[[random.Random], Plan]
KINDS: Final[dict[str, MakePlan]] = {
    "nothing wrong": lambda rng: Plan(),
    "device: a field lies": changing(lying_field),
    "device: a tail lies": changing(lying_tail),
    "device: repeats itself": changing(repeating),
    "device: answers in another order": changing(reordering),
    "device: says what nobody asked": changing(unasked),
    "device: never gives one answer": changing(swallowing),
    "device: restarts": happening("restart"),
    "device: restarts again and again": happening("restart", most=40),
    "device: slow, up to 3 s an answer": lambda rng: Plan(delay_s=rng.choice([0.4, 1.5, 3.0])),
    "device: only CREDIT, one a second": mute(dripping("CREDIT")),
    "device: only empty STATE, one a second": mute(dripping("STATE")),
    "device: only a foreign HELLO_REPLY a second": mute(dripping("HELLO_REPLY", version=messages.VERSION)),
    "device: only the last RESULTS, one a second": mute(again),
    "device: only ERROR_DAMAGED": mute(dripping("ERROR", code=messages.ERROR_DAMAGED.value), 0.3),
    "line: silent from some moment on": mute(),
    "line: silent until opened again": lambda rng: Plan(mute_at=rng.randrange(40), mute_once=True),
    "line: a flood of garbage": mute(garbage, 0.01),
    "line: noise": line(noise, 1e-4, 1e-3, 1e-2),
    "line: frames get lost": line(lambda rate: frames_that("get lost", rate), 0.02, 0.2, 0.5),
    "line: frames come twice": line(lambda rate: frames_that("come twice", rate), 0.1, 1.0),
    "line: frames change places": line(lambda rate: frames_that("change places", rate), 0.1, 0.5),
    "line: cut, stalled, blocked": happening("cut", "stall", "block"),
    "line: gone for good": happening("gone", most=1),
}


# Scenarios


@dataclass(frozen=True)
class Outcome:
    """What became of a scenario: exact or refused, seconds from the last progress to its end, the report."""

    kind: str
    what: str
    seconds: float
    report: str


class Devices:
    """Devices of several builds, compiled when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._built = folder, dict[str, FakeDevice]()

    def get(self, name: str) -> FakeDevice:
        if name not in self._built:
            folder = self._folder / name.replace(" ", "-")
            folder.mkdir()
            self._built[name] = FakeDevice(folder, **BUILDS[name])
        return self._built[name]


def scenario(devices: Devices, seed: int, kinds: Iterable[str] = KINDS) -> Outcome:
    """One seeded scenario; the kinds take turns. Raises as `play`."""
    names = list(kinds)
    kind, rng = names[seed % len(names)], random.Random(seed)
    plan, build = KINDS[kind](rng), rng.choice(list(BUILDS))
    return play(devices, kind, plan, rng, build, curious=rng.random() < 0.3)


def play(
    devices: Devices, kind: str, plan: Plan, rng: random.Random, build: str, *, curious: bool
) -> Outcome:
    """Stream some recordings while `plan` goes wrong. curious: ask in between, as the monitor does.

    Raises for a result that is neither exact nor refused.
    """
    learning = build != "wide and frozen" and rng.random() < 0.5
    streams = [toy_events(rng.randrange(1, 700), rng.randrange(1000)) for _ in range(rng.randrange(1, 4))]
    world = FakeWorld(devices.get(build), plan, rng.randrange(1 << 32))
    shown = _Shown(world)
    try:
        with contextlib.redirect_stderr(shown), _items_witnessed(world):
            got, state_id = _stream(world, streams, learning, rng.random() < 0.7, curious)
        what, report = EXACT, ""
    except FeastError as error:
        what, report = REFUSED, str(error)
        assert "\n" not in report and report.strip(), f"unclear: {report!r}"
    seconds = world.time.now - world.time.alive_at
    shown.note()
    assert shown.longest <= STATUS_S, f"{shown.longest:.1f} s without a status line"
    if what == EXACT:
        size = {"features": 300, "width": 300} if build == "wide and frozen" else {}
        for events, results in zip(streams, got, strict=True):
            assert np.array_equal(results, toy_results(events, **size)), "a wrong result was taken for right"
        learned = sum(map(len, streams)) if learning else 0
        words = [learned >> 16 * i & 0xFFFF for i in range(4)]
        assert state_id == messages.snapshot_digest(words), "a wrong state was taken for right"
    return Outcome(kind, what, seconds, report)


@contextlib.contextmanager
def _items_witnessed(world: FakeWorld) -> Iterator[None]:
    """The next items of a long answer are progress, though the whole of it is not there."""

    def counted(*arguments: Any) -> int:
        number = count_items(*arguments)
        world.time.alive()
        return number

    with unittest.mock.patch.object(feast_codegen.host.link.requests, "count_items", counted):
        yield


def _stream(
    world: FakeWorld, streams: list[Events], learning: bool, initialise: bool, curious: bool
) -> tuple[list[Results], int]:
    """Results of each recording and the state id after the last. curious: ask the device in between."""
    clock = world.time.clock
    status = _Status(clock)
    results: list[list[Results]] = [[] for _ in streams]
    state_id = 0

    def connect() -> Link:
        line: Any = world.open(watch)
        return Link(line, "hostile", Timeouts(), CONNECT_S, clock, watch)

    def watch(what: str, for_s: float) -> None:
        nonlocal seen
        status.waiting(what, for_s)
        exchange = streamer._link._exchange if streamer is not None and streamer._link is not None else None
        if exchange is not None and exchange.results != seen:  # though nobody was given them yet
            seen = exchange.results
            world.time.alive()

    streamer: Streamer | None = None
    seen = 0
    streamer = Streamer(connect, learning=learning, initialise=initialise)
    status.streamer = streamer
    feeds = (Recorded(EventStream(events, Sensor(34, 34), f"r{i}", None)) for i, events in enumerate(streams))
    done = 0
    try:
        for piece in streamer.stream(feeds):
            world.time.alive()
            if isinstance(piece, Finished):
                state_id = piece.summary.state_id
                continue
            results[piece.recording].append(piece.chunk.results)
            done += len(piece.chunk)
            status.show(done)
            if curious and done % 3 == 0:
                _ask(streamer.link, world)
    finally:
        streamer.close()
    return [np.concatenate([np.empty(0, np.int16), *parts]) for parts in results], state_id


def _ask(link: Link, world: FakeWorld) -> None:
    """As the monitor does."""
    signals, hello = link.signals(), link.hello
    assert len(signals.wins) == hello.features
    world.time.alive()
    link.counters()
    world.time.alive()
    if hello.classes:
        assert -1 <= link.scores().label < hello.classes
        world.time.alive()
    count = hello.snapshot_words - hello.state_words
    assert len(link.read_state(hello.state_words, count)) == count
    world.time.alive()


class _Shown(io.StringIO):
    """A stderr that is no terminal; `longest`: seconds between two of its lines, in fake time."""

    def __init__(self, world: FakeWorld) -> None:
        super().__init__()
        self._time, self._at, self.longest = world.time, 0.0, 0.0

    def write(self, text: str) -> int:
        self.note()
        return len(text)

    def note(self) -> None:
        self.longest = max(self.longest, self._time.now - self._at)
        self._at = self._time.now


# The table


@dataclass
class Table:
    """What became of the scenarios of each kind."""

    rows: dict[str, list[Outcome]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        self.rows.setdefault(outcome.kind, []).append(outcome)

    def text(self) -> str:
        lines = [
            "| kind | scenarios | exact | refused | seconds to the report: median | most |",
            "|---|---|---|---|---|---|",
        ]
        everything = [outcome for outcomes in self.rows.values() for outcome in outcomes]
        for kind, outcomes in [*self.rows.items(), ("all", everything)]:
            waits = [outcome.seconds for outcome in outcomes if outcome.what == REFUSED]
            median, most = (f"{statistics.median(waits):.1f}", f"{max(waits):.1f}") if waits else ("", "")
            exact = len(outcomes) - len(waits)
            lines.append(f"| {kind} | {len(outcomes)} | {exact} | {len(waits)} | {median} | {most} |")
        return "\n".join(lines)


def run(devices: Devices, seeds: Iterable[int], kinds: Iterable[str] = KINDS) -> Table:
    """All scenarios of these seeds. Raises AssertionError that names the seed of the first that fails."""
    table, names = Table(), list(kinds)
    for seed in seeds:
        try:
            table.add(scenario(devices, seed, names))
        except Exception as error:
            raise AssertionError(f"seed {seed} ({names[seed % len(names)]}): {error!r}") from error
    return table


def main() -> None:
    """Print the table. Exit 1, the seed named, where neither exact results nor a report come out."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.hostile", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--kinds", default="", help="separated by commas, or parts of their names")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if any(part in kind for part in options.kinds.split(","))]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="feast-hostile-") as folder:
        table = run(Devices(Path(folder)), range(options.seed, options.seed + options.runs), kinds)
    print(table.text())
    print(f"{options.runs:,} scenarios in {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
