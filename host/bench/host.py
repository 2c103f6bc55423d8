"""How fast each implementation steps events on this machine, all in one run on one stream.

Times are CPU time of the whole process, so a busy machine and a contestant with more threads change little;
the best of some rounds counts, and contestants take turns within a round.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.emit.compiled_library import build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.evaluation.feature_vectors import feature_vectors
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.float_model import Engine, FloatFeast, FloatType, initial_model
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source

FEATURES_PER_BANK: Final = (32, 100)
RIVAL: Final = "eventcv"
OURS: Final = "float32"
_PAUSE_US: Final = 300_000
"""Between recordings laid end to end: the surface has faded to nothing that matters."""
_WARM_UP: Final = 2000

Step = Callable[[Events], object]


@dataclass(frozen=True)
class Speed:
    """One contestant at one task."""

    implementation: str
    features: int
    learning: bool
    events_per_s: float
    """Events per second of CPU time, best round."""


@dataclass(frozen=True)
class HostBench:
    """Outcome of `bench_host`."""

    source: str
    events: int
    rival: str | None
    """Name and version of the library compared with; None if it is not installed."""
    speeds: tuple[Speed, ...]

    def ratio(self, learning: bool, features: int) -> float | None:
        """Ours over the rival's events per second; None without the rival."""
        rates = {
            speed.implementation: speed.events_per_s
            for speed in self.speeds
            if (speed.learning, speed.features) == (learning, features)
        }
        return rates[OURS] / rates[RIVAL] if RIVAL in rates else None

    @property
    def ratios(self) -> dict[str, float | None]:
        """`ratio` by task and size, e.g. ``train_32``, ``infer_100``."""
        return {
            f"{name}_{features}": self.ratio(learning, features)
            for name, learning in (("train", True), ("infer", False))
            for features in dict.fromkeys(speed.features for speed in self.speeds)
        }


def one_stream(source: Source, events: int) -> Events:
    """The first `events` events of the recordings laid end to end, over again if there are fewer."""
    parts: list[Events] = []
    total, now_us = 0, 0
    while total < events:
        for stream in source:
            part = stream.events[: events - total].copy()
            part["t_us"] = part["t_us"] - part["t_us"][0] + np.uint64(now_us)
            now_us = int(part["t_us"][-1]) + _PAUSE_US
            parts.append(part)
            total += part.size
            if total == events:
                break
    return np.concatenate(parts) if parts else np.zeros(0, EVENT_DTYPE)


def bench_host(
    source: Source,
    events: int = 100_000,
    rounds: int = 3,
    progress: Progress = silent,
    *,
    features: Sequence[int] = FEATURES_PER_BANK,
    radius: int = 5,
) -> HostBench:
    """Train and infer with every implementation, for each number of features. `progress` counts measurements.

    Border `skip` and merged polarity, for that is what both can do. Raises FeastError without a C compiler,
    for the emitted C is one of the contestants.
    """
    if events < 1 or rounds < 1:
        raise FeastError(f"events {events}, rounds {rounds}: expected 1 or more")
    stream = one_stream(source, events)
    rival = _import_rival()
    tasks = [
        (learning, Hyperparameters(features=number, radius=radius, border="skip"))
        for number in features
        for learning in (True, False)
    ]
    best: dict[tuple[str, int, bool], float] = {}
    done = 0
    with one_core():
        contests = [
            (
                contestants(initial_model(params, source.sensor, seed=0), learning, stream, rival),
                params,
                learning,
            )
            for learning, params in tasks
        ]
        total = rounds * sum(len(names) for names, _, _ in contests)
        for _ in range(rounds):
            for names, params, learning in contests:
                for name, prepare in names.items():
                    seconds = cpu_seconds(prepare())
                    key = (name, params.features, learning)
                    best[key] = min(seconds, best.get(key, math.inf))
                    done += 1
                    progress(done, total)
    speeds = (Speed(*key, events_per_s=events / seconds) for key, seconds in best.items())
    return HostBench(source.spec, events, f"{RIVAL} {version(RIVAL)}" if rival else None, tuple(speeds))


def contestants(
    model: Model, learning: bool, stream: Events, rival: Any = None
) -> dict[str, Callable[[], Callable[[], object]]]:
    """By name: what prepares a fresh network, compiled and warm, and returns the work to be timed."""
    warm = stream[:_WARM_UP]

    def ours(engine: Engine, dtype: FloatType) -> Callable[[], Callable[[], object]]:
        FloatFeast(model, learning=learning, dtype=dtype, engine=engine).step(warm)
        return lambda: _stepper(FloatFeast(model, learning=learning, dtype=dtype, engine=engine).step, stream)

    quant, _ = quantise(model)
    options = Options(learning=learning)
    native = build_native(render(make_plan(quant, None, options)))
    Twin(quant, options).step(warm)

    def emitted() -> Callable[[], object]:
        native.init()
        return _stepper(native.step, stream)

    found: dict[str, Callable[[], Callable[[], object]]] = {
        OURS: ours("auto", np.float32),
        "float32 numba": ours("numba", np.float32),
        "float64 numba": ours("numba", np.float64),
        "emitted C": emitted,
        "integer twin": lambda: _stepper(Twin(quant, options).step, stream),
    }
    if rival is not None:
        found[RIVAL] = _rival_task(rival, model, learning, stream)
    return found


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of `work` over all threads of this process."""
    start = time.process_time()
    work()
    return max(time.process_time() - start, 1e-9)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one CPU for the block, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _stepper(step: Step, stream: Events) -> Callable[[], object]:
    return lambda: step(stream)


def _import_rival() -> Any:
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    try:
        return importlib.import_module(RIVAL)
    except ImportError:
        return None


def _rival_task(
    rival: Any, model: Model, learning: bool, stream: Events
) -> Callable[[], Callable[[], object]]:
    params, sensor = model.params, model.sensor
    columns = [stream[name].astype(np.int64) for name in ("x", "y", "t_us", "polarity")]
    theirs = rival.from_numpy(
        np.stack(columns, axis=1), sensor_size=(sensor.width, sensor.height), time_unit="us"
    )

    def fresh() -> Any:
        return rival.FEAST(
            n_features=params.features,
            patch=params.side,
            tau_us=params.tau_us,
            eta=params.eta,
            delta_i=params.delta_i,
            delta_e=params.delta_e,
            per_polarity=False,
        )

    def prepare() -> Callable[[], object]:
        net = fresh()
        return (lambda: net.fit(theirs)) if learning else (lambda: net.transform(theirs))

    return prepare


# What the cost depends on


@dataclass(frozen=True)
class Cost:
    """Nanoseconds of CPU per event of the float32 model at one size."""

    features: int
    radius: int
    learning: bool
    ns_per_event: float


def costs(stream: Events, sensor: Sensor, rounds: int = 3) -> tuple[Cost, ...]:
    """Cost over N at radius 5 and over the radius at N = 32, border `zero`."""
    sizes = [(features, 5) for features in (8, 16, 32, 64, 128, 256)]
    sizes += [(32, radius) for radius in (1, 2, 3, 4, 6, 7, 8)]
    found = []
    with one_core():
        for features, radius in sizes:
            for learning in (True, False):
                model = initial_model(Hyperparameters(features, radius), sensor, seed=0)
                FloatFeast(model, learning=learning).step(stream[:_WARM_UP])
                work = [_stepper(FloatFeast(model, learning=learning).step, stream) for _ in range(rounds)]
                seconds = min(cpu_seconds(each) for each in work)
                found.append(Cost(features, radius, learning, 1e9 * seconds / stream.size))
    return tuple(found)


def fit_costs(found: tuple[Cost, ...], learning: bool) -> tuple[float, float]:
    """Least squares of ns_per_event = a + b * N * D; returns (a, b), errors taken relative to the cost."""
    chosen = [cost for cost in found if cost.learning == learning]
    size = np.array([cost.features * (2 * cost.radius + 1) ** 2 for cost in chosen], float)
    ns = np.array([cost.ns_per_event for cost in chosen])
    a, b = np.linalg.lstsq(np.stack([1.0 / ns, size / ns], axis=1), np.ones(len(ns)), rcond=None)[0]
    return float(a), float(b)


@dataclass(frozen=True)
class LengthCost:
    """Stepping a stream of one length in chunks."""

    events: int
    ns_per_event: float
    peak_growth_bytes: int | None
    """Growth of the process's peak memory while stepping; None where the system does not tell it."""


def lengths(
    stream: Events, sensor: Sensor, repeats: tuple[int, ...] = (1, 10, 100)
) -> tuple[LengthCost, ...]:
    """Train N = 32 on `stream` repeated, chunk by chunk: cost and memory over the length of the stream."""
    model = initial_model(Hyperparameters(features=32), sensor, seed=0)
    span_us = np.uint64(int(stream["t_us"][-1] - stream["t_us"][0]) + _PAUSE_US)
    found = []
    for repeat in repeats:
        net, chunk = FloatFeast(model, learning=True), stream.copy()
        net.step(chunk)
        before, seconds = _peak_bytes(), 0.0
        for _ in range(repeat):
            chunk["t_us"] += span_us
            seconds += cpu_seconds(_stepper(net.step, chunk))
        after = _peak_bytes()
        growth = None if before is None or after is None else after - before
        found.append(LengthCost(repeat * stream.size, 1e9 * seconds / (repeat * stream.size), growth))
    return tuple(found)


def _peak_bytes() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if os.uname().sysname == "Darwin" else peak * 1024


def recordings_per_core(source: Source, jobs: tuple[int, ...]) -> dict[int, float]:
    """Wall-clock events per second from files to pooled features of N = 32, by number of workers.

    The workers are started beforehand. Empty unless every recording has a label: this is the work of a
    labelled set.
    """
    if None in source.labels:
        return {}
    model = initial_model(Hyperparameters(features=32), source.sensor, seed=0)
    events = sum(stream.events.size for stream in source)
    rates = {}
    for workers in jobs:
        for _ in range(2):  # the first time starts the workers and fills the disk cache
            start = time.perf_counter()
            feature_vectors(source, model, (Pooling(),), jobs=workers)
            rates[workers] = events / (time.perf_counter() - start)
    return rates
