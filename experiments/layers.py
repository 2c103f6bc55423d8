"""Does a second layer help? Accuracy of a linear readout of layer 1, of layer 2, and of both.

    python -m experiments.layers SOURCE [--lower 8 --uppers 1:20 2:20 --seeds 0 1 2 --fixed]

Every layer is learned from all recordings, without labels; layer 2 on the winners of layer 1. Readout and
folds are those of experiments.stages; accuracies are means over the seeds of the networks, at several
poolings
of the sensor. For comparison at equal numbers of features, layers 1 of several sizes stand alone. `macs` are
multiply-accumulates per event. docs/results/results.md holds the outcome.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.model.model import Arithmetic, Hyperparameters, Model
from feast_codegen.host.evaluation.ablation import SEEDS
from feast_codegen.host.evaluation.classifiers import ridge_accuracy
from feast_codegen.host.evaluation.feature_vectors import feature_vectors, labels_of
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.recordings.open import Source, open_source

FOLDS: Final = 10
GRIDS: Final = (1, 3, 5, 7)
POOLINGS: Final = tuple(Pooling(grid=grid, overlap=1.5 if grid > 1 else 0.0, power=0.3) for grid in GRIDS)
Vectors = tuple[npt.NDArray[np.float64], ...]
"""One array (recordings, components) for each of POOLINGS."""
Scores = npt.NDArray[np.float64]
"""(poolings,): accuracies from 0 to 1."""


def layer1(features: int) -> Hyperparameters:
    """The first layer of docs/results/results.md, with so many features a bank."""
    return Hyperparameters(features=features, radius=1, tau_us=1e6, eta=0.01, polarity="separate")


def layer2(features: int, radius: int, tau_us: float) -> Hyperparameters:
    """A second layer."""
    return Hyperparameters(features=features, radius=radius, tau_us=tau_us, eta=0.01)


def alone(source: Source, features: int, seeds: Sequence[int]) -> str:
    """A row: layer 1 without another."""
    models = [train(source, layer1(features), seed=seed).model for seed in seeds]
    scores = [score(source, vectors(source, model)) for model in models]
    return row(describe(models[0]), "layer 1", models[0].params.total_features, macs(models[0]), scores)


def above(
    source: Source, lowers: Sequence[Model], params: Hyperparameters, arithmetic: Arithmetic
) -> Iterator[str]:
    """Two rows: layer 2 on layers 1 that differ in their seed alone, by itself and beside them."""
    single, both = [], []
    for lower in lowers:
        upper = train(source, params, seed=lower.training.seed, lower=lower, arithmetic=arithmetic).model
        first, second = (vectors(source, model, arithmetic) for model in (lower, upper))
        single.append(score(source, second))
        both.append(score(source, first, second))
    name = f"{describe(upper)} on {describe(lower)}{' in integers' if arithmetic == 'fixed' else ''}"
    yield row(name, "layer 2", upper.params.total_features, macs(upper), single)
    yield row(name, "both", upper.params.total_features + lower.params.total_features, macs(upper), both)


def vectors(source: Source, model: Model, arithmetic: Arithmetic = "float") -> Vectors:
    """Pooled winners of every recording."""
    return feature_vectors(source, model, POOLINGS, arithmetic=arithmetic).values


def score(source: Source, *layers: Vectors) -> Scores:
    """Cross-validated accuracy of ridge on the features of one layer, or of several side by side."""
    labels = labels_of(source)
    parts = zip(*layers, strict=True)
    together = (np.concatenate(part, axis=-1) / np.sqrt(len(part)) for part in parts)  # unit norm
    return np.array([ridge_accuracy(vectors, labels, FOLDS, SEEDS) for vectors in together])


def macs(model: Model) -> int:
    """Multiply-accumulates per event, over all layers."""
    return model.params.features * model.params.dims + (macs(model.lower) if model.lower else 0)


def describe(model: Model) -> str:
    """Features, size and tau of a layer."""
    params = model.params
    return f"{params.total_features} of {params.side}×{params.side}, {params.tau_us / 1000:g} ms"


def row(network: str, read: str, features: int, cost: int, scores: Sequence[Scores]) -> str:
    """A line of the table."""
    cells = (f"{100 * each:.1f}" for each in np.mean(scores, axis=0))
    return f"| {network} | {read} | {features} | {cost:,} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table in Markdown, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--alone", type=int, nargs="*", default=[8, 32, 64, 96], help="layers 1, a bank")
    parser.add_argument("--lower", type=int, nargs="*", default=[8], help="layers 1 below others, a bank")
    parser.add_argument(
        "--uppers", nargs="*", default=["1:20", "2:5", "2:20"], help="layers 2: radius:tau in ms"
    )
    parser.add_argument("--features", type=int, default=128, help="features of layer 2")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fixed", action="store_true", help="learn and run pairs in integers")
    chosen = parser.parse_args()
    source = training_part(open_source(chosen.source))
    arithmetic: Arithmetic = "fixed" if chosen.fixed else "float"
    print(f"| network | read out | features | macs | {' | '.join(f'{grid}×{grid}' for grid in GRIDS)} |")
    print("|---|---|---|---|" + "---|" * len(GRIDS), flush=True)
    for features in chosen.alone:
        print(alone(source, features, chosen.seeds), flush=True)
    for features in chosen.lower:
        lowers = [
            train(source, layer1(features), seed=seed, arithmetic=arithmetic).model for seed in chosen.seeds
        ]
        for upper in chosen.uppers:
            radius, tau_ms = map(int, upper.split(":"))
            for line in above(source, lowers, layer2(chosen.features, radius, 1000.0 * tau_ms), arithmetic):
                print(line, flush=True)


if __name__ == "__main__":
    main()
