"""What the emitted C asks of a compiler for Cortex-M, and what it does where that is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from feast_codegen.codegen.base import tool
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.compiled_library import WARNINGS
from feast_codegen.codegen.model.options import Options
from tests.support.compilers import CORES, Compiler, find, names
from tests.support.networks import make_model, with_readout
from tests.support.paths import ROOT
from tests.support.proofs.driver import emitted, write_library

FREESTANDING = (*WARNINGS, "-O2", "-ffreestanding", "-nostdinc")
LEARNING = Options(learning=True)
NARROW = Options(select="threshold", weights="int8")
ROLLED_BYTES = 1.4
"""Most that clang makes of what GCC makes of a learning library; unrolled it is over 2."""


def code_bytes(call: list[str], files: dict[str, str], folder: Path) -> int:
    """Compile every source with `call`; bytes of code, tables apart."""
    total = 0
    for source in write_library(files, folder):
        target = f"{source}.o"
        done = subprocess.run(
            [*call, f"-I{folder / 'include'}", "-c", source, "-o", target],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(call)}: {done.stderr}"
        if not source.endswith("_tables.c"):
            sizes = subprocess.run(["size", target], capture_output=True, text=True, check=True).stdout
            total += int(sizes.splitlines()[1].split()[0])
    return total


def freestanding(compiler: Compiler, kernel: Kernel, folder: Path) -> list[str]:
    """A call that sees no header but the compiler's own, so neither string.h nor assert.h."""
    own = [*compiler.call(CORES[kernel]), *FREESTANDING]
    if compiler.family == "zig":
        return [flag for flag in own if flag != "-nostdinc"]
    asked = [
        *compiler.command,
        *(["-print-file-name=include"] if compiler.family == "gcc" else ["-print-resource-dir"]),
    ]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return [*own, "-isystem", said if compiler.family == "gcc" else f"{said}/include"]


@pytest.mark.parametrize("kernel", CORES)
@pytest.mark.parametrize("name", names())
def test_compiles_without_warning_and_without_headers(name: str, kernel: Kernel, tmp_path: Path) -> None:
    compiler = find(name)
    if compiler is None:
        pytest.skip(f"{name} is not here")
    if not compiler.knows(CORES[kernel]):
        pytest.skip(f"{name} does not know {CORES[kernel]}")
    call = freestanding(compiler, kernel, tmp_path)
    for label, options in (("learning", LEARNING), ("narrow", NARROW)):
        model = with_readout(make_model(radius=2, features=5))
        assert code_bytes(call, emitted(model, options, kernel), tmp_path / label)


def test_clang_does_not_unroll_what_is_long_already(tmp_path: Path) -> None:
    gcc, clang = find("arm-none-eabi-gcc"), find("clang")
    if gcc is None or clang is None:
        pytest.skip("arm-none-eabi-gcc or clang is not here")
    files = emitted(make_model(), LEARNING, "dsp")
    of_gcc, of_clang = (
        code_bytes(freestanding(each, "dsp", tmp_path), files, tmp_path / each.family)
        for each in (gcc, clang)
    )
    assert of_clang <= ROLLED_BYTES * of_gcc


def refusal(command: list[str], kernel: Kernel, folder: Path) -> str:
    """What a compiler says of feast.c."""
    write_library(emitted(make_model(radius=1, features=2), Options(), kernel), folder)
    call = [*command, f"-I{folder / 'include'}", "-fsyntax-only", str(folder / "src" / "feast.c")]
    return subprocess.run(call, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize(
    ("compiler", "macro", "oldest"),
    [("gcc", "__GNUC__", tool.OLDEST_GCC), ("clang", "__clang_major__", tool.OLDEST_CLANG)],
)
def test_older_compilers_are_refused(compiler: str, macro: str, oldest: int, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not on PATH")
    said = [
        refusal([compiler, f"-U{macro}", f"-D{macro}={version}"], "portable", tmp_path)
        for version in (oldest - 1, oldest)
    ]
    assert f"{oldest} or later is needed" in said[0] and "is needed" not in said[1]


def test_readme_names_the_oldest_compilers() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"GCC {tool.OLDEST_GCC} " in readme and f"clang {tool.OLDEST_CLANG} " in readme


def cross() -> str:
    """The compiler of the firmware."""
    if find("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not here")
    return "arm-none-eabi-gcc"


def test_packed_kernels_refuse_big_endian(tmp_path: Path) -> None:
    call = [cross(), "-mcpu=cortex-m4", "-mthumb", "-mbig-endian", "-ffreestanding"]
    for kernel in CORES:
        said = refusal(call, kernel, tmp_path / kernel)
        assert ("is for little-endian cores" in said) == (kernel in ("dsp", "vector")), said


@pytest.mark.parametrize(
    ("kernel", "flags"),
    [("vector", "-mcpu=cortex-m55 -mfloat-abi=soft"), ("dsp", "-mcpu=cortex-m3"), ("dsp", "-mcpu=cortex-m0")],
)
def test_a_kernel_without_its_instructions_warns(kernel: Kernel, flags: str, tmp_path: Path) -> None:
    call = [cross(), *flags.split(), "-mthumb", "-ffreestanding", "-Wundef"]
    assert "is missing, events take far longer: FEAST_PLAIN_KERNEL" in refusal(call, kernel, tmp_path)
    assert refusal([*call, "-DFEAST_PLAIN_KERNEL"], kernel, tmp_path) == ""
    assert refusal([cross(), "-mthumb", *freestanding_core(kernel)], kernel, tmp_path) == ""


def freestanding_core(kernel: Kernel) -> list[str]:
    """Flags of the core that a kernel is for."""
    compiler = find(cross())
    assert compiler
    return [*compiler.call(CORES[kernel])[1:], "-ffreestanding"]


@pytest.mark.parametrize("level", ["-O2", "-Os"])
def test_code_of_events_and_tables_go_where_the_build_says(level: str, tmp_path: Path) -> None:
    """All that feast_step can call lies in the one section, each table in the other; the rest stays."""
    call = [cross(), *freestanding_core("dsp"), "-std=c11", level]
    call += ["-ffunction-sections", '-DFEAST_CODE_SECTION=".itcm"', '-DFEAST_TABLE_SECTION=".qspi"']
    code_bytes(call, emitted(with_readout(make_model()), LEARNING, "dsp"), tmp_path)
    sections: dict[str, str] = {}
    for path in (tmp_path / "src").glob("*.o"):
        symbols = subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True).stdout
        found = re.findall(
            r"^[0-9a-f]+ .{6}[FO] (\S+)\s+[0-9a-f]+ (?:\.hidden )?(\S+)$", symbols, re.MULTILINE
        )
        sections |= {symbol: section for section, symbol in found}
    tables = {symbol for symbol, section in sections.items() if section == ".qspi"}
    assert {"feast_layer1_model_weights", "feast_layer1_mantissas", "feast_readout_rows"} <= tables
    code = {symbol.split(".")[0] for symbol, section in sections.items() if section == ".itcm"}
    assert {"feast_step", "feast_layer1_learn_hit", "feast_layer1_learn_miss", "feast_readout_step"} <= code
    rare = {
        s
        for s in sections
        if re.search("init|reset|word|signals|wins|threshold$|score|class|finish|learning", s)
    }
    plain = {s.split(".")[0] for s, section in sections.items() if section.startswith(".text")}
    assert plain - rare <= {"feast_layer1_part", "feast_layer1_half", "feast_layer1_squared_norm"}, plain


def test_the_state_is_aligned_where_64_bit_integers_are_not(tmp_path: Path) -> None:
    """32-bit x86 puts a uint64_t at a multiple of 4; the state asks for 8 there as well."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not on PATH")
    write_library(emitted(make_model(radius=1, features=2), LEARNING, "portable"), tmp_path)
    source = tmp_path / "size.c"
    source.write_text(
        '#include "feast.h"\n_Static_assert(_Alignof(feast_t) == FEAST_STATE_ALIGNMENT, "");\n',
        encoding="utf-8",
    )
    for width in ("-m32", "-m64"):
        for path in (source, tmp_path / "src" / "feast.c"):
            call = ["gcc", width, "-ffreestanding", f"-I{tmp_path / 'include'}", "-fsyntax-only", path]
            subprocess.run(call, check=True)
