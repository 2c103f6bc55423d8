"""Every emulated board on real recordings, frozen and learning: each result and all state as the twin's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from codegen.boards import Board, get_board, load_boards
from codegen.memory import fits
from codegen.model import Hyperparameters, Model, Sensor, Shape
from codegen.options import Options
from host.boards.build import build
from host.boards.emulator import emulate
from host.boards.fitting import largest_neurons
from host.boards.project import prepare_project
from host.datasets import Source, open_source
from host.device import emit_for_board, run_on_board
from host.link import open_link
from host.training import train
from tests.firmware_project import needs_compiler, needs_emulator

pytestmark = [pytest.mark.data, pytest.mark.firmware, needs_compiler, needs_emulator]

RECORDINGS = 5
MOST_NEURONS = 24
"""Larger networks fit most boards; this keeps the whole matrix within a minute or two."""
SENSOR = Sensor(34, 34)
MODES = {"frozen": Options(), "learning": Options(learning=True)}


def neurons_for(board: Board, options: Options) -> int:
    """Neurons of the largest network of 11x11 patches that fits, up to MOST_NEURONS; 0 if none does."""
    return min(largest_neurons(Shape(Hyperparameters(), SENSOR), options, board), MOST_NEURONS)


CASES = [
    (name, mode)
    for name, board in load_boards().items()
    if board.qemu
    for mode, options in MODES.items()
    if neurons_for(board, options) > 0
]


@cache
def trained(nmnist: Path, neurons: int) -> Model:
    source = spread(open_source(str(nmnist)).split("train"), 20)
    return train(source, Hyperparameters(neurons=neurons)).model


def spread(source: Source, count: int) -> Source:
    """Recordings taken evenly over all classes."""
    return source.pick([int(i) for i in np.linspace(0, len(source) - 1, count)])


def test_the_matrix_has_every_board_in_every_mode_it_has_memory_for() -> None:
    assert {name for name, mode in CASES if mode == "frozen"} == {
        name for name, board in load_boards().items() if board.verified == "emulated"
    }
    network = Shape(Hyperparameters(neurons=16), SENSOR)
    assert fits(network, MODES["frozen"], get_board("stm32vldiscovery")), "8 KB of RAM"
    assert fits(network, MODES["learning"], get_board("bbcmicrobit")), "16 KB of RAM"
    assert not fits(network, MODES["learning"], get_board("stm32vldiscovery"))


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_a_board_computes_what_the_twin_computes(name: str, mode: str, nmnist: Path, tmp_path: Path) -> None:
    board, options = get_board(name), MODES[mode]
    neurons = neurons_for(board, options)
    prepare_project(tmp_path / "firmware")
    recordings = spread(open_source(str(nmnist)).split("test"), RECORDINGS)
    run = run_on_board(
        trained(nmnist, neurons), board, recordings, options, project_dir=tmp_path / "firmware"
    )
    assert run.difference is None
    assert run.device_digest == run.twin_digest
    assert all(one.device_snapshot_digest == one.twin_snapshot_digest for one in run.runs)
    assert len({one.name for one in run.runs}) == RECORDINGS
    assert run.events > 15_000
    assert run.stack_bytes < board.stack_bytes
    assert run.ram_bytes + board.stack_bytes <= board.ram.bytes


@pytest.mark.parametrize("name", ["mps2_an386", "stm32vldiscovery"])
def test_a_board_has_the_buffers_of_its_entry(name: str, nmnist: Path, tmp_path: Path) -> None:
    board = get_board(name)
    emit_for_board(trained(nmnist, 8), board, Options(), tmp_path / "firmware")
    with emulate(board, build(board, tmp_path / "firmware").elf) as emulator, open_link(emulator.url) as link:
        hello = link.hello
    assert hello.rx_bytes == board.rx_ring_bytes
    assert hello.stack_bytes == board.stack_bytes
    sizes = (hello.frame_bytes, hello.result_window, hello.results_per_frame)
    assert sizes == (board.link.frame_bytes, board.link.window, board.link.results)
    assert (sizes == (256, 128, 64)) == (name == "mps2_an386"), "the small one has smaller ones"
