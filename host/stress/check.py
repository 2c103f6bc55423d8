"""Carries a stress script out on the emitted C and on the twin, and compares all they answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.emit.compiled_library import NativeFeast
from feast_codegen.codegen.fixed_point.quantise import QuantModel, initial_words
from feast_codegen.codegen.fixed_point.state_layout import ACCEPTANCE, FILTER, layer_names
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.stress.difference import Difference, first_difference
from feast_codegen.host.stress.steps import Beyond, Feed, Import, Look, Reset, Script, SetLearning, Words


class Machine(Protocol):
    """What a script drives: the emitted C (`NativeFeast`), or the twin (`TwinMachine`)."""

    def step(self, events: Events) -> Results: ...
    def reset(self) -> None: ...
    def set_learning(self, learning: bool) -> None: ...
    def import_word(self, index: int, word: int) -> None: ...
    def import_learned(self, words: Words) -> bool: ...
    def snapshot(self) -> Words: ...
    def signals(self) -> dict[str, int]: ...
    @property
    def wins(self) -> Any: ...
    @property
    def thresholds(self) -> Any: ...
    @property
    def scores(self) -> Any: ...
    @property
    def label(self) -> int: ...


class TwinMachine:
    """A twin with the calls that the emitted C has beside its own: imports and signals."""

    def __init__(self, quant: QuantModel, options: Options) -> None:
        self.twin = Twin(quant, options)
        self._own = initial_words(quant, options)
        self.step, self.reset, self.set_learning = self.twin.step, self.twin.reset, self.twin.set_learning
        self.snapshot = self.twin.snapshot

    @property
    def wins(self) -> Any:
        """int64 (features,), modulo 2^32."""
        return self.twin.wins % 2**32

    @property
    def thresholds(self) -> Any:
        """int64 (features,), Q30."""
        return self.twin.thresholds

    @property
    def scores(self) -> Any:
        """int64 (classes,)"""
        return self.twin.scores.copy()

    @property
    def label(self) -> int:
        """Index of the leading class, -1 for none."""
        return self.twin.label

    def import_word(self, index: int, word: int) -> None:
        """Nothing: what is given before an import is overwritten by it, what lies beyond is no part of it."""

    def import_learned(self, words: Words) -> bool:
        """Take a learned state, or the model's own where the numerics page section 8 or 12 refuses it."""
        return self.twin.import_learned(words)

    def signals(self) -> dict[str, int]:
        """The public signals by name, put together from the snapshot."""
        quant, options = self.twin.quant, self.twin.options
        stages = quant.state(options).unpack(self.snapshot())
        layers = [stages[name] for name in layer_names(quant.shape)]
        entry, last, filters = stages[ACCEPTANCE], layers[-1], stages.get(FILTER)
        values = {
            "hits": int(self.wins.sum()),
            "border": sum(int(layer["border"]) for layer in layers),
            "filtered": int(filters["filtered"]) if filters else 0,
            **{name: int(entry[name]) for name in ("outside", "backwards")},
            **{
                name: int(last[name])
                for name in ("misses", "window_events", "window_misses", "last_window_misses")
            },
        }
        return {name: value % 2**32 for name, value in values.items()}


@dataclass(frozen=True, eq=False)
class Answer:
    """All that a machine says after a step."""

    results: Any
    """Of the events, or whether an import was accepted."""
    snapshot: Words
    signals: dict[str, int]
    wins: Any
    thresholds: Any
    scores: Any
    label: int

    def differs(self, other: Answer) -> str | None:
        """Name of the first field that is not the same."""
        for field in fields(self):
            one, two = getattr(self, field.name), getattr(other, field.name)
            same = one == two if isinstance(one, dict) else np.array_equal(one, two)
            if not same:
                return field.name
        return None


def answers(script: Script, machine: Machine) -> Iterator[Answer]:
    """The answer to each step in turn; `machine` starts as it was initialised."""
    for _, step in script.steps:
        yield _answer(step, machine)


def _answer(step: Any, machine: Machine) -> Answer:
    results = _carry_out(step, machine)
    return Answer(
        results,
        machine.snapshot(),
        machine.signals(),
        np.array(machine.wins, np.int64),
        np.array(machine.thresholds, np.int64),
        machine.scores,
        machine.label,
    )


def _carry_out(step: Any, machine: Machine) -> Any:
    match step:
        case Feed():
            return machine.step(step.events)
        case Beyond():
            return machine.import_word(step.index, step.word)
        case Look():
            return None
        case Reset():
            return machine.reset()
        case SetLearning():
            return machine.set_learning(step.on)
        case Import():
            for index, word in step.before:
                machine.import_word(index, word)
            return machine.import_learned(step.words)
        case _:
            raise AssertionError(f"unknown step {step!r}")


def first_stress_difference(
    script: Script, native: NativeFeast, expected: Iterable[Answer], quant: QuantModel, options: Options
) -> Difference | None:
    """The first event and value in which the C differs from the `expected` answers of the twin, if any.

    `native` is initialised first. The event's index is within its step.
    """
    found = differing_step(script, native, expected)
    if found is None:
        return None
    index, mine, twins = found
    return _located(script, index, native, quant, options) or _described(
        script, index, mine, twins, quant, options
    )


def differing_step(
    script: Script, native: NativeFeast, expected: Iterable[Answer]
) -> tuple[int, Answer, Answer] | None:
    """The first step with another answer, that answer and the expected one; initialises `native`."""
    native.init()
    for index, (mine, twins) in enumerate(zip(answers(script, native), expected, strict=True)):
        if mine.differs(twins):
            return index, mine, twins
    return None


def _located(
    script: Script, index: int, native: NativeFeast, quant: QuantModel, options: Options
) -> Difference | None:
    """The difference in step `index` by the event that makes it; None if no event makes it."""
    name, step = script.steps[index]
    if not isinstance(step, Feed):
        return None
    machine = TwinMachine(quant, options)
    native.init()
    for _, before in script.steps[:index]:
        _carry_out(before, native)
        _carry_out(before, machine)
    stream = EventStream(step.events, quant.sensor, _where(index, name), None)
    found = first_difference(quant, native, machine.twin, stream)
    return found if found.event < len(step.events) else None


def _described(
    script: Script, index: int, mine: Answer, twins: Answer, quant: QuantModel, options: Options
) -> Difference:
    """The difference after step `index`, at its last event."""
    name, step = script.steps[index]
    field = mine.differs(twins)
    assert field is not None, "only what differs is described"
    one, two = getattr(mine, field), getattr(twins, field)
    event = len(step.events) - 1 if isinstance(step, Feed) else 0
    if field == "signals":
        key = next(key for key in one if one[key] != two[key])
        return Difference(_where(index, name), event, f"signal {key}", str(one[key]), str(two[key]))
    if field in ("snapshot", "wins", "thresholds", "scores"):
        at = int(np.flatnonzero(one != two)[0])
        what = quant.state(options).word_name(at) if field == "snapshot" else f"{field}[{at}]"
        return Difference(_where(index, name), event, what, str(one[at]), str(two[at]))
    return Difference(_where(index, name), event, field, str(one), str(two))


def _where(index: int, name: str) -> str:
    return f"stress step {index}, {name}"
