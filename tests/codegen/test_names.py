"""Names that no terminal, no JSON and no UTF-8 takes as they are: written, read again, and shown harmless."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import MOST_SOURCE, Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.readers.text_layout import LONGEST_LINE
from feast_codegen.host.text import printable
from tests.support.networks import UNTRAINED, make_model, with_readout
from tests.support.paths import ROOT

HOSTILE = "a\x1b[31mred\x07\u202egnp\n\udcff"
"""ANSI, a bell, right-to-left, a line end, a byte that is no UTF-8."""

names = st.one_of(
    st.text(st.characters(exclude_categories=())),  # lone surrogates too
    st.binary(max_size=40).map(os.fsdecode),
    st.integers(MOST_SOURCE - 5, MOST_SOURCE + 5).map("x".__mul__),
    st.integers(100, 300).map("\udcff".__mul__),
)


@given(source=names)
@example(source=HOSTILE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_what_is_written_can_be_read_whatever_the_source_was_called(source: str, tmp_path: Path) -> None:
    model = replace(make_model(features=2, radius=1), training=replace(UNTRAINED, source=source))
    save_model(model, tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz")
    assert again.training == model.training
    assert again.model_id == model.model_id
    if len(source) <= MOST_SOURCE and source.isprintable():
        assert again.training.source == source


@given(label=names)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_a_label_that_cannot_be_read_is_not_written(label: str, tmp_path: Path) -> None:
    model = with_readout(make_model(features=2, radius=1))
    assert model.readout is not None
    labels = (label, *model.readout.labels[1:])
    model = replace(model, readout=replace(model.readout, labels=labels))
    path = tmp_path / "m.npz"
    path.unlink(missing_ok=True)
    try:
        save_model(model, path)
    except FeastError:
        assert not path.exists()
    else:
        assert load_model(path).model_id == model.model_id


def test_a_model_that_would_be_refused_is_not_written(tmp_path: Path) -> None:
    model = make_model(features=2, radius=1)
    for broken in (
        replace(model, weights=model.weights * 2),
        replace(model, thresholds=model.thresholds + 5),
        replace(model, training=replace(UNTRAINED, miss_rate=2.0)),
    ):
        with pytest.raises(FeastError, match=r"m\.npz: "):
            save_model(broken, tmp_path / "m.npz")
    assert not list(tmp_path.iterdir())


@given(text=st.text(st.characters(exclude_categories=())))
def test_what_is_printed_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    if text.isprintable():
        assert shown == text


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of two classes of text recordings, with names as bad as the file system takes them."""
    for label in ("one", "two"):
        folder = tmp_path / "in" / f"{label}{HOSTILE}"
        folder.mkdir(parents=True)
        for number in range(6):
            lines = (f"{100 * k + 7 * number},{k % 9},{(k * number) % 9},{k % 2}\n" for k in range(200))
            (folder / f"{number}{HOSTILE}.csv").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def codegen(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "feast_codegen", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "IN", "--sensor", "9x9", "-o", "m.npz", "--features", "4", "--radius", "1"),
        ("train", "IN/none\x1b[2J\udcfe", "-o", "m.npz"),
        ("train", "IN", "--sensor", "9x9", "-o", "none\x1b[2J\udcfe/m.npz"),
        ("verify", "\x1b[2J\u202e\udcfe.npz", "IN"),
        ("emit", "m.npz", "--board", "\x1b[2J\u202e"),
        ("\x1b[2J\u202e",),
        ("train", "IN", "--sensor", "9x9", "-o", "m.npz", "--\x1b[2J"),
    ],
)
def test_hostile_names_reach_no_terminal(arguments: tuple[str, ...], hostile: Path) -> None:
    done = codegen(hostile, *(argument.replace("IN", "in") for argument in arguments))
    shown = (done.stdout + done.stderr).decode()
    assert "Traceback" not in shown
    assert all(each.isprintable() or each == "\n" for each in shown), repr(shown)
    assert done.returncode in (0, 2) and shown
    if done.returncode == 2:
        assert shown.startswith("codegen: error: ") and shown.count("\n") == 1


def test_recordings_of_hostile_names_go_through_the_chain(hostile: Path) -> None:
    folder = next((hostile / "in").iterdir())
    sensor = ("--sensor", "9x9")
    trained = codegen(hostile, "train", os.fsdecode(folder), *sensor, "-o", "m.npz", "--features", "4")
    assert trained.returncode == 0, trained.stderr
    assert load_model(hostile / "m.npz").training.source
    for command in (
        ("verify", "m.npz", os.fsdecode(folder), "--max-recordings", "1", "--json"),
        ("report", "m.npz", os.fsdecode(folder), "-o", "r.html"),
    ):
        done = codegen(hostile, *command)
        assert done.returncode == 0, done.stderr
    assert json.loads(codegen(hostile, "verify", "m.npz", os.fsdecode(folder), "--json").stdout)


def test_a_line_without_end_is_one_line_and_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for head in (b"", b"# remark\n", b"t,x,y,p\n", b"1,2,3,1\n" * 200_000):
        with path.open("wb") as file:
            file.write(head)
            file.truncate(
                len(head) + (1 << 30)
            )  # zeros, mostly holes, but not so many as to be refused for them
            file.seek(-(1 << 24), 2)
            file.write(bytes(1 << 24))
        with pytest.raises(FeastError, match=r"a\.csv: byte \d+: (no line end in 65536 bytes|not a text)"):
            open_recording(path, Sensor(9, 9)).read()
    if sys.platform == "linux":
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert most - before < 300 << 10, "kilobytes: far less than the file"
    path.write_bytes(b"#" * (LONGEST_LINE - 1) + b"\n1,2,3,1\n")
    assert open_recording(path, Sensor(9, 9)).read().size == 1
    path.write_bytes(b"#" * LONGEST_LINE + b"\n1,2,3,1\n")
    with pytest.raises(FeastError, match="byte 0: no line end in 65536 bytes"):
        open_recording(path, Sensor(9, 9)).read()
