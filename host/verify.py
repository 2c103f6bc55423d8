"""Proves the emitted C against the integer twin, and measures the twin against the float model."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from feast_codegen.codegen.base.events import EVENT_DTYPE, FILTERED, Events, Results
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.compiled_library import build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import QuantModel, cosine_bound, quantise
from feast_codegen.codegen.model.model import Model, emitted_filters
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import Readout, name_of
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.evaluation.fit_readout import label_of
from feast_codegen.host.network.float_model import FloatFeast, Scores
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.stress.check import TwinMachine, answers, first_stress_difference
from feast_codegen.host.stress.difference import Difference, first_difference
from feast_codegen.host.stress.stream import stress_script


@dataclass(frozen=True)
class ModeReport:
    """One mode, frozen or learning, over the whole source."""

    events: int
    filtered: int
    """Events among them that the filters left out."""
    native_events_per_s: float
    twin_events_per_s: float
    difference: Difference | None
    stress_events: int
    """Events of the stress stream, which is no part of the source."""
    stress_difference: Difference | None


@dataclass(frozen=True)
class Agreement:
    """Frozen twin against the float64 model, by winners of compared events.

    With two layers, `compared` and `agreeing` count over the whole network, where a different winner
    below leaves its trace above; `untied` and `untied_agreeing` are of the upper layer, both models given
    the twin's winners.
    """

    compared: int
    agreeing: int
    untied: int
    """Events whose float gap between best and second exceeds the quantiser's stated bound."""
    untied_agreeing: int

    @property
    def fraction(self) -> float:
        """Agreement over all compared events; 1 if there were none."""
        return self.agreeing / self.compared if self.compared else 1.0

    @property
    def untied_fraction(self) -> float:
        """Agreement over untied events; 1 if there were none."""
        return self.untied_agreeing / self.untied if self.untied else 1.0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.compared + other.compared,
            self.agreeing + other.agreeing,
            self.untied + other.untied,
            self.untied_agreeing + other.untied_agreeing,
        )


@dataclass(frozen=True)
class Labelled:
    """Recordings with a label whose class scores were compared with it."""

    recordings: int
    fixed: int
    """Right labels of the emitted C, frozen."""
    floating: int
    """Right labels of the float model, nearest feature."""

    @property
    def accuracy(self) -> float:
        """Of the emitted C."""
        return self.fixed / self.recordings

    @property
    def float_accuracy(self) -> float:
        """Of the float model."""
        return self.floating / self.recordings


@dataclass(frozen=True)
class VerifyReport:
    """Outcome of `verify`."""

    model_id: str
    build_ids: dict[str, str]
    modes: dict[str, ModeReport]
    agreement: Agreement
    labelled: Labelled | None
    """None without a readout or without labels, and after a difference: the C then is not to be trusted."""

    @property
    def mismatches(self) -> int:
        """Modes that stopped at a difference: 0 means every result and every final state was equal."""
        return sum(mode.difference is not None for mode in self.modes.values())

    @property
    def stress_events(self) -> int:
        """Events of the stress streams, over all modes."""
        return sum(mode.stress_events for mode in self.modes.values())

    @property
    def stress_mismatches(self) -> int:
        """Modes whose stress stream shows a difference."""
        return sum(mode.stress_difference is not None for mode in self.modes.values())

    @property
    def events(self) -> int:
        """Events compared, over all modes."""
        return sum(mode.events for mode in self.modes.values())

    @property
    def filtered(self) -> int:
        """Events among them that the filters left out."""
        return sum(mode.filtered for mode in self.modes.values())


def verify(
    model: Model,
    recordings: Iterable[EventStream],
    options: Options = Options(),
    kernel: Kernel = "portable",
) -> VerifyReport:
    """Run the emitted C and the twin over every event, frozen and learning, and compare all they hold.

    Each mode also carries out a stress stream (host/stress/stream.py), which reaches what recordings do not.

    Of `options`, learning does not matter: both are run. Learning needs int16 weights; with int8 there is
    only the frozen mode. Without filters, `recordings` hold what passes those of the model. Packed and
    vector instructions of a `kernel` that this machine lacks are done by the plain C beside them.

    `recordings` is iterated once; surfaces are reset before each, learning goes on across them. A
    mode stops at its first difference.
    Raises FeastError if the model cannot be quantised or there is no C compiler.
    """
    model_id = model.model_id
    if not options.filters:
        model = model.unfiltered
    elif options.max_rate is not None:
        model = model.behind(emitted_filters(model.lower or model, options))
    quant = replace(quantise(model)[0], model_id=model_id)
    frozen = _Run(quant, replace(options, learning=False), kernel)
    runs = {"frozen": frozen}
    if options.weights == "int16":
        runs["learning"] = _Run(quant, replace(options, learning=True), kernel)
    reference = FloatFeast(model, dtype=np.float64)
    nearest = Twin(quant, Options(weights=options.weights))
    agreement = Agreement(0, 0, 0, 0)
    labels, fixed, floating = list[str](), 0, 0
    for stream in recordings:
        for run in runs.values():
            run.compare(stream)
        winners, agreed = _agreement(model, quant, reference, nearest, stream.events)
        agreement += agreed
        if isinstance(model.readout, Readout) and options.readout and stream.label is not None:
            names = model.readout.labels
            labels.append(str(stream.label))
            fixed += labels[-1] == name_of(names, frozen.label)
            floating += labels[-1] == name_of(
                names, label_of(model.readout, winners, model.to_network_pixels(stream.events), model.sensor)
            )
    return VerifyReport(
        model_id=model_id,
        build_ids={name: run.build_id for name, run in runs.items()},
        modes={name: run.report() for name, run in runs.items()},
        agreement=agreement,
        labelled=Labelled(len(labels), fixed, floating) if labels and not frozen.differs else None,
    )


class _Run:
    """Emitted C and twin side by side in one mode."""

    def __init__(self, quant: QuantModel, options: Options, kernel: Kernel) -> None:
        plan = make_plan(quant, None, options, kernel)
        self.build_id = plan.ids.build
        self._quant = quant
        self._options = options
        self._native = build_native(render(plan))
        self._twin = Twin(quant, options)
        # Its loops are compiled or loaded at the first event, which the clock must not see.
        copy.deepcopy(self._twin).step(np.zeros(1, EVENT_DTYPE))
        self._events = self._filtered = 0
        self._native_s = 0.0
        self._twin_s = 0.0
        self._difference: Difference | None = None

    @property
    def differs(self) -> bool:
        return self._difference is not None

    @property
    def label(self) -> int:
        return self._native.label

    def compare(self, stream: EventStream) -> None:
        if self._difference is not None:
            return
        self._native.reset()
        self._twin.reset()
        before = self._native.memory(), copy.deepcopy(self._twin)
        start = time.perf_counter()
        native = self._native.step(stream.events)
        middle = time.perf_counter()
        twin = self._twin.step(stream.events)
        self._native_s += middle - start
        self._twin_s += time.perf_counter() - middle
        self._events += len(stream.events)
        self._filtered += int(np.count_nonzero(native == FILTERED))
        same = np.array_equal(native, twin) and np.array_equal(self._native.snapshot(), self._twin.snapshot())
        if not (same and self._native.label == self._twin.label):
            self._native.set_memory(before[0])
            self._difference = first_difference(self._quant, self._native, before[1], stream)

    def report(self) -> ModeReport:
        """Run the stress stream, too; the state of the recordings is lost."""
        script = stress_script(self._quant, self._options)
        expected = answers(script, TwinMachine(self._quant, self._options))
        return ModeReport(
            stress_events=script.events,
            stress_difference=first_stress_difference(
                script, self._native, expected, self._quant, self._options
            ),
            events=self._events,
            filtered=self._filtered,
            native_events_per_s=self._events / max(self._native_s, 1e-9),
            twin_events_per_s=self._events / max(self._twin_s, 1e-9),
            difference=self._difference,
        )


def _agreement(
    model: Model, quant: QuantModel, reference: FloatFeast, twin: Twin, events: Events
) -> tuple[Results, Agreement]:
    """Winners of the float model, and how far the twin agrees with them."""
    reference.reset()
    twin.reset()
    if model.lower is None:
        return _layer_agreement(model, quant, reference.scores(events), twin.step(events), twin.options)
    given = twin.given(events)
    scores, results = reference.scores(given), twin.layers[-1].step(given)
    _, layer = _layer_agreement(model, quant, scores, results, twin.options)
    reference.reset()
    twin.reset()
    wanted, got = reference.step(events), twin.step(events)
    compared = wanted >= 0
    return wanted, replace(layer, compared=int(compared.sum()), agreeing=int((wanted == got)[compared].sum()))


def _layer_agreement(
    model: Model, quant: QuantModel, scores: Scores, results: Results, options: Options
) -> tuple[Results, Agreement]:
    compared = scores.winner >= 0
    same = (scores.winner == results)[compared]
    bound = cosine_bound(model, quant, scores.norm[compared], options.weights)
    untied = (scores.best - scores.second)[compared] > 2.0 * bound
    return scores.winner, Agreement(
        compared=int(compared.sum()),
        agreeing=int(same.sum()),
        untied=int(untied.sum()),
        untied_agreeing=int((same & untied).sum()),
    )
