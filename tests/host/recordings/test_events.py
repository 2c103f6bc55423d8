"""Events: the check at the door, leaving bad ones out, and the 40-bit file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.events import EventStream, check_events
from feast_codegen.host.recordings.readers import nmnist
from tests.support.event_files import nmnist_bin
from tests.support.networks import make_events

SENSOR = Sensor(9, 7)


def bad_one(field: str, value: int) -> Events:
    events = make_events(20, SENSOR)
    events[field][12] = value
    return events


def test_good_events_pass() -> None:
    check_events(make_events(100, SENSOR), SENSOR, "here")
    check_events(np.zeros(0, EVENT_DTYPE), SENSOR, "here")
    check_events(np.zeros(3, EVENT_DTYPE), SENSOR, "equal times are fine")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("x", 9, "event 12: x=9 y=[0-6] lies outside the 9x7 sensor"),
        ("y", 65535, "event 12: x=[0-8] y=65535 lies outside the 9x7 sensor"),
        ("polarity", 2, "event 12: polarity 2, expected 0 or 1"),
        ("t_us", 5, r"event 12: t=5 us is earlier than the event before it \(t=[0-9]+ us\)"),
    ],
)
def test_the_first_bad_event_is_named(field: str, value: int, problem: str) -> None:
    events = bad_one(field, value)
    events["x"][15] = 99
    with pytest.raises(FeastError, match=f"^a.bin: {problem}$"):
        check_events(events, SENSOR, "a.bin")


def test_duration() -> None:
    events = make_events(3, SENSOR)
    events["t_us"] = 10, 20, 50
    assert EventStream(events, SENSOR, "a", None).duration_us == 40
    assert EventStream(events[:0], SENSOR, "a", None).duration_us == 0


# The 40-bit file


def records(fields: list[tuple[int, int, int, int]]) -> Events:
    return np.array(fields, EVENT_DTYPE)


FIELDS = st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 255), st.integers(0, 255), st.integers(0, 1))


@given(st.lists(FIELDS, max_size=30).map(records))
def test_decoding_is_the_inverse_of_writing(events: Events) -> None:
    data = nmnist_bin(events)
    assert len(data) == nmnist.RECORD_BYTES * events.size
    np.testing.assert_array_equal(nmnist.decode(data), events)


def test_the_layout_is_big_endian_with_the_polarity_above_the_time() -> None:
    data = bytes([3, 33, 0x80 | 0x01, 0x02, 0x03])
    np.testing.assert_array_equal(nmnist.decode(data), records([(0x010203, 3, 33, 1)]))


@given(events=st.lists(FIELDS, min_size=1, max_size=5).map(records), cut=st.integers(1, 4))
def test_a_truncated_file_is_refused_with_its_offset(
    tmp_path_factory: pytest.TempPathFactory, events: Events, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.bin"
    path.write_bytes(nmnist_bin(events))
    nmnist.check_size(path)
    path.write_bytes(path.read_bytes()[:-cut])
    last = events.size - 1
    message = f"a.bin: truncated at byte {5 * last}: {5 - cut} of the 5 bytes of event {last} are there"
    with pytest.raises(FeastError, match=message):
        nmnist.check_size(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FeastError, match="cannot read: No such file"):
        nmnist.check_size(tmp_path / "none.bin")
    (tmp_path / "empty.bin").touch()
    with pytest.raises(FeastError, match="the file is empty"):
        nmnist.check_size(tmp_path / "empty.bin")


@pytest.mark.data
def test_real_recordings_survive_a_round_trip(data: Path) -> None:
    path = data / "recordings" / "tonic_sample_nmnist.bin"
    events = nmnist.decode(path.read_bytes())
    assert events.size == 4325
    check_events(events, Sensor(34, 34), path.name)
    assert nmnist_bin(events) == path.read_bytes()
