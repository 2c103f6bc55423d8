"""The integer twin: the numerics page carried out in Python integers, its loop compiled by numba.

It is written from the document, not from the emitted C. Here its stages are joined: acceptance or filters,
one or two layers, class scores. Each has ``reset``, a way to take events, and ``values``, its sections of
the state.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import BACKWARDS, OUTSIDE, Events, Results, feature_events
from feast_codegen.codegen.fixed_point.quantise import QuantModel, effective_filters, effective_readout
from feast_codegen.codegen.fixed_point.quantise_readout import QuantFading
from feast_codegen.codegen.fixed_point.state_layout import ACCEPTANCE, FILTER, READOUT, Values, layer_names
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import QuantReadout
from feast_codegen.codegen.twin.acceptance import Acceptance
from feast_codegen.codegen.twin.fading import Decision, FadingTwin
from feast_codegen.codegen.twin.kernel import Ints
from feast_codegen.codegen.twin.layer import LayerTwin
from feast_codegen.codegen.twin.readout import ReadoutTwin


class Twin:
    """The state of one integer network, of one layer or two.

    ``step`` consumes events in any chunking with the same results; ``reset`` starts a new
    recording and keeps what was learned and counted. ``layers``: the one that gives the results is the
    last; ``weights``, ``thresholds`` and ``wins`` are that layer's. ``scores``: int64 (classes,), empty
    without a readout.
    """

    def __init__(self, quant: QuantModel, options: Options) -> None:
        """Raises FeastError if `options` ask for learning with parameters fixed point cannot express."""
        self.quant = quant
        self.options = options
        below = () if quant.lower is None else (LayerTwin(quant.lower, options.below),)
        self.layers: tuple[LayerTwin, ...] = (*below, LayerTwin(quant, options))
        lowest = quant.lower or quant
        filters = effective_filters(lowest, options)
        self._filters = filters
        self._entry = EventFilter(filters) if filters else Acceptance(lowest.sensor)
        self.readout = readout = effective_readout(quant, options)
        self._readout = _readout_twin(readout, quant) if readout else None
        self._layout = quant.state(options)

    def reset(self) -> None:
        """Start a new recording: surfaces, time and scores are cleared."""
        for stage in (self._entry, *self.layers, *([self._readout] if self._readout else [])):
            stage.reset()

    def set_learning(self, learning: bool) -> None:
        """Switch learning of the last layer on or off; raises FeastError as the constructor does."""
        self.layers[-1].set_learning(learning)

    def step(self, events: Events) -> Results:
        """Process events (``EVENT_DTYPE``) in order; int16 results of the same length."""
        placed, results = self._step_below(events)
        went_on = results >= PASSED
        given = feature_events(placed, results) if len(self.layers) > 1 else placed[went_on]
        results[went_on] = self.layers[-1].step(given)
        if self._readout is not None:
            self._readout.step(results, placed)
        return results

    def given(self, events: Events) -> Events:
        """Process events up to the last layer alone; what that layer would be given of them."""
        placed, results = self._step_below(events)
        return feature_events(placed, results) if len(self.layers) > 1 else placed[results >= PASSED]

    def to_network_pixels(self, events: Events) -> Events:
        """`events` in pixels of the network."""
        return self._filters.downsampled(events) if self._filters else events

    @property
    def weights(self) -> Ints:
        """Of the last layer: int64 (features, D)."""
        return self.layers[-1].weights

    @property
    def thresholds(self) -> Ints:
        """Of the last layer: int64 (features,), Q30."""
        return self.layers[-1].thresholds

    @property
    def wins(self) -> Ints:
        """Of the last layer: int64 (features,)."""
        return self.layers[-1].wins

    @property
    def scores(self) -> Ints:
        """Score of each class; empty without a readout."""
        return self._readout.scores if self._readout else np.zeros(0, np.int64)

    @property
    def label(self) -> int:
        """Index of the class with the largest score; -1 before a feature has won, or without a readout."""
        return self._readout.label if self._readout else -1

    @property
    def abstains(self) -> bool:
        """Whether a fading readout has no answer to the events so far; False without one."""
        return isinstance(self._readout, FadingTwin) and self._readout.decision.abstains

    @property
    def decision(self) -> Decision:
        """What a fading readout makes of the events so far; raises FeastError without one."""
        if not isinstance(self._readout, FadingTwin):
            raise FeastError("the model has no fading readout")
        return self._readout.decision

    @property
    def histogram(self) -> Ints:
        """Of a fading readout: int64 (entries,), a copy; raises FeastError without one."""
        if not isinstance(self._readout, FadingTwin):
            raise FeastError("the model has no fading readout")
        return self._readout.entries.ravel().copy()

    def surface(self) -> npt.NDArray[np.int16]:
        """Surfaces of the last layer at the octave of its last event: int16 (surfaces, height, width)."""
        return self.layers[-1].surface()

    def learned(self) -> npt.NDArray[np.uint16]:
        """The learned state in words (docs/reference/numerics.md sections 8 and 12)."""
        return self._layout.pack(self._values(), learned_only=True)

    def import_learned(self, words: npt.NDArray[np.uint16]) -> bool:
        """Replace the learned state of a network that may learn by `words`, uint16, as many as of `learned`.

        Returns False, with the model's own weights, thresholds and dither back, if section 8 of
        the numerics page refuses them. Nothing else of the network changes. Raises FeastError for another
        number of words.
        """
        own = self.learned()
        if len(words) != len(own):
            raise FeastError(f"a learned state of {len(words)} words: this network has {len(own)}")
        given, names = self._layout.unpack(words), layer_names(self.quant.shape)
        held = self._layout.unpack(own)
        as_below = all(
            np.array_equal(given[name][section], held[name][section])
            for name in names[:-1]
            for section in given[name]
        )
        return self.layers[-1].import_learned(given[names[-1]], as_below)

    @property
    def state_id(self) -> int:
        """CRC-32 of the learned state."""
        return zlib.crc32(self.learned().tobytes())

    def snapshot(self) -> npt.NDArray[np.uint16]:
        """The whole state in words, in the order of docs/reference/numerics.md sections 8, 12 and 13."""
        return self._layout.pack(self._values())

    def _step_below(self, events: Events) -> tuple[Events, Results]:
        """Events in pixels of the network, and what the stages before the last layer make of them.

        Results of 0 and more go on to the last layer.
        """
        results = self._entry.classify(events)
        placed = self.to_network_pixels(events)
        for layer in self.layers[:-1]:
            passed = results == PASSED
            results[passed] = layer.step(placed[passed])
        return placed, results

    def _values(self) -> dict[str, Values]:
        counts = self._entry.counts
        stages: dict[str, Values] = {
            ACCEPTANCE: {"outside": counts[OUTSIDE], "backwards": counts[BACKWARDS]},
            **{
                name: layer.values()
                for name, layer in zip(layer_names(self.quant.shape), self.layers, strict=True)
            },
        }
        if isinstance(self._entry, EventFilter):
            stages[FILTER] = self._entry.values()
        if self._readout is not None:
            stages[READOUT] = self._readout.values()
        return stages


def _readout_twin(readout: QuantReadout | QuantFading, quant: QuantModel) -> ReadoutTwin | FadingTwin:
    features = quant.params.total_features
    if isinstance(readout, QuantFading):
        return FadingTwin(readout, features)
    return ReadoutTwin(readout, quant.sensor, features)
