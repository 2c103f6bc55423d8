"""Class scores: what the numerics page section 13 says, for the integers, the twin and the emitted C."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE
from feast_codegen.codegen.emit.compiled_library import NativeFeast, build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import Readout, quantise_readout
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import make_events, make_model, with_readout

SENSOR = Sensor(13, 9)


def both(model: Model, options: Options = Options()) -> tuple[NativeFeast, Twin]:
    quant = quantise(model)[0]
    return build_native(render(make_plan(quant, None, options))), Twin(quant, options)


def readout_of(rows: list[list[float]], grid: int = 1) -> Readout:
    """A readout that adds `rows`, one per cell and feature, to its classes."""
    weights = np.array(rows, np.float64).T
    return Readout(grid, tuple(str(i) for i in range(len(weights))), weights, np.zeros(len(weights)))


def test_rows_take_the_bias_and_the_widest_shift_that_fits() -> None:
    readout = Readout(1, ("a", "b"), np.array([[0.5, -0.25], [0.0, 3.0]]), np.array([0.5, 1.0]))
    quant = quantise_readout(readout)
    assert quant.bits == 12, "4 * 2^13 is one too many"
    np.testing.assert_array_equal(quant.rows, np.array([[1.0, 1.0], [0.25, 4.0]]) * 2**12)


def test_ties_go_to_even_and_the_widest_shift_is_30() -> None:
    rows = [[2.5 / 2**30, -1.5 / 2**30], [0.0, 0.0]]
    quant = quantise_readout(readout_of(rows))
    assert quant.bits == 30
    np.testing.assert_array_equal(quant.rows, [[2, -2], [0, 0]])


def test_rows_beyond_int16_are_refused() -> None:
    assert quantise_readout(readout_of([[32767.4, 0.0]])).rows[0, 0] == 32767
    with pytest.raises(FeastError, match="readout: a weight and its bias come to 40000: at most 32767 fit"):
        quantise_readout(readout_of([[0.0, -40000.0]]))


def test_each_winner_adds_the_row_of_its_cell() -> None:
    """By hand: one feature a cell, so that the scores count events by cell."""
    cells = np.eye(4) * 100.0
    model = replace(
        make_model(Sensor(5, 4), radius=1, features=1), readout=readout_of(cells.tolist(), grid=2)
    )
    events = np.zeros(7, EVENT_DTYPE)
    events["t_us"] = np.arange(7)
    events["x"] = [0, 2, 3, 4, 0, 4, 9]  # 5 columns: 0 to 2 are the left cell; the last is off the sensor
    events["y"] = [0, 1, 1, 0, 2, 3, 0]
    for network in both(model):
        assert (network.label, network.scores.tolist()) == (-1, [0, 0, 0, 0])
        network.step(events)
        assert (network.scores / network.scores.max() * 2).tolist() == [2, 2, 1, 1]
        assert network.label == 0, "the lowest of equals"
        network.reset()
        assert (network.label, network.scores.tolist()) == (-1, [0, 0, 0, 0])


def test_misses_and_rejected_events_score_nothing() -> None:
    model = with_readout(make_model(SENSOR, radius=2, features=3, threshold=1.0, border="skip"))
    events = make_events(500, SENSOR)
    for network in both(model, Options(select="threshold")):
        results = network.step(events)
        assert (results == -1).any() and (results == -2).any() and not (results >= 0).any()
        assert network.label == -1 and not network.scores.any()


def test_scores_are_wider_than_32_bits() -> None:
    model = make_model(Sensor(1, 1), radius=1, features=1)
    model = replace(model, readout=readout_of([[32767.0, -32767.0]]))
    events = np.zeros(70_000, EVENT_DTYPE)
    for network in both(model):
        network.step(events)
        assert network.scores.tolist() == [32767 * 70_000, -32767 * 70_000]


def test_no_readout_no_scores() -> None:
    for model, options in (
        (make_model(SENSOR, radius=1, features=2), Options()),
        (with_readout(make_model(SENSOR, radius=1, features=2)), Options(readout=False)),
    ):
        native, twin = both(model, options)
        for network in (native, twin):
            network.step(make_events(100, SENSOR))
            assert network.label == -1 and network.scores.size == 0
        assert native.snapshot().size == twin.snapshot().size == 2 * 9 + 4 + 2 + 12 + 4 + 11 + 13 * 9


def test_a_learned_state_leaves_the_readout_alone() -> None:
    model = with_readout(make_model(SENSOR, radius=1, features=3, eta=0.05))
    native, twin = both(model, Options(learning=True))
    events = make_events(400, SENSOR)
    twin.step(events)
    assert native.import_learned(twin.learned())
    native.reset()
    twin.reset()
    native.step(events)
    twin.step(events)
    np.testing.assert_array_equal(native.scores, twin.scores)
