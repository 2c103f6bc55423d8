"""What names a library: ids of model, state and code, and of what host and device share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from feast_codegen.codegen.base.tool import VERSION
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.fixed_point.quantise import (
    QuantModel,
    effective_filters,
    effective_readout,
    state_id,
)
from feast_codegen.codegen.fixed_point.quantise_readout import QuantFading
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages

API_VERSION: Final = (1, 0, 0)
"""Of the functions and macros in the emitted header."""
NUMERICS_VERSION: Final = 2
"""Goes up when docs/reference/numerics.md changes any result; part of the build id."""


@dataclass(frozen=True)
class Ids:
    """What tells one library from another."""

    model: str
    """64 hex digits: the model file's."""
    build: str
    """16 hex digits: what host and device must share to understand each other."""
    state: int
    """CRC-32 of the learned state it starts from."""
    library: str
    """16 hex digits over model, build, kernel, options and version: header and object code agree in it."""


def make_ids(quant: QuantModel, options: Options, kernel: Kernel) -> Ids:
    """The ids of the library that is emitted from a model with these options for a kernel."""
    build = build_id(quant, options)
    library = _digest([VERSION, quant.model_id, build, kernel, options.content])
    return Ids(quant.model_id, build, state_id(quant, options), library)


def build_id(quant: QuantModel, options: Options) -> str:
    """16 hex digits over geometry, options, number formats and protocol: what host and device must share."""
    params = quant.params
    content: dict[str, Any] = {
        "sensor": [quant.sensor.width, quant.sensor.height],
        "geometry": [params.features, params.radius, params.polarity, params.border],
        "formats": [NUMERICS_VERSION, quant.surface_bits, quant.octave_q8],
        "learning": [quant.eta_q32, quant.delta_i_q30, quant.delta_e_q30] if options.learning else None,
        "select": options.select,
        "weights": options.weights,
        "api": API_VERSION,
        "protocol": messages.VERSION,
    }
    if quant.lower is not None:
        content["lower"] = build_id(quant.lower, options.below)
    readout = effective_readout(quant, options)
    if readout is not None:
        form = asdict(readout.size) if isinstance(readout, QuantFading) else readout.bits
        content["readout"] = [readout.grid, readout.labels, form, readout.digest]
    if filters := effective_filters(quant, options):
        content["filters"] = filters.stored
    return _digest(content)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
