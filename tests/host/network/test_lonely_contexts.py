"""Contexts that hold nothing but their own event, and how long recordings last."""

from __future__ import annotations

import numpy as np
import pytest

from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Hyperparameters, Sensor
from feast_codegen.host.network.lonely_contexts import lonely_share
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.recordings.extent import Extent
from feast_codegen.host.recordings.in_memory import source_from
from tests.support.networks import make_events

SENSOR = Sensor(12, 9)


def counted(events: Events, params: Hyperparameters) -> float:
    """The definition, event by event."""
    lonely = 0
    for i, event in enumerate(events):
        before = events[:i]
        near = np.abs(before["x"].astype(int) - int(event["x"])) <= params.radius
        near &= np.abs(before["y"].astype(int) - int(event["y"])) <= params.radius
        near &= (before["x"] != event["x"]) | (before["y"] != event["y"])
        near &= event["t_us"] - before["t_us"] <= np.uint64(3 * params.tau_us)
        if params.polarity == "separate":
            near &= before["polarity"] == event["polarity"]
        lonely += not near.any()
    return lonely / events.size


@pytest.mark.parametrize("polarity", ["merged", "separate", "signed"])
@pytest.mark.parametrize("tau_us", [10.0, 300.0, 1e5])
@pytest.mark.parametrize("radius", [1, 3])
def test_the_share_is_that_of_its_definition(polarity: str, tau_us: float, radius: int) -> None:
    events = make_events(300, SENSOR, seed=2)
    params = Hyperparameters(features=2, radius=radius, tau_us=tau_us, polarity=polarity)  # type: ignore[arg-type]
    streams = [EventStream(each, SENSOR, "a", None) for each in (events, events)]
    assert lonely_share(source_from(streams), params) == pytest.approx(counted(events, params))


def test_the_extent_of_recordings() -> None:
    events = make_events(100, SENSOR)
    events["t_us"] = np.arange(100) * 1000 + 7
    whole, pieces = Extent(), Extent()
    assert sum(1 for _ in whole.watch([EventStream(events, SENSOR, "a", None)] * 2)) == 2
    for _ in range(2):
        pieces.begin()
        for first in (0, 30, 31):
            pieces.add(events[first : 30 if first == 0 else 31 if first == 30 else 100])
    assert whole == pieces
    assert whole.values == {"duration_us": 198_000, "mean_event_rate": pytest.approx(200 / 0.198)}
    assert str(whole) == "0.198 s, 1,010 events/s on average"
    assert Extent().values["mean_event_rate"] is None
