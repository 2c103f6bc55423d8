"""What each filter does to noise, to a readout, to the host's speed and to a Cortex-M4's instructions.

    python -m experiments.filters NMNIST
    python -m experiments.filters sim:digits?count=400

Background events and hot pixels are mixed into the recordings, and it is remembered which they are. For
every row a network is trained behind the filters; accuracies are those of a ridge on 5x5 cells, five folds,
mean over three seeds of the folds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.budget import budget
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters, make_filters
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.run import run_on_board
from feast_codegen.host.evaluation.classifiers import ridge_accuracy
from feast_codegen.host.evaluation.feature_vectors import feature_vectors
from feast_codegen.host.evaluation.network_size import with_noise
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.recordings.hot_pixels import count_events, find_hot_pixels
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.source import Source

BOARD: Final = "mps2_an386"
NOISE_HZ: Final = 5.0
"""Background events per pixel and second."""
HOT_PIXELS: Final = 8
HOT_HZ: Final = 300.0
TIMED: Final = 60
"""Recordings that are timed."""
ON_BOARD: Final = 2
POOLING: Final = Pooling(grid=5, overlap=1.5, power=0.3)
PARAMS: Final = Hyperparameters()


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    signal: float
    noise: float
    """Parts of the recordings' own events, and of those mixed in, that reach the network."""
    accuracy: float
    filter_mevents_s: float
    network_mevents_s: float
    """Millions of events given, per second of CPU time: through the filters, and through all."""
    instructions: float
    """Per event given, on the emulated board."""
    ram: int


def mixed(source: Source, events: Events, index: int) -> tuple[Events, npt.NDArray[np.bool_]]:
    """`events` of recording `index` with noise and hot pixels, and which of them those are."""
    sensor = source.sensor
    events, noise = with_noise(events, sensor, NOISE_HZ, [1, index])
    first, last = int(events["t_us"][0]), int(events["t_us"][-1])
    generator = np.random.default_rng([2, index])
    hot = np.zeros(generator.poisson(HOT_PIXELS * HOT_HZ * (last - first) * 1e-6), EVENT_DTYPE)
    places = np.array(planted(sensor))[generator.integers(0, HOT_PIXELS, hot.size)]
    hot["t_us"] = generator.integers(first, last + 1, hot.size, dtype=np.uint64)
    hot["x"], hot["y"] = places[:, 0], places[:, 1]
    hot["polarity"] = generator.integers(0, 2, hot.size)
    every = np.concatenate([events, hot])
    order = np.argsort(every["t_us"], kind="stable")
    return every[order], np.concatenate([noise, np.ones(hot.size, np.bool_)])[order]


def planted(sensor: Sensor) -> list[tuple[int, int]]:
    """The same pixels in every recording: a fault of the camera."""
    chosen = np.random.default_rng(3).choice(sensor.width * sensor.height, HOT_PIXELS, replace=False)
    return [(int(place) % sensor.width, int(place) // sensor.width) for place in chosen]


def chains(camera: Sensor, hot: tuple[tuple[int, int], ...]) -> dict[str, Filters | None]:
    """Filters by the name of their row."""
    both = {"hot_pixels": hot, "background_us": 5000}
    return {
        "none": None,
        "hot-pixel mask": make_filters(camera, hot_pixels=hot),
        "refractory 10 ms": make_filters(camera, refractory_us=10_000),
        "background 2 ms": make_filters(camera, background_us=2000),
        "background 5 ms": make_filters(camera, background_us=5000),
        "mask, background 5 ms": make_filters(camera, **both),
        "mask, refractory 10 ms, background 5 ms": make_filters(camera, **both, refractory_us=10_000),
        "mask, background 5 ms, one time for 2x2 pixels": make_filters(camera, **both, cell_shift=1),
        "mask, refractory 10 ms, background 5 ms, one time for 2x2 pixels": make_filters(
            camera, **both, refractory_us=10_000, cell_shift=1
        ),
        "mask, background 5 ms, downsampled by 2": make_filters(camera, **both, downsample_shift=1),
    }


def measure(name: str, clean: Source, noisy: Source, filters: Filters | None, project: Path) -> Row:
    """One row. `clean` and `noisy` are the same recordings, without and with what is mixed in."""
    model = train(noisy, PARAMS, filters=filters).model
    vectors = feature_vectors(noisy, model, [POOLING])
    score = ridge_accuracy(vectors.values[0], vectors.labels, folds=5, seeds=(0, 1, 2), groups=vectors.groups)
    passed = np.zeros(2, np.int64)
    total = np.zeros(2, np.int64)
    for index in range(len(clean)):
        events, noise = mixed(clean, clean.read(index), index)
        codes = EventFilter(filters).classify(events) if filters else np.zeros(events.size)
        for kind in (0, 1):
            total[kind] += int((noise == kind).sum())
            passed[kind] += int(((noise == kind) & (codes == PASSED)).sum())
    alone, whole = speeds(model, noisy)
    run = run_on_board(model, get_board(BOARD), noisy.pick(range(ON_BOARD)), project_dir=project)
    assert run.difference is None, run.difference
    need = budget(model.shape, Options(), "dsp")
    shares = passed / np.maximum(total, 1)
    return Row(name, *shares, score, alone, whole, run.instructions_per_event, need.ram)


def speeds(model: Model, source: Source) -> tuple[float, float]:
    """Millions of events per second of CPU time, the best: filters alone, filters and network."""
    recordings = [source.read(index) for index in range(min(TIMED, len(source)))]
    net = FloatFeast(model)
    chain = EventFilter(model.filters) if model.filters else None
    events = sum(each.size for each in recordings)
    best = [np.inf, np.inf]
    for _ in range(3):  # the first one may compile
        for kind in (0, 1):
            start = time.process_time()
            for each in recordings:
                if kind == 1:
                    net.reset()
                    net.step(each)
                elif chain is not None:
                    chain.reset()
                    chain.classify(each)
            best[kind] = min(best[kind], time.process_time() - start)
    return (events / best[0] * 1e-6 if chain else np.inf), events / best[1] * 1e-6


def filter_instructions(noisy: Source, project: Path) -> float:
    """Instructions of the background filter per event given.

    A board that filters, less the same network given what passes.
    """
    filters = make_filters(noisy.sensor, background_us=5000)
    model = train(noisy.pick(range(min(40, len(noisy)))), PARAMS, filters=filters).model
    board, two = get_board(BOARD), noisy.pick(range(ON_BOARD))
    whole = run_on_board(model, board, two, project_dir=project)
    network = run_on_board(model, board, two, Options(filters=False), project_dir=project)
    total = whole.instructions_per_event * whole.events - network.instructions_per_event * network.events
    return total / whole.events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--only", default="", metavar="WORDS", help="rows whose name has these words")
    chosen = parser.parse_args()
    clean = training_part(open_source(chosen.source))
    noisy = replace(
        clean,
        spec=f"{clean.spec} with noise",
        read=lambda index: mixed(clean, clean.read(index), index)[0],
        read_chunks=None,
    )
    found = find_hot_pixels(count_events(noisy))
    truth = set(planted(clean.sensor))
    print(f"{clean.spec}: {len(clean)} recordings; hot pixels found {len(found)}, ", end="")
    print(f"planted {len(truth)}, of these found {len(truth & set(found))}")
    bare = train(clean, PARAMS).model
    vectors = feature_vectors(clean, bare, [POOLING])
    best = ridge_accuracy(vectors.values[0], vectors.labels, folds=5, seeds=(0, 1, 2), groups=vectors.groups)
    print(f"without noise and filters: {100 * best:.1f} %\n")
    print(
        "| filters | own events left | noise left | accuracy | filters alone | filters and network |", end=""
    )
    print(" instructions | RAM |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, filters in chains(clean.sensor, found).items():
            if chosen.only not in name:
                continue
            row = measure(name, clean, noisy, filters, Path(folder) / "firmware")
            alone = f"{row.filter_mevents_s:.0f} M/s" if filters else "-"
            print(
                f"| {row.name} | {100 * row.signal:.1f} % | {100 * row.noise:.1f} % | "
                f"{100 * row.accuracy:.1f} % | {alone} | "
                f"{row.network_mevents_s:.1f} M/s | "
                f"{row.instructions:,.0f} | {row.ram:,} |",
                flush=True,
            )
        cost = filter_instructions(noisy, Path(folder) / "firmware")
        print(f"\nbackground filter alone: {cost:.0f} instructions per event given")


if __name__ == "__main__":
    main()
