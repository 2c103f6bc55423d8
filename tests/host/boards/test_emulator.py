"""The ports on emulated boards: bytes, instruction counts, stack gauge, faults; and QEMU's process itself."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import Board, get_board, load_boards
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.emulator import emulate, icount_shift, instructions
from tests.support.firmware_project import make_probe_project, needs_compiler, needs_emulator
from tests.support.waiting import LIMIT_S, is_alive, wait_until

pytestmark = [pytest.mark.firmware, needs_compiler, needs_emulator]

EMULATED = [name for name, board in load_boards().items() if board.qemu]
READY = b"REDY"
INFO = (
    "tick_hz",
    "clock_hz",
    "clock_fallback",
    "rx_capacity",
    "stack_used",
    "stack_bytes",
    "rx_overruns",
    "tx_dropped",
    "fault_kind",
    "fault_where",
    "fault_status",
)
ECHO_WINDOW = 256


class Probe:
    """Talks to port_probe/main.c. Its commands: e(count) echo, i() info, m(rounds) measure a loop
    of two instructions, r(rounds, count) the same while receiving, q(rounds) loop without reading,
    w(times) sleep, s(bytes) use stack, a() fail an assertion, u() execute an undefined instruction.
    """

    def __init__(self, url: str) -> None:
        self.port: Any = serial.serial_for_url(url, timeout=LIMIT_S)
        assert self.port.read(4) == READY

    def send(self, command: str, *arguments: int) -> None:
        self.port.write(command.encode() + struct.pack(f"<{len(arguments)}I", *arguments))

    def ask(self, command: str, *arguments: int) -> int:
        self.send(command, *arguments)
        return int(struct.unpack("<I", self.port.read(4))[0])

    def info(self) -> dict[str, int]:
        self.send("i")
        words = struct.unpack(f"<{len(INFO)}I", self.port.read(4 * len(INFO)))
        return dict(zip(INFO, words, strict=True))

    def echo(self, data: bytes) -> bytes:
        self.send("e", len(data))
        back = bytearray()
        sent = 0
        while len(back) < len(data):
            step = min(ECHO_WINDOW - (sent - len(back)), len(data) - sent)
            self.port.write(data[sent : sent + step])
            sent += step
            piece = self.port.read(max(1, min(self.port.in_waiting, ECHO_WINDOW)))
            if not piece:
                break
            back += piece
        return bytes(back)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_probe_project(tmp_path_factory.mktemp("probe") / "firmware")


@contextmanager
def probe(board: Board, project: Path) -> Iterator[Probe]:
    with emulate(board, build(board, project).elf) as emulator:
        yield Probe(emulator.url)


@pytest.mark.parametrize("name", EMULATED)
def test_every_board_echoes_counts_instructions_and_survives_faults(name: str, project: Path) -> None:
    board = get_board(name)
    assert board.qemu
    with probe(board, project) as device:
        data = bytes(i * 7 % 251 for i in range(4000))
        assert device.echo(data) == data

        # A loop of two instructions, exactly, for any rates of clock and tick.
        empty = device.ask("m", 1)
        for rounds in (2, 10, 1000, 100_001, 500_000):
            ticks = device.ask("m", rounds) - empty
            exact = instructions(ticks, board.qemu.tick_hz)
            assert round(exact) == 2 * (rounds - 1), rounds
            assert abs(exact - 2 * (rounds - 1)) <= 0.25

        info = device.info()
        assert info["clock_hz"] == (board.clock.reset_hz if info["clock_fallback"] else board.clock.hz)
        assert info["tick_hz"] == info["clock_hz"]
        assert info["rx_capacity"] == board.rx_ring_bytes
        assert info["stack_bytes"] == board.stack_bytes
        assert info["rx_overruns"] == info["tx_dropped"] == info["fault_kind"] == 0

        shallow = info["stack_used"]
        assert 64 <= shallow <= 400
        device.ask("s", board.stack_bytes // 2)
        assert board.stack_bytes // 2 <= device.info()["stack_used"] < board.stack_bytes

        for command, arguments, kind in (("u", (), 1), ("a", (), 2), ("s", (4 * board.stack_bytes,), 1)):
            device.send(command, *arguments)
            assert device.port.read(4) == READY, f"no restart after {command}"
            again = device.info()
            assert again["fault_kind"] == kind
            assert again["stack_used"] <= shallow + 64
            assert device.info()["fault_kind"] == kind
        assert device.echo(b"still here") == b"still here"


@pytest.mark.parametrize("name", ["mps2_an386", "netduinoplus2"])
def test_bytes_beyond_the_ring_are_counted_and_the_stream_recovers(name: str, project: Path) -> None:
    board = get_board(name)
    with probe(board, project) as device:
        device.send("q", 30_000_000)
        device.port.write(bytes(2 * board.rx_ring_bytes))
        assert device.port.read(4) == bytes(4)
        junk = device.port.read(4 * board.rx_ring_bytes)  # each unknown command is answered
        assert len(junk) == 4 * board.rx_ring_bytes
        assert device.info()["rx_overruns"] == board.rx_ring_bytes
        assert device.echo(b"synchronised") == b"synchronised"


@pytest.mark.parametrize("name", ["netduinoplus2", "lm3s6965evb", "bbcmicrobit"])
def test_sleep_ends_by_itself_so_that_a_watchdog_is_fed(name: str, project: Path) -> None:
    board = get_board(name)
    with probe(board, project) as device:
        device.ask("w", 2)  # nothing is sent meanwhile: without a bound this would never answer
        empty = device.ask("m", 1)
        ticks = device.ask("m", 1000) - empty
        assert board.qemu
        assert round(instructions(ticks, board.qemu.tick_hz)) == 2 * 999, "SysTick goes on as before"
        assert device.echo(b"awake") == b"awake"


def test_a_reset_is_one_of_the_board_and_not_of_the_emulator(project: Path) -> None:
    board = get_board("mps2_an386")
    with emulate(board, build(board, project).elf) as emulator:
        device = Probe(emulator.url)
        deepest = device.ask("s", board.stack_bytes // 2) and device.info()["stack_used"]
        for _ in range(2):
            emulator.reset()
            assert device.port.read(4) == READY
            info = device.info()
            assert info["fault_kind"] == 0, "no fault: somebody pressed the button"
            assert info["stack_used"] < deepest
            assert device.echo(b"here again") == b"here again"
        os.kill(emulator.pid, signal.SIGKILL)
        with pytest.raises(FeastError, match="mps2_an386: the emulator does not reset it"):
            emulator.reset()


def test_receiving_meanwhile_does_not_change_the_count(project: Path) -> None:
    board = get_board("mps2_an386")
    assert board.qemu
    with probe(board, project) as device:
        rounds, count = 500_000, 1000
        quiet = device.ask("m", rounds)
        for _ in range(200):  # until QEMU has delivered bytes within the loop and not before it
            device.send("r", rounds, count)
            device.port.write(bytes(count))
            busy, received = struct.unpack("<2I", device.port.read(8))
            # Some 30 instructions an interrupt, of which the rounding of its two readings may remain.
            assert abs(instructions(busy - quiet, board.qemu.tick_hz)) <= 2 + 0.25 * received
            if received > 10:
                break
        else:
            pytest.fail("no bytes came in while the loop ran")


def test_the_emulator_is_gone_after_the_block_whatever_ends_it(project: Path) -> None:
    board = get_board("mps2_an386")
    elf = build(board, project).elf
    for error in (KeyboardInterrupt, RuntimeError):
        with pytest.raises(error), emulate(board, elf) as emulator:
            raise error
        assert not is_alive(emulator.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_host_leaves_no_emulator_behind(kind: signal.Signals, project: Path) -> None:
    elf = build(get_board("mps2_an386"), project).elf
    script = (
        "import signal, sys; from pathlib import Path\n"
        "from feast_codegen.codegen.boards.board import get_board\n"
        "from feast_codegen.host.boards.emulator import emulate\n"
        # A shell lets what it starts in the background ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with emulate(get_board('mps2_an386'), Path(sys.argv[1])) as e:\n"
        "    print(e.pid, flush=True); signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(elf)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as host:
        assert host.stdout
        pid = int(host.stdout.readline())
        assert is_alive(pid)
        host.send_signal(kind)
        host.wait(LIMIT_S)
    wait_until(lambda: not is_alive(pid), "the emulator ends with its host")


def test_failures_say_what_to_do(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = get_board("mps2_an386")
    with (
        pytest.raises(FeastError, match="no such firmware: run `codegen build --board mps2_an386`"),
        emulate(board, tmp_path / "none.elf"),
    ):
        pass
    garbage = tmp_path / "garbage.elf"
    garbage.write_bytes(b"\x7fELF, but no more")
    with pytest.raises(FeastError, match="the emulator stopped: "), emulate(board, garbage) as emulator:
        Probe(emulator.url)
    elf = build(board, project).elf
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FeastError, match="qemu-system-arm is not installed"), emulate(board, elf):
        pass


def test_an_instruction_takes_between_one_and_sixteen_ticks() -> None:
    for name in EMULATED:
        qemu = get_board(name).qemu
        assert qemu
        ticks = qemu.tick_hz * (1 << icount_shift(qemu.tick_hz)) / 1e9
        assert 4 <= ticks <= 16
