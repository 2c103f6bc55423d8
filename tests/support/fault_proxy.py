"""A bad line between host and device, over real sockets and pseudo-terminals: seeded, and paced if wanted."""

from __future__ import annotations

import os
import random
import select
import socket
import subprocess
import threading
import time
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import LIMIT_S

_CHUNK = 65536
_TICK_S = 0.001


@dataclass
class Faults:
    """What goes wrong. Rates are per frame or byte; a plan is done when so many bytes have passed."""

    seed: int = 0
    frame_rate: float = 0.0
    """Frames of which a byte is changed: of every 1 / frame_rate frames each way exactly one, at random."""
    byte_rate: float = 0.0
    """Bytes that are flipped, dropped, doubled or preceded by a foreign one."""
    garbage: bool = False
    """Foreign bytes both ways whenever a host connects."""
    plan: list[tuple[int, str]] = field(default_factory=list)
    """(bytes, ``cut`` | ``reset`` | ``stall``), ascending."""
    stall_s: float = 0.3


class Line:
    """One direction: bytes in, bytes out, as bad as `faults` say.

    ``frames``: begun so far. ``damaged``: those of them of which `frame_rate` has changed a byte.
    ``changed_bytes``: what `byte_rate` has done.
    """

    def __init__(self, faults: Faults, way: str) -> None:
        self._faults = faults
        self._rng = random.Random(f"{faults.seed} {way}")  # of its own: the other way's pace changes nothing
        self._victim = 0
        self._in_frame = False
        self.frames = self.damaged = self.changed_bytes = 0

    def spoil(self, data: bytes) -> bytes:
        if self._faults.frame_rate:
            data = self._spoil_frames(data)
        if self._faults.byte_rate:
            data = self._spoil_bytes(data)
        return data

    def _spoil_frames(self, data: bytes) -> bytes:
        among = round(1 / self._faults.frame_rate)
        pieces = data.split(b"\0")
        for i, piece in enumerate(pieces):
            if piece and not self._in_frame:
                self._in_frame = True
                if self.frames % among == 0:
                    self._victim = self.frames + self._rng.randrange(among)
                if self.frames == self._victim:
                    pieces[i] = self._change_a_byte(piece)
                self.frames += 1
            if i < len(pieces) - 1:
                self._in_frame = False
        return b"\0".join(pieces)

    def _change_a_byte(self, piece: bytes) -> bytes:
        """To another that ends no frame."""
        self.damaged += 1
        at = self._rng.randrange(len(piece))
        flipped = piece[at] ^ (1 << self._rng.randrange(8))
        return piece[:at] + bytes([flipped or 0xFF]) + piece[at + 1 :]

    def _spoil_bytes(self, data: bytes) -> bytes:
        spoilt, changed = spoil_bytes(data, self._faults.byte_rate, self._rng)
        self.changed_bytes += changed
        return spoilt


def spoil_bytes(data: bytes, rate: float, rng: random.Random) -> tuple[bytes, int]:
    """`data` with bytes flipped, lost, doubled or preceded by foreign ones, each at `rate`; how many were."""
    out, changed = bytearray(), 0
    for byte in data:
        kind = rng.random() / rate
        changed += kind < 4
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
    return bytes(out), changed


class Proxy(threading.Thread):
    """Stands between one host and one device.

    ``done``: faults by kind, and bytes each way. ``up``, ``down``: the directions, to and from the device.
    """

    def __init__(
        self,
        device: Callable[[], tuple[socket.socket, Callable[[], None]]],
        faults: Faults,
        bytes_per_s: float | None = None,
        pty: bool = False,
    ) -> None:
        super().__init__(daemon=True)
        self.done: Counter[str] = Counter()
        self._start_device, self._faults, self._bytes_per_s = device, faults, bytes_per_s
        self._rng = random.Random(faults.seed)
        self.up, self.down = Line(faults, "up"), Line(faults, "down")
        self._plan = list(faults.plan)
        self._halt = False
        self._pending = {"up": b"", "down": b""}
        self._host: int | None = None
        self._connection: socket.socket | None = None
        if pty:
            self._host, self._slave = os.openpty()
            tty.setraw(self._slave)
            self.url = os.ttyname(self._slave)
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._device, self._kill = device()

    def close(self) -> None:
        self._halt = True
        self.join(LIMIT_S)
        self._kill()
        self._device.close()
        if self._connection is not None:
            self._connection.close()
        if hasattr(self, "_listener"):
            self._listener.close()
        else:
            assert self._host is not None
            os.close(self._host)
            os.close(self._slave)

    def run(self) -> None:
        last = time.monotonic()
        budget = {"up": 0.0, "down": 0.0}
        while not self._halt:
            try:
                if self._host is None and not self._accept():
                    continue
                assert self._host is not None
                limit = _TICK_S if self._bytes_per_s else 0.05
                full = {way for way, data in self._pending.items() if len(data) > _CHUNK}
                wanted = [fd for fd, way in ((self._host, "up"), (self._device, "down")) if way not in full]
                ready, _, _ = select.select(wanted, [], [], limit)
                if self._host in ready:
                    self._take("up", self._read_host())
                if self._device in ready:
                    self._take("down", self._device.recv(_CHUNK))
                now = time.monotonic()
                for way in budget:
                    step = (now - last) * (self._bytes_per_s or 1e12)
                    budget[way] = min(budget[way] + step, max(step, (self._bytes_per_s or 1e12) * 0.005))
                    budget[way] -= self._pass_on(way, int(budget[way]))
                last = now
                self._carry_out_plan()
            except (OSError, _GoneError):
                self._hang_up()

    def _accept(self) -> bool:
        if not select.select([self._listener], [], [], 0.05)[0]:
            return False
        self._connection, _ = self._listener.accept()
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = self._connection.fileno()
        if self._faults.garbage:
            self.done["garbage"] += 1
            for fd in (self._connection, self._device):
                fd.sendall(self._rng.randbytes(self._rng.randrange(1, 400)))
        return True

    def _read_host(self) -> bytes:
        assert self._host is not None
        data = os.read(self._host, _CHUNK)
        if not data:
            raise _GoneError
        return data

    def _take(self, way: str, data: bytes) -> None:
        self.done[way] += len(data)
        line = self.up if way == "up" else self.down
        self._pending[way] += line.spoil(data)

    def _pass_on(self, way: str, most: int) -> int:
        data, self._pending[way] = self._pending[way][:most], self._pending[way][most:]
        if not data:
            return 0
        if way == "up":
            self._device.sendall(data)
        else:
            assert self._host is not None
            view = memoryview(data)
            while view:
                view = view[os.write(self._host, view) :]
        return len(data)

    def _carry_out_plan(self) -> None:
        while self._plan and self.done["up"] + self.done["down"] >= self._plan[0][0]:
            _, kind = self._plan.pop(0)
            self.done[kind] += 1
            if kind == "stall":
                time.sleep(self._faults.stall_s)
            elif kind == "reset":
                self._kill()
                self._device.close()
                self._device, self._kill = self._start_device()
                self._pending = {"up": b"", "down": b""}
            elif kind == "cut":
                raise _GoneError

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()
            self._connection, self._host = None, None
            self._pending["down"] = b""
        else:
            time.sleep(0.01)


class _GoneError(Exception):
    """The host has hung up, or is to be cut off."""


def process_device(program: Path) -> Callable[[], tuple[socket.socket, Callable[[], None]]]:
    """Starts the firmware as a process; what is returned with its line kills it."""

    def start() -> tuple[socket.socket, Callable[[], None]]:
        ours, theirs = socket.socketpair()
        process = subprocess.Popen([program], stdin=theirs, stdout=theirs)
        theirs.close()

        def kill() -> None:
            process.kill()
            process.wait()

        return ours, kill

    return start


def remote_device(
    url: str, reset: Callable[[], None]
) -> Callable[[], tuple[socket.socket, Callable[[], None]]]:
    """A device that listens already, e.g. an emulated board."""

    def start() -> tuple[socket.socket, Callable[[], None]]:
        host, port = url.removeprefix("socket://").split(":")
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, reset

    return start


@contextmanager
def faulty(
    device: Callable[[], tuple[socket.socket, Callable[[], None]]],
    faults: Faults,
    bytes_per_s: float | None = None,
    pty: bool = False,
) -> Iterator[Proxy]:
    """A proxy that runs while the block does."""
    proxy = Proxy(device, faults, bytes_per_s, pty)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
