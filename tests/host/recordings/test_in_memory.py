"""Events in every form that people hold in memory become the same array, or one line says what is wrong."""

from __future__ import annotations

import doctest
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.host.recordings import event_columns
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.recordings.in_memory import events_from, sensor_from, source_from, streams_from
from tests.support.networks import make_events

SENSOR = Sensor(34, 34)
EVENTS = make_events(50, SENSOR, seed=3)
T, X, Y, P = (EVENTS[name] for name in ("t_us", "x", "y", "polarity"))
TONIC = np.dtype([("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")])
Camera = namedtuple("Camera", "x y polarity timestamp")


class Frame:
    """As much of a DataFrame as pandas and polars share."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:  # its columns in a row, as pandas has it
        return np.array(list(self._columns.values())).T


class Tensor:
    """As much of a tensor as counts."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._values


def structured(dtype: np.dtype[Any], **columns: Any) -> Any:
    made = np.zeros(len(EVENTS), dtype)
    for name, values in columns.items():
        made[name] = values
    return made


def rows() -> list[tuple[int, int, int, int]]:
    return list(zip(T.tolist(), X.tolist(), Y.tolist(), P.tolist(), strict=True))


def signed() -> Any:
    return 2 * P.astype(np.int8) - 1


FORMS: dict[str, Callable[[], Events]] = {
    "EVENT_DTYPE": lambda: events_from(EVENTS),
    "EventStream": lambda: events_from(EventStream(EVENTS, SENSOR, "a", None)),
    "tonic": lambda: events_from(structured(TONIC, x=X, y=Y, t=T, p=P)),
    "fields in another order, bool p": lambda: events_from(
        structured(np.dtype([("p", "?"), ("t", "<f8"), ("y", "u1"), ("x", ">u2")]), x=X, y=Y, t=T / 1e6, p=P),
        unit="s",
    ),
    "EVENT_DTYPE without padding": lambda: events_from(
        structured(
            np.dtype([("t_us", "<u8"), ("x", "<u2"), ("y", "<u2"), ("polarity", "u1")]),
            t_us=T,
            x=X,
            y=Y,
            polarity=P,
        )
    ),
    "dict": lambda: events_from({"x": X, "y": Y.tolist(), "pol": P, "timestamp": T, "id": T}),
    "dict, names in capitals": lambda: events_from({"X": X, "Y": Y, "Polarity": signed(), "Time [us]": T}),
    "data frame": lambda: events_from(Frame({"ts": T, "x": X, "y": Y, "on": P.astype(bool)})),
    "objects": lambda: events_from(Frame({"ts": T.astype(object), "x": X.astype(object), "y": Y, "p": P})),
    "named tuple of columns": lambda: events_from(Camera(X, Y, P, T)),
    "four arrays": lambda: events_from((T, X, Y, P)),
    "four arrays, other order": lambda: events_from((X, Y, T, P), columns="xytp"),
    "four lists": lambda: events_from((T.tolist(), X.tolist(), Y.tolist(), P.astype(bool).tolist())),
    "array (n, 4)": lambda: events_from(np.array([T, X, Y, signed()]).T, columns="txyp", unit="us"),
    "array (n, 5)": lambda: events_from(
        np.array([X, P, P, Y, T * 1000]).T.astype(np.int64), columns=("x", "id", "p", "y", "t_ns")
    ),
    "float array (n, 4)": lambda: events_from(np.array([T, X, Y, P]).T / 1.0, columns="t x y p", unit="us"),
    "tensor": lambda: events_from(Tensor(np.array([X, Y, T, P]).T), columns="x, y, t, p", unit="us"),
    "list of tuples": lambda: events_from(rows()),
    "generator of tuples": lambda: events_from(
        ((t / 1000.0, x, y, p == 1) for t, x, y, p in rows()), unit="ms"
    ),
    "rows in another order": lambda: events_from([[p, x, y, t] for t, x, y, p in rows()], columns="pxyt"),
    "named tuples": lambda: events_from([Camera(x, y, p, t) for t, x, y, p in rows()]),
    "structured scalars": lambda: events_from(list(structured(TONIC, x=X, y=Y, t=T, p=P))),
    "nanoseconds, rounded": lambda: events_from({"t_ns": T * 1000 + 499, "x": X, "y": Y, "p": P}),
    "timedelta64": lambda: events_from({"t": (T * 1000).astype("m8[ns]"), "x": X, "y": Y, "p": P}),
    "datetime64": lambda: events_from({"t": T.astype("M8[us]"), "x": X, "y": Y, "p": P}, unit="us"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_events(form: str) -> None:
    events = FORMS[form]()
    assert events.dtype == EVENT_DTYPE
    np.testing.assert_array_equal(events, EVENTS)


def test_what_is_right_already_is_not_copied() -> None:
    assert events_from(EVENTS) is EVENTS


def test_no_events_are_an_empty_recording() -> None:
    for empty in ([], (), np.zeros(0, TONIC), {"t": [], "x": [], "y": [], "p": []}, ([], [], [], [])):
        assert events_from(empty, unit="ms").size == 0 and events_from(empty).dtype == EVENT_DTYPE


@pytest.mark.parametrize(
    ("unit", "times", "expected"),
    [
        ("ms", [1, 2], [1000, 2000]),
        ("s", [1, 2], [1_000_000, 2_000_000]),
        ("ns", [1499, 1500], [1, 2]),
        ("ns", [2**63 - 1, 2**63 - 1], [9_223_372_036_854_776, 9_223_372_036_854_776]),
        ("us", np.array([2**62, 2**63 - 1], np.uint64), [2**62, 2**63 - 1]),
        ("s", [0.0000014, 0.0000016], [1, 2]),
        ("ms", np.array([1.5, 2.0], np.float16), [1500, 2000]),
        (None, [7, 8], [7, 8]),
    ],
)
def test_units_of_time(unit: Any, times: Any, expected: list[int]) -> None:
    assert events_from((times, [0, 0], [0, 0], [0, 1]), unit=unit)["t_us"].tolist() == expected


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_of_real_libraries(library: str) -> None:
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"x": X, "y": Y, "t_us": T, "on": P.astype(bool)})
    np.testing.assert_array_equal(events_from(frame), EVENTS)


def columns(**changes: Any) -> dict[str, Any]:
    return {"t": [1, 2], "x": [0, 1], "y": [0, 1], "p": [0, 1], **changes}


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "names": ({"a": [1], "x": [1]}, {}, "columns a, x: expected names for t (t, ts, time, times, timestamp"),
    "frame": (Frame({"c": [1]}), {}, "p (p, ps, pol, pols, polarity, polarities, on)"),
    "fields": (np.zeros(2, [("q", "i4")]), {}, "columns q: expected names for t (t, ts"),
    "no columns": (np.zeros((3, 4), int), {}, "array of shape (3, 4): say what its columns are"),
    "transposed": (np.zeros((4, 3), int), {"columns": "txyp"}, "has 3 columns, but columns='txyp' names 4"),
    "one dimension": (np.zeros(4), {}, "array of shape (4,) of float64, expected (n, 4) with columns="),
    "two dimensions": (np.zeros((2, 2), TONIC), {}, "array of shape (2, 2)"),
    "letters": (np.zeros((3, 4), int), {"columns": "txyq"}, "columns t, x, y, q: expected names for t ("),
    "columns twice": (columns(), {"columns": "txyp"}, "has names for its columns (t, x, y, p)"),
    "text": ("a.csv", {}, "got the text 'a.csv': open files with open_recordings"),
    "nothing": (None, {}, "got NoneType, expected columns with names for t ("),
    "one event": ((5, 1, 2, 0), {}, "event 0: got int, expected (t, x, y, p)"),
    "list of arrays": ([T, X, Y, P], {}, "event 0: got 50 values, expected (t, x, y, p); columns are given"),
    "ragged": ([(1, 2, 3, 0), (1, 2, 3)], {}, "event 1: got 3 values, expected (t, x, y, p)"),
    "lengths": (columns(y=[1]), {}, "the columns differ in length: t 2, x 2, y 1, p 2"),
    "no unit": (columns(t=[0.1, 0.2]), {}, "floating-point numbers without a unit: give unit='s'"),
    "unit": (columns(), {"unit": "minutes"}, "unit 'minutes': expected one of ns, us, ms, s"),
    "two units": ({**columns(), "t": [], "t_us": [1]}, {"unit": "ms"}, "differ in length"),
    "other unit": (
        [(1, 0, 0, 0)],
        {"columns": ("t_us", "x", "y", "p"), "unit": "ms"},
        "column t_us is in us, not",
    ),
    "other unit of EVENT_DTYPE": (EVENTS, {"unit": "s"}, "EVENT_DTYPE is in us, not in s"),
    "timedelta": (columns(t=np.array([1, 2], "m8[ms]")), {"unit": "s"}, "is in ms, not in s"),
    "days": (columns(t=np.array([1, 2], "m8[D]")), {}, "times of timedelta64[D], expected one of ns"),
    "not a time": (columns(t=np.array([1, "NaT"], "m8[us]")), {}, "event 1: t="),
    "negative time": (columns(t=[-1, 2]), {}, "event 0: t=-1 us: expected 0 or later"),
    "nan": (columns(t=[0.0, np.nan]), {"unit": "s"}, "event 1: t=nan s: expected 0 or later"),
    "late": (columns(t=[1, 2**62]), {"unit": "ms"}, "event 1: t=4611686018427387904 ms"),
    "later": (columns(t=np.array([1, 2**63], np.uint64)), {}, "event 1: t=9223372036854775808 us"),
    "backwards": (columns(t=[2, 1]), {}, "event 1: t=1 us is earlier than the event before it (t=2 us)"),
    "bool time": (columns(t=[True, False]), {}, "column t is bool, expected times"),
    "fraction": (columns(x=[0.5, 1.0]), {}, "event 0: x=0.5: expected a whole number from 0 to 65535"),
    "negative": (columns(y=[0, -1]), {}, "event 1: y=-1: expected a whole number"),
    "far": (columns(x=[0, 65536]), {}, "event 1: x=65536: expected"),
    "bool x": (columns(x=[False, True]), {}, "column x is bool, expected pixels"),
    "outside": (columns(x=[0, 34]), {"sensor": SENSOR}, "event 1: x=34 y=1 lies outside the 34x34 sensor"),
    "polarity": (columns(p=[0, 2]), {}, "event 1: polarity 2, expected 0 or 1, -1 or 1, or bool"),
    "polarities": (columns(p=[0, -1]), {}, "polarities are -1, 0 and 1"),
    "words": (columns(p=["on", "off"]), {}, "column p holds <U3"),
    "objects": (columns(x=np.array([None, 1], object)), {}, "column x holds object"),
    "shape": (columns(x=[[0], [1]]), {}, "column x has shape (2, 1), expected one dimension"),
    "uneven": (columns(x=[[0], [1, 2]]), {}, "column x: list cannot become an array"),
    "sensor": (
        EventStream(EVENTS, SENSOR, "a", None),
        {"sensor": (8, 8)},
        "recorded with a 34x34 sensor, expected 8x8",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_recording_is_answered_in_one_line(case: str) -> None:
    x, options, problem = REFUSED[case]
    with pytest.raises(FeastError) as caught:
        events_from(x, where="here", **options)
    text = str(caught.value)
    assert text.startswith("here: ") and problem in text and "\n" not in text


def test_sensors_as_people_write_them() -> None:
    for value in (SENSOR, (34, 34), [np.int64(34), 34], "34x34", (34, 34, 2)):
        assert sensor_from(value) == SENSOR
    for bad in ((34,), (0, 3), 34, (1.5, 2), "wide", Sensor(0, 3)):
        with pytest.raises(FeastError, match="sensor"):
            sensor_from(bad)  # type: ignore[arg-type]


def test_recordings_with_labels_of_three_kinds() -> None:
    stream = EventStream(EVENTS, SENSOR, "3/a.bin", 3)
    made = streams_from([stream, (rows(), np.int64(4)), rows()], where="X")
    assert [(each.name, each.label) for each in made] == [("3/a.bin", 3), ("X[1]", 4), ("X[2]", None)]
    assert [each.label for each in streams_from([stream, rows()], labels=[1, 2])] == [1, 2]
    source = source_from(made)
    assert (source.sensor, source.labels, len(source)) == (SENSOR, (3, 4, None), 3)
    np.testing.assert_array_equal(source.load(2).events, EVENTS)


@pytest.mark.parametrize(
    ("recordings", "options", "problem"),
    [
        ([rows()], {}, "recordings: the sensor is not known: give sensor=(width, height)"),
        (rows(), {"sensor": SENSOR}, "recordings is one recording; expected a sequence of recordings"),
        (EVENTS, {"sensor": SENSOR}, "recordings is one recording"),
        ((T, X, Y, P), {"sensor": SENSOR}, "recordings is one recording"),
        ({"t": T, "x": X, "y": Y, "p": P}, {"sensor": SENSOR}, "recordings is one recording"),
        (np.zeros((3, 4)), {"sensor": SENSOR}, "recordings is one recording"),
        ("folder", {"sensor": SENSOR}, "recordings: got str, expected a sequence of recordings in memory"),
        ([rows()], {"sensor": SENSOR, "labels": [1, 2]}, "1 recordings and 2 labels"),
        ([rows()], {"sensor": SENSOR, "labels": [-1]}, "recordings[0]: label -1, expected a whole number"),
        ([rows(), "a.csv"], {"sensor": SENSOR}, "recordings[1]: got the text"),
        ([rows()], {"sensor": (8, 8)}, "recordings[0]: event "),
    ],
)
def test_what_are_no_recordings_is_answered_in_one_line(
    recordings: Any, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(FeastError) as caught:
        streams_from(recordings, **options)
    assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_four_recordings_in_a_tuple_are_not_taken_for_columns() -> None:
    assert len(streams_from((EVENTS, EVENTS, EVENTS, EVENTS), sensor=SENSOR)) == 4
    with pytest.raises(FeastError, match="there are none"):
        source_from([])


def test_examples_of_names_run() -> None:
    outcome = doctest.testmod(event_columns)
    assert outcome.attempted > 0 and outcome.failed == 0
