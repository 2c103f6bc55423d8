"""The integer twin: docs/numerics.md carried out in Python integers, compiled by numba (twin_loop.py).

It is written from the document, not from the emitted C: it keeps what each pixel was given and
when, and computes every surface value from its definition, where the C shifts rows in place. Here is what
lasts from event to event: time, counters, layers, class scores, and the words of the state.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from codegen import qformat
from codegen.event_filter import PASSED, EventFilter
from codegen.options import Options
from codegen.quantise import (
    INITIAL_DITHER,
    QuantModel,
    learned_words,
    stored_weights,
    used_filters,
    used_readout,
)
from codegen.records import BACKWARDS, OUTSIDE, RESULT_DTYPE, Events, Results, feature_events
from codegen.twin_loop import (
    AT_BORDER,
    DITHER,
    LAST_WINDOW,
    MISSES,
    WINDOW_EVENTS,
    WINDOW_MISSES,
    Chunk,
    Ints,
    Layer,
    Settings,
    run,
)


class Twin:
    """The state of one integer network, of one layer or two.

    ``step`` consumes events in any chunking with the same results; ``reset`` starts a new
    recording and keeps what was learned and counted. Of two layers, ``weights``, ``thresholds`` and
    ``wins`` are the upper one's; ``lower`` is the network below. ``scores``: int64 (classes,), empty
    without a readout.
    """

    def __init__(self, quant: QuantModel, options: Options) -> None:
        """Raises FeastError if `options` ask for learning with parameters fixed point cannot express."""
        params = quant.params
        stored = stored_weights(quant, options)
        self.lower = Twin(quant.lower, options.below) if quant.lower else None
        self.quant = quant
        self.options = options
        self.weights = stored.values.astype(np.int64)
        self.thresholds = quant.thresholds.astype(np.int64)
        self.wins = np.zeros(params.features, np.int64)
        self.readout = used_readout(quant, options)
        self.scores = np.zeros(len(self.readout.labels) if self.readout else 0, np.int64)
        self._counters = np.zeros(6, np.int64)
        self._counters[DITHER] = INITIAL_DITHER
        self._outside = 0
        self._backwards = 0
        self._settings = Settings(
            learning=options.learning,
            nearest=options.select == "nearest",
            signed=params.polarity == "signed",
            skip=params.border == "skip",
            banks=params.banks,
            channels=params.channels,
            side=params.side,
            eta=quant.eta_q32,
            twice_eta=quant.twice_eta_q32,
            delta_i=quant.delta_i_q30,
            delta_e=quant.delta_e_q30,
            shift=quant.learning_shift,
            fraction=stored.fraction,
        )
        shape = (params.surfaces, quant.sensor.height, quant.sensor.width)
        self._stored = np.zeros(shape, np.int64)
        self._octaves = np.zeros(shape, np.int64)
        filters = used_filters(quant, options)
        self._filter = EventFilter(filters) if filters else None
        self.reset()

    def reset(self) -> None:
        """Start a new recording: surfaces, time and scores are cleared."""
        if self.lower is not None:
            self.lower.reset()
        self._stored.fill(0)
        self._octaves.fill(0)
        self._t_first: int | None = None
        self._t_last = 0
        self.scores.fill(0)
        self._scored = False
        if self._filter:
            self._filter.reset()

    def set_learning(self, learning: bool) -> None:
        """Switch learning on or off; raises FeastError as the constructor does."""
        if learning:
            stored_weights(self.quant, replace(self.options, learning=True))
        self._settings = self._settings._replace(learning=learning)

    def step(self, events: Events) -> Results:
        """Process events (``EVENT_DTYPE``) in order; int16 results of the same length."""
        if self.lower is None:
            results = self.step_layer(events)
        else:
            results = self.lower.step(events)
            results[results >= 0] = self.step_layer(feature_events(self.placed(events), results))
        if self.readout is not None:
            self._score(results, self.placed(events))
        return results

    def placed(self, events: Events) -> Events:
        """`events` in pixels of the network."""
        if self.lower is not None:
            return self.lower.placed(events)
        return self._filter.filters.downsampled(events) if self._filter else events

    @property
    def label(self) -> int:
        """Index of the class with the largest score; -1 before a feature has won, or without a readout."""
        return int(np.argmax(self.scores)) if self._scored else -1

    def step_layer(self, events: Events) -> Results:
        """This layer alone, without scores; takes ``FEATURE_EVENT_DTYPE`` if there is one below."""
        results = np.empty(len(events), RESULT_DTYPE)
        if self._filter:
            results = self._filter.classify(events)
            accepted = results == PASSED
            chosen = self._filter.filters.downsampled(events[accepted])
        else:
            accepted = self._accept(events, results)
            chosen = events[accepted]
        if len(chosen) == 0:
            return results
        if self._t_first is None:
            self._t_first = int(chosen["t_us"][0])
        octaves, phases = self._octave_of(chosen["t_us"])
        self._t_last = int(chosen["t_us"][-1])
        fractions = (phases * self.quant.fraction_factor) >> 32
        chunk = Chunk(
            x=chosen["x"].astype(np.int64),
            y=chosen["y"].astype(np.int64),
            inputs=self._inputs(chosen),
            octaves=octaves,
            mantissas=self.quant.mantissas[fractions].astype(np.int64),
        )
        layer = Layer(self._stored, self._octaves, self.weights, self.thresholds, self.wins, self._counters)
        out = np.empty(len(chosen), RESULT_DTYPE)
        run(chunk, layer, self._settings, out)
        results[accepted] = out
        return results

    def surface(self) -> npt.NDArray[np.int16]:
        """Values of all surfaces at the octave of the last event: int16 (surfaces, height, width).

        Of two layers, the upper one's: (channels, height, width).
        """
        octave, _ = self._now()
        age = np.minimum(octave - self._octaves, qformat.DEAD_OCTAVES)
        return (np.sign(self._stored) * (np.abs(self._stored) >> age)).astype(np.int16)

    def learned(self) -> npt.NDArray[np.uint16]:
        """The learned state in words (docs/numerics.md sections 8 and 12)."""
        words = learned_words(
            self.weights.astype(np.int16), self.thresholds.astype(np.int32), int(self._counters[DITHER])
        )
        return words if self.lower is None else np.concatenate([words, self.lower.learned()])

    @property
    def state_id(self) -> int:
        """CRC-32 of the learned state."""
        return zlib.crc32(self.learned().tobytes())

    def snapshot(self) -> npt.NDArray[np.uint16]:
        """The whole state in words, in the order of docs/numerics.md sections 8, 12 and 13."""
        below = [] if self.lower is None else [self.lower._passing()]
        return np.concatenate([self.learned(), self._passing(), *below, *self._score_words()])

    def _passing(self) -> npt.NDArray[np.uint16]:
        """The state of this layer without what it has learned."""
        octave, phase = self._now()
        counters = self._counters
        outside, backwards = self._outside, self._backwards
        if self._filter:
            outside, backwards = (self._filter.counts[code] for code in (OUTSIDE, BACKWARDS))
        totals = [counters[MISSES], counters[AT_BORDER], outside, backwards]
        window = [counters[WINDOW_EVENTS], counters[WINDOW_MISSES], counters[LAST_WINDOW]]
        return np.concatenate(
            [
                np.array([self._settings.learning, self._t_first is not None], "<u2"),
                np.array([self._t_last, octave], "<u8").view("<u2"),
                np.array([phase], "<u4").view("<u2"),
                (self.wins % 2**32).astype("<u4").view("<u2"),
                np.array([int(total) % 2**32 for total in totals], "<u4").view("<u2"),
                np.array(window, "<u2"),
                *([self._filter.words()] if self._filter else []),
                self._in_order(self.surface()).reshape(-1).astype("<i2").view("<u2"),
            ]
        )

    def _score(self, results: Results, events: Events) -> None:
        """Section 13: add the rows of the events that a feature won."""
        won = results >= 0
        if self.readout is None or not won.any():
            return
        sensor, grid = self.quant.sensor, self.readout.grid
        x, y = (events[axis][won].astype(np.int64) for axis in ("x", "y"))
        cell = y * grid // sensor.height * grid + x * grid // sensor.width
        rows = self.readout.rows[cell * self.quant.params.features + results[won]]
        self.scores += rows.sum(axis=0, dtype=np.int64)
        self._scored = True

    def _score_words(self) -> list[npt.NDArray[np.uint16]]:
        if self.readout is None:
            return []
        return [self.scores.astype("<i8").view("<u2"), np.array([self._scored], "<u2")]

    def _in_order(self, surface: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Surface by surface; above another layer row by row, within a row channel by channel."""
        return surface if self.lower is None else np.ascontiguousarray(surface.swapaxes(0, 1))

    def _inputs(self, events: Events) -> Ints:
        """What tells events of one pixel apart: the polarity, or the channel."""
        inputs = events["polarity"] != 0 if self.lower is None else events["channel"]
        return np.asarray(inputs, np.int64)

    def _accept(self, events: Events, results: Results) -> npt.NDArray[np.bool_]:
        """Mark rejected events in `results`, count them, and return the mask of the others."""
        sensor = self.quant.sensor
        inside = (events["x"] < sensor.width) & (events["y"] < sensor.height)
        times = events["t_us"]
        latest = np.maximum.accumulate(np.where(inside, times, np.uint64(self._t_last)))
        # Before the first event t_last is 0, so nothing is backwards of it.
        previous = np.concatenate([[np.uint64(self._t_last)], latest[:-1]]) if len(events) else latest
        previous = np.maximum(previous, np.uint64(self._t_last))
        backwards = inside & (times < previous)
        results[~inside] = OUTSIDE
        results[backwards] = BACKWARDS
        self._outside += int(np.count_nonzero(~inside))
        self._backwards += int(np.count_nonzero(backwards))
        accepted: npt.NDArray[np.bool_] = inside & ~backwards
        return accepted

    def _octave_of(
        self, times: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        length = self.quant.octave_q8
        elapsed = times - np.uint64(self._t_first or 0)
        if int(elapsed[-1]) < 2**55:
            position = elapsed << np.uint64(qformat.TIME_BITS)
            return (position // np.uint64(length)).astype(np.int64), position % np.uint64(length)
        pairs = [divmod(int(value) << qformat.TIME_BITS, length) for value in elapsed]
        return np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.uint64)

    def _now(self) -> tuple[int, int]:
        if self._t_first is None:
            return 0, 0
        return divmod((self._t_last - self._t_first) << qformat.TIME_BITS, self.quant.octave_q8)
