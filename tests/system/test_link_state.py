"""The learned state over the link: signals, reading, writing, keeping it over a loss of power."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cobs import cobs

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Message
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.link.framing import Receiver, Sender, encode_frame
from feast_codegen.host.link.link import Link, open_link
from feast_codegen.host.link.requests import Questions, Words
from feast_codegen.host.link.run_protocol import Timeouts
from feast_codegen.host.streaming.learned_state import check_same_geometry, from_words, to_words
from tests.support import link_device
from tests.support.link_device import FakeDevice, toy_events
from tests.support.networks import make_events, make_model, with_readout

SOON = Timeouts(answer_s=0.02, max_answer_s=0.05, progress_s=20.0)
LEARNED = np.array([7, 0, 0, 0], np.uint16)
TOO_LARGE = np.array([0, 0, 1, 0], np.uint16)


class FakePort:
    """A device in memory behind the interface of a port, over a line that may be bad."""

    def __init__(self, device: FakeDevice, line: Callable[[bytes], bytes] = bytes) -> None:
        self._device, self._line, self._waiting = device, line, b""

    def write(self, data: bytes) -> None:
        self._waiting += self._line(self._device.exchange(self._line(data)))

    def read(self, limit_s: float) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def close(self) -> None:
        pass


def link_to(device: FakeDevice, line: Callable[[bytes], bytes] = bytes) -> Link:
    port: Any = FakePort(device, line)
    return Link(port, "fake", SOON, connect_s=20.0)


def losing(seed: int, rate: float) -> Callable[[bytes], bytes]:
    """A line that damages a byte of some frames."""
    rng = random.Random(seed)

    def line(data: bytes) -> bytes:
        frames = [bytearray(frame) for frame in data.split(b"\0")[:-1]]
        for frame in frames:
            if frame and rng.random() < rate:
                frame[rng.randrange(len(frame))] ^= 0x15
        return b"".join(bytes(frame) + b"\0" for frame in frames)

    return line


def tailed(message: Message, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A line behind a broken firmware: its tails of one message are others, in intact frames."""

    def line(data: bytes) -> bytes:
        frames = b""
        for encoded in data.split(b"\0")[:-1]:
            body = cobs.decode(encoded)[: -messages.CRC_BYTES]
            if body[:1] == bytes([message.code]):
                body = body[: message.size_bytes] + change(body[message.size_bytes :])
            frames += encode_frame(body)
        return frames

    return line


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FakeDevice]:
    return lambda **defines: FakeDevice(tmp_path_factory.mktemp("device"), **defines)


@pytest.fixture(scope="module")
def device(build: Callable[..., FakeDevice]) -> FakeDevice:
    return build()


@pytest.fixture(scope="module")
def many(build: Callable[..., FakeDevice]) -> FakeDevice:
    """More features than fit a few frames."""
    return build(FEAST_FEATURES_PER_BANK="300")


@pytest.fixture(scope="module")
def keeping(build: Callable[..., FakeDevice]) -> FakeDevice:
    return build(LINK_PERSIST_BYTES="1024u")


class TestSignals:
    @pytest.mark.parametrize("name", ["device", "many"])
    @pytest.mark.parametrize("rate", [0.0, 0.2])
    def test_in_the_middle_of_a_stream(self, name: str, rate: float, request: pytest.FixtureRequest) -> None:
        """Thresholds and wins of one moment, and the run goes on as if nothing had been asked."""
        features = 16 if name == "device" else 300
        link = link_to(request.getfixturevalue(name), losing(1, rate))
        events = toy_events(1000)
        results = []
        for chunk in link.stream(events):
            results.append(chunk.results)
            signals = link.signals()
            moment = signals.event
            assert moment >= sum(map(len, results))
            assert signals.hits == moment
            assert signals.thresholds_q30.tolist() == [1000 * n - moment for n in range(features)]
            assert signals.wins.tolist() == [moment + 7 * n for n in range(features)]
            assert signals.last_window_misses == 5
        assert (np.concatenate(results) == link_device.toy_results(events, features)).all()

    @pytest.mark.parametrize("rate", [0.0, 0.15])
    def test_scores_of_one_moment(self, tmp_path: Path, rate: float) -> None:
        classes = 100
        device = FakeDevice(tmp_path, FEAST_CLASSES=f"{classes}u")
        link = link_to(device, losing(4, rate))
        assert link.hello.classes == classes
        assert link.scores().label == -1
        events = toy_events(600)
        for _ in link.stream(events):
            found = link.scores()
            assert found.label == (found.event % classes if found.event else -1)
            assert found.scores.tolist() == [(found.event << 33) - n for n in range(classes)]
        assert link.summary is not None
        assert link.summary.label == len(events) % classes

    @pytest.mark.parametrize("rate", [0.0, 0.15])
    def test_the_decision_of_one_moment(self, tmp_path: Path, rate: float) -> None:
        device = FakeDevice(tmp_path, FEAST_CLASSES="7u", FEAST_FADES="1")
        link = link_to(device, losing(4, rate))
        assert link.hello.fades and link.hello.classes == 7
        assert link.decision().label == -1
        events = toy_events(601)
        for _ in link.stream(events):
            found = link.decision()
            assert found.label == (found.event % 7 if found.event else -1)
            assert (found.margin, found.typicality) == (2**32 - 1 - found.event, found.event % 2**15)
            assert found.abstains == (found.event % 2 == 0)
        assert link.summary is not None
        assert (link.summary.label, link.summary.abstains) == (601 % 7, False)
        with pytest.raises(FeastError, match="readout fades: it gives decisions, not scores"):
            link.scores()

    def test_a_device_without_a_fading_readout_says_so(self, device: FakeDevice) -> None:
        link = link_to(device)
        assert not link.hello.fades
        with pytest.raises(FeastError, match="device has no fading readout: train a model with one"):
            link.decision()
        link.hello = replace(link.hello, classes=3, fades=True)
        with pytest.raises(FeastError, match="device has no fading readout"):
            link.decision()

    def test_a_device_without_scores_says_so(self, device: FakeDevice) -> None:
        link = link_to(device)
        assert link.hello.classes == 0
        with pytest.raises(FeastError, match="device keeps no class scores: train with --readout"):
            link.scores()
        link.hello = replace(link.hello, classes=3)
        with pytest.raises(FeastError, match="device keeps no class scores"):
            link.scores()
        assert link.run(toy_events(50)).label == -1

    @pytest.mark.parametrize(
        "change", [lambda tail: tail[:-1], lambda tail: tail + bytes(8)], ids=["cut", "more"]
    )
    def test_a_broken_answer_is_refused(
        self, build: Callable[..., FakeDevice], change: Callable[[bytes], bytes]
    ) -> None:
        device = build(FEAST_CLASSES="3u")
        questions: dict[Message, Callable[[Link], Any]] = {
            messages.SIGNALS_REPLY: Link.signals,
            messages.SCORES_REPLY: Link.scores,
            messages.STATE: lambda link: link.read_state(0, 4),
        }
        for message, ask in questions.items():
            with pytest.raises(FeastError, match=f"{message.name} brings .* its firmware is broken"):
                ask(link_to(device, tailed(message, change)))

    def test_counters(self, device: FakeDevice) -> None:
        link = link_to(device)
        link.run(toy_events(700))
        counters = link.counters()
        assert counters["ticks_total"] == 100 * sum(range(100, 107))
        assert (counters["ticks_max"], counters["stack_used"], counters["bad_crc"]) == (106, 123, 0)
        assert counters["frames"] > 3

    def test_state_words_of_one_moment(self, device: FakeDevice) -> None:
        link = link_to(device, losing(2, 0.2))
        for chunk in link.stream(toy_events(1000)):
            words = link.read_state(4, 8)
            assert int(words[0]) >= chunk.first + len(chunk)


class TestUpload:
    @pytest.mark.parametrize("rate", [0.0, 0.3])
    def test_goes_on_from_it(self, device: FakeDevice, rate: float) -> None:
        link = link_to(device, losing(3, rate))
        link.write_state(LEARNED)
        assert link.hello.state_id == messages.snapshot_digest(LEARNED)
        assert link.read_state().tolist() == LEARNED.tolist()
        summary = link.run(toy_events(10), learning=True, initialise=False)
        assert summary.state_id == messages.snapshot_digest([17, 0, 0, 0])

    def test_a_value_out_of_range_brings_the_models_own_back(self, device: FakeDevice) -> None:
        link = link_to(device)
        with pytest.raises(FeastError, match=r"did not accept the learned state: .* its model's own"):
            link.write_state(TOO_LARGE)
        assert link.read_state().tolist() == [0, 0, 0, 0]

    def test_another_size(self, device: FakeDevice) -> None:
        with pytest.raises(FeastError, match="a learned state of 5 words for a device that holds 4"):
            link_to(device).write_state(np.zeros(5, np.uint16))

    def test_a_frozen_build(self, build: Callable[..., FakeDevice]) -> None:
        link = link_to(build(FEAST_LEARNING="0"))
        with pytest.raises(FeastError, match="built without learning"):
            link.write_state(LEARNED)

    def test_half_an_upload_meets_no_event(self, device: FakeDevice) -> None:
        """Neither in a run that was under way nor in a new one; only the model's own state ends it."""
        device.boot()
        sender, receiver = Sender(), Receiver()

        def ask(message: Message, tail: bytes = b"", run: int = 0, **fields: int) -> dict[str, Any]:
            frame = sender.encode(message, tail, run=run, received=0, **fields)
            return receiver.feed(device.exchange(frame))[0].fields

        ask(messages.HELLO, nonce=1, version=messages.VERSION)
        ask(messages.START, run=1, flags=0)
        ask(messages.WRITE_STATE, b"\1\0", first=0)
        assert ask(messages.HELLO, nonce=2, version=messages.VERSION)["flags"] & messages.FLAG_UPLOADING.value
        upload = messages.ERROR_UPLOAD.value
        assert ask(messages.EVENTS, b"\0\1\1", run=1, first=0, base_us=0)["code"] == upload
        assert ask(messages.PERSIST)["code"] == upload
        assert ask(messages.START, run=2, flags=0)["code"] == upload
        assert ask(messages.APPLY_STATE, state_id=5)["code"] == messages.ERROR_STATE.value
        assert ask(messages.START, run=2, flags=0)["code"] == upload
        assert "code" not in ask(messages.START, run=2, flags=messages.START_INITIALISE.value)
        assert ask(messages.EVENTS, b"\0\1\1", run=2, first=0, base_us=0)["first"] == 0

    @pytest.mark.parametrize(
        ("message", "tail", "fields"),
        [
            (messages.READ_STATE, b"", {"first": 0, "count": 13}),
            (messages.READ_STATE, b"", {"first": 2**32 - 1, "count": 2}),
            (messages.WRITE_STATE, b"\0\0", {"first": 4}),
            (messages.WRITE_STATE, b"\0", {"first": 0}),
        ],
    )
    def test_words_that_there_are_not(
        self, device: FakeDevice, message: Message, tail: bytes, fields: dict[str, int]
    ) -> None:
        device.boot()
        sender, receiver = Sender(), Receiver()
        hello = sender.encode(messages.HELLO, run=0, received=0, nonce=1, version=messages.VERSION)
        receiver.feed(device.exchange(hello))
        frame = sender.encode(message, tail, run=0, received=0, **fields)
        (error,) = receiver.feed(device.exchange(frame))
        assert error.fields["code"] == messages.ERROR_MALFORMED.value

    def test_a_device_that_has_restarted_says_so(self, device: FakeDevice) -> None:
        link = link_to(device)
        device.boot()
        with pytest.raises(FeastError, match="device has restarted"):
            link.signals()

    def test_silence_ends(self, device: FakeDevice) -> None:
        port: Any = FakePort(device, lambda data: b"")
        hello = link_to(device).hello
        questions = Questions(port, Sender(), Receiver(), replace(SOON, progress_s=1.0), hello)
        with pytest.raises(FeastError, match="no answer to SIGNALS for 1 s"):
            questions.signals()


class TestKeeping:
    """Two slots, a checksum, and the power cut at every operation, half-way through it."""

    def learn(self, link: Link, count: int) -> None:
        link.write_state(np.array([count, 0, 0, 0], np.uint16))

    def learned(self, device: FakeDevice) -> int:
        return int(link_to(device).read_state()[0])

    def test_survives_a_restart(self, keeping: FakeDevice) -> None:
        keeping.lib.fake_persist_power(0, 0)
        link = link_to(keeping)
        assert link.hello.can_persist
        for count in (3, 4, 5):
            self.learn(link, count)
            kept = link.persist_state()
            keeping.boot()
            link = link_to(keeping)
            assert self.learned(keeping) == count
        assert kept >= 3

    def test_what_is_kept_already_is_not_written_again(self, keeping: FakeDevice) -> None:
        """A host that asks again because the first answer took long costs no wear."""
        keeping.lib.fake_persist_power(0, 0)
        self.learn(link_to(keeping), 55)
        kept = link_to(keeping).persist_state()
        keeping.lib.fake_persist_power(0, 0)
        assert link_to(keeping).persist_state() == kept
        assert keeping.lib.fake_persist_operations() == 0
        self.learn(link_to(keeping), 56)
        assert link_to(keeping).persist_state() == kept + 1

    def test_a_memory_that_does_not_take_it(self, keeping: FakeDevice) -> None:
        keeping.lib.fake_persist_power(0, 0)
        self.learn(link_to(keeping), 70)
        link_to(keeping).persist_state()
        self.learn(link_to(keeping), 71)
        keeping.lib.fake_persist_power(1, 0)
        with pytest.raises(FeastError, match="did not take the state: what was kept before is still there"):
            link_to(keeping).persist_state()
        keeping.lib.fake_persist_power(0, 0)
        keeping.boot()
        assert self.learned(keeping) == 70

    @pytest.mark.parametrize("defines", [{"LINK_PERSIST_BYTES": "32u"}, {"FEAST_LEARNING": "0"}])
    def test_a_state_that_a_slot_does_not_hold(
        self, build: Callable[..., FakeDevice], defines: dict[str, str]
    ) -> None:
        """The build goes through, and says that it keeps nothing."""
        link = link_to(build(**{"LINK_PERSIST_BYTES": "1024u", **defines}))
        assert not link.hello.can_persist
        with pytest.raises(FeastError, match="has no memory to keep a state"):
            link.persist_state()

    def test_the_power_fails_at_every_operation(self, keeping: FakeDevice) -> None:
        keeping.lib.fake_persist_power(0, 0)
        self.learn(link_to(keeping), 100)
        link_to(keeping).persist_state()
        whole = keeping.lib.fake_persist_operations()
        assert whole > 3
        old, cuts = 100, 0
        for seed in range(20):
            for at in range(1, whole + 2):
                keeping.lib.fake_persist_power(0, 0)
                new = old % 1000 + 1
                self.learn(link := link_to(keeping), new)
                keeping.lib.fake_persist_power(at, seed)
                try:
                    link.persist_state()
                    kept = True
                except FeastError:
                    kept = False
                    cuts += 1
                keeping.boot()
                keeping.lib.fake_persist_power(0, 0)
                found = self.learned(keeping)
                assert found == new if kept else found in (old, new)
                assert kept == (at > whole)
                old = found
        assert cuts == 20 * whole

    def test_a_flipped_bit_costs_one_slot(self, keeping: FakeDevice) -> None:
        keeping.lib.fake_persist_power(0, 0)
        memory = keeping.ffi.buffer(keeping.lib.fake_persist_memory(), keeping.lib.fake_persist_bytes())
        for count in (1, 2):
            self.learn(link_to(keeping), count)
            link_to(keeping).persist_state()
        intact = bytes(memory)
        for i in range(len(intact)):
            memory[:] = intact
            memory[i] = bytes([intact[i] ^ 1])
            keeping.boot()
            assert self.learned(keeping) in (1, 2)
        memory[:] = b"\xff" * len(intact)
        keeping.boot()
        assert self.learned(keeping) == 0

    def test_another_build_starts_afresh(self, keeping: FakeDevice) -> None:
        keeping.lib.fake_persist_power(0, 0)
        memory = keeping.ffi.buffer(keeping.lib.fake_persist_memory(), keeping.lib.fake_persist_bytes())
        self.learn(link_to(keeping), 9)
        link_to(keeping).persist_state()
        half = len(memory) // 2
        for slot in (0, half):
            memory[slot + 4] = b"\x77"
        keeping.boot()
        assert self.learned(keeping) == 0
        memory[:] = b"\xff" * len(memory)

    def test_a_device_without_memory(self, device: FakeDevice) -> None:
        with pytest.raises(FeastError, match="has no memory to keep a state"):
            link_to(device).persist_state()


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=8, radius=3)


@contextmanager
def real(folder: Path, model: Model) -> Iterator[Link]:
    program = link_device.build_real_process(folder, model)
    with link_device.listening(program) as url, open_link(url) as link:
        yield link


class TestModels:
    """The emitted library behind the link: what it learned becomes a model, and the other way round."""

    def test_learned_on_the_device_into_a_model_file(self, tmp_path: Path, model: Model) -> None:
        events = make_events(4000)
        twin = Twin(quantise(model)[0], Options(learning=True))
        expected = twin.step(events)
        with real(tmp_path, model) as link:
            result = link.run(events, learning=True)
            words = link.read_state()
            signals = link.signals()
        assert (result.results == expected).all()
        assert (words == twin.learned()).all()
        assert messages.snapshot_digest(words) == result.state_id
        assert (signals.wins == twin.wins).all()
        assert (signals.thresholds_q30 == twin.thresholds).all()
        learned = from_words(words, model)
        save_model(learned, tmp_path / "learned.npz")
        again = load_model(tmp_path / "learned.npz")
        assert (to_words(again)[:-2] == words[:-2]).all(), "weights and thresholds, exactly"
        assert again.training.arithmetic == "fixed"

    def test_scores_are_those_of_the_twin(self, tmp_path: Path, model: Model) -> None:
        model, events = with_readout(model, grid=5, classes=11), make_events(3000)
        twin = Twin(quantise(model)[0], Options(learning=True))
        with real(tmp_path, model) as link:
            for chunk in link.stream(events, learning=True):
                found = link.scores()
                twin.step(events[chunk.first : chunk.first + len(chunk)])
                if found.event == chunk.first + len(chunk):
                    assert (found.label, found.scores.tolist()) == (twin.label, twin.scores.tolist())
            assert link.scores().scores.tolist() == twin.scores.tolist()
            assert link.summary is not None
            assert link.summary.label == twin.label

    def test_another_model_into_a_running_device(self, tmp_path: Path, model: Model) -> None:
        other, events = make_model(seed=5, features=8, radius=3), make_events(4000)
        twin = Twin(quantise(other)[0], Options(learning=True))
        with real(tmp_path, model) as link:
            link.run(events[:500], learning=True)
            check_same_geometry(other, link.hello, model)
            link.write_state(to_words(other))
            assert link.hello.state_id == twin.state_id
            result = link.run(events, learning=True, initialise=False)
            assert (result.results == twin.step(events)).all()
            assert result.state_id == twin.state_id

    def test_a_model_of_another_geometry(self, tmp_path: Path, model: Model) -> None:
        with real(tmp_path, model) as link:
            with pytest.raises(FeastError, match=r"the model has 9 features of 7x7 .* the device 8 of 7x7"):
                check_same_geometry(make_model(features=9, radius=3), link.hello)
            skipping = make_model(features=8, radius=3, border="skip")
            with pytest.raises(FeastError, match="has border skip, the device zero"):
                check_same_geometry(skipping, link.hello, model)
            with pytest.raises(FeastError, match="the learned state has 10 words"):
                from_words(np.zeros(10, np.uint16), model)
            broken: Words = to_words(model).copy()
            broken[:] = 0
            with pytest.raises(FeastError, match="did not accept"):
                link.write_state(broken)
            assert link.hello.uploading is False
