"""Live figures of a network with a fading readout: cross-validated, and on recordings kept apart.

    python experiments/live.py SOURCE [--test SOURCE] [--features 16] [--radius 1] [--seed 0] [--hidden 32]

One line of JSON for each run: several seeds are several runs. docs/results/live.md has the means.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

from feast_codegen.codegen.model.hyperparameters import READOUT_DEFAULTS, Hyperparameters
from feast_codegen.host.evaluation.fit_fading import LiveAccuracy, fit_fading, measure_fading
from feast_codegen.host.evaluation.live import LiveScore, wilson
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.recordings.open import open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--test")
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--radius", type=int, default=1)
    parser.add_argument("--tau-us", type=float, default=63_000.0)
    parser.add_argument("--eta", type=float, default=2.7e-4)
    parser.add_argument("--polarity", default="separate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grid", type=int, default=READOUT_DEFAULTS.grid)
    parser.add_argument("--readout-tau-us", type=float, default=READOUT_DEFAULTS.tau_us)
    parser.add_argument("--hidden", type=int, default=READOUT_DEFAULTS.hidden)
    given = parser.parse_args()
    start = time.perf_counter()
    source = training_part(open_source(given.source))
    params = Hyperparameters(
        features=given.features,
        radius=given.radius,
        tau_us=given.tau_us,
        eta=given.eta,
        polarity=given.polarity,
    )
    model = train(source, params, seed=given.seed).model
    readout = replace(READOUT_DEFAULTS, grid=given.grid, tau_us=given.readout_tau_us, hidden=given.hidden)
    fitted = fit_fading(source, model, readout, seed=given.seed)
    found: dict[str, object] = {
        "network": vars(given),
        "cross-validated": fitted.expected and figures(fitted.expected),
    }
    if given.test:
        test = measure_fading(open_source(given.test), model, fitted.readout, seed=given.seed)
        found["test"] = figures(test)
    print(json.dumps(found | {"seconds": round(time.perf_counter() - start)}))


def figures(accuracy: LiveAccuracy) -> dict[str, object]:
    """Of a table row, in per cent and milliseconds."""
    return {
        "reset": _share(accuracy.reset),
        **{f"speed {speed:g}": _live(score) for speed, score in accuracy.live.items()},
    }


def _live(score: LiveScore) -> dict[str, object]:
    time_right = None if score.time_right is None else round(100 * score.time_right, 2)
    return {"end": _share(score), "time right": time_right, "lasting ms": score.lasting_us / 1000}


def _share(score: LiveScore) -> list[float]:
    interval = wilson(score.right_at_end, score.recordings)
    return [round(100 * value, 2) for value in (score.accuracy, *interval)]


if __name__ == "__main__":
    main()
