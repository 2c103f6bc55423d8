"""The fuzz targets in C: what each is made of, how it is built, fuzzed, and given the inputs that are kept.

A target is `<target>.c` beside this file and a network that it runs over; its kept inputs are
`corpus/<target>.txt`, one in a line, in hexadecimal. `step` is there for each network of STEP_NETWORKS.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.plan import Plan, make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import INPUTS, Options
from tests.fuzz.seeds import dialogues, edges
from tests.support.networks import behind, make_model, make_stack, with_readout
from tests.support.proofs.driver import emitted, write_library
from tests.support.waiting import LIMIT_S

HERE: Final = Path(__file__).resolve().parent
FIRMWARE: Final = HERE.parent.parent / "firmware" / "src"
SANITIZE: Final = ["-std=c11", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

Files = dict[str, str]
"""Text by path: an emitted library, or sources of the firmware."""


SENSOR: Final = Sensor(6, 5)
FILTERS: Final = Filters(
    Sensor(12, 10), ((1, 1),), 50, background_us=500, cell_shift=1, downsample_shift=1, max_rate=500, burst=4
)


def _network(polarity: str, border: str = "zero", radius: int = 1) -> Model:
    return make_model(
        SENSOR, polarity=polarity, border=border, radius=radius, features=3, eta=0.1, tau_us=300.0
    )


STEP_NETWORKS: Final[dict[str, tuple[Model, Options]]] = {
    "learning": (_network("merged"), Options(learning=True)),
    "learning-signed": (_network("signed", "skip"), Options(True, "threshold")),
    "learning-separate": (_network("separate", radius=2), Options(learning=True)),
    "frozen": (_network("separate"), Options(select="threshold", weights="int8")),
    "layers": (
        make_stack(_network("separate"), radius=1, features=2, eta=0.1, tau_us=900.0),
        Options(True),
    ),
    "filters-readout": (
        with_readout(behind(FILTERS, radius=1, features=3, eta=0.1, tau_us=300.0)),
        Options(learning=True),
    ),
}
STEP_KERNELS: Final[tuple[Kernel, Kernel]] = ("small", "dsp")
LINK_DEFINES: Final = ("-DLINK_PERSIST_BYTES=512u", "-DLINK_RESULT_WINDOW=16u", "-DLINK_RESULTS_PER_FRAME=8u")
PARTS: Final[dict[str, set[str]]] = {
    "framing": {"framing.c"},
    "input": set(),
    "persist": {"framing.c", "persist.c"},
}
"""Files of the firmware that a target is made of; all but main.c if it is not named here."""
TARGETS: Final = ("framing", "input", "link", "persist", *(f"step-{name}" for name in STEP_NETWORKS))


@dataclass(frozen=True)
class Sources:
    """What a target is compiled from: the firmware, and one or two variants of an emitted library."""

    firmware: Files
    libraries: tuple[Files, ...]


def link_plan() -> Plan:
    """The plan of the library below `link`."""
    model, options = STEP_NETWORKS["learning"]
    return make_plan(quantise(model)[0], None, options, "small")


def input_plan() -> Plan:
    """The plan of the library below `input`."""
    model, _ = STEP_NETWORKS["frozen"]
    return make_plan(quantise(model)[0], None, Options(input=INPUTS), "small")


def sources(target: str) -> Sources:
    """The sources of a target, as they are."""
    firmware = {path.name: path.read_text(encoding="utf-8") for path in sorted(FIRMWARE.glob("*.[ch]"))}
    if target.startswith("step-"):
        model, options = STEP_NETWORKS[target.removeprefix("step-")]
        return Sources({}, tuple(emitted(model, options, kernel) for kernel in STEP_KERNELS))
    plan = input_plan() if target == "input" else link_plan()
    return Sources(firmware, (render(plan),))


def build(target: str, made_of: Sources, folder: Path, fuzz: bool) -> Path:
    """Compile a target below `folder`, for libFuzzer or as a program that is given inputs to repeat.

    The fuzzer is guided by what an input reaches in the code under test, not in the target itself.
    """
    compiler = [*(("clang", "-O2") if fuzz else ("cc", "-O0")), *SANITIZE]
    guided = [*compiler, *(["-fsanitize=fuzzer-no-link"] if fuzz else [])]
    if target.startswith("step-"):
        include = [f"-I{HERE}"]
        objects = [
            path
            for letter, library in zip("ab", made_of.libraries, strict=True)
            for path in _variant(letter, library, folder / letter, guided)
        ]
    else:
        (library,) = made_of.libraries
        write_library(made_of.firmware, folder)
        network = write_library(library, folder / "library")
        include = [f"-I{folder}", f"-I{HERE}", f"-I{folder / 'library' / 'include'}", *LINK_DEFINES]
        library_compiler = guided if target == "input" else compiler
        objects = [_object(Path(path), folder, [*library_compiler, *include]) for path in network]
        parts = PARTS.get(target, set(made_of.firmware) - {"main.c"})
        objects += [
            _object(folder / name, folder, [*guided, *include]) for name in parts if name.endswith(".c")
        ]
    objects.append(_object(HERE / f"{target.partition('-')[0]}.c", folder, [*compiler, *include]))
    end = ["-fsanitize=fuzzer"] if fuzz else [_object(HERE / "replay.c", folder, compiler)]
    program = folder / "target"
    _compile([*compiler, "-o", str(program), *objects, *end])
    return program


def _variant(letter: str, library: Files, folder: Path, compiler: list[str]) -> list[str]:
    """Object files of one variant: what the library exports gets a suffix."""
    paths = write_library(library, folder)
    exported = set(re.findall(r"\bfeast\d?_\w+(?=[\[(])", "\n".join(library.values())))
    exported -= {"feast_init"}  # a macro: each library has its own already
    rename = [f"-D{name}={name}_{letter}" for name in sorted(exported)]
    command = [*compiler, *rename, f"-DVARIANT=variant_{letter}", f"-I{folder / 'include'}", f"-I{HERE}"]
    return [_object(Path(path), folder, command) for path in [*paths, HERE / "variant.c"]]


def _object(source: Path, folder: Path, command: list[str]) -> str:
    target = folder / f"{source.stem}.{source.parent.name}.o"
    _compile([*command, "-c", "-o", str(target), str(source)])
    return str(target)


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


# Inputs that are kept


def corpus(target: str) -> list[bytes]:
    """The kept inputs of a target, and those that follow from today's protocol and geometry."""
    path = HERE / "corpus" / f"{target}.txt"
    kept = [bytes.fromhex(line) for line in path.read_text(encoding="ascii").splitlines()]
    if target == "link":
        return kept + dialogues(link_plan())
    return kept + (edges(SENSOR) if target.startswith("step-") else [])


def keep(target: str, inputs: list[bytes]) -> None:
    """Replace the kept inputs of a target."""
    lines = sorted({each.hex() for each in inputs}, key=lambda line: (len(line), line))
    (HERE / "corpus" / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def replay(program: Path, inputs: list[bytes]) -> subprocess.CompletedProcess[str]:
    """Give inputs to a program of `build(..., fuzz=False)`: exit 0 and silence if all is well."""
    lines = "".join(f"{each.hex()}\n" for each in inputs)
    return subprocess.run(
        [program], input=lines, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )


@dataclass(frozen=True)
class Fuzzed:
    """What a run of libFuzzer came to."""

    executions: int
    seconds: float
    edges: int
    crash: bytes | None
    report: str
    corpus: list[bytes]
    """The least inputs that reach all that was reached."""


def fuzz(
    program: Path, seeds: list[bytes], runs: int, folder: Path, seed: int = 1, size: int = 256
) -> Fuzzed:
    """Fuzz with libFuzzer for `runs` executions of up to `size` bytes each, beginning with `seeds`."""
    found, least = folder / "found", folder / "least"
    for each in (found, least):
        each.mkdir(parents=True)
    for number, each in enumerate(seeds):
        (found / f"seed{number}").write_bytes(each)
    options = [f"-runs={runs}", f"-max_len={size}", f"-seed={seed}", "-rss_limit_mb=2048", "-timeout=20"]
    options += [f"-artifact_prefix={folder}/crash-", "-print_final_stats=1", "-len_control=20"]
    begin = time.monotonic()
    done = subprocess.run([program, *options, found], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    crash = next((path.read_bytes() for path in sorted(folder.glob("crash-*"))), None)
    (executions,) = re.findall(r"stat::number_of_executed_units: (\d+)", done.stderr) or ["0"]
    edges = re.findall(r"cov: (\d+)", done.stderr) or ["0"]
    assert (done.returncode == 0) == (crash is None), done.stderr[-2000:]
    if crash is None:
        subprocess.run([program, "-merge=1", least, found], capture_output=True, check=True)
    inputs = [path.read_bytes() for path in sorted(least.iterdir())]
    return Fuzzed(int(executions), seconds, int(edges[-1]), crash, done.stderr, inputs)
