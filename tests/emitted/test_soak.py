"""Millions of events through twin and emitted C, with all that may happen to a device in a long life."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.emit.compiled_library import build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import behind, make_model, make_stack, with_readout

SENSOR = Sensor(24, 20)
PIECE = 50_000
GAPS_US = (0, 1, 30, 1000, 10**5, 2**23, 2**32, 2**45, 2**56)
"""Means of the times between events; a piece has dense stretches, and silences of one of these."""


def network(polarity: str, border: str, radius: int, tau_us: float) -> Model:
    return make_model(
        SENSOR, polarity=polarity, border=border, radius=radius, features=4, eta=0.01, tau_us=tau_us
    )


FILTERS = Filters(SENSOR, ((3, 4),), refractory_us=100, background_us=3000, cell_shift=1, downsample_shift=1)
NETWORKS = [
    (network("merged", "zero", 1, 3000.0), Options(learning=True)),
    (network("signed", "skip", 2, 137.0), Options(True, "threshold")),
    (network("separate", "zero", 1, 1e6), Options(select="threshold", weights="int8")),
    (network("merged", "skip", 2, 10.0), Options()),
    (
        make_stack(network("separate", "zero", 1, 3000.0), radius=1, features=3, eta=0.01, tau_us=2e4),
        Options(learning=True),
    ),
    (
        with_readout(behind(FILTERS, radius=2, features=4, eta=0.01, tau_us=3000.0)),
        Options(learning=True),
    ),
]


def pieces(rng: np.random.Generator) -> Iterator[Events]:
    """Endless pieces of one long life: time goes on from piece to piece, and wraps at 2^64."""
    now = np.uint64(0)
    while True:
        events = np.zeros(PIECE, EVENT_DTYPE)
        gaps = rng.exponential(20.0, PIECE).astype(np.uint64)
        silent = rng.random(PIECE) < rng.choice((0.0, 1e-4, 1e-2))
        gaps[silent] = (rng.random(int(silent.sum())) * float(rng.choice(GAPS_US))).astype(np.uint64)
        events["t_us"] = now + np.cumsum(gaps)
        now = events["t_us"][-1]
        events["x"] = rng.integers(0, SENSOR.width, PIECE)
        events["y"] = rng.integers(0, SENSOR.height, PIECE)
        events["polarity"] = rng.integers(0, 2, PIECE)
        wild = rng.random(PIECE) < 1e-3  # off the sensor, backwards, any polarity
        noise = np.frombuffer(rng.bytes(PIECE * EVENT_DTYPE.itemsize), EVENT_DTYPE)
        events[wild] = noise[wild]
        yield events


def soak(model: Model, options: Options, count: int, seed: int) -> tuple[int, int]:
    """Run at least `count` events. Differences in results or state, and growth of memory in bytes."""
    quant = quantise(model)[0]
    native, twin = build_native(render(make_plan(quant, None, options))), Twin(quant, options)
    rng = np.random.default_rng(seed)
    differences, begin = 0, 0
    for number, events in enumerate(pieces(rng)):
        if number * PIECE >= count:
            break
        if number == 20:
            begin = resident_bytes()
        if rng.random() < 0.3:
            native.reset()
            twin.reset()
        if rng.random() < 0.005:
            native.init()
            twin = Twin(quant, options)
        if options.learning and rng.random() < 0.2:
            learning = bool(rng.integers(0, 2))
            native.set_learning(learning)
            twin.set_learning(learning)
        differences += int((native.step(events) != twin.step(events)).sum())
        if number % 8 == 0 or (number + 1) * PIECE >= count:
            differences += int((native.snapshot() != twin.snapshot()).sum())
    return differences, resident_bytes() - begin if begin else 0


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.exists() else 0


@pytest.mark.parametrize("index", range(len(NETWORKS)))
def test_a_million_events(index: int) -> None:
    differences, _ = soak(*NETWORKS[index], 170_000, seed=index)
    assert differences == 0


@pytest.mark.prove
@pytest.mark.parametrize("index", range(len(NETWORKS)))
def test_a_hundred_million_events(index: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Their share for each network; memory does not grow."""
    begin = time.monotonic()
    differences, growth = soak(*NETWORKS[index], 17_000_000, seed=100 + index)
    with capsys.disabled():
        seconds = time.monotonic() - begin
        print(f"\n17,000,000 events: {differences} differences, {growth} bytes more, {seconds:.0f} s")
    assert differences == 0
    assert growth < 4 << 20


def test_a_difference_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One result in 50,000 that is not the twin's."""
    step = Twin.step

    def wrong(self: Twin, events: Events) -> np.ndarray:
        results = step(self, events).copy()
        results[777] ^= 1
        return results

    monkeypatch.setattr(Twin, "step", wrong)
    differences, _ = soak(*NETWORKS[0], PIECE, seed=0)
    assert differences == 1
