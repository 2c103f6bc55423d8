"""Simulated aeroplanes: the stage table, and accuracy over the time since the plane appeared.

    python -m experiments.planes [--train 120] [--test 80]

Features and readouts are learned from seed 0 and tested on seed 1, so on other planes, another hand
and another camera. A readout for a time is fitted to recordings cut off at that time. The strength of
ridge is chosen by leave-one-out within the training recordings. docs/results/results.md holds the outcome.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.classifiers import CLASSIFIERS
from feast_codegen.codegen.model.model import Arithmetic, Hyperparameters, Model
from feast_codegen.host.evaluation.feature_vectors import Vectors, feature_vectors, raw_vectors
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import Source, open_source

TIMES_MS = (10, 20, 30, 50, 75, 100, 150, 200, 300)
GRID = 3
FEATURE_RECORDINGS = 40
"""Recordings that features are learned from; readouts use all."""


def main() -> None:
    """Print both tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=int, default=120)
    parser.add_argument("--test", type=int, default=80)
    parser.add_argument("--features", type=int, default=32)
    chosen = parser.parse_args()
    learn = in_memory(open_source(f"sim:planes?seed=0&count={chosen.train}"))
    test = in_memory(open_source(f"sim:planes?seed=1&count={chosen.test}"))
    params = Hyperparameters(features=chosen.features)
    print(f"{learn.spec} to learn from, {test.spec} to test; {chosen.features} features a bank, 11x11\n")
    names = list(CLASSIFIERS)
    print(f"| stage | pooling | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    pooled, whole = Pooling(GRID, overlap=1.5), Pooling(1)
    surface = replace(pooled, kind="surface", tau_us=100_000.0)
    row(
        "raw events, merged",
        [Pooling(12)],
        raw(learn, "merged", [Pooling(12)]),
        raw(test, "merged", [Pooling(12)]),
    )
    kinds = [pooled]
    row("raw events, by polarity", kinds, raw(learn, "by polarity", kinds), raw(test, "by polarity", kinds))
    part = learn.pick(range(min(FEATURE_RECORDINGS, len(learn))))
    kinds = [whole, pooled, surface]
    merged = train(part, params).model
    row("features, merged", kinds, *both(learn, test, merged, kinds))
    separate = train(part, replace(params, polarity="separate")).model
    row("features, separate", kinds, *both(learn, test, separate, kinds))
    row("the same, run in integers", [pooled], *both(learn, test, separate, [pooled], "fixed"))

    cuts = [replace(pooled, until_us=1000 * time) for time in TIMES_MS]
    over_time = {
        "raw events, by polarity": (raw(learn, "by polarity", cuts), raw(test, "by polarity", cuts)),
        "features, separate": both(learn, test, separate, cuts),
    }
    print("\n| ms since the plane appeared | " + " | ".join(str(time) for time in TIMES_MS) + " |")
    print("|---|" + "---|" * len(TIMES_MS))
    for name, (fit, check) in over_time.items():
        scores = [accuracy(fit, check, index, "ridge") for index in range(len(cuts))]
        print(f"| {name}, ridge | " + " | ".join(f"{100 * score:.1f}" for score in scores) + " |")


def in_memory(source: Source) -> Source:
    """The same source with its recordings simulated once."""
    recordings = [source.read(index) for index in range(len(source))]
    return replace(source, read=lambda index: recordings[index])


def raw(source: Source, kind: Any, poolings: list[Pooling]) -> Vectors:
    return raw_vectors(source, kind, poolings)


def both(
    learn: Source, test: Source, model: Model, poolings: list[Pooling], arithmetic: Arithmetic = "float"
) -> tuple[Vectors, Vectors]:
    return (
        feature_vectors(learn, model, poolings, arithmetic=arithmetic),
        feature_vectors(test, model, poolings, arithmetic=arithmetic),
    )


def accuracy(fit: Vectors, check: Vectors, index: int, classifier: str) -> float:
    reader = CLASSIFIERS[classifier].fit(fit.values[index], fit.labels)
    right: npt.NDArray[np.bool_] = reader.predict(check.values[index]) == check.labels
    return float(right.mean())


def row(name: str, poolings: list[Pooling], fit: Vectors, check: Vectors) -> None:
    for index, pooling in enumerate(poolings):
        scores = [f"{100 * accuracy(fit, check, index, each):.1f}" for each in CLASSIFIERS]
        print(f"| {name} | {pooling} | {' | '.join(scores)} |", flush=True)


if __name__ == "__main__":
    main()
