"""The emitted C under address and undefined-behaviour sanitizers, on hostile events and hostile states."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from tests.support.networks import make_events, make_model, make_stack, with_readout
from tests.support.proofs.driver import (
    KERNELS,
    SENSOR,
    SOURCE,
    build_driver,
    drive,
    emitted,
    hostile_events,
    hostile_state,
    steps,
    twin_script,
    write_library,
)

SANITIZE = ["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
POLARITIES = ("merged", "separate", "signed")
NARROW = Options(select="threshold", weights="int8")


@pytest.fixture(params=["gcc", "clang"])
def compiler(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """A compiler with its sanitizers; skips, saying so, where one or the other is absent."""
    return sanitizing(request.param, tmp_path)


def sanitizing(name: str, folder: Path) -> list[str]:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not on PATH")
    try:
        build_driver(emitted(network("merged"), Options(), "small"), folder / "probe", [name, *SANITIZE])
    except AssertionError as problem:
        pytest.skip(f"{name} has no sanitizers here: {str(problem).splitlines()[0]}")
    return [name, *SANITIZE]


def network(polarity: str, border: str = "zero", radius: int = 2) -> Model:
    model = make_model(
        SENSOR, polarity=polarity, border=border, radius=radius, features=5, eta=0.1, tau_us=300.0
    )
    return with_readout(model, grid=4, classes=5) if polarity == "separate" or radius == 5 else model


def hostile_script(model: Model, options: Options, events: int, rounds: int) -> bytes:
    """Recordings of hostile events; under learning also imports, switches and starts from the model."""
    script = b""
    for seed in range(rounds):
        script += b"r" + steps(hostile_events(events, model.sensor, seed))
        if options.learning:
            script += hostile_state(model, seed) + (b"l\1", b"l\0", b"i")[seed % 3]
            script += steps(make_events(events, model.sensor, seed, mean_gap_us=1.0))
        script += b"sq"
    return script


def check(
    files: dict[str, str], folder: Path, command: list[str], script: bytes, answers: bytes | None = None
) -> None:
    done = drive(build_driver(files, folder, command), script)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    assert done.stdout
    assert answers is None or done.stdout.startswith(answers)


@pytest.mark.parametrize(
    ("kernel", "options"),
    list(itertools.product(KERNELS, (Options(learning=True), NARROW))),
    ids=lambda value: value if isinstance(value, str) else ("learning" if value.learning else "frozen"),
)
def test_no_undefined_behaviour(kernel: Kernel, options: Options, tmp_path: Path) -> None:
    """One compiler, the polarity turning with the kernel; the whole product is a longer check."""
    command = sanitizing("gcc", tmp_path)
    model = network(POLARITIES[KERNELS.index(kernel) % 3], radius=2 + options.learning)
    script, answers = twin_script(model, options, 600)
    script += hostile_script(model, options, 600, rounds=6)
    check(emitted(model, options, kernel), tmp_path / "library", command, script, answers)


def test_no_undefined_behaviour_in_two_layers(tmp_path: Path) -> None:
    options = Options(learning=True)
    model = make_stack(network("separate", radius=1), radius=2, features=5, eta=0.1, tau_us=300.0)
    script, answers = twin_script(model, options, 600)
    script += hostile_script(model, options, 600, rounds=3)
    command = sanitizing("gcc", tmp_path)
    check(emitted(model, options, "portable"), tmp_path / "library", command, script, answers)


@pytest.mark.prove
@pytest.mark.parametrize("options", [Options(), NARROW, Options(learning=True), Options(True, "threshold")])
@pytest.mark.parametrize("border", ["zero", "skip"])
@pytest.mark.parametrize("polarity", POLARITIES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_no_undefined_behaviour_anywhere(
    kernel: Kernel, polarity: str, border: str, options: Options, compiler: list[str], tmp_path: Path
) -> None:
    for radius in (1, 5):
        model = network(polarity, border, radius)
        script, answers = twin_script(model, options, 2000)
        script += hostile_script(model, options, 2000, rounds=12)
        check(emitted(model, options, kernel), tmp_path / f"radius{radius}", compiler, script, answers)


@pytest.mark.parametrize("seed", range(3))
def test_extreme_states_pass_the_check_of_the_import(seed: int, tmp_path: Path) -> None:
    """Else the scripts above would try nothing but the model's own state."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    options = Options(learning=True)
    for radius in (1, 5):
        model = network("signed", radius=radius)
        program = build_driver(emitted(model, options, "small"), tmp_path / f"{radius}", ["cc", "-O0"])
        assert drive(program, hostile_state(model, seed)).stdout == (b"\0\0" if seed % 3 == 0 else b"\1\0")


FAULTS = {
    "beyond the state": (
        "src/feast.c",
        "event->x >= FEAST_CAMERA_WIDTH || event->y >= FEAST_CAMERA_HEIGHT",
        "event->x >= FEAST_CAMERA_WIDTH",
        b"AddressSanitizer|index",
    ),
    "shift too far": (
        "src/feast_layer1_step.h",
        "octaves < FEAST_LAYER1_DEAD_OCTAVES",
        "octaves < UINT32_MAX",
        b"shift exponent",
    ),
    "signed overflow": (
        "src/feast_layer1_learn.c",
        "thresholds[n] - FEAST_LAYER1_DELTA_E_Q30",
        "thresholds[n] * 4 - FEAST_LAYER1_DELTA_E_Q30",
        b"signed integer overflow",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, compiler: list[str], tmp_path: Path) -> None:
    path, right, wrong, message = FAULTS[fault]
    options = Options(learning=True)
    model = network("merged")
    files = emitted(model, options, "portable")
    assert files[path].count(right) == 1
    files[path] = files[path].replace(right, wrong)
    program = build_driver(files, tmp_path / "faulty", compiler)
    done = drive(program, hostile_script(model, options, 400, rounds=3))
    assert done.returncode not in (0, 3)
    assert any(word in done.stderr for word in message.split(b"|")), done.stderr.decode()


HOSTILE = SOURCE.with_name("hostile_indices.c")
INDEXED = {
    "learning": Options(learning=True),
    "frozen": Options(),
    "narrow": NARROW,
    "layers": Options(learning=True),
    "frozen layers": Options(),
}


def indexed(name: str, folder: Path) -> tuple[dict[str, str], Path]:
    """The files of a network and a program that gives every public function indices out of range."""
    model = network("separate")
    if "layers" in name:
        model = with_readout(
            make_stack(model, radius=1, features=5, eta=0.1, tau_us=300.0), grid=4, classes=5
        )
    return emitted(model, INDEXED[name], "small"), folder / "hostile_indices"


def build_indexed(files: dict[str, str], program: Path, compiler: list[str]) -> Path:
    sources = [str(HOSTILE)]
    sources += write_library(files, program.parent)
    command = [*compiler, f"-I{program.parent / 'include'}", "-o", str(program), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize("name", INDEXED)
def test_any_index_is_safe(name: str, compiler: list[str], tmp_path: Path) -> None:
    files, program = indexed(name, tmp_path)
    done = drive(build_indexed(files, program, compiler), b"")
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


def test_every_public_function_is_given_hostile_indices() -> None:
    text = HOSTILE.read_text(encoding="utf-8")
    header = indexed("learning", Path())[0]["include/feast.h"]
    public = set(re.findall(r"^\w+ (feast_\w+)\(", header, re.MULTILINE))
    assert len(public) == 12
    assert public <= set(re.findall(r"(feast_\w+)\(", text))


UNGUARDED = {
    "wins": ("src/feast.c", "feature < FEAST_FEATURES ? self", "true ? self"),
    "threshold": ("src/feast.c", "feature < FEAST_FEATURES ? feast_layer1_th", "true ? feast_layer1_th"),
    "words": ("src/feast.c", "index < FEAST_SNAPSHOT_WORDS", "index != UINT32_MAX"),
    "scores": ("src/feast.c", "index < FEAST_CLASSES ? self", "true ? self"),
    "import": ("src/feast_layer1_learn.c", "index < FEAST_LAYER1_AT_LEARNING", "index != UINT32_MAX"),
}
"""Where an index is checked, the check, what takes its place; the joint has the number of words itself."""


@pytest.mark.parametrize("name", UNGUARDED)
def test_an_index_without_its_check_is_found(name: str, compiler: list[str], tmp_path: Path) -> None:
    files, program = indexed("learning", tmp_path)
    path, check, without = UNGUARDED[name]
    (words,) = re.findall(r"FEAST_SNAPSHOT_WORDS (\d+u)", files["include/feast_config.h"])
    check = check.replace("FEAST_SNAPSHOT_WORDS", words)
    assert files[path].count(check) == 1
    files[path] = files[path].replace(check, without)
    assert drive(build_indexed(files, program, compiler), b"").returncode != 0
