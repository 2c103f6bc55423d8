"""The simulated planes: seeded, labelled, and crossing the whole field of view."""

from __future__ import annotations

import numpy as np
import pytest

from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.simulate import planes
from feast_codegen.host.recordings.simulate.camera import View, emit, thresholds


def test_recordings_depend_on_seed_and_index_alone() -> None:
    few, many = open_source("sim:planes?count=2"), open_source("sim:planes?seed=0&count=300")
    np.testing.assert_array_equal(few.load(1).events, many.load(1).events)
    assert few.sensor == planes.CAMERA.sensor
    assert [many.labels[index] for index in range(6)] == [0, 1, 2, 3, 0, 1]
    other = open_source("sim:planes?seed=1&count=2").load(1)
    assert other.events.tobytes() != few.load(1).events.tobytes()


def test_a_plane_crosses_from_top_to_bottom() -> None:
    stream = open_source("sim:planes?seed=3&count=4").load(3)
    events = stream.events
    assert 20_000 < events.size < 300_000
    assert 200_000 < stream.duration_us < 450_000
    rows = [float(np.median(part["y"])) for part in np.array_split(events, 5)]
    assert rows == sorted(rows)
    assert rows[0] < 60 and rows[-1] > 180


@pytest.mark.parametrize("kind", range(len(planes.NAMES)))
def test_silhouettes_are_mirror_images_of_themselves_and_differ(kind: int) -> None:
    picture = planes.silhouette(kind, 80.0, 0.0)
    np.testing.assert_allclose(picture, picture[:, ::-1], atol=0.05)
    assert -1.0 <= picture.min() < -0.8 and picture.max() <= 0.0
    for other in range(kind):
        assert abs(picture - planes.silhouette(other, 80.0, 0.0)).sum() > 200


def test_an_even_sky_makes_no_events() -> None:
    origin = np.stack([np.full(5, 50.0), np.arange(5.0)], axis=1)
    sky = View(np.zeros((planes.PATCH, planes.PATCH)), origin)
    assert emit(sky, planes.CAMERA.step_us, thresholds(planes.CAMERA, 0)).size == 0
