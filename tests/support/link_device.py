"""The firmware's own link, compiled for this machine: in memory, and as a process behind a port."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import serial
import serial.rfc2217

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events, Results
from feast_codegen.codegen.emit.compiled_library import WARNINGS
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from tests.support.paths import ROOT
from tests.support.waiting import LIMIT_S

FIRMWARE = ROOT / "firmware" / "src"
TOY = Path(__file__).resolve().parent / "link_toy"
LINK_SOURCES = ("framing.c", "event_decoder.c", "responses.c", "state.c", "persist.c", "link.c")
SOURCES = [*(FIRMWARE / name for name in LINK_SOURCES), TOY / "feast.c"]
BUILD_ID = "0123456789abcdef"
MODEL_ID = "fedcba9876543210"
LEARNING = Options(learning=True)
LARGE_BUFFERS = {
    "LINK_FRAME_BYTES": "8192u",
    "LINK_RESULT_WINDOW": "16384u",
    "LINK_RESULTS_PER_FRAME": "4096u",
}

_CDEF = """
void fake_boot(void);
void fake_receive(const uint8_t *bytes, uint32_t count);
void fake_run(void);
uint32_t fake_take(uint8_t *bytes);
uint32_t fake_link_bytes(void);
void fake_encode(const uint8_t *body, uint32_t length);
void fake_decoder(uint32_t capacity);
int fake_push(uint8_t byte, uint8_t *body, uint32_t *length);
bool fake_unpack(const uint8_t *bytes, uint32_t size, uint64_t base_us, void *events, uint32_t *count);
uint32_t port_rx_overruns(void);
uint32_t framing_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count);
uint32_t fake_persist_bytes(void);
uint8_t *fake_persist_memory(void);
void fake_persist_power(uint32_t at, uint32_t new_seed);
uint32_t fake_persist_operations(void);
"""


def compile_c(target: Path, sources: list[Path], flags: list[str], defines: dict[str, str]) -> Path:
    """Compile with all warnings as errors."""
    command = [*shlex.split(os.environ.get("CC", "cc")), *WARNINGS, "-O2", *flags, "-o", str(target)]
    command += [f"-I{folder}" for folder in (target.parent, FIRMWARE, TOY)]
    command += [f"-D{name}={value}" for name, value in defines.items()] + [str(source) for source in sources]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return target


class FakeDevice:
    """The link over the toy network, in memory."""

    def __init__(self, folder: Path, **defines: str) -> None:
        library = compile_c(
            folder / "device.so",
            [*SOURCES, TOY / "fake_port.c", TOY / "fake_persist.c"],
            ["-shared", "-fPIC"],
            defines,
        )
        self.ffi = cffi.FFI()
        self.ffi.cdef(_CDEF)
        self.lib: Any = self.ffi.dlopen(str(library))
        self._buffer = self.ffi.new("uint8_t[]", 1 << 20)
        self.boot()

    def boot(self) -> None:
        """Restart: run, ring and learned state are gone."""
        self.lib.fake_boot()

    def exchange(self, data: bytes) -> bytes:
        """Bytes in, bytes out. More bytes than the receive ring holds are lost, as on a real board."""
        self.lib.fake_receive(data, len(data))
        self.lib.fake_run()
        return bytes(self.ffi.buffer(self._buffer, self.lib.fake_take(self._buffer)))

    def encode(self, body: bytes) -> bytes:
        """A frame as the firmware encodes it."""
        self.lib.fake_encode(body, len(body))
        return bytes(self.ffi.buffer(self._buffer, self.lib.fake_take(self._buffer)))

    def decode(self, data: bytes, capacity: int = 1024) -> tuple[list[bytes], Counter[str]]:
        """Bodies and drops of a byte stream, as the firmware decodes it."""
        self.lib.fake_decoder(capacity)
        length, body = self.ffi.new("uint32_t *"), self.ffi.new("uint8_t[]", 1024)
        bodies, drops = [], Counter[str]()
        for byte in data:
            status = self.lib.fake_push(byte, body, length)
            if status == 1:
                bodies.append(bytes(self.ffi.buffer(body, length[0])))
            elif status > 1:
                drops[{2: "bad_frame", 3: "bad_crc", 4: "too_long"}[status]] += 1
        return bodies, drops

    def unpack(self, tail: bytes, base_us: int) -> Events | None:
        """Events of a frame's tail, as the firmware reads them; None if it finds the tail malformed."""
        events, count = np.zeros(len(tail), EVENT_DTYPE), self.ffi.new("uint32_t *")
        out = self.ffi.from_buffer(events) if len(tail) else self.ffi.NULL
        return events[: count[0]] if self.lib.fake_unpack(tail, len(tail), base_us, out, count) else None


def build_process(folder: Path, **defines: str) -> Path:
    """The firmware with its main.c as a program, watched by the sanitizers."""
    sources = [*SOURCES, FIRMWARE / "main.c", TOY / "native_port.c"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    return compile_c(folder / "device", sources, sanitizers, defines)


def build_real_process(folder: Path, model: Model, options: Options = LEARNING, **defines: str) -> Path:
    """The firmware with the emitted library of `model`, as a program."""
    files = render(make_plan(quantise(model)[0], None, options))
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    sources = [folder / path for path in files if path.endswith(".c")]
    sources += [*(FIRMWARE / name for name in LINK_SOURCES), FIRMWARE / "main.c", TOY / "native_port.c"]
    command = [*shlex.split(os.environ.get("CC", "cc")), *WARNINGS, "-O2", "-o", str(folder / "device")]
    command += [f"-I{folder / 'include'}", f"-I{FIRMWARE}"]
    command += [f"-D{name}={value}" for name, value in defines.items()] + [str(source) for source in sources]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "device"


@contextmanager
def listening(program: Path) -> Iterator[str]:
    """Run a device behind a TCP port; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with _process(program, server.fileno()):
            yield url


@contextmanager
def on_pty(program: Path) -> Iterator[str]:
    """Run a device behind a pseudo-terminal; gives its path."""
    ours, theirs = os.openpty()
    try:
        with _process(program, ours):
            yield os.ttyname(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


@contextmanager
def on_rfc2217(program: Path) -> Iterator[str]:
    """Run a device behind a serial port server that speaks Telnet (RFC 2217); gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server, listening(program) as url:
        threading.Thread(target=_serve_rfc2217, args=(server, url), daemon=True).start()
        yield f"rfc2217://127.0.0.1:{server.getsockname()[1]}"


def _serve_rfc2217(server: socket.socket, url: str) -> None:
    host, port = url.removeprefix("socket://").split(":")
    with server.accept()[0] as client, socket.create_connection((host, int(port))) as device:
        one_writer = threading.Lock()

        def send(data: bytes) -> None:
            with one_writer:
                client.sendall(data)

        # The port that it would set the baud rate of; the bytes go to the device.
        manager = serial.rfc2217.PortManager(serial.serial_for_url("loop://"), _Writer(send))

        def answer() -> None:
            with suppress(OSError):
                while data := device.recv(4096):
                    send(b"".join(manager.escape(data)))

        threading.Thread(target=answer, daemon=True).start()
        with suppress(OSError):
            while data := client.recv(4096):
                device.sendall(b"".join(manager.filter(data)))


@dataclass(frozen=True)
class _Writer:
    write: Callable[[bytes], None]


@contextmanager
def _process(program: Path, fd: int) -> Iterator[None]:
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([program], stdin=fd, stdout=fd, stderr=errors)
        try:
            yield
        finally:
            process.terminate()
            process.wait(LIMIT_S)
            errors.seek(0)
            report = errors.read().decode()
        assert not report, report


def toy_events(count: int, seed: int = 0, side: int = 34) -> Events:
    """Random events on a square sensor, about 75 us apart."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t_us"] = np.cumsum(rng.integers(0, 150, count))
    events["x"] = rng.integers(0, side, count)
    events["y"] = rng.integers(0, side, count)
    events["polarity"] = rng.integers(0, 2, count)
    return events


def toy_results(events: Events, features: int = 16, width: int = 34, height: int = 34) -> Results:
    """What the toy network answers: the definition in link_toy/feast.h."""
    results, seen, last_us = [], 0, 0
    for event in events:
        t_us, x, y, polarity = (int(event[name]) for name in ("t_us", "x", "y", "polarity"))
        if x >= width or y >= height:
            results.append(-3)
        elif t_us < last_us:
            results.append(-4)
        else:
            results.append((31 * x + 7 * y + polarity + seen) % features)
            last_us, seen = t_us, seen + 1
    return np.array(results, np.int16)
