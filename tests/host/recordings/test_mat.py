"""MATLAB files: structs that count from 1, variables that count from 0, versions 4, 5 and 7.3."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.readers import mat, open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.support import event_files as files
from tests.support.networks import make_events

io_of_scipy = pytest.importorskip("scipy.io")
SENSOR = Sensor(40, 30)
EVENTS = files.expected(make_events(300, SENSOR, seed=3))
POLARITIES = {"0 and 1": lambda p: p, "-1 and 1": lambda p: p * 2 - 1, "1 and 2": lambda p: p + 1}


def columns(events: Events = EVENTS, first: int = 1, polarity: str = "0 and 1") -> dict[str, Any]:
    """As MATLAB holds them: doubles, rows of a matrix."""
    values = {
        "x": events["x"] + first,
        "y": events["y"] + first,
        "p": POLARITIES[polarity](events["polarity"].astype(int)),
        "ts": events["t_us"],
    }
    return {name: each.astype(np.float64)[None, :] for name, each in values.items()}


def write73(path: Path, variables: dict[str, Any]) -> None:
    """As version 7.3: HDF5 behind 512 bytes, structs as groups, matrices transposed."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            for field, each in value.items() if isinstance(value, dict) else [("", value)]:
                file[f"{name}/{field}".strip("/")] = each.T
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def written(path: Path, version: str, variables: dict[str, Any]) -> Path:
    if version == "7.3":
        write73(path, variables)
    else:
        io_of_scipy.savemat(path, variables, format=version[0], do_compression=version == "5z")
    return path


@pytest.mark.parametrize("version", ["5", "5z", "7.3"])
@pytest.mark.parametrize("polarity", POLARITIES)
def test_a_struct_counts_from_one(version: str, polarity: str, tmp_path: Path) -> None:
    """The layout of the ATIS planes and of EBSSA: ``TD`` with x, y, p and ts."""
    path, left_out = written(tmp_path / "a.mat", version, {"TD": columns(polarity=polarity)}), LeftOut()
    np.testing.assert_array_equal(open_recording(path, SENSOR, left_out=left_out).read(), EVENTS)
    assert mat.FROM_ONE in left_out.lines()


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_a_struct_with_a_pixel_0_counts_from_zero(version: str, tmp_path: Path) -> None:
    events = EVENTS.copy()
    events["x"][7] = 0
    path, left_out = written(tmp_path / "a.mat", version, {"TD": columns(events, first=0)}), LeftOut()
    np.testing.assert_array_equal(open_recording(path, SENSOR, left_out=left_out).read(), events)
    assert not left_out.lines()


@pytest.mark.parametrize("version", ["4", "5", "7.3"])
def test_variables_count_from_zero(version: str, tmp_path: Path) -> None:
    """The layout of ASL-DVS: ts, x, y and pol."""
    variables = columns(first=0)
    variables["pol"] = variables.pop("p")
    events = EVENTS[EVENTS["x"] > 0]
    path = written(tmp_path / "a.mat", version, variables)
    np.testing.assert_array_equal(open_recording(path, SENSOR).read(), EVENTS)
    variables = columns(events, first=0)
    path, left_out = written(tmp_path / "b.mat", version, variables), LeftOut()
    np.testing.assert_array_equal(open_recording(path, SENSOR, left_out=left_out).read(), events)
    assert not left_out.lines()


def test_structs_in_structs_arrays_and_cells(tmp_path: Path) -> None:
    cells = np.empty((1, 3), object)
    for index in range(3):
        cells[0, index] = {"TD": columns(EVENTS[index * 100 : index * 100 + 100])}
    path = written(tmp_path / "a.mat", "5", {"recordings": cells, "label": "plane"})
    left_out = LeftOut()
    np.testing.assert_array_equal(open_recording(path, SENSOR, left_out=left_out).read(), EVENTS[:100])
    assert any("of 3 structs (recordings(1).TD, " in line for line in left_out.lines())
    chosen = open_recording(path, reading=Reading(SENSOR, stream="recordings(3).TD"))
    np.testing.assert_array_equal(chosen.read(), EVENTS[200:])


def test_a_table_needs_its_order(tmp_path: Path) -> None:
    table = np.stack([EVENTS[name] for name in ("x", "y", "polarity", "t_us")], axis=1).astype(float)
    path = written(tmp_path / "a.mat", "5", {"events": table})
    with pytest.raises(FeastError, match="--columns says their order"):
        open_recording(path, SENSOR)
    np.testing.assert_array_equal(
        open_recording(path, reading=Reading(SENSOR, columns="xypt")).read(), EVENTS
    )


def test_seconds_are_told_by_their_fractions(tmp_path: Path) -> None:
    variables = columns()
    variables["ts"] = variables["ts"] / 1e6
    path = written(tmp_path / "a.mat", "5", {"TD": variables})
    np.testing.assert_array_equal(open_recording(path, SENSOR).read(), EVENTS)


def test_planes_train_as_class_folders(tmp_path: Path) -> None:
    """The recipe for the ATIS planes: class folders of .mat files, 304x240."""
    for name, count in (("f117", 2), ("mig31", 1)):
        (tmp_path / name).mkdir()
        for index in range(count):
            written(tmp_path / name / f"{index}.mat", "5", {"TD": columns()})
    source = open_source(str(tmp_path), Sensor(304, 240))
    assert source.labels == ("f117", "f117", "mig31")
    np.testing.assert_array_equal(source.load(2).events, EVENTS)


@pytest.mark.parametrize("version", ["5", "5z", "7.3"])
def test_damaged_files_are_one_line(version: str, tmp_path: Path) -> None:
    data = written(tmp_path / "a.mat", version, {"TD": columns()}).read_bytes()
    path = tmp_path / "b.mat"
    for cut in (0, 60, 128, 140, 600, len(data) // 2, len(data) - 9):
        path.write_bytes(data[:cut])
        with pytest.raises(FeastError, match=r"b\.mat: .*(damaged|holds no columns)"):
            open_recording(path, SENSOR).read()


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat, "MOST_BYTES", 100_000)
    target = io.BytesIO()
    io_of_scipy.savemat(target, {"x": np.zeros(50_000)}, do_compression=True)
    (tmp_path / "a.mat").write_bytes(target.getvalue())
    with pytest.raises(FeastError, match="more than 100000 bytes once decompressed"):
        mat.open_mat(tmp_path / "a.mat")
    body = zlib.compress(b"")
    (tmp_path / "b.mat").write_bytes(target.getvalue()[:128] + b"\x0f\0\0\0\xff\xff\xff\xff" + body)
    with pytest.raises(FeastError):
        mat.open_mat(tmp_path / "b.mat")


def test_columns_that_differ_in_length_are_refused(tmp_path: Path) -> None:
    variables = columns()
    variables["p"] = variables["p"][:, :-1]
    path = written(tmp_path / "a.mat", "5", {"TD": variables})
    with pytest.raises(FeastError, match="TD: the columns differ in length"):
        open_recording(path, SENSOR).read()


def test_poker_dvs_trains_as_tonic_has_it(tmp_path: Path) -> None:
    """The recipe for POKER-DVS: folders of (n, 4) tables of t, x, y, p."""
    small = files.expected(make_events(200, Sensor(35, 35), seed=5))
    rows = np.stack([small[name] for name in ("t_us", "x", "y", "polarity")], axis=1).astype(float)
    for suit in ("cl", "he", "di", "sp"):
        (tmp_path / "pips_train" / suit).mkdir(parents=True)
        np.save(tmp_path / "pips_train" / suit / "0.npy", rows)
    reading = Reading(Sensor(35, 35), columns="txyp", time_unit="us")
    source = open_source(str(tmp_path / "pips_train"), reading=reading)
    assert source.labels == ("cl", "di", "he", "sp")
    np.testing.assert_array_equal(source.load(1).events, small)
