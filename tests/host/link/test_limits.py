"""Every wait of the link has a limit that only progress renews; a device's numbers lie within their limits.

The clock is a fake one: no second passes, and none is measured.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import ANY, Field, Message
from feast_codegen.host.boards import connect
from feast_codegen.host.cli.app import execute
from feast_codegen.host.cli.commands.stream import _Status
from feast_codegen.host.link import run_protocol
from feast_codegen.host.link.clock import OnWait, ignore
from feast_codegen.host.link.device_limits import check_fields, check_items, count_items
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.link import CONNECT_S, Link
from feast_codegen.host.link.run_protocol import Timeouts
from feast_codegen.host.link.serial_port import WRITE_LIMIT_S, LinkError, Port
from feast_codegen.host.streaming import streamer
from feast_codegen.host.streaming.streamer import Streamer
from tests.fuzz.hostile import BUILDS, KINDS, REFUSED, Devices, dripping, every_lie, play, run, scenario
from tests.fuzz.hostile_line import Body, FakeTime, FakeWorld, Plan
from tests.support.link_device import BUILD_ID, MODEL_ID, FakeDevice, toy_events
from tests.support.paths import ROOT

DOCUMENT = ROOT / "docs" / "reference" / "protocol.md"
REPORT_S = 15.0
"""A line that is silent, or says nothing that helps, is reported within this."""
SILENT = [kind for kind in KINDS if kind.startswith(("device: only", "line: silent from", "line: a flood"))]
TRUE: dict[str, Any] = {
    "nonce": 7, "version": messages.VERSION, "flags": 1, "build_id": bytes(8), "model_id": bytes(8),
    "state_words": 100, "snapshot_words": 200, "width": 34, "height": 34, "radius": 5,
    "features_per_bank": 16,
    "banks": 1, "classes": 3, "rx_bytes": 512, "frame_bytes": 256, "results_per_frame": 64,
    "result_window": 128, "clock_hz": 1, "tick_hz": 1, "camera_width": 34, "camera_height": 34,
    "downsample": 0, "ticks_total": 50, "window_events": 60, "code": 1, "events": 10,
}  # fmt: skip
KNOWN = {
    "asked_nonce": 7, "asked_version": messages.VERSION, "stream_accepted": 0, "stream_sent": 10,
    "last_sequence": 5, "asked_end": 100, "features": 16, "classes": 3, "snapshot_words": 200,
    "state_words": 100, "reduced_width": 34, "reduced_height": 34, "camera_side": 34, "result_bytes": 1,
}  # fmt: skip
LIMITED = [
    (message, each)
    for message in messages.MESSAGES
    if message.sender == "device"
    for each in message.fields
    if each.limits is not ANY
]


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Devices:
    return Devices(tmp_path_factory.mktemp("devices"))


@pytest.fixture
def device(devices: Devices) -> FakeDevice:
    return devices.get("plain")


def values(message: Message, **changed: Any) -> dict[str, Any]:
    return {each.name: TRUE.get(each.name, 0) for each in message.fields} | changed


class TestTable:
    """The limits that feast_codegen.codegen.protocol.messages declares."""

    def edges(self, each: Field) -> tuple[list[int], list[int]]:
        """Values at the limits of a field, and beside them."""

        def value(name: int | str) -> int:
            return name if isinstance(name, int) else TRUE.get(name, KNOWN.get(name, 0))

        limits, top = each.limits, (1 << 8 * each.size_bytes) - 1
        if limits.only:
            return list(limits.only), [max(limits.only) + 1 & top or 2]
        least = value(limits.least)
        most = top if limits.most is None else value(limits.most)
        if limits.below is not None:
            most = value(limits.below) - 1
        inside = [least, most, *limits.also]
        return inside, [number for number in (least - 1, most + 1) if 0 <= number <= top]

    @pytest.mark.parametrize(
        ("message", "each"), LIMITED, ids=[f"{message.name}.{each.name}" for message, each in LIMITED]
    )
    def test_at_the_limit_and_beside_it(self, message: Message, each: Field) -> None:
        own = {each.name for each in message.fields}
        known = {name: number for name, number in KNOWN.items() if name not in own}
        inside, outside = self.edges(each)
        dependent = {
            "result_window",
            "state_words",
            "camera_width",
            "camera_height",
            "downsample",
            "features_per_bank",
        }
        if each.name not in dependent or message is not messages.HELLO_REPLY:
            for number in inside:
                if each.name != "flags":  # flags follow from the geometry
                    check_fields(message, values(message, **{each.name: number}), known)
        for number in outside:
            name = (
                r"\w+" if each.name in dependent else f"{each.name} {number}"
            )  # another may be noticed first
            with pytest.raises(FeastError, match=f"{message.name} says {name}"):
                check_fields(message, values(message, **{each.name: number}), known)
        assert outside, "a limit that excludes nothing"

    def test_every_name_is_explained(self) -> None:
        fields = {each.name for message in messages.MESSAGES for each in message.fields}
        limits = [each.limits for _, each in LIMITED]
        items = [message.items for message in messages.MESSAGES if message.items is not None]
        names: set[int | str | None] = {item.size_bytes for item in items} | {item.end for item in items}
        for each in [*limits, *(item.limits for item in items)]:
            names |= {each.least, each.most, each.below}
        used = {name for name in names if isinstance(name, str)}
        assert used <= fields | set(messages.QUANTITIES)
        assert set(messages.QUANTITIES) - used == {"camera_side"}, "named by the rule of a flag"

    @pytest.mark.parametrize("side", [34, 256, 257, 300])
    @pytest.mark.parametrize("features_per_bank", [16, 250, 251])
    def test_flags_follow_from_the_geometry(self, side: int, features_per_bank: int) -> None:
        for flags in range(16):
            fields = values(
                messages.HELLO_REPLY,
                flags=flags,
                features=features_per_bank,
                camera_width=side,
                width=side,
                state_words=100,
            )
            right = bool(flags & 4) == (features_per_bank > 250) and bool(flags & 8) == (side > 256)
            if right:
                assert Hello.from_fields(fields).wide_results == (features_per_bank > 250)
            else:
                with pytest.raises(FeastError, match=r"FLAG_WIDE_\w+ is set exactly if"):
                    Hello.from_fields(fields)

    def test_tails(self) -> None:
        assert count_items(messages.STATE, bytes(20), 90, KNOWN) == 10
        for tail, first in ((b"", 0), (bytes(3), 0), (bytes(22), 90), (bytes(2), 100)):
            with pytest.raises(FeastError, match=r"STATE brings \d+ bytes from index \d+ on"):
                count_items(messages.STATE, tail, first, KNOWN)
        check_items(messages.RESULTS, np.array([-5, 15], np.int16), KNOWN)
        for result in (-6, 16):
            with pytest.raises(FeastError, match=f"RESULTS has a result of {result}, allowed is -5 to below"):
                check_items(messages.RESULTS, np.array([0, result], np.int16), KNOWN)


def link_to(world: FakeWorld, on_wait: OnWait = ignore) -> Link:
    line: Any = world.open(on_wait)
    return Link(line, "fake", Timeouts(), CONNECT_S, world.time.clock, on_wait)


def always(message: Message, **lie: Any) -> Plan:
    """A device that says so in every frame of this kind."""

    def change(body: Body, _: Any) -> list[Body]:
        return [(body[0], body[1] | lie, body[2])] if body[0] is message else [body]

    return Plan([change])


class TestLies:
    """One line that says what was said and what is allowed; no traceback, no memory."""

    def refused(self, device: FakeDevice, plan: Plan, problem: str, learning: bool = False) -> None:
        with pytest.raises(FeastError, match=problem):
            link_to(FakeWorld(device, plan, 1)).run(toy_events(300), learning=learning)

    def test_more_results_than_events(self, device: FakeDevice) -> None:
        def change(body: Body, _: Any) -> list[Body]:
            return [(body[0], body[1], body[2] * 9)] if body[0] is messages.RESULTS else [body]

        self.refused(device, Plan([change]), r"RESULTS brings \d+ bytes from index 0 on, where 1 to \d+ val")

    def test_a_state_larger_than_any(self, device: FakeDevice) -> None:
        lie = always(messages.HELLO_REPLY, state_words=0xFFFFFFF0, snapshot_words=0xFFFFFFFF)
        self.refused(device, lie, r"says state_words 4294967280, allowed is 1 to 16777216: its firm")

    def test_events_that_were_never_sent(self, device: FakeDevice) -> None:
        self.refused(device, always(messages.CREDIT, received=5), "CREDIT says received 5, allowed is")
        self.refused(device, always(messages.RESULTS, received=2**31), "RESULTS says received")

    def test_frames_that_were_never_sent(self, device: FakeDevice) -> None:
        self.refused(device, always(messages.CREDIT, ack=77), r"CREDIT says ack 77, .*last_sequence 1")

    def test_a_label_of_a_device_without_classes(self, device: FakeDevice) -> None:
        self.refused(device, always(messages.DONE, label=0), "DONE says label 0, allowed is below classes")

    @pytest.mark.parametrize("build", ["plain", "wide and frozen"])
    def test_another_state_after_a_frozen_run(self, devices: Devices, build: str) -> None:
        world = FakeWorld(devices.get(build), always(messages.DONE, state_id=1), 1)
        link = link_to(world)
        with pytest.raises(FeastError, match=r"ends the run with the learned state 00000001, .* not trust"):
            link.run(toy_events(30), initialise=False)

    def test_another_state_than_the_models_after_a_run_from_it(self, device: FakeDevice) -> None:
        world = FakeWorld(device, Plan(), 1)
        link = link_to(world)
        link.run(toy_events(30), learning=True)
        assert link.model_state_id is None
        own = link.run(toy_events(30), initialise=True).state_id
        assert link.model_state_id == own
        link.run(toy_events(30), learning=True)
        world.plan = always(messages.DONE, state_id=own ^ 1)
        with pytest.raises(FeastError, match="ends the run with the learned state"):
            link.run(toy_events(30), initialise=True)

    def test_a_state_that_is_not_the_one_named(self, device: FakeDevice) -> None:
        link = link_to(FakeWorld(device, always(messages.DONE, state_id=1), 1))
        link.run(toy_events(30), learning=True)
        with pytest.raises(FeastError, match=r"holds the learned state .* and says that it is 00000001"):
            link.read_state()

    def test_another_device_after_the_link_was_opened_again(self, device: FakeDevice) -> None:
        world = FakeWorld(device, Plan(events=[(5, "cut")]), 1)
        feed = streamer.Recorded(streamer.EventStream(toy_events(900), SENSOR, "r", None))

        def connect() -> Link:
            if world.frames:
                world.plan.changes = always(messages.HELLO_REPLY, model_id=b"\1" * 8).changes
            return link_to(world)

        with pytest.raises(FeastError, match="another device answers than before, other in model_id"):
            list(Streamer(connect).stream([feed]))

    @pytest.mark.parametrize("frames", range(9, 20))
    def test_a_restart_at_any_moment_of_putting_a_state_back(self, device: FakeDevice, frames: int) -> None:
        """Also between the device's word that it has taken the state and the HELLO after it."""
        world = FakeWorld(device, Plan(events=[(9, "restart"), (frames, "restart")]), 1)
        feeds = [
            streamer.Recorded(streamer.EventStream(toy_events(count), SENSOR, "r", None))
            for count in (298, 237)
        ]
        *_, last = Streamer(lambda: link_to(world), learning=True, initialise=True).stream(feeds)
        assert isinstance(last, streamer.Finished)
        assert last.summary.state_id == messages.snapshot_digest([298 + 237, 0, 0, 0])

    def test_learning_where_it_says_that_it_cannot(self, devices: Devices) -> None:
        world = FakeWorld(devices.get("wide and frozen"), Plan(), 1)
        with pytest.raises(FeastError, match="built without learning"):
            Streamer(lambda: link_to(world), learning=True)

    def test_a_model_of_equal_geometry(self, device: FakeDevice) -> None:
        hello = link_to(FakeWorld(device, Plan(), 1)).hello
        hello.require(BUILD_ID, model_id=MODEL_ID + "0" * 48)
        with pytest.raises(
            FeastError, match=f"from the model {MODEL_ID}, the one named is {'0' * 16}, .*flash"
        ):
            hello.require(BUILD_ID, model_id="0" * 64)


SENSOR = Sensor(34, 34)


class TestLiveness:
    """Only progress renews a limit."""

    @pytest.mark.parametrize("kind", SILENT)
    def test_what_brings_nothing_is_reported(self, devices: Devices, kind: str) -> None:
        outcomes = [scenario(devices, seed, [kind]) for seed in range(12)]
        refused = [outcome for outcome in outcomes if outcome.what == REFUSED]
        assert refused, "the recordings were over before"
        assert max(outcome.seconds for outcome in refused) <= REPORT_S

    @pytest.mark.parametrize("name", ["CREDIT", "STATE", "HELLO_REPLY", "COUNTERS_REPLY"])
    def test_a_question(self, device: FakeDevice, name: str) -> None:
        """A frame a second, of the right run and acknowledging all, but not the answer."""
        world = FakeWorld(device, Plan(mute_at=1, drip=dripping(name)), 1)
        link = link_to(world)
        with pytest.raises(LinkError, match="no answer to SIGNALS for 8 s"):
            link.signals()
        assert Timeouts().progress_s <= world.time.now <= Timeouts().progress_s + 0.1

    def test_hello(self, device: FakeDevice) -> None:
        world = FakeWorld(device, Plan(mute_at=0, drip=dripping("HELLO_REPLY", version=messages.VERSION)), 1)
        with pytest.raises(LinkError, match="no answer to HELLO"):
            link_to(world)
        assert CONNECT_S <= world.time.now <= CONNECT_S + 0.1

    def test_an_answer_to_an_earlier_asking_will_do(self, device: FakeDevice) -> None:
        """However often it was asked again meanwhile."""
        world = FakeWorld(device, Plan(delay_s=3.0), 1)
        assert len(link_to(world).read_state()) == 4

    def test_a_source_that_has_nothing_does_not_hide_a_dead_device(self, device: FakeDevice) -> None:
        """While there is nothing to send the device is asked, and its answers are the progress."""
        world = FakeWorld(device, Plan(), 1)

        def source() -> Any:
            yield toy_events(50)
            while True:
                yield toy_events(0)

        link = link_to(world)
        chunks = link.stream(source())
        while world.time.now < 60.0:
            next(chunks)
            world.time.alive()
        world.mute, died = True, world.time.now
        with pytest.raises(LinkError, match="no answer from the device for 8 s, 50 results received"):
            while True:
                next(chunks)
        assert world.time.now - died <= Timeouts().progress_s + 2.0

    def test_time_that_the_host_needs_does_not_count(self, device: FakeDevice) -> None:
        world = FakeWorld(device, Plan(), 1)
        link = link_to(world)
        for _ in link.stream(toy_events(2000)):
            world.time.alive()
            world.time.pass_on(15.0)
            world.time.alive()
        assert link.summary is not None and link.summary.events == 2000

    def test_a_port_that_takes_nothing(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        heard: list[float] = []

        class Pyserial:
            write_timeout: float | None = None

            def fileno(self) -> int:
                return ours.fileno()

            def write(self, data: memoryview) -> int:
                return ours.send(data)

        port = Port("x", Pyserial(), write_s=0.05, on_wait=lambda what, for_s: heard.append(for_s))
        with ours, theirs, pytest.raises(LinkError, match="x: takes no more bytes for 0 s: check cable"):
            port.write(bytes(1 << 24))
        assert heard, "whoever looks on hears of it"

    def test_a_port_that_takes_it_bit_by_bit(self) -> None:
        """The limit is for a byte, not for all."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)

        class Slow:
            write_timeout: float | None = None
            taken = 0

            def fileno(self) -> int:
                return ours.fileno()

            def write(self, data: memoryview) -> int:
                self.taken += 7 if len(data) > 7 else len(data)
                return 7 if len(data) > 7 else len(data)

        slow = Slow()
        with ours, theirs:
            Port("x", slow, write_s=0.05).write(bytes(1000))
        assert slow.taken == 1000

    def test_the_document_states_them(self) -> None:
        text = DOCUMENT.read_text(encoding="utf-8")
        timeouts = Timeouts()
        for number in (
            f"| the answer to HELLO, opening the port included | {CONNECT_S:.1f} s |",
            f"| progress of a run, or of the answer to a question | {timeouts.progress_s:.0f} s |",
            f"| a byte that the port must take | {WRITE_LIMIT_S:.0f} s |",
            f"| a new result of a recording, reconnecting included | {streamer.STANDSTILL_S:.0f} s |",
        ):
            assert number in text
        last = streamer.STANDSTILL_S * streamer._LAST_ATTEMPT
        assert last + CONNECT_S + streamer._LEAST_S <= REPORT_S
        assert timeouts.progress_s + CONNECT_S <= REPORT_S
        assert f"within {REPORT_S:.0f} s" in text


class TestStatus:
    def lines(self, capsys: pytest.CaptureFixture[str]) -> list[str]:
        return capsys.readouterr().err.splitlines()

    def test_a_line_every_few_seconds_without_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        time = FakeTime()
        status = _Status(time.clock)
        shown_at = []
        for turn in range(1, 100):
            time.now = turn * 0.25
            status.waiting("no progress", turn * 0.25)
            if text := self.lines(capsys):
                shown_at.append(time.now)
                assert text == [f"codegen: 0 events  no progress for {time.now:.0f} s"]
        assert np.diff([0.0, *shown_at]).max() <= 5.0

    def test_what_is_new_is_said_at_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        time = FakeTime()
        status = _Status(time.clock)
        status.waiting("no progress", 3.0)
        status.waiting("no progress", 3.1)
        status.waiting("the link is opened again", 3.2)
        assert self.lines(capsys) == [
            "codegen: 0 events  no progress for 3 s",
            "codegen: 0 events  the link is opened again for 3 s",
        ]


class TestCommand:
    """`codegen stream` itself, whose stderr is no terminal."""

    def stream(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, world: FakeWorld
    ) -> tuple[int, list[str]]:
        monkeypatch.setattr(connect, "open_link", lambda url, baud, on_wait: link_to(world, on_wait=on_wait))
        code = execute(["stream", "--port", "fake", "sim:bars?seed=3&count=3"])
        return code, capsys.readouterr().err.splitlines()

    def test_a_silent_line(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, device: FakeDevice
    ) -> None:
        world = FakeWorld(device, Plan(mute_at=40), 1)
        code, lines = self.stream(capsys, monkeypatch, world)
        assert code == 2
        assert lines[-1].startswith("codegen: error: ") and "Traceback" not in "".join(lines)
        assert world.time.now - world.time.alive_at <= REPORT_S
        assert any("no progress for" in line or "no answer to" in line for line in lines[:-1])
        assert any("the link is opened again" in line for line in lines[:-1])

    @pytest.mark.parametrize(
        ("message", "lie", "problem"),
        [
            (messages.RESULTS, {"first": 2**31 - 1}, "RESULTS says first"),
            (messages.DONE, {"label": 3}, "DONE says label 3"),
            (messages.STATE, {"first": 99}, "STATE says first 99"),
            (messages.HELLO_REPLY, {"features_per_bank": 0}, "HELLO_REPLY says features_per_bank 0"),
        ],
    )
    def test_a_lie(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        device: FakeDevice,
        message: Message,
        lie: dict[str, int],
        problem: str,
    ) -> None:
        code, lines = self.stream(capsys, monkeypatch, FakeWorld(device, always(message, **lie), 1))
        assert code == 2
        assert problem in lines[-1] and len(lines) == 1


def test_scenarios(devices: Devices) -> None:
    """Each kind a few times; `./run prove` does a thousand."""
    table = run(devices, range(6 * len(KINDS)))
    assert sum(map(len, table.rows.values())) == 6 * len(KINDS)
    assert {outcome.what for outcome in table.rows["nothing wrong"]} == {"exact"}


@pytest.mark.prove
@pytest.mark.parametrize("build", BUILDS)
def test_every_field_of_every_message_at_every_limit(devices: Devices, build: str) -> None:
    """Always, to a host that asks all there is to ask; every second one is cut off once."""
    outcomes = [
        play(devices, "a lie", plan, random.Random(i), build, curious=True)
        for i, plan in enumerate(every_lie())
    ]
    assert len(outcomes) > 1000
    assert {outcome.what for outcome in outcomes} == {"exact", "refused"}


@pytest.mark.prove
def test_a_thousand_scenarios(devices: Devices) -> None:
    """The table of docs/develop/verification.md."""
    table = run(devices, range(1000))
    print(table.text())
    proofs = (DOCUMENT.parents[1] / "develop" / "verification.md").read_text(encoding="utf-8")
    assert table.text() in proofs, (
        "docs/develop/verification.md: replace its table by that of python -m tests.fuzz.hostile"
    )


def any_frame_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = run_protocol.RunExchange.receive

    def renewing(self: Any, frames: Any, now: float) -> None:
        receive(self, frames, now)
        if frames:
            self._progress_at, self.give_up_at = now, now + 14.0

    monkeypatch.setattr(run_protocol.RunExchange, "receive", renewing)


def tails_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_protocol, "count_items", lambda *_: 1)


def digests_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_protocol.RunExchange, "_check_done", lambda *_: None)


@pytest.mark.parametrize(
    ("plant", "kind", "said"),
    [
        (any_frame_is_progress, "only CREDIT", "without getting further"),
        (tails_are_not_counted, "a tail lies", "Error"),
        (digests_are_not_compared, "a tail lies", "a wrong result was taken for right"),
    ],
)
def test_they_find_a_planted_fault(
    devices: Devices,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    kind: str,
    said: str,
) -> None:
    names = [name for name in KINDS if kind in name]
    run(devices, range(40), names)
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=said):
        run(devices, range(200), names)
