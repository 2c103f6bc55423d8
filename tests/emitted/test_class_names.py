"""Names of classes in the emitted C: a C compiler gives each name that a model may hold as it went in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from feast_codegen.codegen.emit.jinja_filters import c_strings
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.options import Options
from tests.support.networks import make_model, with_readout

NAMES = (
    "\u00e8" * 32,
    "10",
    "hand clapping",
    'say "hi"',
    "back\\slash \\n \\x41",
    "what??/ trigraph??=",
    "caf\u00e9s",
    "\u65e5\u672c9",
    "\U0001f600",
    "100 %s {{ x }} */ // #",
    "x" * 64,
    "\u00e9" * 32,
)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_names_survive_a_compiler(compiler: str, tmp_path: Path) -> None:
    import shutil

    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    model = with_readout(make_model(Sensor(9, 9), radius=1, features=2), 1, len(NAMES))
    assert model.readout is not None
    from dataclasses import replace

    model = replace(model, readout=replace(model.readout, labels=NAMES))
    files = render(make_plan(quantise(model)[0], None, Options()))
    config = files["include/feast_config.h"]
    assert config.isascii()
    (tmp_path / "feast_config.h").write_text(config, encoding="utf-8")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include <stdint.h>\n#include "feast_config.h"\n'
        "static const char *const names[FEAST_CLASSES] = FEAST_CLASS_LABELS;\n"
        "int main(void) { for (unsigned i = 0; i < FEAST_CLASSES; i++) puts(names[i]); return 0; }\n",
        encoding="utf-8",
    )
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([compiler, *flags, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == list(NAMES)


def test_an_escape_ends_before_the_digit_that_follows() -> None:
    assert c_strings(["\u65e5" + "9"]) == '    { "\\346\\227\\245" "9" }'
