"""Accuracy of a readout stage by stage: raw events, features, fixed point.

    python -m experiments.stages SOURCE [--features 64 --radius 1 --grid 7 --folds 10]

The features are learned from all recordings, without labels; accuracies are cross-validated. Ridge: mean
over three seeds of the folds, its strength the best of eight, one for all folds. Of a folder with splits,
only the train part is used. docs/results/results.md holds the outcome.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from experiments.classifiers import CLASSIFIERS
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.evaluation.ablation import Measure, Stage, feature_stages, raw_stages
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.recordings.open import Source, open_source


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--radius", type=int, default=1)
    parser.add_argument("--tau-us", type=float, default=1e6)
    parser.add_argument("--eta", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--power", type=float, default=0.3)
    parser.add_argument("--grid", type=int, default=7)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--classifiers", nargs="+", default=list(CLASSIFIERS), choices=list(CLASSIFIERS))
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    source = training_part(open_source(chosen.source))
    params = Hyperparameters(
        features=chosen.features, radius=chosen.radius, tau_us=chosen.tau_us, eta=chosen.eta
    )
    pooling = Pooling(grid=chosen.grid, overlap=1.5, power=chosen.power)
    others = {name: CLASSIFIERS[name] for name in chosen.classifiers if name != "ridge"}
    stages = stage_table(source, params, Measure(pooling, others, chosen.folds, chosen.jobs), chosen.seed)
    features = f"{params.features} a bank, {params.side}x{params.side}, tau {params.tau_us / 1000:g} ms"
    print(f"{source.spec}: {len(source)} recordings, {chosen.folds} folds; features: {features}\n")
    print(table_text(stages))


def stage_table(source: Source, params: Hyperparameters, measure: Measure, seed: int = 0) -> list[Stage]:
    """Train on all of `source` (no labels), merged and separate, float and fixed, and read out.

    The labels serve the readouts alone, by cross-validation. Raises FeastError for recordings
    without labels and classes smaller than the folds.
    """
    stages = raw_stages(source, measure)
    merged = train(source, replace(params, polarity="merged"), seed=seed).model
    stages += feature_stages(source, merged, "features, merged", measure)
    params = replace(params, polarity="separate")
    separate = train(source, params, seed=seed).model
    stages += feature_stages(source, separate, "features, separate", measure)
    learned = train(source, params, seed=seed, arithmetic="fixed").model
    linear = replace(measure, others={})
    for name, model in (("the same, run in integers", separate), ("learned and run in integers", learned)):
        stages += feature_stages(source, model, name, linear, "fixed")[1:2]
    return stages


def table_text(stages: list[Stage]) -> str:
    """The table in Markdown."""
    names = list(stages[0].accuracies)
    lines = [f"| stage | pooling | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for stage in stages:
        cells = [f"{100 * stage.accuracies[n]:.1f}" if n in stage.accuracies else "" for n in names]
        lines.append(f"| {stage.name} | {stage.pooling} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
