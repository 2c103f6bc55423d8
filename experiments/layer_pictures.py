"""What two layers learn and answer, as one picture: a look, no evidence.

    python -m experiments.layer_pictures SOURCE OUTPUT.png [--sensor 128x128 --recording 3]

Above, the last events of a recording before a moment in its middle: by polarity, by the feature of the first
layer that won them, by the feature of the second. Below, the features of each layer over pixels; those of the
second are drawn through the first.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.host.colours import OFF_COLOUR, ON_COLOUR, palette
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.receptive_field import receptive_field
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source

LOWER: Final = Hyperparameters(features=8, radius=2, tau_us=50e3, eta=0.005, polarity="separate")
UPPER: Final = Hyperparameters(features=16, radius=4, tau_us=100e3, eta=0.005)
SHOWN_US: Final = 40_000


def main() -> None:
    """Train both layers and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("output", type=Path)
    parser.add_argument("--sensor", type=Sensor.parse)
    parser.add_argument("--recording", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=2)
    chosen = parser.parse_args()
    source = open_source(chosen.source, chosen.sensor)
    lower = train(source, LOWER, epochs=chosen.epochs).model
    upper = train(source, UPPER, epochs=chosen.epochs, lower=lower).model
    draw(lower, upper, source.load(chosen.recording).events, chosen.output)


def draw(lower: Model, upper: Model, events: Events, path: Path) -> None:
    """The picture, as a file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.6), dpi=110, facecolor="white", layout="constrained")
    scenes, features = figure.subfigures(2, 1, height_ratios=(3.1, 2.5))
    tables = [
        [OFF_COLOUR, ON_COLOUR],
        palette(lower.params.total_features),
        palette(upper.params.total_features),
    ]
    winners = [events["polarity"], FloatFeast(lower).step(events), FloatFeast(upper).step(events)]
    titles = ("events by polarity", "first layer", "second layer")
    now = events["t_us"][0] + (events["t_us"][-1] - events["t_us"][0]) // 2
    seen = (events["t_us"] <= now) & (events["t_us"] > now - SHOWN_US)
    for axes, channels, table, title in zip(scenes.subplots(1, 3), winners, tables, titles, strict=True):
        _scene(axes, events[seen], channels[seen], table, lower.sensor, title)
    grids = features.subfigures(1, 2)
    for grid, model, table in zip(grids, (lower, upper), tables[1:], strict=True):
        for index, axes in enumerate(grid.subplots(2, model.params.total_features // 2).flat):
            _feature(axes, receptive_field(model, model.weights[index]), table[index])
    figure.savefig(path)


def _scene(
    axes: Any, events: Events, channels: npt.NDArray[Any], table: list[str], sensor: Sensor, title: str
) -> None:
    from matplotlib.colors import to_rgb

    image = np.ones((sensor.height, sensor.width, 3))
    kept = channels >= 0
    colours = np.array([to_rgb(colour) for colour in table])
    image[events["y"][kept], events["x"][kept]] = colours[channels[kept]]
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def _feature(axes: Any, field: npt.NDArray[np.float64], colour: str) -> None:
    peak = float(np.sort(np.abs(field), axis=None)[-2])  # the event's own pixel may saturate
    axes.imshow(field, cmap="RdBu_r", vmin=-peak, vmax=peak, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)


if __name__ == "__main__":
    main()
