"""The link: the firmware's own code at one end, the host's at the other, and a bad line between them."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import RESULT_DTYPE, Events, Results
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Code, Message
from feast_codegen.host.link.framing import Frame, FrameDecoder, Receiver, Sender, encode_frame
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.link import open_link
from feast_codegen.host.link.run_protocol import RunExchange, Timeouts
from feast_codegen.host.link.serial_port import open_port
from tests.support import link_device
from tests.support.fault_proxy import spoil_bytes
from tests.support.link_device import BUILD_ID, FakeDevice, toy_events, toy_results
from tests.support.waiting import LIMIT_S

TINY = {
    "LINK_FRAME_BYTES": "64u",
    "LINK_RESULT_WINDOW": "16u",
    "LINK_RESULTS_PER_FRAME": "8u",
    "FAKE_RX_BYTES": "160u",
}
WIDE = {"FEAST_FEATURES_PER_BANK": "300", "FEAST_SENSOR_WIDTH": "300", "FEAST_LEARNING": "0"}
NEXT = messages.VERSION + 1
Noise = Callable[[bytes], bytes]
SOON = Timeouts(answer_s=0.05, max_answer_s=0.2, progress_s=5.0)
LONG = Timeouts(answer_s=60.0, max_answer_s=60.0, progress_s=120.0)
"""Nothing is asked twice only because the machine is slow."""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FakeDevice]:
    return lambda **defines: FakeDevice(tmp_path_factory.mktemp("device"), **defines)


@pytest.fixture(scope="module")
def device(build: Callable[..., FakeDevice]) -> FakeDevice:
    return build()


@pytest.fixture(scope="module")
def tiny(build: Callable[..., FakeDevice]) -> FakeDevice:
    return build(**TINY)


@pytest.fixture(scope="module")
def wide(build: Callable[..., FakeDevice]) -> FakeDevice:
    return build(**WIDE)


def quiet(data: bytes) -> bytes:
    return data


class Host:
    """A host without ports: runs on a device in memory, over lines that may be bad, in its own time."""

    def __init__(self, device: FakeDevice) -> None:
        self.device, self.sender, self.receiver, self.now = device, Sender(), Receiver(), 0.0
        (reply,) = self.ask(messages.HELLO, nonce=1, version=messages.VERSION)
        self.hello = Hello.from_fields(reply.fields)
        self.run_number = self.hello.last_run

    def ask(
        self, message: Message, tail: bytes = b"", run: int = 0, received: int = 0, **f: Any
    ) -> list[Frame]:
        frame = self.sender.encode(message, tail, run=run, received=received, **f)
        return self.receiver.feed(self.device.exchange(frame))

    def exchange(self, events: Events, take: Callable[[Results], None], **options: Any) -> RunExchange:
        self.run_number = self.run_number % 255 + 1
        batches = (events[i : i + 100] for i in range(0, len(events), 100))
        return RunExchange(
            self.hello,
            self.sender,
            self.run_number,
            batches,
            take,
            now=self.now,
            **{"timeouts": SOON, **options},
        )

    def run(
        self, events: Events, up: Noise = quiet, down: Noise = quiet, **options: Any
    ) -> tuple[Results, RunExchange]:
        taken: list[Results] = []
        exchange = self.exchange(events, taken.append, **options)
        while exchange.done is None:
            answer = self.device.exchange(up(exchange.send(self.now)))
            frames = self.receiver.feed(down(answer))
            exchange.receive(frames, self.now)
            self.now += 0.001 if frames else exchange.wait_s(self.now) + 0.001
        return np.concatenate([np.empty(0, RESULT_DTYPE), *taken]), exchange


def noise(seed: int, rate: float) -> Noise:
    """Flips, drops, doubles and adds bytes, each at `rate` a byte."""
    rng = random.Random(seed)
    return lambda data: spoil_bytes(data, rate, rng)[0]


class TestCleanLine:
    """Nothing is lost, sent twice, or asked for."""

    def test_every_event_gets_its_result(self, device: FakeDevice) -> None:
        events = toy_events(5000)
        results, exchange = Host(device).run(events, flags=messages.START_INITIALISE.value)
        assert (results == toy_results(events)).all()
        assert exchange.done is not None
        assert exchange.done["result_digest"] == messages.result_digest(results)
        assert exchange.done["snapshot_digest"] == messages.snapshot_digest(snapshot(events))
        assert not any(exchange.counters.values())
        assert {name: exchange.done[name] for name, _ in messages.COUNTERS if name != "frames"} == {
            name: 0 for name, _ in messages.COUNTERS if name != "frames"
        }

    @pytest.mark.parametrize("kind", ["tiny", "wide"])
    def test_small_buffers_and_wide_numbers(self, kind: str, request: pytest.FixtureRequest) -> None:
        device = request.getfixturevalue(kind)
        events = toy_events(2000, side=300 if kind == "wide" else 34)
        results, exchange = Host(device).run(events)
        features, width = (300, 300) if kind == "wide" else (16, 34)
        assert (results == toy_results(events, features, width)).all()
        assert exchange.done is not None
        assert exchange.done["rx_overruns"] == 0

    def test_codes_and_jumps_in_time_come_through(self, device: FakeDevice) -> None:
        events = toy_events(6)
        events["t_us"] = [2**40, 2**40 + 2**33, 5, 2**40, 2**63, 2**63]
        events["x"] = [33, 34, 0, 255, 0, 1]
        results, _ = Host(device).run(events)
        assert (results == toy_results(events)).all()
        assert results[[1, 2, 3]].tolist() == [-3, -4, -3]

    def test_no_events_are_a_run_too(self, device: FakeDevice) -> None:
        results, exchange = Host(device).run(toy_events(0), flags=messages.START_INITIALISE.value)
        assert len(results) == 0
        assert exchange.done is not None
        assert (exchange.done["events"], exchange.done["result_digest"]) == (0, 0)

    def test_runs_follow_each_other(self, device: FakeDevice) -> None:
        """Surfaces are cleared between runs; what was learned stays unless the run resets it."""
        host, events = Host(device), toy_events(300)
        learn, initialise = messages.START_LEARNING.value, messages.START_INITIALISE.value
        for flags, learned in ((learn | initialise, 300), (learn, 600), (0, 600), (initialise, 0)):
            results, exchange = host.run(events, flags=flags)
            assert (results == toy_results(events)).all()
            assert exchange.done is not None
            assert exchange.done["state_id"] == messages.snapshot_digest(words(learned))

    def test_more_runs_than_numbers(self, device: FakeDevice) -> None:
        host, events = Host(device), toy_events(3)
        for _ in range(260):
            assert (host.run(events)[0] == toy_results(events)).all()

    def test_the_device_computes_undisturbed_when_asked(self, device: FakeDevice) -> None:
        host, events = Host(device), toy_events(500)
        exchange = host.exchange(events, lambda results: None, one_at_a_time=True)
        while exchange.done is None:
            sent = exchange.send(host.now)
            assert sent.count(0) == 1  # one frame, then silence until its answer is complete
            exchange.receive(host.receiver.feed(host.device.exchange(sent)), host.now)

    def test_ticks_are_those_of_the_network_alone(self, device: FakeDevice) -> None:
        """The scripted counter wraps, and takes 3 ticks to read."""
        device.boot()
        _, exchange = Host(device).run(toy_events(7000))
        assert exchange.done is not None
        assert exchange.done["ticks_total"] == 1000 * sum(range(100, 107))
        assert exchange.done["ticks_max"] == 106

    def test_host_keeps_only_what_it_may_need_again(self, device: FakeDevice) -> None:
        exchange_ended = Host(device).run(toy_events(5000))[1]
        assert len(exchange_ended._packed) <= 3


def words(value: int) -> list[int]:
    return [value >> 16 * i & 0xFFFF for i in range(4)]


def snapshot(events: Events) -> list[int]:
    """State of the toy after a frozen run of accepted events."""
    return words(0) + words(len(events)) + words(int(events["t_us"][-1]))


class TestBadLine:
    """The end is the exact digest."""

    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 2**32),
        rate=st.sampled_from([1e-4, 1e-3, 3e-3]),
        ways=st.sampled_from(["up", "down", "both"]),
        size=st.sampled_from(["device", "tiny"]),
    )
    def test_noise(
        self, device: FakeDevice, tiny: FakeDevice, seed: int, rate: float, ways: str, size: str
    ) -> None:
        host = Host(device if size == "device" else tiny)
        events = toy_events(1500, seed % 1000)
        up = noise(seed, rate) if ways != "down" else quiet
        down = noise(seed + 1, rate) if ways != "up" else quiet
        results, _ = host.run(events, up, down)
        assert (results == toy_results(events)).all()

    @pytest.mark.parametrize("nth", range(12))
    @pytest.mark.parametrize("way", ["up", "down"])
    def test_each_frame_in_turn_is_lost(self, device: FakeDevice, nth: int, way: str) -> None:
        def lose(data: bytes) -> bytes:
            frames = data.split(b"\0")[:-1]
            kept = [frame for i, frame in enumerate(frames) if seen[0] + i != nth]
            seen[0] += len(frames)
            return b"".join(frame + b"\0" for frame in kept)

        seen, events = [0], toy_events(600)
        results, exchange = Host(device).run(events, **{way: lose})
        assert seen[0] > nth, "the run is too short to lose this frame"
        assert (results == toy_results(events)).all()
        assert exchange.counters["rewinds"] <= 1

    def test_each_frame_comes_twice(self, device: FakeDevice) -> None:
        def twice(data: bytes) -> bytes:
            return b"".join((frame + b"\0") * 2 for frame in data.split(b"\0")[:-1])

        events = toy_events(1000)
        results, exchange = Host(device).run(events, twice, twice)
        assert (results == toy_results(events)).all()
        assert exchange.done is not None
        assert exchange.done["repeated"] > 0

    def test_an_overrun_is_recovered_and_counted(self, device: FakeDevice) -> None:
        """Other bytes than ours fill the receive ring."""

        def flood(data: bytes) -> bytes:
            return b"\x55" * 300 + b"\0" + data if rng.random() < 0.2 else data

        rng, events = random.Random(1), toy_events(2000)
        results, exchange = Host(device).run(events, flood)
        assert (results == toy_results(events)).all()
        assert exchange.done is not None
        assert exchange.done["rx_overruns"] > 0

    def test_damage_is_answered_once_until_something_intact_comes(self, device: FakeDevice) -> None:
        host = Host(device)
        answers = host.receiver.feed(device.exchange(b"\x55\x55\0" * 50))
        assert [answer.fields["code"] for answer in answers] == [messages.ERROR_DAMAGED.value]

    def test_a_dead_line_ends_the_run(self, device: FakeDevice) -> None:
        host = Host(device)
        with pytest.raises(
            FeastError, match="no answer from the device for 5 s, 0 results received: check cable"
        ):
            host.run(toy_events(10), up=lambda data: b"")

    def test_a_hopeless_line_ends_the_run(self, device: FakeDevice) -> None:
        def eat_events(data: bytes) -> bytes:
            return b"".join(frame + b"\0" for frame in data.split(b"\0")[:-1] if len(frame) < 20)

        with pytest.raises(
            FeastError, match="no progress for 5 s, 0 results received, though the device answers"
        ):
            Host(device).run(toy_events(1000), eat_events)


class TestRefusals:
    """A loss that cannot be recovered is reported, with what to do."""

    def test_the_device_restarts(self, device: FakeDevice) -> None:
        def restart(data: bytes) -> bytes:
            calls[0] += 1
            if calls[0] == 5:
                device.boot()
            return data

        calls = [0]
        with pytest.raises(FeastError, match=r"device has restarted, \d+ results received"):
            Host(device).run(toy_events(5000), restart)
        assert (Host(device).run(toy_events(50))[0] == toy_results(toy_events(50))).all()

    def test_results_that_differ_from_the_devices_digest(self, device: FakeDevice) -> None:
        host, events = Host(device), toy_events(10)
        exchange = host.exchange(events, lambda results: None)
        exchange._digest = 1
        with pytest.raises(FeastError, match="do not trust these results"):
            while exchange.done is None:
                exchange.receive(host.receiver.feed(device.exchange(exchange.send(0.0))), 0.0)

    def test_learning_in_a_frozen_build(self, wide: FakeDevice) -> None:
        with pytest.raises(FeastError, match="built without learning: build the firmware with --learning"):
            Host(wide).run(toy_events(10), flags=messages.START_LEARNING.value)

    def test_foreign_build_and_foreign_state(self, device: FakeDevice) -> None:
        device.boot()
        hello = Host(device).hello
        hello.require(BUILD_ID, messages.snapshot_digest(words(0)))
        hello.require(BUILD_ID)
        with pytest.raises(
            FeastError, match=r"built as 0123456789abcdef \(sensor 34x34, 16 features of 11x11, learn"
        ):
            hello.require("0" * 16)
        with pytest.raises(FeastError, match=r"device holds the learned state .* from the device's state"):
            hello.require(BUILD_ID, 1)

    def test_another_version_is_told_and_gets_no_run(self, device: FakeDevice) -> None:
        host = Host(device)
        (reply,) = host.ask(messages.HELLO, nonce=7, version=messages.VERSION + 1)
        assert (reply.fields["nonce"], reply.fields["version"]) == (7, messages.VERSION)
        (error,) = host.ask(messages.START, run=9, flags=0)
        assert (error.fields["code"], error.fields["detail"]) == (
            messages.ERROR_VERSION.value,
            messages.VERSION,
        )

    def test_buffers_too_small_for_any_event(self, device: FakeDevice) -> None:
        host = Host(device)
        host.hello = Hello(**{**vars(host.hello), "rx_bytes": 90})
        with pytest.raises(FeastError, match="into a buffer of 90: too small"):
            host.exchange(toy_events(1), lambda results: None)

    @pytest.mark.parametrize(
        ("message", "tail", "fields", "code"),
        [
            (messages.EVENTS, b"\0\1\1", {"first": 1, "base_us": 0}, messages.ERROR_OUT_OF_ORDER),
            (messages.EVENTS, b"\x80", {"first": 0, "base_us": 0}, messages.ERROR_MALFORMED),
            (messages.EVENTS, b"", {"first": 0, "base_us": 0}, messages.ERROR_MALFORMED),
            (messages.EVENTS, b"\0\1\1", {"first": 0, "base_us": 0, "received": 1}, messages.ERROR_POSITION),
            (messages.EVENTS, b"\0\1\1", {"first": 0, "base_us": 0, "run": 77}, messages.ERROR_NO_RUN),
            (messages.END, b"", {"events": 1}, messages.ERROR_POSITION),
            (messages.POLL, b"", {"received": 5}, messages.ERROR_POSITION),
            (messages.START, b"", {"run": 0, "flags": 0}, messages.ERROR_MALFORMED),
            (messages.CREDIT, b"", {"ack": 0}, messages.ERROR_UNKNOWN),
        ],
    )
    def test_the_device_says_what_is_wrong(
        self, tiny: FakeDevice, message: Message, tail: bytes, fields: dict[str, int], code: Code
    ) -> None:
        tiny.boot()
        host = Host(tiny)
        host.ask(messages.START, run=5, flags=0)
        (error,) = host.ask(message, tail, **{"run": 5, **fields})
        assert (error.message, error.fields["code"]) == (messages.ERROR, code.value)
        (credit,) = host.ask(messages.POLL, run=5)
        assert credit.fields["received"] == 0, "nothing was processed"

    def test_more_events_than_results_can_be_kept(self, tiny: FakeDevice) -> None:
        host = Host(tiny)
        run = host.hello.last_run % 255 + 1
        host.ask(messages.START, run=run, flags=0)
        host.ask(messages.EVENTS, b"\0\1\1" * 10, run=run, first=0, base_us=0)
        (error,) = host.ask(messages.EVENTS, b"\0\1\1" * 10, run=run, first=10, base_us=0)
        assert (error.fields["code"], error.fields["detail"]) == (messages.ERROR_WINDOW.value, 10)
        results = host.ask(messages.EVENTS, b"\0\1\1" * 10, run=run, received=10, first=10, base_us=0)
        assert sum(len(frame.tail) for frame in results) == 10

    def test_what_hello_says(self, device: FakeDevice) -> None:
        device.boot()
        hello = Host(device).hello
        assert (hello.rx_bytes, hello.frame_bytes, hello.result_window, hello.results_per_frame) == (
            512,
            256,
            128,
            64,
        )
        assert (hello.clock_hz, hello.tick_hz, hello.stack_bytes) == (2_000_000, 1_000_000, 1024)
        assert hello.fault == "a failed assertion at 0x4d, status 0x5"
        assert hello.learning
        assert not hello.wide_results


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=10), st.integers(0, 2**32 - 1))
def test_no_frame_can_put_the_device_out_of_order(
    device: FakeDevice, bodies: list[bytes], number: int
) -> None:
    """After any intact frames it still serves the next host."""
    for body in bodies:
        device.exchange(encode_frame(body))
    device.exchange(Sender().encode(messages.POLL, run=number % 256, received=number))
    events = toy_events(50)
    assert (Host(device).run(events)[0] == toy_results(events)).all()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_device.build_process(tmp_path_factory.mktemp("process"))


class TestPorts:
    """The firmware as a process, under the sanitizers, behind real ports."""

    @pytest.mark.parametrize(
        "place",
        [link_device.listening, link_device.on_pty, link_device.on_rfc2217],
        ids=["tcp", "pty", "rfc2217"],
    )
    def test_a_recording(self, program: Path, place: Any) -> None:
        events, shown = toy_events(20_000), []
        with place(program) as url, open_link(url, timeouts=LONG) as link:
            link.hello.require(BUILD_ID)
            result = link.run(events, learning=True, progress=lambda done, total: shown.append((done, total)))
            assert (result.results == toy_results(events)).all()
            assert result.result_digest == messages.result_digest(result.results)
            assert result.events == 20_000
            assert 0 < result.ticks_max <= result.ticks_total
            assert not any(n for name, n in result.counters.items() if not name.endswith("_frames"))
            assert shown[-1] == (20_000, 20_000)
            assert link.hello.state_id == result.state_id == messages.snapshot_digest(words(20_000))
            again = link.run(events, initialise=False)
            assert again.state_id == result.state_id

    def test_a_stream_in_constant_memory(self, program: Path) -> None:
        events, taken = toy_events(30_000), []
        with link_device.listening(program) as url, open_link(url) as link:
            batches = (events[i : i + 7_001] for i in range(0, len(events), 7_001))
            summary = link.run_batches(batches, taken.append)
        assert summary.result_digest == messages.result_digest(np.concatenate(taken))
        assert (np.concatenate(taken) == toy_results(events)).all()

    def test_the_next_host_is_served_after_one_died_in_its_run(self, program: Path) -> None:
        events = toy_events(5000)
        with link_device.on_pty(program) as url:
            with open_link(url) as link:
                batches = (interrupt(events, at) for at in range(0, 5000, 500))
                with pytest.raises(KeyboardInterrupt):
                    link.run_batches(batches, lambda results: None)
            with open_link(url) as link:
                assert (link.run(events).results == toy_results(events)).all()

    def test_the_next_run_works_after_one_that_failed(self, program: Path) -> None:
        events = toy_events(3000)
        events["x"][2000] = 256
        with link_device.listening(program) as url, open_link(url) as link:
            with pytest.raises(FeastError, match=r"event 2000: \(256, \d+\) cannot be sent"):
                link.run(events, learning=True)
            assert (link.run(events[:500]).results == toy_results(events[:500])).all()

    def test_a_port_that_cannot_be_selected(self) -> None:
        """As on Windows: pyserial's own waiting is used."""
        port = open_port("loop://", 115_200, limit_s=1.0)
        assert port.read(0.01) == b""
        port.write(b"abc")
        assert port.read(1.0) + port.read(0.01) == b"abc"

    def test_foreign_bytes_before_hello(self, program: Path) -> None:
        with link_device.on_pty(program) as url:
            with Path(url).open("wb", buffering=0) as line:
                line.write(os.urandom(3000))
            with open_link(url) as link:
                assert (link.run(toy_events(100)).results == toy_results(toy_events(100))).all()


def interrupt(events: Events, at: int) -> Events:
    if at == 2000:
        raise KeyboardInterrupt
    return events[at : at + 500]


class TestNoDevice:
    """Every wait has a limit, and its end says what to do."""

    def test_no_such_port(self, tmp_path: Path) -> None:
        with pytest.raises(FeastError, match=r"cannot be opened .*: check name, cable and the permission"):
            open_link(str(tmp_path / "ttyNONE"))

    def test_nobody_listens(self) -> None:
        with socket.socket() as taken:  # bound, so that nobody else listens there
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(FeastError, match="cannot be opened"):
                open_link(f"socket://127.0.0.1:{taken.getsockname()[1]}", connect_s=0.3)

    @pytest.mark.parametrize(
        "says", [b"", b"login: \r\n", os.urandom(500) + b"\0"], ids=["nothing", "text", "noise"]
    )
    def test_nobody_answers(self, says: bytes) -> None:
        with (
            talking(says) as url,
            pytest.raises(FeastError, match=r"no answer to HELLO for 1 s .*: check port and"),
        ):
            open_link(url, connect_s=1.0)

    @pytest.mark.parametrize(
        ("version", "advice"),
        [(NEXT, "update this"), (messages.VERSION - 1, "build the firmware again and flash")],
    )
    def test_another_version_answers(self, version: int, advice: str) -> None:
        problem = f"version {version}, this program {messages.VERSION}: {advice}"
        with talking(speaking(version)) as url, pytest.raises(FeastError, match=problem):
            open_link(url)

    def test_the_connection_breaks(self, program: Path) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        process = subprocess.Popen([program], stdin=server.fileno())
        with open_link(f"socket://127.0.0.1:{server.getsockname()[1]}") as link:
            process.kill()
            process.wait()
            with pytest.raises(FeastError, match=r"connection lost .*: reconnect, run again"):
                link.run(toy_events(100))
        server.close()


def speaking(version: int) -> Callable[[bytes], bytes]:
    """A device of another protocol version answers HELLO."""

    def answer(request: bytes) -> bytes:
        (body,) = FrameDecoder().feed(request)
        nonce = messages.HELLO.unpack(body)[0]["nonce"]
        reply = messages.HELLO_REPLY_PREFIX
        return encode_frame(reply.pack(b"x", run=0, sequence=0, received=0, nonce=nonce, version=version))

    return answer


@contextmanager
def talking(says: bytes | Callable[[bytes], bytes]) -> Iterator[str]:
    """A TCP port behind which somebody says the same to everything."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while request := connection.recv(4096):
                connection.sendall(says if isinstance(says, bytes) else says(request))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        thread.join(LIMIT_S)


@pytest.mark.firmware
@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not on PATH")
def test_the_link_is_small_enough_for_8_k_of_ram(tmp_path: Path) -> None:
    """The figures of docs/reference/protocol.md."""
    (tmp_path / "size.c").write_text('#include "link.h"\nlink_t self;\n')
    small = ["-DLINK_FRAME_BYTES=96u", "-DLINK_RESULT_WINDOW=32u", "-DLINK_RESULTS_PER_FRAME=16u"]
    for flags, bytes_of_ram in (([], 608), (small, 352)):
        command = [
            "arm-none-eabi-gcc",
            "-mcpu=cortex-m0",
            "-mthumb",
            "-std=c11",
            "-fno-common",
            "-c",
            "size.c",
        ]
        folders = [f"-I{folder}" for folder in (tmp_path, link_device.FIRMWARE, link_device.TOY)]
        subprocess.run([*command, *folders, *flags], cwd=tmp_path, check=True)
        size = subprocess.run(
            ["arm-none-eabi-size", "size.o"], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert int(size.stdout.split("\n")[1].split()[2]) == bytes_of_ram
