"""Accuracy of a readout stage by stage: raw events, features, fixed point.

    python -m benchmarks.stages SOURCE [--neurons 64 --radius 1 --grid 7 --folds 10]

The features are learned from all recordings, without labels; accuracies are cross-validated. Ridge: mean
over three seeds of the folds, its strength the best of eight, one for all folds. Of a folder with splits,
only the train part is used. docs/results.md holds the outcome.
"""

from __future__ import annotations

import argparse

from codegen.model import Hyperparameters
from host.classifiers import CLASSIFIERS
from host.datasets import open_source
from host.pooling import Pooling
from host.stages import Measure, stage_table, table_text
from host.training import training_part


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--neurons", type=int, default=64)
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
        neurons=chosen.neurons, radius=chosen.radius, tau_us=chosen.tau_us, eta=chosen.eta
    )
    pooling = Pooling(grid=chosen.grid, overlap=1.5, power=chosen.power)
    measure = Measure(pooling, tuple(chosen.classifiers), chosen.folds, chosen.jobs)
    table = stage_table(source, params, measure, chosen.seed)
    print(f"{table.source}: {table.recordings} recordings, {table.folds} folds; features: {table.features}\n")
    print(table_text(table))


if __name__ == "__main__":
    main()
