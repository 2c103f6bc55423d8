"""Training until the signals rest, then a change of scene: how soon it is seen, and how often wrongly.

    python -m experiments.drift SOURCE [--seeds 3]

Trains on the recordings of SOURCE (of a folder with splits: its train part) until converged, goes on
learning with the rest under the eye of the drift detector, which must stay silent, then meets
sim:bars, and reads out the network that stopped early beside one that saw all recordings.
"""

from __future__ import annotations

import argparse

from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.evaluation.classifiers import ridge_accuracy
from feast_codegen.host.evaluation.feature_vectors import feature_vectors
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.convergence import DRIFT_WINDOW, DriftDetector
from feast_codegen.host.network.drift import feed
from feast_codegen.host.network.float_model import FloatFeast, initial_model
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.recordings.open import Source, open_source

POOLING = Pooling(grid=7, overlap=1.5, power=0.3)


def main() -> None:
    """Print one row per seed, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    part = training_part(open_source(chosen.source))
    params = Hyperparameters()
    print(
        "| seed | converged after (recordings, events) | miss rate, law | accuracy then, after all | "
        "watched after calibration, events | alarms | bars seen after (events) | by |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for seed in range(chosen.seeds):
        stopped = train(part, params, seed=seed, until_converged=True).model
        whole = train(part, params, seed=seed).model
        made = stopped.training
        accuracies = [read(part, model) for model in (stopped, whole)]
        order = part.shuffled(seed)
        net = FloatFeast(initial_model(params, part.sensor, seed), learning=True)
        for stream in order.pick(range(made.recordings)):
            net.reset()
            net.step(stream.events)
        detector = DriftDetector(params.total_features)
        feed(detector, net, order.pick(range(made.recordings, len(order))))
        before, false_alarm = DRIFT_WINDOW * detector.windows, detector.alarm
        feed(detector, net, open_source(f"sim:bars?seed={seed}&count=20"))
        seen = "" if detector.alarm is None else f"{detector.alarm.events - before}"
        print(
            f"| {seed} | {made.recordings}, {made.events:,} | {100 * made.miss_rate:.2f} %, "
            f"{100 * params.law_miss_rate:.2f} % | {100 * accuracies[0]:.1f} %, "
            f"{100 * accuracies[1]:.1f} % | {before:,} | {0 if false_alarm is None else 1} | {seen} | "
            f"{'' if detector.alarm is None else detector.alarm.signal} |",
            flush=True,
        )


def read(source: Source, model: object) -> float:
    """Ridge, ten folds."""
    vectors = feature_vectors(source, model, [POOLING])  # type: ignore[arg-type]
    return ridge_accuracy(vectors.values[0], vectors.labels, groups=vectors.groups)


if __name__ == "__main__":
    main()
