"""Every emulated board on real recordings, frozen and learning: each result and all state as the twin's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.boards.board import Board, get_board, load_boards
from feast_codegen.codegen.emit.budget import fits
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor, Shape
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.capacity import most_features
from feast_codegen.host.boards.emulator import emulate
from feast_codegen.host.boards.firmware_project import prepare_project
from feast_codegen.host.boards.run import emit_for_board, run_on_board
from feast_codegen.host.link.link import open_link
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import Source, open_source
from tests.support.firmware_project import needs_compiler, needs_emulator
from tests.support.waiting import LIMIT_S

pytestmark = [pytest.mark.data, pytest.mark.firmware, needs_compiler, needs_emulator]

RECORDINGS = 5
MOST_FEATURES_PER_BANK = 24
"""Larger networks fit most boards; this keeps the whole matrix within a minute or two."""
SENSOR = Sensor(34, 34)
MODES = {"frozen": Options(), "learning": Options(learning=True)}


def features_for(board: Board, options: Options) -> int:
    """Features a bank of the largest network of 11x11 patches that fits the board; 0 if none does."""
    return min(most_features(Shape(Hyperparameters(), SENSOR), options, board), MOST_FEATURES_PER_BANK)


CASES = [
    (name, mode)
    for name, board in load_boards().items()
    if board.qemu
    for mode, options in MODES.items()
    if features_for(board, options) > 0
]


@cache
def trained(nmnist: Path, features: int) -> Model:
    source = spread(open_source(str(nmnist)).split("train"), 20)
    return train(source, Hyperparameters(features=features)).model


def spread(source: Source, count: int) -> Source:
    """Recordings taken evenly over all classes."""
    return source.pick([int(i) for i in np.linspace(0, len(source) - 1, count)])


def test_the_matrix_has_every_board_in_every_mode_it_has_memory_for() -> None:
    assert {name for name, mode in CASES if mode == "frozen"} == {
        name for name, board in load_boards().items() if board.verified == "emulated"
    }
    network = Shape(Hyperparameters(features=16), SENSOR)
    assert fits(network, MODES["frozen"], get_board("stm32vldiscovery")), "8 KB of RAM"
    assert fits(network, MODES["learning"], get_board("bbcmicrobit")), "16 KB of RAM"
    assert not fits(network, MODES["learning"], get_board("stm32vldiscovery"))


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_a_board_computes_what_the_twin_computes(name: str, mode: str, nmnist: Path, tmp_path: Path) -> None:
    board, options = get_board(name), MODES[mode]
    features = features_for(board, options)
    prepare_project(tmp_path / "firmware")
    recordings = spread(open_source(str(nmnist)).split("test"), RECORDINGS)
    run = run_on_board(
        trained(nmnist, features), board, recordings, options, project_dir=tmp_path / "firmware"
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
    elf = build(board, tmp_path / "firmware").elf
    with emulate(board, elf) as emulator, open_link(emulator.url, connect_s=LIMIT_S) as link:
        hello = link.hello
    assert hello.rx_bytes == board.rx_ring_bytes
    assert hello.stack_bytes == board.stack_bytes
    sizes = (hello.frame_bytes, hello.result_window, hello.results_per_frame)
    assert sizes == (board.link.frame_bytes, board.link.window, board.link.results)
    assert (sizes == (256, 128, 64)) == (name == "mps2_an386"), "the small one has smaller ones"
