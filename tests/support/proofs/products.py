"""What the long checks range over: every option of emission, every kind of network."""

from __future__ import annotations

from typing import Final

from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options, every_combination
from tests.support.networks import behind, make_model, make_stack, with_readout

SENSOR: Final = Sensor(13, 9)


def all_options() -> list[Options]:
    """Every combination of the options; without filters the code is that of a network that has none."""
    return [options for options in every_combination() if options.filters]


def networks(radius: int = 2, features: int = 5) -> dict[str, Model]:
    """One network of each polarity, with both borders among them, one behind filters, and two layers; some
    with class scores."""
    size = {"radius": radius, "features": features, "eta": 0.02, "tau_us": 2000.0}
    lower = make_model(SENSOR, polarity="separate", radius=1, features=2, tau_us=2000.0)
    return {
        "separate": with_readout(make_model(SENSOR, polarity="separate", border="zero", **size), grid=4),
        "signed": make_model(SENSOR, threshold=0.1, polarity="signed", border="skip", **size),
        "merged": make_model(SENSOR, polarity="merged", border="skip", **size),
        "filtered": with_readout(behind(Filters(SENSOR, ((0, 0), (5, 2), (7, 3)), 300, 5000, 1, 1), **size)),
        "limited": behind(Filters(SENSOR, max_rate=5000, burst=20), **size),
        "layers": with_readout(make_stack(lower, border="zero", **size)),
    }
