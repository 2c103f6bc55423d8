"""Does a second layer help? Accuracy of a linear readout of layer 1, of layer 2, and of both.

    python -m benchmarks.layers SOURCE [--lower 8 64 --seeds 1 --fixed]

Every layer is learned from all recordings, without labels; layer 2 on the winners of layer 1. Readout, folds
and pooling are those of benchmarks.stages. For comparison at equal numbers of features, layers 1 of several
sizes stand alone. docs/results.md holds the outcome.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from codegen.model import Arithmetic, Hyperparameters, Model
from host.classifiers import accuracy
from host.datasets import Source, open_source
from host.pooling import Pooling, concatenated
from host.stages import SEEDS
from host.training import train, training_part
from host.vectors import feature_vectors, labels_of

FOLDS: Final = 10
POOLING: Final = Pooling(grid=7, overlap=1.5, power=0.3)
UPPERS: Final = tuple(product((1, 2), (20e3, 100e3, 1e6)))
"""Radius and tau of the layers 2 that are tried."""
HEAD: Final = """\
| seed | arithmetic | layer 1 | layer 2 | of layer 1 | of layer 2 | of both |
|---|---|---|---|---|---|---|"""

Vectors = npt.NDArray[np.float64]


def layer1(neurons: int) -> Hyperparameters:
    """The first layer of docs/results.md, with so many features a bank."""
    return Hyperparameters(neurons=neurons, radius=1, tau_us=1e6, eta=0.01, polarity="separate")


def alone(source: Source, sizes: list[int], seed: int) -> Iterator[str]:
    """Rows of layers 1 without another."""
    for neurons in sizes:
        model = train(source, layer1(neurons), seed=seed).model
        yield row(seed, "float", describe(model), "", score(source, vectors(source, model)))


def above(source: Source, neurons: int, upper_neurons: int, seed: int, fixed: bool) -> Iterator[str]:
    """Rows of layers 2 on a layer 1 of so many features a bank; the best pair again in integers."""
    lower = train(source, layer1(neurons), seed=seed).model
    below = vectors(source, lower)
    first = score(source, below)
    tried: list[tuple[float, Model]] = []
    for radius, tau_us in UPPERS:
        params = Hyperparameters(neurons=upper_neurons, radius=radius, tau_us=tau_us, eta=0.01)
        upper = train(source, params, seed=seed, lower=lower).model
        second = vectors(source, upper)
        both = score(source, below, second)
        tried.append((both, upper))
        yield row(seed, "float", describe(lower), describe(upper), first, score(source, second), both)
    if fixed:
        _, upper = max(tried, key=lambda pair: pair[0])
        below, second = (vectors(source, model, "fixed") for model in (lower, upper))
        scores = (score(source, below), score(source, second), score(source, below, second))
        yield row(seed, "integers", describe(lower), describe(upper), *scores)


def vectors(source: Source, model: Model, arithmetic: Arithmetic = "float") -> Vectors:
    """Pooled winners of every recording."""
    return feature_vectors(source, model, [POOLING], arithmetic=arithmetic).values[0]


def score(source: Source, *parts: Vectors) -> float:
    """Cross-validated accuracy of ridge on the features of one layer, or of several side by side."""
    return accuracy(concatenated(parts), labels_of(source), "ridge", FOLDS, SEEDS)


def describe(model: Model) -> str:
    """Features, size and tau of a layer."""
    params = model.params
    return f"{params.features} of {params.side}×{params.side}, {params.tau_us / 1000:g} ms"


def row(seed: int, arithmetic: str, lower: str, upper: str, *accuracies: float) -> str:
    """A line of the table: of layer 1, of layer 2, of both."""
    cells = [f"{100 * each:.1f}" for each in accuracies] + [""] * (3 - len(accuracies))
    return f"| {seed} | {arithmetic} | {lower} | {upper} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table in Markdown, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument(
        "--alone", type=int, nargs="*", default=[8, 32, 64, 128], help="sizes of layers 1, a bank"
    )
    parser.add_argument("--lower", type=int, nargs="*", default=[8, 32], help="sizes below a layer 2, a bank")
    parser.add_argument("--upper", type=int, default=128, help="features of layer 2")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fixed", action="store_true", help="the best pair in integers too")
    chosen = parser.parse_args()
    source = training_part(open_source(chosen.source))
    print(HEAD)
    for seed in chosen.seeds:
        for line in alone(source, chosen.alone, seed):
            print(line, flush=True)
        for neurons in chosen.lower:
            for line in above(source, neurons, chosen.upper, seed, chosen.fixed):
                print(line, flush=True)


if __name__ == "__main__":
    main()
