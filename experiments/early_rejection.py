"""Would exact early rejection pay? Multiply-accumulates left if a feature is dropped once it cannot win.

    python -m experiments.early_rejection [RECORDINGS]

After each row of a patch, what is left of a dot product is at most |w_rest| * |c_rest| (Cauchy-Schwarz).
Features are taken in order; a feature, or a block of features that are summed together, is dropped when
that bound says it cannot beat the best complete one so far. docs/develop/decisions.md holds the outcome.
"""

from __future__ import annotations

import sys

import numba
import numpy as np

from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source


@numba.njit(cache=True)
def rows_left(contexts, weights, side, group):
    """Share of rows summed with rejection of whole groups, over the contexts."""
    features = weights.shape[0]
    done = 0
    for context in contexts:
        rest = np.zeros(side + 1)
        for row in range(side - 1, -1, -1):
            part = context[row * side : (row + 1) * side]
            rest[row] = rest[row + 1] + (part * part).sum()
        best = -1.0
        for first in range(0, features, group):
            sums = np.zeros(group)
            for row in range(side):
                hopeless = best >= 0.0
                for n in range(group):
                    tail = weights[first + n, row * side :]
                    if sums[n] + np.sqrt((tail * tail).sum() * rest[row]) > best:
                        hopeless = False
                if hopeless:
                    break
                for n in range(group):
                    low, high = row * side, (row + 1) * side
                    sums[n] += (weights[first + n, low:high] * context[low:high]).sum()
                done += group
            else:
                best = max(best, sums.max())
    return done / (len(contexts) * features * side)


def main(root: str = "../shared/data/nmnist") -> None:
    """Print the share of rows left, feature by feature and in the blocks of the kernels."""
    source = open_source(root)
    model = train(source, Hyperparameters()).model
    radius, side = model.params.radius, model.params.side
    contexts = []
    rng = np.random.default_rng(0)
    for stream in source.split("test"):
        last = np.full((model.sensor.height + 2 * radius, model.sensor.width + 2 * radius), -np.inf)
        chosen = set(rng.choice(len(stream.events), 60, replace=False).tolist())
        for i, event in enumerate(stream.events):
            x, y, now = int(event["x"]), int(event["y"]), float(event["t_us"])
            last[y + radius, x + radius] = now
            if i in chosen:
                patch = last[y : y + side, x : x + side]
                contexts.append(np.exp((patch - now) / model.params.tau_us).ravel())
    for group in (1, 2, 4, 8):
        left = rows_left(np.array(contexts), model.weights, side, group)
        print(f"groups of {group}: {100 * left:.1f} % of the multiply-accumulates left")


if __name__ == "__main__":
    main(*sys.argv[1:])
