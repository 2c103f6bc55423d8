"""Units of times: said by the user or a name, guessed, and refused where the guess is not plausible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from feast_codegen.host.recordings.time_units import NO_TIME, microseconds, unit_of_name
from tests.support import event_files as files
from tests.support.networks import make_events

SENSOR = Sensor(40, 30)
PER_US = {"s": 1e-6, "ms": 1e-3, "us": 1, "ns": 1000}
WRITERS = ("csv", "npz", "h5")


def written(folder: Path, kind: str, times: Any, events: Events, name: str = "t") -> Path:
    """A file of one column of times, called `name`, and the other columns of the events."""
    import h5py

    columns = {name: times, "x": events["x"], "y": events["y"], "p": events["polarity"]}
    path = folder / f"a.{kind}"
    if kind == "csv":
        number = repr if times.dtype.kind == "f" else str
        lines = (f"{number(t.item())},{x},{y},{p}" for t, x, y, p in zip(*columns.values(), strict=True))
        path.write_text("\n".join([",".join(columns), *lines, ""]), encoding="utf-8")
    elif kind == "npz":
        np.savez(path, **columns)
    else:
        with h5py.File(path, "w") as file:
            for column, values in columns.items():
                file[column] = values
    return path


def read(path: Path, **said: Any) -> Events:
    return open_recording(path, reading=Reading(SENSOR, **said)).read()


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("unit", PER_US)
@pytest.mark.parametrize("is_float", [False, True])
def test_the_unit_that_the_user_says(kind: str, unit: Any, is_float: bool, tmp_path: Path) -> None:
    events = make_events(300, SENSOR, seed=2, mean_gap_us=1000.0)
    events["t_us"] -= events["t_us"][0]
    if not is_float and PER_US[unit] < 1:  # so that they are whole in that unit
        events["t_us"] *= np.uint64(round(1 / PER_US[unit]))
    times = events["t_us"] * PER_US[unit]
    times = times if is_float else np.rint(times).astype(np.int64)
    path = written(tmp_path, kind, times, events)
    np.testing.assert_array_equal(read(path, time_unit=unit), files.expected(events))


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("name", "per_us"),
    [("t_us", 1), ("timestamp [us]", 1), ("t_ns", 1000), ("Time (ns)", 1000), ("ts_ms", 1e-3)],
)
def test_the_unit_that_a_name_says(kind: str, name: str, per_us: float, tmp_path: Path) -> None:
    """Multiples of 1,000 and times that would not be plausible as a guess are what the name says."""
    events = make_events(300, SENSOR, seed=2)
    events["t_us"] = events["t_us"] // np.uint64(1000) * np.uint64(1000)
    times = (events["t_us"] * per_us).astype(np.int64)
    path = written(tmp_path, kind, times, events, name)
    np.testing.assert_array_equal(read(path), files.expected(events))
    np.testing.assert_array_equal(
        read(path, time_unit="s")["t_us"], times.astype(np.uint64) * np.uint64(10**6)
    )  # the user goes before the name


def test_an_attribute_of_hdf5_says_the_unit(tmp_path: Path) -> None:
    import h5py

    events = make_events(300, SENSOR)
    path = written(tmp_path, "h5", events["t_us"] * np.uint64(1000), events)
    with h5py.File(path, "a") as file:
        file["t"].attrs["units"] = "ns"
    np.testing.assert_array_equal(read(path), files.expected(events))


def test_names_and_their_units() -> None:
    assert unit_of_name("x_coordinates") == ("x_coordinates", None)
    assert unit_of_name("ms_to_idx") == ("ms_to_idx", None)
    assert unit_of_name(" Timestamp [µs] ") == ("timestamp", "us")
    assert unit_of_name('"t_s"') == ("t", "s")
    assert unit_of_name("x (pixels)") == ("x", None)


IMPLAUSIBLE = {
    "after 2100": (1_600_000_000_000_000_000 + np.arange(200) * 1_000_003, "would be after the year 2100"),
    "slow": (np.arange(200) * 1_000_001, "less than 10"),
    "slow seconds": (np.arange(200) * 1000.5, "less than 10"),
    "fast": (np.repeat(np.arange(5) * 7, 1000), r"more than 1e\+08"),
    "two values": (np.repeat([3, 4], 100), "two values only"),
    "one value": (np.full(150, 7), "one value only"),
    "multiples": (np.arange(200) * 3000, "all 200 times are multiples of 1,000"),
    "whole seconds": (np.repeat(np.arange(20.0), 50), "all 1000 times are whole seconds"),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("what", IMPLAUSIBLE)
def test_what_is_not_plausible_is_refused_and_names_the_option(kind: str, what: str, tmp_path: Path) -> None:
    times, says = IMPLAUSIBLE[what]
    path = written(tmp_path, kind, times, make_events(times.size, SENSOR))
    with pytest.raises(
        FeastError, match=rf"a\.{kind}: times .*{says}; --time-unit s, ms, us or ns says the unit"
    ):
        read(path)
    assert read(path, time_unit="s" if times.dtype.kind == "f" else "us").size == times.size


@pytest.mark.parametrize("kind", WRITERS)
def test_few_events_and_one_ahead_of_time_say_nothing_about_the_unit(kind: str, tmp_path: Path) -> None:
    few = np.arange(99) * 3000
    assert read(written(tmp_path, kind, few, make_events(99, SENSOR))).size == 99
    times = np.arange(2000) * 37 + 1
    for at in (1000, 1999):  # in the middle, and as the last
        times[at] = 10**12
        assert read(written(tmp_path, kind, times, make_events(2000, SENSOR))).size == 2000
    times[:] = np.arange(2000) % 1000 * 37 + 1  # a clock that starts again
    assert read(written(tmp_path, kind, times, make_events(2000, SENSOR))).size == 2000


@pytest.mark.parametrize("kind", WRITERS)
def test_times_below_zero_are_moved(kind: str, tmp_path: Path) -> None:
    events = make_events(300, SENSOR, seed=4)
    events["t_us"] -= events["t_us"][0]
    for times in (events["t_us"].astype(np.int64) - 5003, events["t_us"] / 1e6 - 0.005003):
        path, left_out = written(tmp_path, kind, times, events), LeftOut()
        recording = open_recording(path, SENSOR, left_out=left_out)
        np.testing.assert_array_equal(recording.read(), files.expected(events))
        assert left_out.lines() == ["times begin below 0 and are moved to begin at 0"]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_time_below_zero_later_on_is_none(kind: str, tmp_path: Path) -> None:
    times = np.arange(300) * 37
    times[200] = -1
    with pytest.raises(FeastError, match=r"no event|not an event"):
        read(written(tmp_path, kind, times, make_events(300, SENSOR)))


def test_seconds_whose_first_lines_are_whole(tmp_path: Path) -> None:
    lines = ["0,1,2,1"] * 3000 + [f"{index / 1e6:.6f},1,2,0" for index in range(1, 3000)]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    assert read(tmp_path / "a.csv")["t_us"].tolist() == [0] * 3000 + list(range(1, 3000))
    lines = ["0,1,2,1"] * 20_000 + ["0.5,1,2,1"]  # beyond what is looked at
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(FeastError, match="has a fraction, those before have none; --time-unit"):
        read(tmp_path / "a.csv")
    assert int(read(tmp_path / "a.csv", time_unit="s")["t_us"][-1]) == 500_000


def test_numbers_that_no_time_has() -> None:
    np.testing.assert_array_equal(
        microseconds(np.array([2**62, -(2**63), 7], np.int64), 0, "s"), [NO_TIME, NO_TIME, 7_000_000]
    )
    np.testing.assert_array_equal(microseconds(np.array([1499, 1500, 2**63], np.uint64), 0, "ns")[:2], [1, 2])
    assert np.isnan(microseconds(np.array([np.inf, np.nan, 1e300]))).all()


@pytest.mark.parametrize("suffix", ["raw", "dat", "aedat", "aedat4", "es", "bin"])
def test_an_option_that_changes_nothing_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(FeastError, match=r"--time-unit is for \.csv .*, not for"):
        open_recording(path, reading=Reading(time_unit="us"))
    with pytest.raises(FeastError, match=r"--columns is for \.csv .*, not for"):
        open_recording(path, reading=Reading(columns="txyp"))
