"""Every compiler, standard, optimisation and byte order gives the results and the snapshots of the twin."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.compiled_library import WARNINGS
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from tests.support.networks import make_model, make_stack
from tests.support.proofs.driver import (
    KERNELS,
    SENSOR,
    SOURCE,
    build_driver,
    drive,
    emitted,
    twin_script,
    write_library,
)

WARN = tuple(flag for flag in WARNINGS if not flag.startswith("-std"))
LEVELS = ("-O0", "-O2", "-Os", "-O3")
NETWORKS = (
    ("learning", Options(learning=True), "separate", "zero"),
    ("threshold", Options(True, "threshold"), "signed", "skip"),
    ("nearest", Options(), "merged", "zero"),
    ("narrow", Options(select="threshold", weights="int8"), "signed", "zero"),
    ("layers", Options(learning=True), "separate", "zero"),
)
BIG_ENDIAN = "powerpc-linux-gnu-gcc"


@cache
def case(name: str) -> tuple[Model, Options, bytes, bytes]:
    """Model, options, script and the twin's answers."""
    ((_, options, polarity, border),) = [network for network in NETWORKS if network[0] == name]
    model = make_model(
        SENSOR, polarity=polarity, border=border, radius=2, features=5, eta=0.02, tau_us=2000.0
    )
    if name == "layers":
        model = make_stack(model, radius=1, features=5, eta=0.02, tau_us=2000.0)
    return model, options, *twin_script(model, options, 1000)


def check(
    name: str, kernel: Kernel, command: list[str], folder: Path, emulator: tuple[str, ...] = ()
) -> None:
    model, options, script, answers = case(name)
    done = drive(build_driver(emitted(model, options, kernel), folder, command), script, emulator)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == answers


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on PATH")


def need_32_bit(compiler: str, folder: Path) -> None:
    """Skip where `compiler` cannot link for 32-bit x86."""
    (folder / "probe.c").write_text("#include <stdio.h>\nint main(void) { return 0; }\n", encoding="utf-8")
    command = [compiler, "-m32", "-o", str(folder / "probe"), str(folder / "probe.c")]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"{compiler} does not link for 32 bits here (Debian: libc6-dev-i386 lib32gcc-12-dev)")


@pytest.mark.parametrize(
    ("compiler", "standard", "level", "kernel"),
    [
        ("gcc", "-std=c17", "-O3", "portable"),
        ("clang", "-std=c17", "-O3", "vector"),
        ("clang", "-std=c11", "-Os", "dsp"),
        ("gcc", "-std=c11", "-O0", "small"),
    ],
)
def test_same_answers(compiler: str, standard: str, level: str, kernel: Kernel, tmp_path: Path) -> None:
    """A few pairs; the whole product is a longer check."""
    need(compiler)
    check("learning", kernel, [compiler, standard, level, *WARN], tmp_path)


@pytest.mark.prove
@pytest.mark.parametrize("name", [network[0] for network in NETWORKS])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("standard", ["-std=c11", "-std=c17"])
@pytest.mark.parametrize("width", ["-m64", "-m32"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_same_answers_everywhere(
    compiler: str, width: str, standard: str, level: str, name: str, tmp_path: Path
) -> None:
    need(compiler)
    if width == "-m32":
        need_32_bit(compiler, tmp_path)
    for kernel in KERNELS:
        check(name, kernel, [compiler, width, standard, level, *WARN], tmp_path / kernel)


@pytest.mark.prove
@pytest.mark.parametrize(("name", "level"), list(itertools.product([n[0] for n in NETWORKS], ("-O0", "-O2"))))
def test_same_answers_on_a_big_endian_machine(name: str, level: str, tmp_path: Path) -> None:
    """32-bit PowerPC in user-mode emulation; the kernels for Arm cores are little-endian by intent."""
    need(BIG_ENDIAN)
    need("qemu-ppc")
    for kernel in ("small", "portable"):
        command = [BIG_ENDIAN, "-std=c11", level, "-static", *WARN]
        check(name, kernel, command, tmp_path / kernel, ("qemu-ppc",))


@pytest.mark.parametrize(
    ("compiler", "name"), [("g++", "learning"), ("clang++", "learning"), ("g++", "layers")]
)
def test_public_header_serves_cpp17(compiler: str, name: str, tmp_path: Path) -> None:
    """A C++17 caller linked with the library built as C gives the twin's answers."""
    need(compiler)
    need("cc")
    model, options, script, answers = case(name)
    sources = write_library(emitted(model, options, "portable"), tmp_path)
    include = f"-I{tmp_path / 'include'}"
    for source in sources:
        subprocess.run(["cc", "-std=c11", include, "-c", source, "-o", f"{source}.o"], check=True)
    program = tmp_path / "driver"
    command = [compiler, "-std=c++17", *WARN, include, "-o", str(program), "-x", "c++", str(SOURCE)]
    subprocess.run([*command, "-x", "none", *(f"{source}.o" for source in sources)], check=True)
    assert drive(program, script).stdout == answers


@pytest.mark.parametrize(("compiler", "kernel"), [("g++", "vector"), ("clang++", "portable")])
def test_library_is_cpp17_too(compiler: str, kernel: Kernel, tmp_path: Path) -> None:
    """Library and caller, all compiled as C++17."""
    need(compiler)
    check("learning", kernel, [compiler, "-std=c++17", "-x", "c++", "-O2", *WARN], tmp_path)


@pytest.mark.prove
@pytest.mark.parametrize("name", [network[0] for network in NETWORKS])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_library_is_cpp17_everywhere(compiler: str, level: str, name: str, tmp_path: Path) -> None:
    need(compiler)
    for kernel in KERNELS:
        check(name, kernel, [compiler, "-std=c++17", "-x", "c++", level, *WARN], tmp_path / kernel)


def test_another_answer_is_seen(tmp_path: Path) -> None:
    """A planted difference of one rounding shows in the comparison."""
    need("cc")
    model, options, script, answers = case("learning")
    files = emitted(model, options, "portable")
    right = "return value / root < root ? root - 1u : root;"
    path = "src/feast_layer1_step.h"
    assert files[path].count(right) == 1
    files[path] = files[path].replace(right, "return root;")
    assert drive(build_driver(files, tmp_path, ["cc", "-O2"]), script).stdout != answers
