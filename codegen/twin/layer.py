"""One layer of the integer twin: what lasts from event to event, around the compiled loop of kernel.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import RESULT_DTYPE, Events, Results
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import INITIAL_DITHER, QuantModel, stored_weights
from feast_codegen.codegen.fixed_point.state_layout import Values
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.kernel import (
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


class LayerTwin:
    """Takes events that are on its sensor and in order.

    ``EVENT_DTYPE``; above another layer ``FEATURE_EVENT_DTYPE``. It keeps what each pixel was given and
    when, and computes every surface value from its definition, where the C shifts rows in place.
    """

    def __init__(self, quant: QuantModel, options: Options) -> None:
        """Raises FeastError if `options` ask for learning with parameters fixed point cannot express."""
        params = quant.params
        stored = stored_weights(quant, options)
        self.quant = quant
        self.options = options
        self.weights = stored.values.astype(np.int64)
        self.thresholds = quant.thresholds.astype(np.int64)
        self.wins = np.zeros(params.total_features, np.int64)
        self._counters = np.zeros(6, np.int64)
        self._counters[DITHER] = INITIAL_DITHER
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
        self.reset()

    def reset(self) -> None:
        """Start a new recording: surfaces and time are cleared; what was learned and counted stays."""
        self._stored.fill(0)
        self._octaves.fill(0)
        self._t_first: int | None = None
        self._t_last = 0

    def set_learning(self, learning: bool) -> None:
        """Switch learning on or off; raises FeastError as the constructor does."""
        if learning:
            stored_weights(self.quant, replace(self.options, learning=True))
        self._settings = self._settings._replace(learning=learning)

    def step(self, events: Events) -> Results:
        """int16 results of the same length: features, MISS or BORDER."""
        results = np.empty(len(events), RESULT_DTYPE)
        if len(events) == 0:
            return results
        if self._t_first is None:
            self._t_first = int(events["t_us"][0])
        octaves, phases = self._octave_of(events["t_us"])
        self._t_last = int(events["t_us"][-1])
        fractions = (phases * self.quant.fraction_factor) >> 32
        chunk = Chunk(
            x=events["x"].astype(np.int64),
            y=events["y"].astype(np.int64),
            inputs=self._inputs(events),
            octaves=octaves,
            mantissas=self.quant.mantissas[fractions].astype(np.int64),
        )
        layer = Layer(self._stored, self._octaves, self.weights, self.thresholds, self.wins, self._counters)
        run(chunk, layer, self._settings, results)
        return results

    def surface(self) -> npt.NDArray[np.int16]:
        """Values of all surfaces at the octave of the last event: int16 (surfaces, height, width)."""
        octave, _ = self._now()
        age = np.minimum(octave - self._octaves, formats.DEAD_OCTAVES)
        return (np.sign(self._stored) * (np.abs(self._stored) >> age)).astype(np.int16)

    def values(self) -> Values:
        """The layer's sections of the state."""
        octave, phase = self._now()
        counters, surface = self._counters, self.surface()
        return {
            "weights": self.weights,
            "thresholds": self.thresholds,
            "dither": counters[DITHER],
            "learning": self._settings.learning,
            "started": self._t_first is not None,
            "t_us": np.uint64(self._t_last),
            "octave": np.uint64(octave),
            "phase": phase,
            "wins": self.wins,
            "misses": counters[MISSES],
            "border": counters[AT_BORDER],
            "window_events": counters[WINDOW_EVENTS],
            "window_misses": counters[WINDOW_MISSES],
            "last_window_misses": counters[LAST_WINDOW],
            "surface": surface if self.quant.params.channels == 1 else surface.swapaxes(0, 1),
        }

    def import_learned(self, given: Values, sound: bool = True) -> bool:
        """Replace what was learned by `given`; False, and the model's own back, unless that is sound.

        It is if every threshold and norm is in range (numerics page, section 8), and if `sound` says so.
        """
        weights = np.asarray(given["weights"], np.int64).reshape(self.weights.shape)
        thresholds = np.asarray(given["thresholds"], np.int64)
        least, most = formats.squared_norms(self.quant.params.dims)
        energies = (weights**2).sum(axis=1)
        sound = bool(
            sound
            and ((least <= energies) & (energies <= most)).all()
            and (np.abs(thresholds) <= formats.UNIT).all()
        )
        self.weights[:] = weights if sound else self.quant.weights
        self.thresholds[:] = thresholds if sound else self.quant.thresholds
        self._counters[DITHER] = int(np.asarray(given["dither"]).reshape(())) if sound else INITIAL_DITHER
        return sound

    def _inputs(self, events: Events) -> Ints:
        """What tells events of one pixel apart: the polarity, or the channel."""
        inputs = events["polarity"] != 0 if self.quant.lower is None else events["channel"]
        return np.asarray(inputs, np.int64)

    def _octave_of(
        self, times: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        length = self.quant.octave_q8
        elapsed = times - np.uint64(self._t_first or 0)
        if int(elapsed[-1]) < 2**55:
            position = elapsed << np.uint64(formats.TIME_BITS)
            return (position // np.uint64(length)).astype(np.int64), position % np.uint64(length)
        pairs = [divmod(int(value) << formats.TIME_BITS, length) for value in elapsed]
        return np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.uint64)

    def _now(self) -> tuple[int, int]:
        if self._t_first is None:
            return 0, 0
        return divmod((self._t_last - self._t_first) << formats.TIME_BITS, self.quant.octave_q8)
