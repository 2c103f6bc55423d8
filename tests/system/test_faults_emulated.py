"""The same faults between a host and an emulated board: the whole firmware, short runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import Board, get_board
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.emulator import emulate
from feast_codegen.host.boards.firmware_project import prepare_project
from feast_codegen.host.boards.run import emit_for_board
from feast_codegen.host.link.link import Link, open_link
from feast_codegen.host.link.run_protocol import Timeouts
from feast_codegen.host.link.serial_port import LinkError
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.streaming.streamer import Recorded, Streamer
from tests.support.fault_proxy import Faults, Proxy, faulty, remote_device
from tests.support.firmware_project import needs_compiler, needs_emulator
from tests.support.networks import make_events, make_model
from tests.support.streams import DAMAGE, PATIENT_S, SENSOR, expected, recordings, stream_all
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.firmware, needs_compiler, needs_emulator]

PATIENT = Timeouts(progress_s=PATIENT_S)
"""A starved emulator that gives no answer for long is no fault: no connection may be given up for it."""


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=8, radius=2)


@pytest.fixture(scope="module")
def board() -> Board:
    return get_board("mps2_an386")


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory, model: Model, board: Board) -> Path:
    project = tmp_path_factory.mktemp("board") / "firmware"
    prepare_project(project)
    emit_for_board(model, board, Options(learning=True), project)
    return build(board, project).elf


@contextmanager
def behind(board: Board, elf: Path, faults: Faults) -> Iterator[Proxy]:
    with (
        emulate(board, elf) as emulator,
        faulty(remote_device(emulator.url, emulator.reset), faults) as proxy,
    ):
        yield proxy


def run_20000(proxy: Proxy, model: Model) -> Streamer:
    """20,000 events, learning, in two recordings: exact results and state. Returns the streamer, closed."""

    def connect() -> Link:
        return open_link(proxy.url, timeouts=PATIENT, connect_s=PATIENT_S)

    streams = recordings(3, [10_000, 10_000])
    streamer = Streamer(connect, learning=True, initialise=True, standstill_s=PATIENT_S)
    try:
        results, state_id = stream_all(streamer, streams)
    finally:
        streamer.close()
    wanted, wanted_state = expected(model, streams, True)
    assert all((a == b).all() for a, b in zip(results, wanted, strict=True))
    assert state_id == wanted_state
    return streamer


def test_damaged_frames_foreign_bytes_a_stall_and_a_cut(board: Board, elf: Path, model: Model) -> None:
    faults = Faults(seed=2, frame_rate=0.02, garbage=True, plan=[(20_000, "stall"), (40_000, "cut")])
    with behind(board, elf, faults) as proxy:
        streamer = run_20000(proxy, model)
    assert proxy.done["cut"] == proxy.done["stall"] == streamer.resumed == 1
    assert proxy.done["garbage"] == 2, "before and during HELLO, also of the second connection"
    # Of the two runs that ended: 10,000 events each in frames of 64 at most, of which one in 50 is damaged.
    for side in ("device", "host"):
        assert sum(streamer.totals[f"{side}_{name}"] for name in DAMAGE) >= 2 * 2


def test_flipped_dropped_doubled_and_foreign_bytes(board: Board, elf: Path, model: Model) -> None:
    with behind(board, elf, Faults(seed=5, byte_rate=2e-4)) as proxy:
        streamer = run_20000(proxy, model)
    assert streamer.resumed == 0
    assert proxy.up.changed_bytes > 10 and proxy.down.changed_bytes > 4
    assert sum(streamer.totals[f"device_{name}"] for name in DAMAGE) > 0


def test_a_board_that_is_reset_in_each_recording(board: Board, elf: Path, model: Model) -> None:
    with behind(board, elf, Faults(plan=[(20_000, "reset"), (100_000, "reset")])) as proxy:
        streamer = run_20000(proxy, model)
    assert proxy.done["reset"] == streamer.resumed == 2


def test_a_host_that_is_killed(board: Board, elf: Path, model: Model) -> None:
    """By SIGKILL, in the middle of its run; the next one is served as if nothing had been."""
    command = [
        sys.executable,
        "-m",
        "feast_codegen",
        "stream",
        "sim:digits?count=100",
        "--learning",
        "--port",
    ]
    with behind(board, elf, Faults()) as proxy:
        with subprocess.Popen([*command, proxy.url], stderr=subprocess.PIPE) as first:
            wait_until(lambda: first.poll() is not None or proxy.done["up"] >= 20_000, "it is under way")
            first.kill()
        assert first.returncode == -signal.SIGKILL
        assert run_20000(proxy, model).resumed == 0


def test_a_live_source_says_what_was_lost(board: Board, elf: Path) -> None:
    class Camera(Recorded):
        replayable = False  # type: ignore[assignment]

    feed = Camera(EventStream(make_events(20_000), SENSOR, "camera", None))
    with behind(board, elf, Faults(plan=[(50_000, "reset")])) as proxy:
        streamer = Streamer(
            lambda: open_link(proxy.url, timeouts=PATIENT, connect_s=PATIENT_S), initialise=True
        )
        with pytest.raises(LinkError, match=r"camera is live .*: events after the first \d+ have no result"):
            list(streamer.stream([feed]))
        streamer.close()
