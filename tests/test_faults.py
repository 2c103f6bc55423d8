"""Whatever happens on the line: the exact digest or a clear report, never a hang, never a wrong result."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from codegen import wire
from codegen.boards import get_board
from codegen.errors import FeastError
from codegen.model import Model, Sensor
from codegen.options import Options
from codegen.quantise import quantise
from codegen.records import Events, Results
from codegen.twin import Twin
from host.events import EventStream
from host.exchange import Patience
from host.firmware_project import PROJECT
from host.learned import words_of
from host.link import Link, open_link
from host.port import LinkError
from host.results import batches_of
from host.streaming import Finished, Recorded, Streamer
from tests import link_device
from tests.fault_proxy import Faults, Line, faulty, process_device, remote_device
from tests.networks import make_events, make_model

SOON = Patience(answer_s=0.05, max_answer_s=0.2, progress_s=1.5)
SENSOR = Sensor(34, 34)
LIMIT_S = 30.0
"""No scenario may take longer, however it ends."""


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(neurons=8, radius=2)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    return link_device.build_real_process(tmp_path_factory.mktemp("device"), model)


def recordings(seed: int, sizes: list[int]) -> list[Events]:
    return [make_events(size, SENSOR, seed + i) for i, size in enumerate(sizes)]


def expected(model: Model, streams: list[Events], learning: bool) -> tuple[list[Results], int]:
    twin = Twin(quantise(model)[0], Options(learning=True))
    twin.set_learning(learning)
    results = []
    for events in streams:
        twin.reset()
        results.append(twin.step(events))
    return results, wire.snapshot_digest(twin.learned())


def stream_all(streamer: Streamer, streams: list[Events]) -> tuple[list[Results], int]:
    results: list[list[Results]] = [[] for _ in streams]
    state_id = 0
    feeds = (Recorded(EventStream(events, SENSOR, f"r{i}", None)) for i, events in enumerate(streams))
    for piece in streamer.stream(feeds):
        if isinstance(piece, Finished):
            state_id = piece.summary.state_id
            digest = wire.result_digest(np.concatenate(results[piece.recording]))
            assert digest == piece.summary.result_digest
        else:
            assert piece.stretch.first == sum(map(len, results[piece.recording]))
            assert (
                piece.stretch.events == streams[piece.recording][piece.stretch.first :][: len(piece.stretch)]
            ).all()
            results[piece.recording].append(piece.stretch.results)
    return [np.concatenate(parts) for parts in results], state_id


def scenario(program: Path, model: Model, seed: int) -> str:
    """One random evening with a bad cable. Returns how it ended; fails if it ended wrongly."""
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
            return open_link(proxy.url, patience=SOON, connect_s=3.0)

        try:
            if killed:  # a host that dies in the middle of its run
                with connect() as link:
                    next(link.stream(streams[0], learning=learning), None)
            streamer = Streamer(connect, learning=learning, initialise=True, reconnect_s=3.0)
            try:
                results, state_id = stream_all(streamer, streams)
            finally:
                streamer.close()
        except FeastError as error:
            assert str(error)
            outcome = "reported"
        else:
            wanted, wanted_state = expected(model, streams, learning)
            for got, want in zip(results, wanted, strict=True):
                assert (got == want).all(), f"seed {seed}: a wrong result was taken for right"
            assert state_id == wanted_state, f"seed {seed}: the state differs"
            outcome = "resumed" if streamer.resumed else "exact"
    assert time.monotonic() - began < LIMIT_S, f"seed {seed}: took too long"
    return outcome


@pytest.mark.parametrize("block", range(3))
def test_random_faults(program: Path, model: Model, block: int) -> None:
    outcomes = [scenario(program, model, 8 * block + i) for i in range(8)]
    assert outcomes.count("reported") <= 2, outcomes


@pytest.mark.prove
@pytest.mark.parametrize("block", range(50))
def test_a_thousand_random_faults(program: Path, model: Model, block: int) -> None:
    outcomes = [scenario(program, model, 1000 + 20 * block + i) for i in range(20)]
    assert outcomes.count("reported") <= 5, outcomes


def run_with(program: Path, faults: Faults, use: Callable[[Streamer], None], **options: bool) -> Streamer:
    with faulty(process_device(program), faults) as proxy:
        streamer = Streamer(
            lambda: open_link(proxy.url, patience=SOON, connect_s=3.0), reconnect_s=3.0, **options
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

    def test_goes_on_from_a_state_the_device_had_learned(self, program: Path, model: Model) -> None:
        """It would be lost with the device's RAM."""
        first, second = recordings(9, [1000, 2000])
        wanted, wanted_state = expected(model, [first, second], True)
        with faulty(process_device(program), Faults(plan=[(16_000, "reset")])) as proxy:

            def connect() -> Link:
                return open_link(proxy.url, patience=SOON, connect_s=3.0)

            with connect() as link:
                link.run(first, learning=True)
            streamer = Streamer(connect, learning=True, reconnect_s=3.0)
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
    other = words_of(make_model(seed=4, neurons=8, radius=2))
    with (
        faulty(process_device(program), Faults(seed=3, frame_rate=0.15)) as proxy,
        open_link(proxy.url, patience=Patience(0.05, 0.2, 5.0), connect_s=5.0) as link,
    ):
        for words in (words_of(model), other) * 4:
            link.write_state(words)
            assert (link.read_state() == words).all()
            assert link.signals().thresholds_q30.tolist() == [2**29] * 8
            assert len(link.read_state(0, link.hello.snapshot_words)) == link.hello.snapshot_words


def damaged_run(events: Events, url: str) -> tuple[Results, dict[str, int]]:
    with open_link(url, connect_s=10.0) as link:
        result = link.run(events)
    return result.results, dict(result.counters)


def test_every_hundredth_frame_damaged(program: Path, model: Model) -> None:
    check_damaged(program, model, 100_000)


@pytest.mark.prove
def test_a_million_events_with_every_hundredth_frame_damaged(program: Path, model: Model) -> None:
    check_damaged(program, model, 1_000_000)


def check_damaged(program: Path, model: Model, count: int) -> None:
    events = make_events(count)
    with faulty(process_device(program), Faults(seed=1, frame_rate=0.01)) as proxy:
        results, counters = damaged_run(events, proxy.url)
    twin = Twin(quantise(model)[0], Options(learning=True))
    twin.set_learning(False)
    assert (results == twin.step(events)).all()
    for side in ("device", "host"):
        assert counters[f"{side}_bad_crc"] + counters[f"{side}_bad_frame"] > count / 20_000


def test_the_proxy_damages_what_it_says() -> None:
    """Planted: without faults nothing changes, with them one frame in ten does."""
    data = b"\0".join([b"abcdefgh"] * 1000) + b"\0"
    assert Line(Faults(), random.Random(0)).spoil(data) == data
    spoiled = Line(Faults(frame_rate=0.1), random.Random(0)).spoil(data).split(b"\0")
    assert 70 < sum(piece not in (b"abcdefgh", b"") for piece in spoiled) < 130
    assert len(Line(Faults(byte_rate=0.01), random.Random(0)).spoil(data)) != len(data)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
class TestConstantMemory:
    def check(self, folder: Path, model: Model, total: int, growth_bytes: int) -> None:
        program = link_device.build_real_process(folder, model, **link_device.LARGE_BUFFERS)
        piece = make_events(50_000)
        span = int(piece["t_us"][-1]) + 1

        def batches() -> Iterator[Events]:
            for i in range(total // len(piece)):
                events = piece.copy()
                events["t_us"] += np.uint64(i * span)
                yield events

        digest = count = after_warmup = 0
        with link_device.listening(program) as url, open_link(url) as link:
            for stretch in link.stream(batches()):
                count += len(stretch)
                digest = wire.result_digest(stretch.results, digest)
                if not after_warmup and count > total // 10:
                    after_warmup = resident_bytes()
            assert link.summary is not None
            assert (link.summary.events, link.summary.result_digest) == (total, digest)
        assert resident_bytes() - after_warmup < growth_bytes

    def test_a_stream(self, tmp_path: Path, model: Model) -> None:
        self.check(tmp_path, model, 500_000, 8 << 20)

    @pytest.mark.prove
    def test_an_hour_in_one_stream(self, tmp_path: Path, model: Model) -> None:
        self.check(tmp_path, model, 10_000_000, 8 << 20)


@pytest.mark.firmware
@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None,
    reason="arm-none-eabi-gcc and qemu-system-arm are not on PATH",
)
def test_an_emulated_board_behind_a_bad_line(tmp_path: Path) -> None:
    """20,000 events, learning: damaged frames, foreign bytes, stalls, a host that dies, a cut line."""
    from host.build import build
    from host.device import emit_for_board
    from host.emulator import emulate

    model, board = make_model(neurons=8, radius=2), get_board("mps2_an386")
    project = tmp_path / "firmware"
    shutil.copytree(
        link_device.ROOT / PROJECT, project, ignore=shutil.ignore_patterns(".pio", "lib"), symlinks=True
    )
    emit_for_board(model, board, Options(learning=True), project)
    streams = recordings(3, [10_000, 10_000])
    faults = Faults(seed=2, frame_rate=0.01, garbage=True, plan=[(20_000, "stall"), (40_000, "cut")])
    with (
        emulate(board, build(board, project).elf) as emulator,
        faulty(remote_device(emulator.url), faults) as proxy,
    ):

        def connect() -> Link:
            return open_link(proxy.url, connect_s=10.0)

        with connect() as link:
            next(link.stream(streams[0], learning=True))
        streamer = Streamer(connect, learning=True, initialise=True)
        results, state_id = stream_all(streamer, streams)
        streamer.close()
    wanted, wanted_state = expected(model, streams, True)
    assert all((a == b).all() for a, b in zip(results, wanted, strict=True))
    assert state_id == wanted_state
    assert proxy.done["cut"] == proxy.done["stall"] == 1
    assert streamer.totals["device_bad_crc"] > 0
