"""For every fault on the line: the exact digest or a clear report, never a hang, never a wrong result."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.link.link import Link, open_link
from feast_codegen.host.link.requests import Words
from feast_codegen.host.link.run_protocol import Timeouts
from feast_codegen.host.link.run_results import batches_of
from feast_codegen.host.link.serial_port import LinkError
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.streaming.learned_state import to_words
from feast_codegen.host.streaming.streamer import Recorded, Streamer
from tests.support import link_device
from tests.support.fault_proxy import Faults, Line, faulty, process_device
from tests.support.networks import make_events, make_model
from tests.support.streams import DAMAGE, PATIENT_S, SENSOR, expected, recordings, stream_all

SOON = Timeouts(answer_s=0.05, max_answer_s=0.2, progress_s=PATIENT_S)
LIMIT_S = 240.0
"""No scenario may take longer, however it ends: two dozen waits of PATIENT_S are a hang."""


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=8, radius=2)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    return link_device.build_real_process(tmp_path_factory.mktemp("device"), model)


def begin(connect: Callable[[], Link], learning: bool) -> Streamer:
    """As a user who tries again where the first HELLO was cut off, three times at most."""
    for left in range(3, -1, -1):
        try:
            return Streamer(connect, learning=learning, initialise=True, standstill_s=PATIENT_S)
        except LinkError:
            if left == 0:
                raise
    raise AssertionError("the last attempt returns or raises")


def scenario(program: Path, model: Model, seed: int) -> int:
    """One random evening with a bad cable; fails unless it ends exactly. Returns how often it was resumed."""
    rng = random.Random(seed)
    faults = Faults(
        seed=seed,
        frame_rate=rng.choice([0, 0, 0.01, 0.1]),
        byte_rate=rng.choice([0, 0, 1e-4, 1e-3]),
        garbage=rng.random() < 0.3,
        stall_s=rng.choice([0.05, 0.4, 1.0]),
    )
    streams = recordings(seed, [rng.randrange(1, 1200) for _ in range(rng.randrange(1, 4))])
    total = sum(map(len, streams)) * 5 + 400
    kinds = rng.choices(["cut", "reset", "stall"], k=rng.randrange(0, 4))
    faults.plan = sorted((rng.randrange(1, total), kind) for kind in kinds)
    learning, killed = rng.random() < 0.5, rng.random() < 0.2
    began = time.monotonic()
    with faulty(process_device(program), faults) as proxy:

        def connect() -> Link:
            return open_link(proxy.url, timeouts=SOON, connect_s=PATIENT_S)

        if killed:  # a host that dies in the middle of its run, perhaps because it was cut off
            with suppress(LinkError), connect() as link:
                next(link.stream(streams[0], learning=learning), None)
        streamer = begin(connect, learning)
        try:
            results, state_id = stream_all(streamer, streams)
        finally:
            streamer.close()
        wanted, wanted_state = expected(model, streams, learning)
        for got, want in zip(results, wanted, strict=True):
            assert (got == want).all(), f"seed {seed}: a wrong result was taken for right"
        assert state_id == wanted_state, f"seed {seed}: the state differs"
    assert time.monotonic() - began < LIMIT_S, f"seed {seed}: took too long"
    return streamer.resumed


@pytest.mark.parametrize("block", range(3))
def test_random_faults(program: Path, model: Model, block: int) -> None:
    """What can be replayed and breaks three times at most is always finished."""
    resumed = [scenario(program, model, 8 * block + i) for i in range(8)]
    assert max(resumed) <= 3, resumed


@pytest.mark.prove
@pytest.mark.parametrize("block", range(50))
def test_a_thousand_random_faults(program: Path, model: Model, block: int) -> None:
    resumed = [scenario(program, model, 1000 + 20 * block + i) for i in range(20)]
    assert max(resumed) <= 3, resumed


def run_with(program: Path, faults: Faults, use: Callable[[Streamer], None], **options: bool) -> Streamer:
    with faulty(process_device(program), faults) as proxy:
        streamer = Streamer(
            lambda: open_link(proxy.url, timeouts=SOON, connect_s=PATIENT_S),
            standstill_s=PATIENT_S,
            **options,
        )
        try:
            use(streamer)
        finally:
            streamer.close()
    return streamer


class TestResuming:
    @pytest.mark.parametrize("learning", [False, True])
    @pytest.mark.parametrize("kind", ["reset", "cut"])
    def test_replays_from_the_last_recording_boundary(
        self, program: Path, model: Model, kind: str, learning: bool
    ) -> None:
        streams = recordings(5, [1500, 1500, 1500])
        faults = Faults(plan=[(14_000, kind), (26_000, kind)])

        def use(streamer: Streamer) -> None:
            results, state_id = stream_all(streamer, streams)
            wanted, wanted_state = expected(model, streams, learning)
            assert all((a == b).all() for a, b in zip(results, wanted, strict=True))
            assert state_id == wanted_state

        assert run_with(program, faults, use, learning=learning, initialise=True).resumed == 2

    def test_a_break_at_a_boundary_goes_back_to_the_boundary_before(
        self, program: Path, model: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The recording is over, but not yet what it taught the device read: it counts as not begun."""
        streams = recordings(5, [400, 400])
        read, reads = Link.read_state, [0]

        def break_twice(link: Link) -> Words:
            reads[0] += 1
            if reads[0] in (1, 3):
                raise LinkError("cut")
            return read(link)

        monkeypatch.setattr(Link, "read_state", break_twice)

        def use(streamer: Streamer) -> None:
            results, state_id = stream_all(streamer, streams)
            wanted, wanted_state = expected(model, streams, True)
            assert all((a == b).all() for a, b in zip(results, wanted, strict=True))
            assert state_id == wanted_state

        assert run_with(program, Faults(), use, learning=True, initialise=True).resumed == 2

    def test_goes_on_from_a_state_the_device_had_learned(self, program: Path, model: Model) -> None:
        """It would be lost with the device's RAM."""
        first, second = recordings(9, [1000, 2000])
        wanted, wanted_state = expected(model, [first, second], True)
        with faulty(process_device(program), Faults(plan=[(16_000, "reset")])) as proxy:

            def connect() -> Link:
                return open_link(proxy.url, timeouts=SOON, connect_s=PATIENT_S)

            with connect() as link:
                link.run(first, learning=True)
            streamer = Streamer(connect, learning=True, standstill_s=PATIENT_S)
            (results,), state_id = stream_all(streamer, [second])
            streamer.close()
        assert streamer.resumed == 1
        assert (results == wanted[1]).all()
        assert state_id == wanted_state

    def test_a_live_source_says_what_was_lost(self, program: Path) -> None:
        class Camera(Recorded):
            replayable = False  # type: ignore[assignment]

        def use(streamer: Streamer) -> None:
            stream = EventStream(make_events(3000), SENSOR, "camera", None)
            with pytest.raises(
                LinkError, match=r"camera is live and cannot be replayed: events after the first \d+ have"
            ):
                list(streamer.stream([Camera(stream)]))

        run_with(program, Faults(plan=[(9_000, "reset")]), use, initialise=True)

    def test_gives_up_on_a_device_that_always_restarts(self, program: Path) -> None:
        def use(streamer: Streamer) -> None:
            with pytest.raises(LinkError, match=r"was begun \d+ times without getting past event"):
                stream_all(streamer, recordings(1, [3000]))

        plan = [(at, "reset") for at in range(2_000, 200_000, 2_000)]
        run_with(program, Faults(plan=plan), use, initialise=True)

    def test_a_replay_that_differs_is_not_taken_for_right(
        self, program: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def use(streamer: Streamer) -> None:
            first = True

            class Changing(Recorded):
                def batches(self) -> Iterator[Events]:
                    nonlocal first
                    events = self.stream.events.copy()
                    if not first:
                        events["x"][0] = 33 - events["x"][0]
                        events["x"][1:300] = 33
                    first = False
                    return batches_of(events)

            with pytest.raises(FeastError, match="results differ in the replay: do not trust them"):
                list(streamer.stream([Changing(EventStream(make_events(3000), SENSOR, "x", None))]))

        run_with(program, Faults(plan=[(12_000, "reset")]), use, initialise=True)


def test_state_of_many_frames_over_a_bad_line(program: Path, model: Model) -> None:
    """Every frame of an answer may be lost: what is put together is still the device's state."""
    other = to_words(make_model(seed=4, features=8, radius=2))
    with (
        faulty(process_device(program), Faults(seed=3, frame_rate=0.15)) as proxy,
        open_link(proxy.url, timeouts=SOON, connect_s=PATIENT_S) as link,
    ):
        for words in (to_words(model), other) * 2:
            link.write_state(words)
            assert (link.read_state() == words).all()
            assert link.signals().thresholds_q30.tolist() == [2**29] * 8
            assert len(link.read_state(0, link.hello.snapshot_words)) == link.hello.snapshot_words


def test_every_hundredth_frame_damaged(program: Path, model: Model) -> None:
    check_damaged(program, model, 100_000)


@pytest.mark.prove
def test_a_million_events_with_every_hundredth_frame_damaged(program: Path, model: Model) -> None:
    check_damaged(program, model, 1_000_000)


def check_damaged(program: Path, model: Model, count: int) -> None:
    """Exact results; and what the proxy has damaged is what the two sides have counted."""
    events = make_events(count)
    with (
        faulty(process_device(program), Faults(seed=1, frame_rate=0.01)) as proxy,
        open_link(proxy.url, connect_s=PATIENT_S) as link,
    ):
        result = link.run(events)
    twin = Twin(quantise(model)[0], Options(learning=True))
    twin.set_learning(False)
    assert (result.results == twin.step(events)).all()
    for side, line in (("device", proxy.up), ("host", proxy.down)):
        assert line.frames > count / 64, "the device keeps 128 results, half of them are a frame"
        assert line.damaged >= line.frames // 100
        counted = sum(result.counters[f"{side}_{name}"] for name in DAMAGE)
        assert line.damaged - 2 <= counted <= line.damaged, "all, but perhaps one at HELLO and one after DONE"


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_the_proxy_damages_what_it_says(cut: int) -> None:
    """Planted: without faults nothing changes, with them one frame in every ten, in pieces of any size."""
    data = b"\0" + b"\0".join([b"abcdefgh"] * 1000) + b"\0"

    def through(line: Line) -> bytes:
        return b"".join(line.spoil(data[i : i + cut]) for i in range(0, len(data), cut))

    assert through(Line(Faults(), "up")) == data
    line = Line(Faults(frame_rate=0.1), "up")
    frames = through(line).split(b"\0")[1:-1]
    assert (len(frames), line.frames, line.damaged) == (1000, 1000, 100)
    for i in range(0, 1000, 10):
        assert sum(frame != b"abcdefgh" for frame in frames[i : i + 10]) == 1
    assert through(Line(Faults(byte_rate=0.01), "up")) != data


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def traced_bytes() -> int:
    return tracemalloc.get_traced_memory()[0]


class TestConstantMemory:
    def growth(self, folder: Path, model: Model, total: int, used: Callable[[], int], mark: int) -> int:
        """Bytes in use after a stream of `total` events more than after `mark` of them."""
        program = link_device.build_real_process(folder, model, **link_device.LARGE_BUFFERS)
        piece = make_events(50_000)
        span = int(piece["t_us"][-1]) + 1

        def batches() -> Iterator[Events]:
            for i in range(total // len(piece)):
                events = piece.copy()
                events["t_us"] += np.uint64(i * span)
                yield events

        digest = count = 0
        readings: list[int] = []
        with link_device.listening(program) as url, open_link(url) as link:
            for chunk in link.stream(batches()):
                count += len(chunk)
                digest = messages.result_digest(chunk.results, digest)
                if count >= (mark, total - len(piece))[min(len(readings), 1)] and len(readings) < 2:
                    readings.append(used())  # both while a piece is on its way
            assert link.summary is not None
            assert (link.summary.events, link.summary.result_digest) == (total, digest)
        return readings[1] - readings[0]

    def test_a_stream(self, tmp_path: Path, model: Model) -> None:
        """Not even the results are kept, 2 bytes each: 700,000 between the readings."""
        tracemalloc.start()
        try:
            assert self.growth(tmp_path, model, 500_000, traced_bytes, 100_000) < 250_000
        finally:
            tracemalloc.stop()

    @pytest.mark.prove
    @pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
    def test_an_hour_in_one_stream(self, tmp_path: Path, model: Model) -> None:
        assert self.growth(tmp_path, model, 10_000_000, resident_bytes, 1_000_000) < 8 << 20
