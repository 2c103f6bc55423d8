"""Runs mutants of the emitted C and of the twin against recorded answers; who survives was not noticed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.fixed_point.quantise import QuantModel, quantise
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.proofs import scenario
from tests.support.proofs.driver import SOURCE, emitted, write_library
from tests.support.proofs.layer_names import layer_of, layered, plain
from tests.support.proofs.mutate_c import Mutant, mutants
from tests.support.proofs.products import networks

_CPU_LIMIT_S = 1
"""Of processor time, independent of the machine's load: an answer takes some hundredths of it."""
_LIMIT_S = 120
_NO_CODE = re.compile(r"(tables\.c|include/.*\.h)$")


@cache
def _compiler() -> tuple[str, ...]:
    """tcc where there is one, for it takes a tenth of the time; it has no static assertions."""
    if shutil.which("tcc"):
        return ("tcc", "-w", "-D_Static_assert(...)=")
    return ("cc", "-std=c11", "-O0", "-w")


@dataclass(frozen=True)
class Case:
    """One emitted library with a scenario; mutants are made of the files that `files` matches."""

    name: str
    network: str
    options: Options
    kernel: Kernel
    features: int
    """Three blocks: the second is like the first, so that they tie; the last may lack a place."""
    radius: int = 2
    eta: float = 0.02
    files: str = r"\.[ch]$"

    @cached_property
    def model(self) -> Model:
        """With features that differ much, so that each wins."""
        model = networks(self.radius, self.features)[self.network]
        weights = np.sign(model.weights) * np.abs(model.weights) ** 4
        if (
            self.network == "signed"
        ):  # all against the event's own pixel, so that all products can be negative
            weights[:, model.params.dims // 2] = -np.abs(weights).max(axis=1)
        weights /= np.linalg.norm(weights, axis=1)[:, None]
        block = -(-self.features // 3)
        for bank in weights.reshape(model.params.banks, self.features, -1):
            bank[block : 2 * block] = bank[:block]
        return replace(model, weights=weights, params=replace(model.params, eta=self.eta))

    @cached_property
    def quant(self) -> QuantModel:
        return quantise(self.model)[0]

    @cached_property
    def calls(self) -> list[scenario.Call]:
        return scenario.scenario(self.model, self.options, self.quant)

    @cached_property
    def answers(self) -> bytes:
        return scenario.carry_out(self.calls, lambda: Twin(self.quant, self.options))


CASES = (
    Case("nearest", "signed", Options(), "portable", 11),
    Case("threshold", "signed", Options(select="threshold"), "portable", 11),
    Case("narrow", "merged", Options(select="threshold", weights="int8"), "portable", 12),
    Case("narrow vector", "separate", Options(weights="int8"), "vector", 12),
    Case("learning", "separate", Options(learning=True), "portable", 11, eta=0.1),
    Case("learning dsp", "separate", Options(learning=True), "dsp", 23, radius=1, eta=0.001),
    Case("learning vector", "separate", Options(True, "threshold"), "vector", 12, eta=0.001),
    Case("filtered", "filtered", Options(), "portable", 12, files=r"src/feast(_filter|_layer1_state)?\.c$"),
    Case(
        "layers",
        "layers",
        Options(learning=True),
        "portable",
        6,
        files=r"src/feast\.c$|feast_layer2_kernel\.h$",
    ),
)


class Bench:
    """A case made ready: the library written and compiled, the script encoded."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.folder = folder
        self.files = emitted(case.model, case.options, case.kernel)
        self._script = scenario.encode(case.calls)
        self._sources = [SOURCE, *map(Path, write_library(self.files, folder))]
        self._cc(folder, "-c", *self._sources)
        assert self.survives({}), f"{case.name}: the library itself must pass"

    def mutants(self) -> Iterator[tuple[Mutant, dict[str, str]]]:
        """Every mutant with the text of the file it changes, by the file's name."""
        live = self._live_lines()
        for path, text in sorted(self.files.items()):
            name = Path(path).name
            if re.search(self.case.files, path) and not _NO_CODE.search(path):
                layer = layer_of(path)
                shown = plain(name, layer)
                for mutant, changed in mutants(shown, plain(text, layer), live.get(name, set())):
                    yield mutant, {name: layered(changed, layer)}

    def survives(self, changed: dict[str, str]) -> bool:
        """Whether the library with `changed` files in it gives the twin's answers."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            for source in (self.folder / "src").iterdir():
                if source.name not in changed:
                    (folder / source.name).symlink_to(source)
            for file, text in changed.items():
                (folder / file).write_text(text, encoding="utf-8")
            try:
                self._cc(folder, *self._parts(folder, changed), "-o", "program")
                answers = subprocess.run(
                    ["prlimit", f"--cpu={_CPU_LIMIT_S}", folder / "program"],
                    input=self._script,
                    capture_output=True,
                    check=True,
                    timeout=_LIMIT_S,
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                return False
            return answers.stdout == self.case.answers

    def _parts(self, folder: Path, changed: dict[str, str]) -> list[Path]:
        """Sources to be compiled again, and objects of the others; a header concerns all that hold code."""
        header = any(file.endswith(".h") for file in changed)
        return [
            folder / source.name
            if source.name in changed or (header and source != SOURCE and not _NO_CODE.search(source.name))
            else self.folder / f"{source.stem}.o"
            for source in self._sources
        ]

    def _cc(self, folder: Path, *arguments: str | Path) -> str:
        command = [*_compiler(), f"-I{self.folder / 'include'}", *map(str, arguments)]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def _live_lines(self) -> dict[str, set[int]]:
        """Lines that reach the compiler, by file name: what `#if` leaves out makes no mutants."""
        live: dict[str, set[int]] = {}
        name, number = "", 0
        for line in self._cc(self.folder, "-E", *self._sources).splitlines():
            if marker := re.match(r'# (\d+) "(.*?)"', line):
                name, number = Path(marker[2]).name, int(marker[1])
                continue
            if line.strip():
                live.setdefault(name, set()).add(number)
            number += 1
        return live


def c_survivors(folder: Path, cases: Iterable[Case] = CASES) -> tuple[int, set[Mutant]]:
    """Number of different mutants of the emitted C, and those that no case notices."""
    tried: set[Mutant] = set()
    surviving: set[Mutant] = set()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, case in enumerate(cases):
            bench = Bench(case, folder / str(index))
            left = [(m, changed) for m, changed in bench.mutants() if m not in tried or m in surviving]
            passed = pool.map(bench.survives, [changed for _, changed in left])
            for (mutant, _), survived in zip(left, passed, strict=True):
                tried.add(mutant)
                (surviving.add if survived else surviving.discard)(mutant)
    return len(tried), surviving
