"""Recordings that end in the middle of a record: refused, which names the option, and read with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.host.recordings.test_readers import SENSOR, WRITERS, hdf5
from tests.support import event_files as files
from tests.support.networks import make_events

EVENTS = make_events(700, SENSOR, seed=3, mean_gap_us=900.0)
SIZED = (".raw", ".dat", ".aedat", ".aedat4", ".es")
KINDS = [kind for kind in WRITERS if not kind.startswith(("HDF5", "npz"))]


def sensor_of(path: Path) -> Sensor | None:
    return None if path.suffix in SIZED else SENSOR


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_before_the_cut_is_read(kind: str, tmp_path: Path) -> None:
    suffix, write = WRITERS[kind]
    path = write(tmp_path / f"a{suffix}", EVENTS)
    data, whole = path.read_bytes(), open_recording(path, sensor_of(path)).read()
    refused, counts = 0, []
    for cut in range(len(data) - 21, len(data)):
        path.write_bytes(data[:cut])
        left_out = LeftOut()
        try:
            open_recording(path, sensor_of(path)).read()
        except FeastError as error:
            assert "--accept-truncated reads it up to there" in str(error)
            refused += 1
            is_cut = True
        else:
            is_cut = False
        accepted = open_recording(
            path, reading=Reading(sensor_of(path), accept_truncated=True), left_out=left_out
        )
        events = accepted.read()
        if suffix == ".csv":
            events = events[:-1]  # a number cut short is a number
        np.testing.assert_array_equal(events, whole[: events.size])
        counts.append(events.size)
        assert bool(left_out.counts) == is_cut
        assert all("in the middle of a record" in line for line in left_out.lines())
    assert refused > 5
    assert counts == sorted(counts) and 600 < counts[0] <= counts[-1] <= 700


@pytest.mark.parametrize("kind", ["bin", "EVT3", "DAT", "AEDAT2 DVS128"])
def test_a_cut_before_the_first_event_is_refused_all_the_same(kind: str, tmp_path: Path) -> None:
    suffix, write = WRITERS[kind]
    path = write(tmp_path / f"a{suffix}", EVENTS[:1])
    size = {"EVT3": len(files.raw_header("EVT3", SENSOR)) + 1}.get(kind, path.stat().st_size - 4)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FeastError) as refusal:
        open_recording(path, reading=Reading(sensor_of(path), accept_truncated=True))
    assert "--accept-truncated" not in str(refusal.value)


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("options", [{}, {"chunks": (64,)}, {"chunks": (64,), "compression": "gzip"}])
def test_hdf5_that_is_cut_off_is_read_to_its_last_whole_row(
    options: dict[str, object], version: str, tmp_path: Path
) -> None:
    """As far as what describes the data lies before the cut; an object behind it does no harm."""
    import h5py

    path, sizes = tmp_path / "a.h5", []
    with h5py.File(path, "w", libver=version) as file:
        for name, ours in (("t", "t_us"), ("x", "x"), ("y", "y"), ("p", "polarity")):
            file.create_dataset(f"events/{name}", data=EVENTS[ours], **options)
        file["z/more"] = np.arange(50)
    data = path.read_bytes()
    for cut in np.linspace(len(data) // 2, len(data) - 1, 60).astype(int):
        path.write_bytes(data[:cut])
        with pytest.raises(FeastError, match=r"a\.h5: .*truncated"):
            open_recording(path, SENSOR)
        left_out = LeftOut()
        reading = Reading(SENSOR, accept_truncated=True)
        try:
            events = open_recording(path, reading=reading, left_out=left_out).read()
        except FeastError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            continue
        np.testing.assert_array_equal(events, files.expected(EVENTS[: events.size]))
        assert left_out.counts["rows", "the file ends in the middle of a record"] == 700 - events.size
        sizes.append(events.size)
    assert sizes == sorted(sizes) and sizes[-1] == 700
    if version == "latest" or not options:  # else the index of the chunks comes behind them
        assert any(0 < size < 700 for size in sizes)


def test_hdf5_whose_offset_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Zeros in its place would move all times."""
    path = hdf5(tmp_path / "a.h5", EVENTS, offset_us=int(EVENTS["t_us"][0]) or 7)
    data = path.read_bytes()
    for cut in range(len(data) - 4000, len(data), 37):
        path.write_bytes(data[:cut])
        try:
            events = open_recording(path, reading=Reading(SENSOR, accept_truncated=True)).read()
        except FeastError:
            continue
        np.testing.assert_array_equal(events, files.expected(EVENTS[: events.size]))


def test_hdf5_that_is_whole_is_read_whole(tmp_path: Path) -> None:
    left_out = LeftOut()
    for options in ({}, {"chunks": (64,), "compression": "gzip"}):
        path = hdf5(tmp_path / "a.h5", EVENTS, **options)  # type: ignore[arg-type]
        reading = Reading(SENSOR, accept_truncated=True)
        events = open_recording(path, reading=reading, left_out=left_out).read()
        np.testing.assert_array_equal(events, files.expected(EVENTS))
    assert left_out.lines() == []


def test_a_text_in_a_cut_heap_is_not_looked_for(tmp_path: Path) -> None:
    """HDF5 does not come back from there."""
    chunks = [files.ecf_chunk(EVENTS[:64], 0)]
    path = files.write_ecf(tmp_path / "a.h5", chunks, 64, 64, SENSOR)
    data = path.read_bytes()
    heap = data.index(b"GCOL")
    for cut in (heap + 17, heap + 30, heap + 100):
        path.write_bytes(data[:cut])
        try:
            events = open_recording(path, reading=Reading(SENSOR, accept_truncated=True)).read()
        except FeastError as error:
            assert "gave no answer" not in str(error)
        else:
            np.testing.assert_array_equal(events, files.expected(EVENTS[: events.size]))
