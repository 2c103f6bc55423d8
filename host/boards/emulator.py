"""Runs a board's firmware in QEMU, its UART reachable as a TCP port.

    with emulate(board, elf) as emulator, open_link(emulator.url) as link:
        ...

Time in the emulator is counted in instructions: each takes 2^shift ns, and SysTick counts that time,
so a difference of ticks is a number of instructions (`instructions`).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.processes import Program
from feast_codegen.codegen.boards.board import Board, Qemu
from feast_codegen.host.boards.qmp import ControlLine

QEMU: Final = "qemu-system-arm"
MAX_SHIFT: Final = 10
"""QEMU's own limit."""
MAX_TICKS_PER_INSTRUCTION: Final = 16
CONNECT_S: Final = 60.0
"""For the first answer of an emulated board, which is as busy as this machine. Its end is seen at once."""
_END_S: Final = 1.0
_STOP_S: Final = 2.0


def icount_shift(tick_hz: int) -> int:
    """QEMU's `-icount shift` for a machine that counts SysTick at `tick_hz`.

    The largest at which an instruction takes at most 16 ticks: more than one, so that single
    instructions are seen, and few, so that the 24-bit counter spans a million instructions.

    >>> icount_shift(25_000_000), icount_shift(168_000_000)
    (9, 6)
    """
    longest_ns = MAX_TICKS_PER_INSTRUCTION * 1_000_000_000 // tick_hz
    return min(MAX_SHIFT, longest_ns.bit_length() - 1)


def instructions(ticks: int, tick_hz: int) -> float:
    """Instructions that a difference of `ticks` spans, for a machine that counts SysTick at `tick_hz`.

    Both readings are rounded to whole ticks, so the result is within 1/8 of the true whole number.
    `tick_hz` is the machine's (``board.qemu.tick_hz``), not what the firmware believes: QEMU counts at
    the full clock even where it does not model the PLL.

    >>> round(instructions(12_800, 25_000_000), 3)
    1000.0
    """
    return ticks * 1e9 / (tick_hz << icount_shift(tick_hz))


class Emulator:
    """A running QEMU machine. Made by `emulate`."""

    def __init__(
        self,
        board: Board,
        process: Program,
        port: int,
        errors: IO[bytes],
        control: ControlLine,
    ) -> None:
        self.board = board
        self.url = f"socket://127.0.0.1:{port}"
        """pyserial URL of the board's UART. One client; the machine starts when it connects."""
        self._process, self._errors, self._control = process, errors, control

    @property
    def pid(self) -> int:
        """Process id of QEMU."""
        return self._process.pid

    def instructions(self, ticks: int) -> float:
        """Instructions in a difference of ticks that the board has reported."""
        return instructions(ticks, _machine(self.board).tick_hz)

    def reset(self) -> None:
        """Reset the board as its button does: memory keeps what it holds, except where the ELF is loaded.

        Its UART stays connected. Raises FeastError if QEMU does not do it, or waits for its first client.
        """
        try:
            self._control.reset()
        except OSError as error:
            raise FeastError(f"board {self.board.name}: the emulator does not reset it: {error}") from None

    def failure(self) -> str | None:
        """What QEMU said if it has stopped by itself, else None.

        Waits a moment: its connection is lost before its end is seen.
        """
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.returncode}"

    def stop(self) -> None:
        """End QEMU and wait until it is gone. May be called twice."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.end()
        self._errors.close()
        self._control.close()


@contextmanager
def emulate(board: Board, elf: Path) -> Iterator[Emulator]:
    """Run `elf` on the QEMU machine of `board` while the block runs.

    The port is bound before QEMU starts and handed over, so nobody else can take it, and a client may
    connect at once. QEMU ends with the block, however the block ends, and also if this process is
    killed. Raises FeastError if the board has no machine, QEMU is not installed, or it
    stopped by itself.
    """
    machine = _machine(board)
    program = shutil.which(QEMU)
    if program is None:
        raise FeastError(f"{QEMU} is not installed: install the package qemu-system-arm (macOS: qemu)")
    if not elf.is_file():
        raise FeastError(f"{elf}: no such firmware: run `codegen build --board {board.name}` first")
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener, tempfile.TemporaryFile() as errors:
        # The connection inherits this; QEMU refuses its own `nodelay` for a socket it was handed.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = listener.getsockname()[1]
        control, theirs = socket.socketpair()
        command = [program, *_arguments(machine, elf, listener.fileno(), theirs.fileno())]
        process = _start(command, (listener.fileno(), theirs.fileno()), errors)
        emulator = Emulator(board, process, port, errors, ControlLine(control))
        listener.close()
        theirs.close()
        try:
            yield emulator
        except Exception as error:
            if reason := emulator.failure():
                raise FeastError(f"board {board.name}: the emulator stopped: {reason}") from error
            raise
        finally:
            emulator.stop()


def _machine(board: Board) -> Qemu:
    if board.qemu is None:
        raise FeastError(f"board {board.name}: no QEMU machine equals it: run it on the hardware")
    return board.qemu


def _arguments(machine: Qemu, elf: Path, listener: int, control: int) -> list[str]:
    return [
        *("-machine", machine.machine),
        *("-display", "none", "-monitor", "none", "-nodefaults"),
        *("-chardev", f"socket,id=control,fd={control}", "-mon", "chardev=control,mode=control"),
        *("-icount", f"shift={icount_shift(machine.tick_hz)}"),
        *("-chardev", f"socket,id=uart,fd={listener},server=on,wait=on"),
        *("-serial", "chardev:uart"),
        *("-kernel", str(elf)),
    ]


def _start(command: list[str], lines: tuple[int, ...], errors: IO[bytes]) -> Program:
    with _on_one_cpu():
        return Program(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=lines,
        )


@contextmanager
def _on_one_cpu() -> Iterator[None]:
    """Processes started in the block stay on one CPU.

    QEMU hands every received byte from its I/O thread to its CPU thread. Between two CPUs that takes
    four times as long as on one.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    cpus = sorted(allowed)
    with suppress(OSError):
        os.sched_setaffinity(0, {cpus[os.getpid() % len(cpus)]})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)
