"""How well activation scores rank networks: Spearman correlation with the accuracy of a readout.

    python -m experiments.activation_score SOURCE [--networks 32] [--seeds 0 1]

Networks are drawn at random over N, radius, tau, polarity and eta. Each is trained on all recordings
(of a folder with splits: of its train part), scored on a tenth of them, and read out (ridge on 5x5
overlapping cells, five-fold cross-validation) on all. docs/results/results.md holds the outcome.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.evaluation.activation_scores import activation_score
from feast_codegen.host.evaluation.classifiers import ridge_accuracy
from feast_codegen.host.evaluation.feature_vectors import feature_vectors
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.recordings.open import open_source


def draw(generator: np.random.Generator) -> Hyperparameters:
    """One network of the space that is searched."""
    return Hyperparameters(
        features=int(generator.choice([4, 8, 16, 32])),
        radius=int(generator.choice([1, 2, 3, 5])),
        tau_us=float(generator.choice([2e3, 1e4, 2e4, 5e4, 2e5])),
        polarity=str(generator.choice(["merged", "separate", "signed"])),  # type: ignore[arg-type]
        eta=float(generator.choice([1e-4, 1e-3, 1e-2])),
    )


def networks(count: int, seeds: Sequence[int]) -> list[Hyperparameters]:
    """`count` different networks of each seed, each listed once."""
    found: dict[Hyperparameters, None] = {}
    for seed in seeds:
        generator, own = np.random.default_rng(seed), set()
        while len(own) < count:
            own.add(draw(generator))
            found |= dict.fromkeys(sorted(own - found.keys(), key=repr))
    return list(found)


def main() -> None:
    """Print one row per network and the correlations, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    source = training_part(open_source(chosen.source))
    pooling = Pooling(grid=5, overlap=1.5)
    rows = []
    print("| N | radius | tau (ms) | polarity | eta | accuracy | separation | spread | richness |")
    print("|---|---|---|---|---|---|---|---|---|")
    for params in networks(chosen.networks, chosen.seeds):
        model = train(source, params).model
        score = activation_score(source, model, jobs=chosen.jobs)
        vectors = feature_vectors(source, model, [pooling], jobs=chosen.jobs)
        value = ridge_accuracy(vectors.values[0], vectors.labels, folds=5, seeds=(0,), groups=vectors.groups)
        rows.append((value, score.separation, score.spread, score.richness))
        print(
            f"| {params.features} | {params.radius} | {params.tau_us / 1000:g} | {params.polarity} | "
            f"{params.eta:g} | {100 * value:.1f} | {score.separation:.2f} | {score.spread:.3f} | "
            f"{score.richness:.1f} |",
            flush=True,
        )
    accuracies, *scores = np.array(rows, np.float64).T
    print(f"\nSpearman over {len(rows)} networks, scores from {score.recordings} recordings:")
    for name, values in zip(("separation", "spread", "richness"), scores, strict=True):
        print(f"{name} {spearmanr(accuracies, values)[0]:.3f}")


if __name__ == "__main__":
    main()
