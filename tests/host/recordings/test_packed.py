"""Recordings in .gz and .zip files, and things that are no files to read."""

from __future__ import annotations

import gzip
import os
import socket
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.readers import open_recording, packed
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.support import event_files as files
from tests.support.networks import make_events

SENSOR = Sensor(40, 30)
EVENTS = files.expected(make_events(300, SENSOR, seed=3))


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def gz(path: Path) -> Path:
    target = path.with_name(f"{path.name}.gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    return target


def test_a_packed_file_is_read_and_nothing_is_left(tmp_path: Path, own_temporary_folder: Path) -> None:
    np.save(tmp_path / "a.npy", EVENTS)
    for path in (gz(files.write_dat(tmp_path / "a.dat", EVENTS, SENSOR)), gz(tmp_path / "a.npy")):
        for _ in range(2):
            np.testing.assert_array_equal(open_recording(path, SENSOR).read(), EVENTS)
        pieces = open_recording(path, SENSOR).chunks()  # the recording itself is not held
        np.testing.assert_array_equal(np.concatenate([*pieces]), EVENTS)
        del pieces
    assert not [*own_temporary_folder.iterdir()]


def test_an_array_of_events_as_the_python_api_has_them(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", EVENTS)
    np.savez(tmp_path / "a.npz", EVENTS)
    assert EVENTS.dtype == EVENT_DTYPE
    for name in ("a.npy", "a.npz"):
        np.testing.assert_array_equal(open_recording(tmp_path / name, SENSOR).read(), EVENTS)


def test_a_folder_of_packed_files(tmp_path: Path) -> None:
    (tmp_path / "r" / "0").mkdir(parents=True)
    gz(files.write_dat(tmp_path / "r" / "0" / "a.dat", EVENTS, SENSOR)).with_suffix("").unlink()
    source = open_source(str(tmp_path / "r"))
    assert source.names == ("0/a.dat.gz",)
    np.testing.assert_array_equal(source.load(0).events, EVENTS)


def test_a_member_of_an_archive(tmp_path: Path) -> None:
    files.write_dat(tmp_path / "a.dat", EVENTS, SENSOR)
    files.write_dat(tmp_path / "b.dat", EVENTS[:50], SENSOR)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("readme.md", "no recording")
        target.writestr("__MACOSX/._a.dat", "no recording")
        target.write(tmp_path / "a.dat", "set/a.dat")
    left_out = LeftOut()
    np.testing.assert_array_equal(open_recording(archive, left_out=left_out).read(), EVENTS)
    assert not left_out.lines()
    with zipfile.ZipFile(archive, "a") as target:
        target.write(tmp_path / "b.dat", "set/b.dat")
    np.testing.assert_array_equal(open_recording(archive, left_out=left_out).read(), EVENTS)
    chosen = "of 2 members (set/a.dat, set/b.dat) the first, set/a.dat, is read; --stream chooses another"
    assert left_out.lines() == [chosen]
    other = open_recording(archive, reading=Reading(stream="b.dat"))
    np.testing.assert_array_equal(other.read(), EVENTS[:50])
    files.write_dat(tmp_path / "c.dat", EVENTS, SENSOR)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as target:
        for name in ("a\x1b[2J.dat", "b.dat"):
            target.write(tmp_path / "c.dat", name)
    shown = LeftOut()
    open_recording(tmp_path / "b.zip", left_out=shown)
    assert shown.lines() and all(line.isprintable() for line in shown.lines())
    with pytest.raises(FeastError, match="there is none; its members are set/a"):
        open_recording(archive, reading=Reading(stream="c.dat"))


def test_errors_and_remarks_name_the_packed_file(tmp_path: Path) -> None:
    path = files.write_raw(tmp_path / "a.raw", "EVT2", [*files.evt2_words(EVENTS), 0xD0000000], SENSOR)
    packed_file, left_out = gz(path), LeftOut()
    open_recording(packed_file, left_out=left_out).read()
    open_recording(packed_file, left_out=left_out).read()
    assert left_out.lines() == ["1 words left out: of no type that EVT2 defines"]
    (tmp_path / "b.csv").write_text("no events", encoding="utf-8")
    with pytest.raises(FeastError, match=r"b\.csv\.gz \[b\.csv\]: ") as error:
        open_recording(gz(tmp_path / "b.csv"), SENSOR)
    assert "temporary" not in str(error.value)
    with pytest.raises(FeastError, match=r"--columns is for .*not for \.dat"):
        open_recording(
            gz(files.write_dat(tmp_path / "c.dat", EVENTS, SENSOR)), reading=Reading(columns="txyp")
        )


def test_what_is_cut_off_or_foreign_is_refused(tmp_path: Path) -> None:
    data = gz(files.write_dat(tmp_path / "a.dat", EVENTS, SENSOR)).read_bytes()
    path = tmp_path / "b.dat.gz"
    for cut in (0, 1, 2, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(FeastError, match=r"b\.dat\.gz: .*(not a gzip|truncated)"):
            open_recording(path)
    path.write_bytes(data[:20] + bytes([data[20] ^ 255]) + data[21:])
    with pytest.raises(FeastError, match=r"b\.dat\.gz: damaged"):
        open_recording(path)
    path.write_bytes(data[: len(data) // 2])
    left_out = LeftOut()
    part = open_recording(path, reading=Reading(accept_truncated=True), left_out=left_out).read()
    np.testing.assert_array_equal(part, EVENTS[: part.size])
    assert part.size and "the file ends before its last event" in left_out.lines()
    for name in ("a.tar.gz", "a.gz", "a.zip.gz", "a.gz.gz"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FeastError, match=r"inside is .*, expected a recording"):
            open_recording(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as target:
        target.writestr(zipfile.ZipInfo(""), b"a member without a name")
    with pytest.raises(FeastError, match=r"d\.zip: holds no recordings among its 1 members"):
        open_recording(tmp_path / "d.zip")
    (tmp_path / "c.zip").write_bytes(b"PK" * 50)
    with pytest.raises(FeastError, match=r"c\.zip: damaged"):
        open_recording(tmp_path / "c.zip")


def test_bombs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_temporary_folder: Path
) -> None:
    monkeypatch.setattr(packed, "ALWAYS_ALLOWED", 1 << 16)
    (tmp_path / "a.bin.gz").write_bytes(gzip.compress(bytes(5_000_000)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a.bin", bytes(5_000_000))
    for name in ("a.bin.gz", "a.zip"):
        with pytest.raises(FeastError, match="grows more than 200 times when unpacked"):
            open_recording(tmp_path / name)
    assert not [*own_temporary_folder.iterdir()]


# No files


def test_a_fifo_a_device_and_a_socket_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "b.csv"))
        for path in (str(tmp_path / "a.csv"), "/dev/zero", str(tmp_path / "b.csv")):
            with pytest.raises(FeastError, match="neither a regular file nor a folder"):
                open_source(path, SENSOR)
    with pytest.raises(FeastError, match="not a regular file"):
        open_recording(tmp_path / "a.csv", SENSOR)


@pytest.mark.parametrize(
    "suffix", ["bin", "raw", "dat", "aedat", "aedat4", "es", "h5", "csv", "npy", "mat", "bag"]
)
def test_a_sparse_file_is_refused_at_once(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    head = b"% evt 2.0\n% geometry 40x30\n% end\n" if suffix == "raw" else b""
    path.write_bytes(head)
    os.truncate(path, 20 * 10**9)
    with pytest.raises(FeastError, match="a sparse file: of its 20000000000 bytes only "):
        open_source(str(path), SENSOR)
