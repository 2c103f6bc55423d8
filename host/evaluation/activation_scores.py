"""Which network will read out well, without a classifier: scores from a few frozen recordings.

Under learning all features win equally often, no matter what they have learned; so features are frozen and
the nearest wins. The activation of a recording is the share of its events that each feature won,
square-rooted, which has unit L2 norm. Scores, all larger for better networks:

* `separation` (needs labels): for each feature the variance of its activation between the classes over
  that within them, summed over the features. Summed, not averaged or pooled into one ratio: a network
  with more features that tell something apart is better by that, and an average hides it.
* `spread` (no labels): how much recordings differ at all, the total variance of their activations
  pooled on a coarse grid. It is 0 if all recordings look alike and 1 if they have nothing in common.
* `richness` (no labels): in how many independent ways recordings differ, the sum of
  ``log(1 + sum of squares / 0.1)`` over the principal directions of the same vectors.

All are this project's; the paper says that activation patterns predict accuracy, not by which
number. docs/results/results.md holds how well they rank networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Arithmetic, Model
from feast_codegen.host.evaluation.feature_vectors import feature_vectors
from feast_codegen.host.evaluation.folds import Labels
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source, training_order

SHARE: Final = 0.1
"""Part of the recordings that is looked at."""
_WHOLE: Final = Pooling(grid=1)
_COARSE: Final = Pooling(grid=5, overlap=1.5)
_RICH: Final = 0.1
"""Summed squares along a direction that count as a difference."""
_FLOOR: Final = 1e-9
"""Variance within classes below which a feature counts as never active."""

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ActivationScore:
    """Scores of one network; see the module."""

    separation: float | None
    """None where recordings have no labels."""
    spread: float
    richness: float
    recordings: int


def activation_score(
    source: Source,
    model: Model,
    *,
    share: float = SHARE,
    arithmetic: Arithmetic = "float",
    jobs: int = 1,
    progress: Progress = silent,
) -> ActivationScore:
    """Score a network in one pass over `share` of the recordings, spread evenly over the classes.

    Raises FeastError unless that leaves at least two recordings and, with labels, a class with two.
    """
    sample = sampled(source, share)
    labelled = None not in sample.labels
    known = sample if labelled else _unlabelled(sample)
    vectors = feature_vectors(
        known, model, (_WHOLE, _COARSE), arithmetic=arithmetic, jobs=jobs, progress=progress
    )
    whole, coarse = vectors.values
    return ActivationScore(
        separation=separation(whole, vectors.labels) if labelled else None,
        spread=spread(coarse),
        richness=richness(coarse),
        recordings=len(sample),
    )


def sampled(source: Source, share: float = SHARE) -> Source:
    """The first `share` of the recordings in training order, which spreads classes evenly.

    At least two for each class, where there are so many.
    """
    if not 0.0 < share <= 1.0:
        raise FeastError(f"share {share:g}: expected more than 0, at most 1")
    least = 2 * len(set(source.labels))
    chosen = training_order(source.labels, seed=0)[: max(least, round(share * len(source)))]
    if len(chosen) < 2:
        raise FeastError(f"{source.spec}: an activation score needs two recordings or more")
    return source.pick(sorted(chosen))


def separation(activations: Float64Array, labels: Labels) -> float:
    """Sum over components of variance between classes over variance within. (recordings, components).

    Raises FeastError unless there are two classes, one of them with two recordings or more.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if classes.size < 2 or sizes.max() < 2:
        raise FeastError(
            f"an activation score with labels needs two classes and two recordings of one; got "
            f"{classes.size} classes of at most {sizes.max(initial=0)}"
        )
    mean = activations.mean(axis=0)
    between = np.zeros(activations.shape[1])
    within = np.zeros(activations.shape[1])
    for each, size in zip(classes, sizes, strict=True):
        members = activations[labels == each]
        centre = members.mean(axis=0)
        between += size * (centre - mean) ** 2
        within += ((members - centre) ** 2).sum(axis=0)
    return float((between / (within + _FLOOR)).sum())


def spread(vectors: Float64Array) -> float:
    """Total variance of unit vectors (recordings, components): 1 less the squared length of their mean."""
    return float(1.0 - (vectors.mean(axis=0) ** 2).sum())


def richness(vectors: Float64Array) -> float:
    """Sum of ``log(1 + sum of squares / 0.1)`` over principal directions; (recordings, components)."""
    centred = vectors - vectors.mean(axis=0)
    variances = np.maximum(np.linalg.eigvalsh(centred @ centred.T), 0.0)
    return float(np.log1p(variances / _RICH).sum())


def _unlabelled(source: Source) -> Source:
    """The same recordings under one label, for stages that ask for labels and do not use them."""
    from dataclasses import replace

    return replace(source, labels=(0,) * len(source))
