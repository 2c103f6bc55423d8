"""The fading readout of the integer twin: section 15 of the numerics page.

Every halving is carried out at once on all entries, as the page defines it; the C makes up for halvings when
it next touches an entry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.fixed_point.quantise_readout import (
    CellTable,
    QuantFading,
    QuantHistogram,
    factors,
    roots,
)
from feast_codegen.codegen.fixed_point.state_layout import Values
from feast_codegen.codegen.twin.kernel import Ints

_LEAST_SUM: Final = 2**20
_MOST_COSINE: Final = 2**15 - 1
_FULL: Final = 2**15
"""An entry that an event brought here halves the histogram."""
_NO_LABEL: Final = -1


@dataclass(frozen=True)
class Decision:
    """What a classification gives."""

    label: int
    """Index of the class; -1 before a feature has won."""
    margin: int
    """Distance of the two best scores, Q14 in their units, over the norm."""
    typicality: int
    """Cosine with the nearest class mean, Q15."""
    abstains: bool
    """Too close or too unlike every class: the answer is UNKNOWN."""


UNDECIDED: Final = Decision(_NO_LABEL, 0, 0, True)


class Histogram:
    """What a fading readout keeps of the events. ``entries``: int64 (features, grid, grid)."""

    def __init__(self, quant: QuantHistogram, features: int) -> None:
        self._format = quant
        self.entries: Ints = np.zeros((features, quant.grid, quant.grid), np.int64)
        self.reset()

    def reset(self) -> None:
        """Forget all."""
        self.entries.fill(0)
        self._scored = False
        self._step_start = 0
        self._step, self._excess = 0, 0

    def step(self, results: Results, events: Events) -> None:
        """Take the events (in pixels of the network) that a feature won."""
        won = np.flatnonzero(results >= 0)
        if not won.size:
            return
        times, quant = events["t_us"][won], self._format
        if not self._scored:
            self._scored, self._step_start = True, int(times[0])
        # Steps from the start of the current one: differences, so that the whole range of times fits.
        steps, rest = np.divmod(times - np.uint64(self._step_start), np.uint64(quant.step_us))
        self._step, self._excess = _fade(
            self.entries,
            self._step,
            self._excess,
            results[won].astype(np.int64),
            steps,
            _place(quant.columns, events["x"][won]),
            _place(quant.rows, events["y"][won]),
            _FACTORS,
        )
        self._step_start = int(times[-1]) - int(rest[-1])

    def values(self) -> Values:
        """The readout's sections of the state."""
        return {
            "entries": self.entries,
            "excess": self._excess,
            "fade_step": self._step,
            "fade_us": self._step_start,
            "scored": self._scored,
        }


class FadingTwin(Histogram):
    """The histogram, and the classes that are read from it."""

    def __init__(self, quant: QuantFading, features: int) -> None:
        super().__init__(quant, features)
        self._quant = quant

    @property
    def scores(self) -> Ints:
        """(classes,): the scores that a classification would compare; zeros before a feature has won."""
        vector = normalised(self.entries.reshape(1, -1))
        return np.asarray(scores(self._quant, *vector)[0])

    @property
    def decision(self) -> Decision:
        """Classify what stands in the histogram now."""
        return classify(self._quant, self.entries.reshape(1, -1))[0]

    @property
    def label(self) -> int:
        """Index of the class of the decision; -1 before a feature has won."""
        return self.decision.label


def classify(quant: QuantFading, histograms: Ints) -> list[Decision]:
    """Decisions on histograms: int64 (n, entries), each below 2^15; all 0 where no event was scored."""
    vectors, norms = normalised(histograms)
    values = scores(quant, vectors, norms)
    likeness = (vectors @ quant.means.astype(np.int64).T).max(axis=1)
    decisions = []
    for row, norm, like in zip(values, norms.tolist(), likeness.tolist(), strict=True):
        if norm == 0:
            decisions.append(UNDECIDED)
            continue
        label = int(np.argmax(row))
        second = int(np.delete(row, label).max())
        inverse = (2**32 - 1) // norm
        margin = ((int(row[label]) - second) * inverse) >> 18
        typicality = min(_MOST_COSINE, (((like * inverse) >> 18) * quant.mean_factor) >> 32)
        abstains = margin < quant.min_margin or typicality < quant.min_typicality
        decisions.append(Decision(label, margin, typicality, abstains))
    return decisions


def normalised(histograms: Ints) -> tuple[Ints, Ints]:
    """Roots `r`, int64 (n, entries), and norms `v`, int64 (n,), of histograms; 0 of one without an entry."""
    vectors, norms = np.zeros_like(histograms), np.zeros(len(histograms), np.int64)
    _normalise(histograms, _ROOTS, vectors, norms)
    return vectors, norms


def scores(quant: QuantFading, vectors: Ints, norms: Ints) -> Ints:
    """int64 (n, classes): the scores of vectors with their norms."""
    inputs = vectors
    if len(quant.hidden_bias):
        sums = vectors @ quant.hidden_weights.astype(np.int64).T + _biases(quant.hidden_bias, norms)
        inputs = np.maximum(0, sums) >> quant.hidden_shift
    return np.asarray(inputs @ quant.weights.astype(np.int64).T + _biases(quant.bias, norms))


def _biases(bias: npt.NDArray[np.int32], norms: Ints) -> Ints:
    return (norms[:, None] * bias.astype(np.int64)) >> 8


def _place(table: CellTable, pixels: npt.NDArray[np.uint16]) -> Ints:
    """(n, 2): first cell of each pixel, and the share of the second."""
    return np.stack([table.first[pixels], table.share[pixels]], axis=1).astype(np.int64)


_FACTORS: Final = factors().astype(np.int64)
_ROOTS: Final = roots().astype(np.int64)


@jit()
def _fade(
    entries: Ints,
    step: int,
    excess: int,
    features: Ints,
    steps: npt.NDArray[np.uint64],
    columns: Ints,
    rows: Ints,
    factors: Ints,
) -> tuple[int, int]:
    """Events into `entries`; `steps` counts from the start of step `step`. Returns step and excess."""
    before = np.uint64(0)
    for i in range(features.size):
        passed = np.uint64(step) + (steps[i] - before)
        before = steps[i]
        octaves = passed >> np.uint64(6)
        step = int(passed & np.uint64(63))
        if octaves > np.uint64(excess):
            fallen = min(octaves - np.uint64(excess), np.uint64(16))
            excess = 0
            entries >>= np.int64(fallen)
        else:
            excess -= int(octaves)
        gain = factors[step] >> excess
        full = False
        for down in range(2):
            for right in range(2):
                share_x = columns[i, 1] if right else 64 - columns[i, 1]
                share_y = rows[i, 1] if down else 64 - rows[i, 1]
                row, column = rows[i, 0] + down, columns[i, 0] + right
                entries[features[i], row, column] += (share_y * share_x * gain) >> 16
                full |= entries[features[i], row, column] >= _FULL
        if full:
            entries >>= 1
            excess += 1
    return step, excess


@jit()
def _normalise(histograms: Ints, roots: Ints, vectors: Ints, norms: Ints) -> None:
    for row in range(histograms.shape[0]):
        total = histograms[row].sum()
        if total == 0:
            continue
        shift = 0
        while total << shift < _LEAST_SUM:
            shift += 1
        while total >> -shift >= 2 * _LEAST_SUM:
            shift -= 1
        for entry in range(histograms.shape[1]):
            scaled = _shifted(histograms[row, entry], shift)
            halvings = 0
            while scaled >> (2 * halvings) >= 256:
                halvings += 1
            vectors[row, entry] = roots[scaled >> (2 * halvings)] << halvings
        norms[row] = _floor_root(256 * _shifted(total, shift))


@jit()
def _shifted(value: int, shift: int) -> int:
    return value << shift if shift >= 0 else value >> -shift


@jit()
def _floor_root(value: int) -> int:
    root = int(math.sqrt(value))  # exact or one off: corrected in integers
    while root * root > value:
        root -= 1
    while (root + 1) * (root + 1) <= value:
        root += 1
    return root
