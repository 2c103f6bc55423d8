"""MISRA C:2012 of the emitted C: rules disapplied in docs/proofs.md, deviations at their lines, no more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from codegen.boards import Kernel
from codegen.options import Options
from tests.proofs import misra
from tests.proofs.driver import KERNELS, emitted
from tests.proofs.products import all_options, networks

NETWORKS = networks()
LEARNING = Options(learning=True)

pytestmark = pytest.mark.skipif(shutil.which("cppcheck") is None, reason="cppcheck is not on PATH")


def test_every_required_rule_holds_or_is_commented(tmp_path: Path) -> None:
    """The richest libraries; the whole product is a longer check."""
    for name, network in (("layers", NETWORKS["layers"]), ("filtered", NETWORKS["filtered"])):
        assert misra.findings(emitted(network, LEARNING, "vector"), tmp_path / name) == set()


@pytest.mark.prove
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("options", all_options())
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_required_rule_holds_everywhere(
    kernel: Kernel, options: Options, network: str, tmp_path: Path
) -> None:
    assert misra.findings(emitted(NETWORKS[network], options, kernel), tmp_path) == set()


def test_every_deviation_is_needed(tmp_path: Path) -> None:
    """Each comment stands above a finding: none outlives its cause, none excuses more than it names."""
    files = emitted(NETWORKS["signed"], LEARNING, "dsp")
    assert misra.findings(files, tmp_path, deviations=False) == misra.commented(files)


def test_planted_violations_are_found(tmp_path: Path) -> None:
    """One that nothing excuses, and one beside a comment that names another rule."""
    files = emitted(NETWORKS["merged"], Options(), "portable")
    octal = "return 017;"
    shift = "return value >> 1;"
    files["src/feast_state.c"] += (
        f"int feast_planted(int value);\nint feast_planted(int value)\n{{\n"
        f"    if (value > 0) {{\n        {octal}\n    }}\n"
        f"    /* cppcheck-suppress misra-c2012-11.3 ; another rule */\n    {shift}\n}}\n"
    )
    found = {(finding.rule, finding.statement) for finding in misra.findings(files, tmp_path)}
    assert {("7.1", octal), ("10.1", shift)} <= found
