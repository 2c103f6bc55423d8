"""Folds of a cross-validation: stratified by class, and recordings of one group never apart.

A readout that is checked on a clip of a recording, or a person, that it was fitted to knows it already: its
accuracy says nothing about others.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError

Labels = npt.NDArray[np.int64] | npt.NDArray[np.str_]
"""(recordings,): numbers of classes, or their names."""
Groups = npt.NDArray[np.int64] | None
"""(recordings,): numbers of groups; None where each recording is a group of its own."""
Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Indices to fit to, and to check on."""

FEWEST: Final = 2
_TRIES: Final = 20


def most_folds(labels: Labels, groups: Groups = None) -> int:
    """The largest number of folds: the smallest number of groups that one class comes from."""
    members = np.arange(len(labels)) if groups is None else groups
    return min((np.unique(members[labels == each]).size for each in np.unique(labels)), default=0)


def check_folds(labels: Labels, groups: Groups, folds: int) -> None:
    """Raise FeastError unless there are two classes or more that come from at least `folds` groups each."""
    classes, most = np.unique(labels).size, most_folds(labels, groups)
    if classes < 2 or most < folds:
        what = "recordings" if groups is None else "groups of recordings"
        raise FeastError(
            f"a readout needs two classes or more with at least {folds} {what} each; got {classes} classes, "
            f"the smallest of {most}"
        )


def fold_splits(labels: Labels, groups: Groups, folds: int, seed: int) -> list[Split]:
    """Seeded, stratified folds; where there are groups, no group is on both sides of a fold.

    Each fold is fitted to every class. Raises FeastError as `check_folds`, or if no such folds are found.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    check_folds(labels, groups, folds)
    nothing = np.zeros((len(labels), 1))
    if groups is None:
        return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(nothing, labels))
    classes, index = np.unique(labels, return_inverse=True)
    for attempt in range(_TRIES):
        folder: Any = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + 100_003 * attempt)
        splits = list(folder.split(nothing, index, groups))
        if all(len(test) and np.unique(index[fit]).size == classes.size for fit, test in splits):
            return splits
    raise FeastError(
        f"no {folds} folds of the {np.unique(groups).size} groups of recordings leave every class to fit to"
    )
