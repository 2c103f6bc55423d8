"""Fits the sizes in codegen/code_size.py to the cross compiler: ``python -m benchmarks.code_size``.

Compiles the library of every kernel and mode for networks of every radius (some 15 minutes on two cores),
finds the coefficients of least largest error (linear programming) and prints the table, each line with the
largest error over what is allowed: 256 bytes, or 2 % of the image.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from codegen.boards import Kernel
from codegen.code_size import terms
from codegen.layout import Layout, make_layout
from codegen.plan import make_plan
from codegen.quantise import quantise
from tests.networks import make_model
from tests.test_footprint import CORE_FLAGS, OPTIONS, SIZES, TOLERANCE_BYTES, compile_all

Row = tuple[Layout, int, float]
"""A network's layout, bytes of its code, and how far a prediction may be off."""


def compiled(kernel: Kernel, mode: str, **params: object) -> Row:
    """Compile one network."""
    options = OPTIONS[mode]
    quant, _ = quantise(make_model(**params))
    with tempfile.TemporaryDirectory() as folder:
        code, tables, _ = compile_all(make_plan(quant, None, options, kernel), Path(folder))
    layout = make_layout(quant.params, kernel, options.weights == "int8")
    return layout, code, max(TOLERANCE_BYTES, 0.02 * (code + tables))


def fit(rows: list[Row]) -> tuple[npt.NDArray[np.float64], float]:
    """Coefficients of `terms` by which the largest error over what is allowed is least, and that error."""
    factors = np.array([terms(layout) for layout, _, _ in rows], float)
    code = np.array([code for _, code, _ in rows], float)
    allowed = np.array([allowed for _, _, allowed in rows])
    count = factors.shape[1]
    both = np.vstack([factors, -factors])
    sides = np.concatenate([code, -code])
    goal = np.zeros(count + 1)
    goal[-1] = 1.0
    slack = np.concatenate([allowed, allowed])
    bounds = [(None, None)] * count + [(0.0, None)]
    least = linprog(goal, np.column_stack([both, -slack]), sides, bounds=bounds).x[-1]
    # Many are as good or nearly so: of these, the one with the smallest coefficients.
    matrix = np.block([[both, np.zeros_like(both)], [np.eye(count), -np.eye(count)], [-np.eye(count)] * 2])
    limits = np.concatenate([sides + 1.005 * least * slack, np.zeros(2 * count)])
    goal = np.concatenate([np.zeros(count), np.ones(count)])
    found = linprog(goal, matrix, limits, bounds=[(None, None)] * count + [(0.0, None)] * count).x[:count]
    rounded = np.round(found, 1) + 0.0
    return rounded, float((np.abs(factors @ rounded - code) / allowed).max())


def main() -> None:
    """Compile, fit and print."""
    for kernel in CORE_FLAGS:
        for mode in OPTIONS:
            jobs = [joblib.delayed(compiled)(kernel, mode, **size) for size in SIZES]
            found, worst = fit(joblib.Parallel(n_jobs=-1)(jobs))
            print(
                f'    ("{kernel}", "{mode}"): ({", ".join(f"{v:g}" for v in found)}),  # {worst:.2f}',
                flush=True,
            )


if __name__ == "__main__":
    main()
