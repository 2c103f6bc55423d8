"""First versions that a competent engineer would write, as drop-in libraries to measure against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from feast_codegen.codegen.emit.plan import Plan
from feast_codegen.codegen.emit.render import MANIFEST, of_layer, render, template_environment
from feast_codegen.codegen.fixed_point.quantise import QuantModel

Number = Literal["int16_t", "float"]

_TABLE_ENTRIES: Final = 256
_TABLE_REACH_TAU: Final = 8.0
_FPU_FLAGS: Final = {
    "cortex-m4": ["-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16", "-fno-math-errno"],
    "cortex-m7": ["-mfloat-abi=softfp", "-mfpu=fpv5-d16", "-fno-math-errno"],
}
FLOAT_CORES: Final = frozenset(_FPU_FLAGS)
"""Cores whose FPU the float baseline uses; elsewhere it would only measure the soft-float library."""


@dataclass(frozen=True)
class _Baseline:
    """What host/bench/baseline.c.j2 is given."""

    number: Number
    total: str
    step_us: int
    eta: str
    delta_i: str
    delta_e: str
    weights: Sequence[Sequence[float]]
    decay: Sequence[float]


def render_baseline(quant: QuantModel, plan: Plan, number: Number, core: str) -> dict[str, str]:
    """The library of `plan` (one layer) with the step of its layer replaced by the baseline's.

    The same interface, weights and compiler flags, so that the same firmware drives both. `float`
    adds the flags for the FPU of `core`.
    """
    step_us = max(1, round(_TABLE_REACH_TAU * quant.params.tau_us / _TABLE_ENTRIES))
    decay = np.exp(-(np.arange(_TABLE_ENTRIES) + 0.5) * step_us / quant.params.tau_us)
    integers = number == "int16_t"
    baseline = _Baseline(
        number=number,
        total="int32_t" if integers else "float",
        step_us=step_us,
        eta=_number(quant.params.eta, 28, integers),
        delta_i=_number(quant.params.delta_i, 24, integers),
        delta_e=_number(quant.params.delta_e, 24, integers),
        weights=(quant.weights if integers else quant.weights / 32768.0).tolist(),
        decay=(np.rint(decay * 4095).astype(int) if integers else decay).tolist(),
    )
    environment = template_environment(Path(__file__).parent)
    environment.filters["c_list"] = _c_list
    layer = plan.last
    step = environment.get_template("baseline.c.j2").render(layer=layer, baseline=baseline)
    files = render(plan) | {f"src/{layer.header}": of_layer(step, layer.name)}
    if not integers:
        library = json.loads(files["library.json"])
        library["build"]["flags"] = _FPU_FLAGS[core]
        files["library.json"] = json.dumps(library, indent=2) + "\n"
    files[MANIFEST] = json.dumps({"files": sorted(files)}, indent=2) + "\n"
    return files


def _number(value: float, bits: int, integers: bool) -> str:
    """A constant of the rule, in Q`bits` or as a float."""
    return str(round(value * 2**bits)) if integers else f"{value:.8e}f"


def _c_list(values: Sequence[float]) -> str:
    """Initialiser values; floats with a digit after the point and the suffix f."""
    texts = [f"{value:.9g}f" if isinstance(value, float) else str(value) for value in values]
    texts = [
        text if "." in text or "e" in text or not text.endswith("f") else f"{text[:-1]}.0f" for text in texts
    ]
    return ",\n".join("    " + ", ".join(texts[i : i + 12]) for i in range(0, len(texts), 12))
