"""Flash, RAM and stack that the plan bounds or predicts, against what the cross compiler makes.

With any installed GCC from 12 to 14: the code must not exceed what the plan says, nor fall much short of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from feast_codegen.codegen.boards.board import Kernel, get_board
from feast_codegen.codegen.emit.plan import Plan, make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.options import Options
from tests.support.firmware_project import needs_compiler
from tests.support.networks import behind, make_model, make_stack, with_fading_readout, with_readout

pytestmark = [pytest.mark.firmware, needs_compiler]


@pytest.fixture(scope="module", autouse=True)
def fitted_compiler() -> None:
    """Skip where the compiler is one that nothing is promised for."""
    done = subprocess.run(["arm-none-eabi-gcc", "-dumpversion"], capture_output=True, text=True, check=True)
    if int(done.stdout.split(".")[0]) not in FITTED:
        pytest.skip(
            f"sizes hold for GCC {FITTED[0]} to {FITTED[-1]}, arm-none-eabi-gcc is {done.stdout.strip()}"
        )


CORE_FLAGS: dict[Kernel, list[str]] = {
    "small": ["-mcpu=cortex-m0", "-mfloat-abi=soft"],
    "portable": ["-mcpu=cortex-m3", "-mfloat-abi=soft"],
    "dsp": ["-mcpu=cortex-m4", "-mfloat-abi=soft"],
    "vector": ["-mcpu=cortex-m55", "-mfloat-abi=hard"],
}
OPTIONS = {
    "nearest": Options(),
    "threshold": Options(select="threshold"),
    "learning": Options(learning=True),
    "nearest int8": Options(weights="int8"),
    "threshold int8": Options(select="threshold", weights="int8"),
}
SIZES: list[dict[str, Any]] = [
    {"radius": radius, **other}
    for radius in range(1, 16)
    for other in (
        *({"features": features} for features in (1, 2, 3, 5, 8, 12, 16, 33)),
        {"features": 16, "polarity": "separate", "border": "skip"},
        {"features": 16, "polarity": "signed"},
    )
]
TOLERANCE_BYTES = 256
"""How many bytes more than the stack takes the plan may say; it never says fewer."""
FITTED = range(12, 15)
"""Versions of GCC that the sizes hold for."""


def allowed_above(image_bytes: int) -> float:
    """How many bytes more than the image has the plan may say; it never says fewer."""
    return max(512, 0.04 * image_bytes)


FILTER_CHAIN = ("step", "is_supported", "present_stamp", "age_stamps")
BUDGET_BYTES: dict[tuple[Kernel, bool], int] = {
    ("small", False): 2100,
    ("small", True): 4900,
    ("portable", False): 2150,
    ("portable", True): 4600,
    ("dsp", False): 2050,
    ("dsp", True): 4900,
    ("vector", False): 1800,
    ("vector", True): 3400,
}
"""Code of the reference network, 16 features of 11x11, int16, nearest. Raising one is a decision."""


def compile_all(plan: Plan, folder: Path) -> tuple[int, int, dict[str, int]]:
    """(code bytes, table bytes, stack frame of each function) of the library for its kernel's core."""
    code = tables = 0
    frames: dict[str, int] = {}
    for path, text in render(plan).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for source in sorted((folder / "src").glob("*.c")):
        target = folder / f"{source.stem}.o"
        command = ["arm-none-eabi-gcc", *CORE_FLAGS[plan.last.layout.kernel], "-mthumb", "-O2", "-std=c11"]
        command += ["-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fstack-usage"]
        subprocess.run([*command, f"-I{folder / 'include'}", "-c", source, "-o", target], check=True)
        sizes = subprocess.run(["arm-none-eabi-size", target], capture_output=True, text=True, check=True)
        text_bytes = int(sizes.stdout.splitlines()[1].split()[0])
        if source.stem.endswith("_tables"):
            tables += text_bytes
        else:
            code += text_bytes
        for line in target.with_suffix(".su").read_text().splitlines():
            where, frame, kind = line.split("\t")
            assert kind == "static"
            frames[where.split(":")[-1].split(".")[0]] = int(frame)  # a copy of a function has a suffix
    return code, tables, frames


def deepest(frames: dict[str, int]) -> int:
    """Frames of the deepest chain of feast_step, or of feast_classify if that is deeper."""

    def chain(*names: str) -> int:
        return sum(frames.get(f"feast_{name}", 0) for name in names)

    fading = chain("readout_advance", "readout_relieve", "readout_catch_up")
    chains = [chain("readout_step"), fading, chain(*(f"filter_{name}" for name in FILTER_CHAIN))]
    for layer in ("layer1", "layer2"):
        inner = [("learn_hit", "move_rows"), ("age_all_rows", "age_row"), ("dots",)]
        inner_chains = [chain(*(f"{layer}_{name}" for name in names)) for names in inner]
        chains.append(chain(f"{layer}_step", f"{layer}_compare") + max(inner_chains))
    classify = chain("classify", "readout_classify", "readout_multiply")
    return max(frames["feast_step"] + max(chains), classify)


def check(plan: Plan, image_bytes: int, stack_bytes: int, what: object = "", layers: int = 1) -> None:
    """The plan says no less than the compiler made of it, and not much more."""
    assert 0 <= plan.budget.flash - image_bytes <= layers * allowed_above(image_bytes), what
    assert 0 <= plan.budget.stack - stack_bytes <= TOLERANCE_BYTES, what


def check_prediction(folder: Path, kernel: Kernel, options: Options, **params: Any) -> None:
    plan = make_plan(quantise(make_model(**params))[0], None, options, kernel)
    code, tables, frames = compile_all(plan, folder)
    assert tables == plan.budget.tables
    check(plan, code + tables, deepest(frames), params)


@pytest.mark.parametrize("kernel", CORE_FLAGS)
@pytest.mark.parametrize("mode", OPTIONS)
def test_plan_predicts_flash_and_stack(tmp_path: Path, kernel: Kernel, mode: str) -> None:
    for radius, features in ((5, 16), (2, 16), (3, 7), (15, 5)):
        check_prediction(tmp_path / str(radius), kernel, OPTIONS[mode], radius=radius, features=features)


@pytest.mark.prove
@pytest.mark.parametrize("kernel", CORE_FLAGS)
@pytest.mark.parametrize("mode", OPTIONS)
def test_plan_predicts_every_size(tmp_path: Path, kernel: Kernel, mode: str) -> None:
    for index, size in enumerate(SIZES):
        check_prediction(tmp_path / str(index), kernel, OPTIONS[mode], **size)


@pytest.mark.parametrize("kernel", CORE_FLAGS)
@pytest.mark.parametrize("learning", [False, True], ids=["frozen", "learning"])
@pytest.mark.parametrize(("below", "radius"), [(8, 2), (1, 5)])
def test_plan_predicts_two_layers(
    tmp_path: Path, kernel: Kernel, learning: bool, below: int, radius: int
) -> None:
    model = make_stack(make_model(radius=1, features=below), radius=radius, features=16)
    plan = make_plan(quantise(model)[0], None, Options(learning), kernel)
    code, tables, frames = compile_all(plan, tmp_path)
    assert tables == plan.budget.tables
    check(plan, code + tables, deepest(frames), layers=2)


@pytest.mark.parametrize("kernel", CORE_FLAGS)
@pytest.mark.parametrize("options", [Options(), Options(learning=True)], ids=["frozen", "learning"])
def test_plan_predicts_class_scores(tmp_path: Path, kernel: Kernel, options: Options) -> None:
    for index, (grid, classes) in enumerate([(7, 10), (2, 40)]):
        model = with_readout(make_model(), grid, classes)
        plan = make_plan(quantise(model)[0], None, options, kernel)
        code, tables, frames = compile_all(plan, tmp_path / str(index))
        assert tables == plan.budget.tables
        check(plan, code + tables, deepest(frames))


@pytest.mark.parametrize("kernel", CORE_FLAGS)
def test_plan_predicts_a_fading_readout(tmp_path: Path, kernel: Kernel) -> None:
    for index, (grid, classes, hidden) in enumerate([(5, 10, 32), (5, 10, 0), (12, 40, 1)]):
        model = with_fading_readout(make_model(features=8, polarity="separate"), grid, classes, hidden)
        plan = make_plan(quantise(model)[0], None, Options(), kernel)
        code, tables, frames = compile_all(plan, tmp_path / str(index))
        assert tables == plan.budget.tables
        check(plan, code + tables, deepest(frames))


FILTERS = [
    Filters(Sensor(34, 34), ((3, 4), (20, 7)), downsample_shift=1),
    Filters(Sensor(34, 34), refractory_us=1000),
    Filters(Sensor(34, 34), ((3, 4), (20, 7)), 1000, 50_000, 1, 1),
]


@pytest.mark.parametrize("kernel", CORE_FLAGS)
def test_plan_predicts_what_filters_add(tmp_path: Path, kernel: Kernel) -> None:
    for index, filters in enumerate(FILTERS):
        plan = make_plan(quantise(behind(filters))[0], None, Options(), kernel)
        code, tables, frames = compile_all(plan, tmp_path / str(index))
        assert tables == plan.budget.tables
        check(plan, code + tables, deepest(frames))
        source = tmp_path / str(index) / "size.c"
        source.write_text(
            f'#include "feast.h"\n_Static_assert(sizeof(feast_t) == {plan.budget.ram}, "size");\n'
        )
        command = ["arm-none-eabi-gcc", *CORE_FLAGS[kernel], "-mthumb", "-fsyntax-only"]
        subprocess.run([*command, f"-I{source.parent / 'include'}", source], check=True)


@pytest.mark.parametrize(("kernel", "learning"), BUDGET_BYTES)
def test_code_stays_within_its_budget(tmp_path: Path, kernel: Kernel, learning: bool) -> None:
    plan = make_plan(quantise(make_model())[0], None, Options(learning), kernel)
    code, _, _ = compile_all(plan, tmp_path)
    assert code <= BUDGET_BYTES[kernel, learning]


@pytest.mark.parametrize("learning", [False, True], ids=["frozen", "learning"])
def test_state_has_the_predicted_size_on_a_32_bit_core(tmp_path: Path, learning: bool) -> None:
    for name in ("bbcmicrobit", "mps2_an386", "mps3_an547"):
        model = with_readout(make_model(features=5, radius=2))
        options = Options(learning, readout=name != "bbcmicrobit")
        plan = make_plan(quantise(model)[0], get_board(name), options)
        compile_all(plan, tmp_path / name)
        source = tmp_path / name / "size.c"
        source.write_text(
            f'#include "feast.h"\n_Static_assert(sizeof(feast_t) == {plan.budget.ram}, "size");\n'
        )
        command = ["arm-none-eabi-gcc", *CORE_FLAGS[plan.last.layout.kernel], "-mthumb", "-fsyntax-only"]
        subprocess.run([*command, f"-I{tmp_path / name / 'include'}", source], check=True)
