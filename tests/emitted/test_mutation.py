"""Changes of one operator, shift, rounding, constant or bound are noticed, in emitted C and in twin."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest

from tests.support.proofs.mutate_c import Mutant
from tests.support.proofs.mutation import CASES, Bench, c_survivors
from tests.support.proofs.mutation_twin import twin_survivors
from tests.support.proofs.survivors import C_EQUIVALENT, C_UNNOTICED, TWIN_EQUIVALENT, TWIN_UNNOTICED

LEAST_KILLED = 0.95

needs_cc = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("cc", "prlimit")), reason="cc or prlimit is not on PATH"
)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants are tried in forks")


Reasons = dict[str, tuple[str, ...]]


def listed(*reasons: Reasons) -> set[str]:
    mutants = [mutant for each in reasons for group in each.values() for mutant in group]
    assert len(mutants) == len(set(mutants)), "a survivor is listed twice"
    return set(mutants)


def check(count: int, survivors: set[Mutant], equivalent: Reasons, unnoticed: Reasons) -> None:
    """No survivor but those listed, all of them; few of those that could be noticed."""
    assert {str(mutant) for mutant in survivors} == listed(equivalent, unnoticed)
    assert len(listed(unnoticed)) <= (1 - LEAST_KILLED) * (count - len(listed(equivalent)))


@needs_cc
def test_a_dozen_mutants_of_the_c_are_noticed(tmp_path: Path) -> None:
    """Of learning, for which one case does, except for large constants, which take another."""
    bench = Bench(CASES[4], tmp_path)
    known = listed(C_EQUIVALENT, C_UNNOTICED)
    tried = [
        (mutant, changed)
        for mutant, changed in bench.mutants()
        if mutant.file == "feast_learn.c" and not mutant.old.startswith("0x") and str(mutant) not in known
    ]
    for mutant, changed in itertools.islice(tried, 0, None, len(tried) // 12):
        assert not bench.survives(changed), str(mutant)


@needs_fork
def test_a_dozen_mutants_of_the_twin_are_noticed() -> None:
    count, survivors = twin_survivors(every=61)
    assert count >= 12
    assert {str(mutant) for mutant in survivors} <= listed(TWIN_EQUIVALENT, TWIN_UNNOTICED)


@pytest.mark.prove
@needs_cc
def test_mutants_of_the_c_are_noticed(tmp_path: Path) -> None:
    check(*c_survivors(tmp_path), C_EQUIVALENT, C_UNNOTICED)


@pytest.mark.prove
@needs_fork
def test_mutants_of_the_twin_are_noticed() -> None:
    check(*twin_survivors(), TWIN_EQUIVALENT, TWIN_UNNOTICED)
