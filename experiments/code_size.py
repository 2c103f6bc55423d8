"""Fits the sizes in codegen/emit/footprint_model.py to cross compilers, of which each has measured first.

``python -m experiments.code_size measure gcc12.json`` compiles the library of every kernel and mode for
networks of every radius (some half an hour of a core) with the `arm-none-eabi-gcc` of the PATH, and writes
what it took. ``python -m experiments.code_size fit gcc12.json gcc14.json`` finds, by linear programming, the
coefficients of a bound that none of these compilers exceeds and that exceeds each of them by the least, and
prints the table; each line ends in the largest excess over what tests/emitted/test_footprint.py allows.
``python -m experiments.code_size parts`` prints what class scores, filters and a second layer add.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.footprint_model import terms
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.weight_layout import make_layout
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from tests.emitted.test_footprint import CORE_FLAGS, OPTIONS, SIZES, allowed_above, compile_all
from tests.support.networks import behind, make_model, make_stack, with_readout

HEADROOM_BYTES = 32
"""For compilers in between, networks that were not measured, and small changes of the templates."""


def compiled(kernel: Kernel, mode: str, index: int) -> list[int]:
    """Bytes of code and of tables of the network SIZES[index]."""
    quant, _ = quantise(make_model(**SIZES[index]))
    with tempfile.TemporaryDirectory() as folder:
        code, tables, _ = compile_all(make_plan(quant, None, OPTIONS[mode], kernel), Path(folder))
    return [code, tables]


def chosen(every: int) -> list[int]:
    """Indices into SIZES: all of the smallest patches, where sizes vary most, and one in so many beyond."""
    small = [index for index, size in enumerate(SIZES) if size["radius"] <= 2]
    return small + list(range(len(small), len(SIZES), every))


def measure(path: Path, every: int) -> None:
    """Write {"compiler": its version, "networks": indices, "kernel/mode": [code, tables] of each}."""
    version = subprocess.run(["arm-none-eabi-gcc", "--version"], capture_output=True, text=True, check=True)
    networks = chosen(every)
    found: dict[str, Any] = {"compiler": version.stdout.splitlines()[0], "networks": networks}
    for kernel in CORE_FLAGS:
        for mode in OPTIONS:
            jobs = [joblib.delayed(compiled)(kernel, mode, index) for index in networks]
            found[f"{kernel}/{mode}"] = joblib.Parallel(n_jobs=-1)(jobs)
            path.write_text(json.dumps(found))
            print(kernel, mode, flush=True)


def fit(
    factors: npt.NDArray[np.float64], codes: npt.NDArray[np.float64], allowed: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float]:
    """Coefficients (terms,) of the least bound of `codes`, and the largest excess over what is allowed.

    factors: float64 (networks, terms). codes, allowed: float64 (compilers, networks), bytes.
    """
    count = factors.shape[1]
    most = codes.max(axis=0) + HEADROOM_BYTES
    upper = (codes + 0.0).reshape(-1)
    both = np.vstack([-factors, *[factors] * len(codes)])
    sides = np.concatenate([-most, upper])
    slack = np.concatenate([np.zeros(len(most)), allowed.reshape(-1)])
    goal = np.zeros(count + 1)
    goal[-1] = 1.0
    bounds = [(None, None)] * count + [(0.0, None)]
    least = linprog(goal, np.column_stack([both, -slack]), sides, bounds=bounds).x[-1]
    # Many are as good or nearly so: of these, the one with the smallest coefficients.
    matrix = np.block([[both, np.zeros_like(both)], [np.eye(count), -np.eye(count)], [-np.eye(count)] * 2])
    limits = np.concatenate([sides + 1.005 * least * slack, np.zeros(2 * count)])
    goal = np.concatenate([np.zeros(count), [0.0], np.ones(count - 1)])  # the constant may be any
    found = linprog(goal, matrix, limits, bounds=[(None, None)] * count + [(0.0, None)] * count).x[:count]
    rounded = np.round(found, 1) + 0.0
    rounded[0] += np.ceil(10 * max(0.0, (most - factors @ rounded).max())) / 10
    return rounded, float(((factors @ rounded - codes) / allowed).max())


def fit_all(paths: list[Path]) -> None:
    """Print the table that holds for what all these files say."""
    measured = [json.loads(path.read_text()) for path in paths]
    networks = measured[0]["networks"]
    for each in measured:
        print("#", each["compiler"])
        if each["networks"] != networks:
            raise SystemExit("the files are of different networks: measure all with the same --every")
    for kernel in CORE_FLAGS:
        for mode in OPTIONS:
            rows = np.array([each[f"{kernel}/{mode}"] for each in measured], float)
            narrow = OPTIONS[mode].weights == "int8"
            quants = [quantise(make_model(**size))[0] for size in (SIZES[index] for index in networks)]
            factors = np.array([terms(make_layout(quant.params, kernel, narrow)) for quant in quants], float)
            codes, tables = rows[:, :, 0], rows[:, :, 1]
            found, worst = fit(factors, codes, np.vectorize(allowed_above)(codes + tables))
            print(f'    ("{kernel}", "{mode}"): ({", ".join(f"{v:g}" for v in found)}),  # {worst:.2f}')


def code_of(model: Model, options: Options, kernel: Kernel) -> int:
    """Bytes of code of one library."""
    with tempfile.TemporaryDirectory() as folder:
        return compile_all(make_plan(quantise(model)[0], None, options, kernel), Path(folder))[0]


def print_parts() -> None:
    """Print what class scores, filters and the joint of two layers add, on each kernel."""
    hot = ((3, 4), (20, 7))
    filters = {
        "filters: checks": Filters(Sensor(34, 34), hot, downsample_shift=1),
        "filters: and times": Filters(Sensor(34, 34), hot, 1000, downsample_shift=1),
        "filters: and background": Filters(Sensor(34, 34), hot, 1000, 50_000, 1, 1),
    }
    for kernel in CORE_FLAGS:
        for learning in (False, True):
            options = Options(learning)
            added: dict[str, list[int]] = {}
            for size in ({}, {"radius": 2}, {"radius": 2, "features": 3}):
                model = make_model(**size)
                plain = code_of(model, options, kernel)
                scored = [with_readout(model, grid, classes) for grid, classes in ((7, 10), (2, 40))]
                for each in scored:
                    added.setdefault("readout", []).append(code_of(each, options, kernel) - plain)
                for name, chain in filters.items():
                    code = code_of(behind(chain, **size), options, kernel)
                    base = code_of(make_model(chain.sensor, **size), options, kernel)
                    added.setdefault(name, []).append(code - base)
            for below, radius in ((8, 2), (1, 5)):
                lower = make_model(radius=1, features=below)
                stack = make_stack(lower, radius=radius, features=16)
                both = code_of(stack, options, kernel)
                alone = code_of(replace(stack, lower=None), options, kernel)
                joint = both - alone - code_of(lower, options.below, kernel)
                added.setdefault("joint", []).append(joint)
            print(kernel, "learning" if learning else "frozen", added, flush=True)


def main() -> None:
    """Measure or fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    job = jobs.add_parser("measure")
    job.add_argument("path", type=Path)
    job.add_argument("--every", type=int, default=1, metavar="N", help="beyond radius 2 one network in N")
    jobs.add_parser("fit").add_argument("paths", type=Path, nargs="+")
    jobs.add_parser("parts")
    arguments = parser.parse_args()
    if arguments.job == "measure":
        measure(arguments.path, arguments.every)
    elif arguments.job == "parts":
        print_parts()
    else:
        fit_all(arguments.paths)


if __name__ == "__main__":
    main()
