"""Columns of text, NumPy and HDF5 files: names, orders, codes of polarity, pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.readers.columns import find_columns, parse_order
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.support import event_files as files
from tests.support.networks import make_events

SENSOR = Sensor(40, 30)
EVENTS = make_events(200, SENSOR, seed=6)


def text(folder: Path, lines: list[str], end: str = "\n") -> Path:
    (folder / "a.csv").write_bytes((end.join(lines) + end).encode())
    return folder / "a.csv"


def read(path: Path, left_out: LeftOut | None = None, **said: Any) -> Events:
    return open_recording(path, reading=Reading(**{"sensor": SENSOR, **said}), left_out=left_out).read()


def same(events: Events) -> None:
    np.testing.assert_array_equal(events, files.expected(EVENTS))


LINES: dict[str, tuple[str, str]] = {
    "plain": ("", "{t},{x},{y},{p}"),
    "spaces after commas": ("t, x, y, p", "{t}, {x}, {y}, {p}"),
    "semicolons": ("x;y;t;p", "{x};{y};{t};{p}"),
    "tabs": ("x\ty\tt\tp", "{x}\t{y}\t{t}\t{p}"),
    "spaces": ("", "  {t}  {x} {y}   {p}"),
    "an empty field": ("t,note,x,y,p", "{t},,{x},{y},{p}"),
    "an empty field at the end": ("t,x,y,p,note", "{t},{x},{y},{p},"),
    "empty fields between tabs": ("t\ta\tx\ty\tp", "{t}\t\t{x}\t{y}\t{p}"),
    "quotes": ('"t","x","y","p"', '"{t}","{x}","{y}","{p}"'),
    "a separator in quotes": ("t,note,x,y,p", '{t},"a, b",{x},{y},{p}'),
    "a byte-order mark": ("\ufefft,x,y,p", "{t},{x},{y},{p}"),
    "a byte-order mark, no names": ("\ufeff", "{t},{x},{y},{p}"),
    "polarity 1.0": ("t,x,y,p", "{t},{x},{y},{p}.0"),
    "pixels 7.0": ("t,x,y,p", "{t},{x}.0,{y}.0,{p}"),
    "ON and OFF": ("t,x,y,p", "{t},{x},{y},{on}"),
    "True and False": ("t,x,y,p", "{t},{x},{y},{true}"),
    "1 and 2": ("t,x,y,p", "{t},{x},{y},{two}"),
    "-1 and 1": ("t,x,y,p", "{t},{x},{y},{sign}"),
    "units": ("x [px],y [px],timestamp [us],polarity", "{x},{y},{t},{p}"),
    "units between spaces": ("x [px] y [px] timestamp [us] polarity", "{x} {y} {t} {p}"),
    "names in a remark": ("# x, y, p, t", "{x},{y},{p},{t}"),
    "a remark of other words": (
        "# Format: time (us), x, y, polarity (0=off, 1=on) as it is",
        "{t},{x},{y},{p}",
    ),
    "more columns": ("id,t,x,y,p,size", "7,{t},{x},{y},{p},1"),
    "lines of Windows": ("t,x,y,p\r", "{t},{x},{y},{p}\r"),
}


@pytest.mark.parametrize("what", LINES)
def test_lines_of_text(what: str, tmp_path: Path) -> None:
    head, line = LINES[what]
    lines = [
        line.format(t=t, x=x, y=y, p=p, on="ON" if p else "off", true=bool(p), two=p + 1, sign=2 * p - 1)
        for t, x, y, p in files.rows(EVENTS)
    ]
    if "no names" in what:
        lines[0], head = head + lines[0], ""
    left_out = LeftOut()
    same(read(text(tmp_path, [*([head] if head else []), *lines]), left_out))
    assert left_out.lines() == (["polarities 1 and 2 are read as 0 and 1"] if what == "1 and 2" else [])


@pytest.mark.parametrize("head", ["40 30", "%geometry:40,30", "# geometry: 40x30", "40,30"])
def test_a_first_line_that_says_the_size(head: str, tmp_path: Path) -> None:
    lines = [f"{t} {x} {y} {p}" for t, x, y, p in files.rows(EVENTS)]
    recording = open_recording(text(tmp_path, [head, *lines]))
    assert recording.sensor == SENSOR
    same(recording.read())


@pytest.mark.parametrize(("order", "line"), [("xypt", "{x},{y},{p},{t}"), ("t_p-xy", "{t},9,{p},?,{x},{y}")])
@pytest.mark.parametrize("head", [[], ["a,b,c,d,e,f"]])
def test_the_order_that_the_user_says(order: str, line: str, head: list[str], tmp_path: Path) -> None:
    lines = [line.format(t=t, x=x, y=y, p=p) for t, x, y, p in files.rows(EVENTS)]
    same(read(text(tmp_path, [*head, *lines]), columns=order))


@pytest.mark.parametrize("order", ["txy", "txypp", "abcd", "", "t" * 500])
def test_orders_that_are_none(order: str, tmp_path: Path) -> None:
    with pytest.raises(FeastError, match=r"--columns .*expected each of t, x, y and p once"):
        read(text(tmp_path, ["1,2,3,1"]), columns=order)
    assert parse_order("X,Y,P,T") == {"t": 3, "x": 0, "y": 1, "p": 2}


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("19,15,1,1028", "in another order, --columns says their order"),
        ("9,1.5,2,1", "x and y are pixels and must be whole"),
        ("9,1,,1", "is no event"),
        ("9,1,2", "is no event"),
    ],
)
@pytest.mark.parametrize("before", [0, 3])
def test_a_line_that_is_no_event_says_what_to_do(line: str, advice: str, before: int, tmp_path: Path) -> None:
    path = text(tmp_path, ["1,2,3,1"] * before + [line, "9,1,1,0"])
    with pytest.raises(FeastError, match=rf"a\.csv: byte {8 * before}: line '{line}' .*{advice}"):
        read(path)


def test_a_table_without_enough_names(tmp_path: Path) -> None:
    with pytest.raises(FeastError, match=r"columns 'a b', expected names for t, x, y and p; else --columns"):
        read(text(tmp_path, ["a,b", "1,2"]))


def test_names_without_a_unit_go_first() -> None:
    found = find_columns(["t_ns", "t", "x (px)", "y", "ON"])
    assert found == {"t": "t", "x": "x (px)", "y": "y", "p": "ON"}
    assert find_columns(["t_ns", "x", "y"]) is None


def table(order: str = "txyp", kind: Any = np.int64) -> Any:
    columns = {"t": EVENTS["t_us"], "x": EVENTS["x"], "y": EVENTS["y"], "p": EVENTS["polarity"]}
    return np.stack([columns[name].astype(kind) for name in order], axis=1)


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
@pytest.mark.parametrize("order", ["txyp", "xypt"])
def test_tables_of_numbers_are_read_in_an_order(suffix: str, order: str, tmp_path: Path) -> None:
    import h5py

    path, values = tmp_path / f"a.{suffix}", table(order)
    if suffix == "npy":
        np.save(path, values)
    elif suffix == "npz":
        np.savez(path, noise=np.zeros(3), table=values)
    else:
        with h5py.File(path, "w") as file:
            file["some/table"] = values
    with pytest.raises(FeastError, match="--columns says their order"):
        read(path)
    same(read(path, columns=order))
    with pytest.raises(FeastError, match=r"expected|--columns"):
        read(path, columns=f"_{order}")


def test_tables_of_mvsec_and_v2e_are_known(tmp_path: Path) -> None:
    import h5py

    seconds = table("xytp", np.float64)
    seconds[:, 2] = 1.5e9 + seconds[:, 2] / 1e6
    seconds[:, 3] = 2 * seconds[:, 3] - 1
    with h5py.File(tmp_path / "mvsec.hdf5", "w") as file:
        file["davis/left/events"] = seconds
        file["davis/left/image_raw"] = np.zeros((3, 4))
    events = read(tmp_path / "mvsec.hdf5")
    events["t_us"] -= np.uint64(1_500_000_000_000_000)
    same(events)
    with h5py.File(tmp_path / "v2e.h5", "w") as file:
        file["events"] = table("txyp", np.uint32)
    same(read(tmp_path / "v2e.h5"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["events"] = table("txyp", np.float64)
    with pytest.raises(FeastError, match="events is a table: --columns says"):
        read(tmp_path / "other.h5")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_parts_of_pixels_are_refused(suffix: str, tmp_path: Path) -> None:
    rows = np.zeros(9, [("t", "i8"), ("x", "f4"), ("y", "f4"), ("p", "i1")])
    rows["t"], rows["x"][4] = np.arange(9), 2.5
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, rows)
    else:
        np.savez(path, rows)
    with pytest.raises(FeastError, match=r"row 4: not an event: x is 2\.5, but pixels are whole"):
        read(path)


def test_the_geometry_attribute_of_hdf5(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in zip("txyp", table().T, strict=True):
            file[f"CD/{name}"] = values
        file.attrs["geometry"] = "40x30"
    assert open_recording(tmp_path / "a.h5").sensor == SENSOR
