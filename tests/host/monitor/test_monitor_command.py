"""`codegen monitor` as a process: how it ends, with which code and which line."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as websocket

from feast_codegen.codegen.model.file import save_model
from tests.host.cli.test_cli import Codegen, codegen  # noqa: F401 (a fixture)
from tests.support import link_device
from tests.support.networks import make_model
from tests.support.signals import default_signals

LIMIT_S = 300.0
"""Only what never comes lasts as long."""
SOURCE = "sim:digits?count=4"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    model = make_model(features=8, radius=2)
    save_model(model, folder / "model.npz")
    return link_device.build_real_process(folder, model)


@contextmanager
def command(program: Path, folder: Path, file_bytes: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """The command, streaming as fast as it goes to `folder`; file_bytes: it can write no longer file."""

    def prepare() -> None:
        default_signals()
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    with link_device.listening(program) as url:
        arguments = ["monitor", "--port", url, "--folder", str(folder), "--speed", "max", SOURCE]
        process = subprocess.Popen(
            [sys.executable, "-m", "feast_codegen", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=LIMIT_S)


def tab(process: subprocess.Popen[str]) -> ClientConnection:
    """A page of the address that the command prints."""
    stdout: IO[str] | None = process.stdout
    assert stdout is not None
    url = stdout.readline().strip()
    origin: Any = url.split("/?")[0]
    live = url.replace("http", "ws").replace("/?", "/live?")
    return websocket(live, origin=origin, open_timeout=LIMIT_S, max_size=None)


def read_to_the_end(page: ClientConnection) -> dict[str, Any]:
    """The last view that a page is sent."""
    shown: dict[str, Any] = {}
    try:
        while True:
            shown = json.loads(page.recv(timeout=LIMIT_S))
    except ConnectionClosed:
        return shown


def until_recorded(page: ClientConnection) -> None:
    begun = None
    while True:
        view = json.loads(page.recv(timeout=LIMIT_S))
        if begun is None and view.get("recording_to"):
            begun = view["events"]
        if begun is not None and view["events"] > begun:
            return


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_and_what_was_recorded_is_saved(
    program: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with command(program, tmp_path) as process, tab(process) as page:
        page.send("record")
        until_recorded(page)
        process.send_signal(number)
        read_to_the_end(page)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + number
    assert f"codegen: saved {tmp_path / 'recording-1.npz'}" in errors
    assert "Traceback" not in errors
    with np.load(tmp_path / "recording-1.npz", allow_pickle=False) as file:
        assert len(file["events"]) == len(file["results"]) > 0


def test_a_recording_that_cannot_be_written_ends_it_with_one_line_and_code_2(
    program: Path, tmp_path: Path
) -> None:
    with command(program, tmp_path, file_bytes=200_000) as process, tab(process) as page:
        page.send("record")
        read_to_the_end(page)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    last = errors.splitlines()[-1]
    assert last.startswith(f"codegen: error: {tmp_path / 'recording-1.npz'}: cannot write: File too large")
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_one_line_before_anything_else(codegen: Codegen) -> None:  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = codegen("monitor", "--port", "/no/such/port", "--web-port", port, SOURCE)
    assert outcome.code == 2
    assert outcome.err.startswith(f"codegen: error: port {port}: ")
    assert outcome.err.count("\n") == 1
