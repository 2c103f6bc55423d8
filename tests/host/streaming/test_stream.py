"""`codegen stream` and `codegen state`, the paces of a recording, the file they keep."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.cli.app import execute
from feast_codegen.host.cli.commands.stream import parse_speed
from feast_codegen.host.link.link import open_link
from feast_codegen.host.link.run_results import ResultChunk
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.streaming.learned_state import to_words
from feast_codegen.host.streaming.recorder import Recorder
from feast_codegen.host.streaming.streamer import Recorded
from tests.support import link_device
from tests.support.networks import make_events, make_model, with_readout
from tests.support.signals import default_signals
from tests.support.waiting import LIMIT_S

SOURCE = "sim:bars?seed=3&count=2"
ASKED_AGAIN = {"host_polls", "host_results_repeated", "device_resent"}
"""What a slow machine alone brings about: an answer that was on its way is asked for again."""


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=8, radius=2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """Two models of one geometry, one of another, one with other learning rates."""
    folder = tmp_path_factory.mktemp("models")
    save_model(model, folder / "model.npz")
    save_model(make_model(seed=1, features=8, radius=2), folder / "other.npz")
    save_model(make_model(features=9, radius=2), folder / "larger.npz")
    return folder


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    return link_device.build_real_process(tmp_path_factory.mktemp("device"), model)


@pytest.fixture
def port(program: Path) -> Iterator[str]:
    with link_device.on_pty(program) as url:
        yield url


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = execute([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_streams_and_keeps_the_results(
    capsys: pytest.CaptureFixture[str], port: str, files: Path, model: Model, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    arguments = ["stream", "--port", port, "--model", str(files / "model.npz"), "--learning"]
    code, text, _ = run(capsys, *arguments, "--output", str(out), "--json", SOURCE)
    assert code == 0
    facts = json.loads(text)
    twin = Twin(quantise(model)[0], Options(learning=True))
    recordings = [stream.events for stream in open_source(SOURCE)]
    results = []
    for events in recordings:
        twin.reset()
        results.append(twin.step(events))
    assert facts["last_result_digest"] == f"{messages.result_digest(results[-1]):08x}"
    assert facts["state_id"] == f"{messages.snapshot_digest(twin.learned()):08x}"
    assert (facts["recordings"], facts["resumed"]) == (2, 0)
    assert facts["recovered"].keys() <= ASKED_AGAIN, "nothing was lost"
    with np.load(out, allow_pickle=False) as kept:
        assert (kept["results"] == np.concatenate(results)).all()
        assert (kept["events"] == np.concatenate(recordings)).all()
        assert kept["ends"].tolist() == np.cumsum([len(part) for part in results]).tolist()
        assert json.loads(bytes(kept["header"]))["build_id"] == facts["build_id"]


def test_labels_are_the_twins_and_compared_with_the_source(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = with_readout(make_model(features=8, radius=2), classes=10, seed=5)
    save_model(model, tmp_path / "model.npz")
    digits = open_source("sim:digits?seed=3&count=6")
    twin, wanted, right = Twin(quantise(model)[0], Options(learning=True)), {}, 0
    for stream in digits:
        twin.reset()
        twin.step(stream.events)
        wanted[stream.name] = str(twin.label)
        right += twin.label == stream.label
    program = link_device.build_real_process(tmp_path, model)
    for named in (["--model", str(tmp_path / "model.npz")], []):
        with link_device.on_pty(program) as port:
            code, text, _ = run(capsys, "stream", "--port", port, "--learning", *named, "--json", digits.spec)
        facts = json.loads(text)
        assert code == 0
        if named:
            assert facts["labels"] == wanted
            assert (facts["labelled"], facts["accuracy"]) == (6, right / 6)
        else:  # a device knows its classes by number
            assert facts["labels"] == {name: f"class {label}" for name, label in wanted.items()}
            assert (facts["labelled"], facts["accuracy"]) == (0, None)
    with link_device.on_pty(program) as port:
        named = ["--model", str(tmp_path / "model.npz")]
        _, text, _ = run(capsys, "stream", "--port", port, "--learning", *named, digits.spec)
    assert re.search(rf"^labels +{100 * right / 6:.1f} % of 6 labelled recordings right$", text, re.MULTILINE)


class TestRefusals:
    """One line, exit code 2, and what to do."""

    def check(self, capsys: pytest.CaptureFixture[str], problem: str, *arguments: str) -> None:
        code, _, error = run(capsys, *arguments)
        assert code == 2
        assert problem in error
        assert error.count("\n") == 1

    def test_a_foreign_build(self, capsys: pytest.CaptureFixture[str], port: str, files: Path) -> None:
        arguments = ("stream", "--port", port, "--learning", SOURCE, "--model")
        problem = "build the firmware from this model (codegen build) and flash it"
        self.check(capsys, problem, *arguments, str(files / "larger.npz"))
        without = tuple(word for word in arguments if word != "--learning")
        problem = "device was built from this model with --learning: give the same options here, or build"
        self.check(capsys, problem, *without, str(files / "model.npz"))

    @pytest.mark.parametrize("option", [None, "--use-device-state", "--reset-to-model"])
    def test_a_model_of_equal_geometry(
        self, capsys: pytest.CaptureFixture[str], port: str, files: Path, option: str | None
    ) -> None:
        """The weights are part of the identity: it is another network, from any state."""
        arguments = ["stream", "--port", port, "--learning", SOURCE, "--model", str(files / "other.npz")]
        ids = [load_model(files / name).model_id[:16] for name in ("model.npz", "other.npz")]
        problem = f"device was built from the model {ids[0]}, the one named is {ids[1]}, of the same geometry"
        self.check(capsys, problem, *arguments, *([option] if option else []))

    @pytest.mark.parametrize("command", [["state"], ["monitor", "--learning", SOURCE]])
    def test_a_model_of_equal_geometry_by_other_commands(
        self, capsys: pytest.CaptureFixture[str], port: str, files: Path, command: list[str]
    ) -> None:
        arguments = [*command, "--port", port, "--model", str(files / "other.npz")]
        self.check(capsys, "device was built from the model", *arguments)

    def test_a_foreign_state(self, capsys: pytest.CaptureFixture[str], port: str, files: Path) -> None:
        """Refused, until one says to adopt it or to begin afresh."""
        with open_link(port) as link:
            link.run(make_events(3000), learning=True)
        arguments = ["stream", "--port", port, "--learning", SOURCE, "--model", str(files / "model.npz")]
        self.check(
            capsys,
            "device's state (--use-device-state), start from the model's (--reset-to-model)",
            *arguments,
        )
        assert run(capsys, *arguments, "--use-device-state")[0] == 0
        assert run(capsys, *arguments, "--reset-to-model")[0] == 0

    def test_what_cannot_be_meant(self, capsys: pytest.CaptureFixture[str]) -> None:
        stream = ("stream", "--port", "/dev/none")
        self.check(capsys, "name either a SOURCE of recordings or a live one", *stream)
        self.check(capsys, "name either a SOURCE", *stream, SOURCE, "--camera", "edvs:///dev/x")
        self.check(capsys, "--speed fast: expected max, real", *stream, SOURCE, "--speed", "fast")
        self.check(capsys, "cannot be opened", *stream, SOURCE)
        self.check(capsys, "unknown board", "stream", "--port", "qemu:nothing", SOURCE)

    def test_a_sensor_that_the_device_has_not(
        self, capsys: pytest.CaptureFixture[str], port: str, tmp_path: Path
    ) -> None:
        save = tmp_path / "g.npy"
        np.save(save, np.array([[1, 0, 0, 5, 300, 2]], np.uint16))
        code, _, error = run(capsys, "stream", "--port", port, "--camera", f"genx320://{save}")
        assert code == 2
        assert "(300, 2) cannot be sent: this device's sensor has coordinates below 256" in error


def read_until(terminal: int, pattern: bytes) -> None:
    """Read a pseudo-terminal until what was written to it holds `pattern`."""
    shown, limit = b"", time.monotonic() + LIMIT_S
    while not re.search(pattern, shown):
        assert select.select([terminal], [], [], max(0.0, limit - time.monotonic()))[0], shown
        shown += os.read(terminal, 1000)


def test_a_camera_is_streamed_until_ctrl_c(port: str, tmp_path: Path) -> None:
    """Progress is shown on a terminal, and what was recorded until then is kept."""
    ours, theirs = os.openpty()
    screen, stderr = os.openpty()
    tty.setraw(theirs)
    out = tmp_path / "out.npz"
    command = [
        sys.executable,
        "-m",
        "feast_codegen",
        "stream",
        "--port",
        port,
        "--output",
        str(out),
    ]
    camera = f"edvs://{os.ttyname(theirs)}"
    process = subprocess.Popen([*command, "--camera", camera], stderr=stderr, preexec_fn=default_signals)
    read_until(ours, rb"^!E4\nE\+\n$")
    os.write(ours, b"".join(bytes([0x80 | i, i, 0, 0, 1, i]) for i in range(30)))
    read_until(screen, rb"\x1b\[K30 events  \d+ events/s  latency \d+\.\d ms  recovered \d+  replayed 0")
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) == 0
    for terminal in (ours, theirs, screen, stderr):
        os.close(terminal)
    with np.load(out, allow_pickle=False) as kept:
        assert kept["events"]["t_us"].tolist() == [256 + i for i in range(30)]
        assert len(kept["results"]) == 30


def test_state_down_and_up_again(
    capsys: pytest.CaptureFixture[str], port: str, files: Path, tmp_path: Path
) -> None:
    learned = tmp_path / "learned.npz"
    state = ["state", "--port", port, "--model", str(files / "model.npz"), "--json"]
    with open_link(port) as link:
        link.run(make_events(3000), learning=True)
        words = link.read_state()
    code, text, _ = run(capsys, *state, "--download", str(learned))
    assert code == 0
    assert json.loads(text)["state_id"] == f"{messages.snapshot_digest(words):08x}"
    assert (to_words(load_model(learned))[:-2] == words[:-2]).all()
    code, text, _ = run(capsys, *state, "--upload", str(files / "other.npz"))
    other = messages.snapshot_digest(to_words(load_model(files / "other.npz")))
    assert (code, json.loads(text)["state_id"]) == (0, f"{other:08x}")
    code, _, error = run(capsys, *state, "--upload", str(files / "larger.npz"))
    assert code == 2
    assert "take a model of the same geometry" in error
    code, _, error = run(capsys, *state, "--persist")
    assert code == 2
    assert "has no memory to keep a state" in error


class TestPace:
    def test_real_time_and_scaled(self) -> None:
        events = make_events(500, mean_gap_us=1000.0)
        for speed in (1.0, 4.0):
            now = [0.0]
            feed = Recorded(EventStream(events, Sensor(34, 34), "x", None), speed, lambda now=now: now[0])
            given = 0
            for batch in feed.batches():
                now[0] += 0.01
                given += len(batch)
                elapsed_us = int(events["t_us"][max(given - 1, 0)] - events["t_us"][0])
                assert elapsed_us <= now[0] * 1e6 * speed
            assert given == 500
            span_s = int(events["t_us"][-1] - events["t_us"][0]) / 1e6
            assert now[0] == pytest.approx(span_s / speed, abs=0.03)

    def test_as_fast_as_it_goes(self) -> None:
        events = make_events(40_000)
        batches = list(Recorded(EventStream(events, Sensor(34, 34), "x", None)).batches())
        assert (np.concatenate(batches) == events).all()
        assert all(len(batch) for batch in batches)

    @pytest.mark.parametrize(("text", "speed"), [("max", None), ("real", 1.0), ("0.5", 0.5), ("20", 20.0)])
    def test_named(self, text: str, speed: float | None) -> None:
        assert parse_speed(text) == speed

    @pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "quick"])
    def test_not_a_pace(self, text: str) -> None:
        with pytest.raises(FeastError, match="expected max, real, or a factor above 0"):
            parse_speed(text)


def test_a_recording_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    events = make_events(10)
    with pytest.raises(KeyboardInterrupt), Recorder(tmp_path / "out.npz") as recorder:
        recorder.add(ResultChunk(0, events, np.zeros(10, np.int16)))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FeastError, match="cannot write"):
        Recorder(tmp_path / "no" / "out.npz")
