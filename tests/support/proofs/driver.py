"""Builds an executable of the emitted library and drives it by scripts (format: driver.c)."""

from __future__ import annotations

import math
import struct
import subprocess
from pathlib import Path

import numpy as np

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import make_events
from tests.support.waiting import LIMIT_S

SOURCE = Path(__file__).with_name("driver.c")
SENSOR = Sensor(13, 9)
KERNELS: tuple[Kernel, ...] = ("small", "portable", "dsp", "vector")


def emitted(model: Model, options: Options, kernel: Kernel) -> dict[str, str]:
    """The library's files for a model."""
    return render(make_plan(quantise(model)[0], None, options, kernel))


def write_library(files: dict[str, str], folder: Path) -> list[str]:
    """Write the library below `folder`; its C sources."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return [str(folder / path) for path in sorted(files) if path.endswith(".c")]


def build_driver(files: dict[str, str], folder: Path, command: list[str]) -> Path:
    """Compile library and driver with `command` (compiler and flags, for compiling and linking)."""
    sources = write_library(files, folder)
    program = folder / "driver"
    full = [*command, f"-I{folder / 'include'}", "-o", str(program), str(SOURCE), *sources]
    done = subprocess.run(full, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return program


def drive(program: Path, script: bytes, emulator: tuple[str, ...] = ()) -> subprocess.CompletedProcess[bytes]:
    """Run a script; the caller judges exit code, answers and standard error."""
    return subprocess.run(
        [*emulator, str(program)], input=script, capture_output=True, check=False, timeout=LIMIT_S
    )


def steps(events: Events) -> bytes:
    """Script of `events`."""
    return b"".join(struct.pack("<cQHHB", b"e", *event.tolist()) for event in events)


def hostile_events(count: int, sensor: Sensor, seed: int) -> Events:
    """Events of which a part lies off the sensor, runs backwards, or leaps over long silences."""
    rng = np.random.default_rng(seed)
    events = make_events(count, sensor, seed)
    leaps = rng.choice([0, 0, 0, 0, 2**20, 2**23 - 1, 2**23, 2**32, 2**44, 2**56], count).astype(np.uint64)
    events["t_us"] += np.cumsum(leaps)  # wraps modulo 2^64: some run backwards from there on
    noise = np.frombuffer(rng.bytes(count * EVENT_DTYPE.itemsize), EVENT_DTYPE)
    for axis in ("x", "y"):
        wild = rng.random(count) < 0.05
        events[axis][wild] = noise[axis][wild]
    events["polarity"] = noise["polarity"]
    late = rng.random(count) < 0.05
    events["t_us"][late] = noise["t_us"][late] >> rng.integers(0, 64, int(late.sum())).astype(np.uint64)
    return events


def hostile_state(model: Model, seed: int) -> bytes:
    """Script that imports a learned state: noise, or as extreme as the check of the norm lets pass."""
    rng = np.random.default_rng(seed)
    features, dims = model.params.total_features, model.params.dims
    if seed % 3 == 0:
        words = rng.integers(0, 2**16, features * dims + 2 * features + 2)
    else:
        weights = np.zeros((features, dims), np.int64)
        if seed % 3 == 1:  # one component holds nearly all, a second one fills the tolerance
            for row in weights:
                at = rng.permutation(dims)
                row[at[0]] = rng.choice([-32768, 32767])
                row[at[1]] = rng.choice([-1, 1]) * math.isqrt(formats.squared_norms(dims)[1] - 2**30)
        else:
            weights[:] = rng.choice([-1, 1], weights.shape) * int(32768 / dims**0.5)
        thresholds = rng.choice([-(2**30), 0, 2**30], features).astype("<i4").view("<u2")
        words = np.concatenate([weights.reshape(-1), thresholds, rng.integers(0, 2**16, 2)])
    order = rng.permutation(len(words))
    script = b"".join(struct.pack("<cIH", b"w", i, int(words[i]) & 0xFFFF) for i in order)
    beyond = struct.pack("<cIH", b"w", len(words), 7) + struct.pack("<cIH", b"w", 2**32 - 1, 7)
    return script + beyond + b"f"


def twin_script(model: Model, options: Options, count: int) -> tuple[bytes, bytes]:
    """A script of two recordings and what the twin answers to it, the snapshots among them."""
    twin = Twin(quantise(model)[0], options)
    script, answers = b"", b""
    for seed, source in enumerate((make_events, hostile_events)):
        events = source(count, model.sensor, seed=seed)
        script += b"r" + steps(events) + b"s"
        twin.reset()
        answers += twin.step(events).astype("<i2").tobytes() + twin.snapshot().astype("<u2").tobytes()
    if options.learning:
        events = make_events(count, model.sensor, seed=7)
        script += b"rl\0" + steps(events) + b"s"
        twin.reset()
        twin.set_learning(False)
        answers += twin.step(events).astype("<i2").tobytes() + twin.snapshot().astype("<u2").tobytes()
    return script, answers
