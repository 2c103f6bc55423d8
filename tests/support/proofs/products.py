"""What the long checks range over: every option of emission, every kind of network."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import Final, get_args, get_type_hints

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point.quantise import quantise, stored_weights
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from tests.support.networks import behind, make_model, make_stack, with_fading_readout, with_readout

SENSOR: Final = Sensor(13, 9)


def all_options() -> list[Options]:
    """Every combination of the options that the quantiser does not refuse; a new option joins by itself.

    Without filters the code is that of a network that has none.
    """
    hints = get_type_hints(Options)
    domains = [(False, True) if hints[f.name] is bool else get_args(hints[f.name]) for f in fields(Options)]
    return [options for values in itertools.product(*domains) if _allowed(options := Options(*values))]


def networks(radius: int = 2, features: int = 5) -> dict[str, Model]:
    """One network of each polarity, with both borders among them, one behind filters, and two layers; some
    with class scores, one with a fading readout."""
    size = {"radius": radius, "features": features, "eta": 0.02, "tau_us": 2000.0}
    lower = make_model(SENSOR, polarity="separate", radius=1, features=2, tau_us=2000.0)
    return {
        "separate": with_readout(make_model(SENSOR, polarity="separate", border="zero", **size), grid=4),
        "signed": make_model(SENSOR, threshold=0.1, polarity="signed", border="skip", **size),
        "merged": make_model(SENSOR, polarity="merged", border="skip", **size),
        "filtered": with_readout(behind(Filters(SENSOR, ((0, 0), (5, 2), (7, 3)), 300, 5000, 1, 1), **size)),
        "fading": with_fading_readout(
            make_model(SENSOR, polarity="separate", border="zero", **size), grid=4, min_typicality=0.9
        ),
        "layers": with_readout(make_stack(lower, border="zero", **size)),
    }


def _allowed(options: Options) -> bool:
    if not options.filters:
        return False
    try:
        stored_weights(quantise(make_model())[0], options)
    except FeastError:
        return False
    return True
