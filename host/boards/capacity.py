"""What fits which board: `codegen boards --for`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feast_codegen.codegen.base.limits import MOST_FEATURES_PER_BANK
from feast_codegen.codegen.boards.board import Board, load_boards
from feast_codegen.codegen.emit.budget import budget, fits, largest_fitting
from feast_codegen.codegen.model.model import Shape
from feast_codegen.codegen.model.options import Options

EVENT_BYTES: Final = 4
"""Of an event on the line at N-MNIST's rates, without its share of a frame (the protocol page)."""


@dataclass(frozen=True)
class ModeFit:
    """A network on a board in one mode of emission."""

    fits: bool
    most_features: int
    """Most features a bank with which it would fit; 0 if not even one does."""
    ram_bytes: int
    flash_bytes: int
    """What the emitted library takes as it is."""


@dataclass(frozen=True)
class BoardFit:
    """A network on a board. The free bytes are those beside the firmware."""

    name: str
    free_ram_bytes: int
    free_flash_bytes: int
    frozen: ModeFit
    learning: ModeFit


def link_events_per_s(board: Board) -> int:
    """Most events per second that the serial line of a board carries: 10 bits a byte, 4 bytes an event."""
    return board.uart.baud // (10 * EVENT_BYTES)


def most_features(shape: Shape, options: Options, board: Board) -> int:
    """Most features a bank that fit the board and that a model may have."""
    return min(largest_fitting(shape, options, board), MOST_FEATURES_PER_BANK)


def fit_boards(shape: Shape) -> list[BoardFit]:
    """A network on every board."""
    return [
        BoardFit(
            name=board.name,
            free_ram_bytes=board.model_ram_bytes,
            free_flash_bytes=board.model_flash_bytes,
            frozen=_mode(shape, Options(), board),
            learning=_mode(shape, Options(learning=True), board),
        )
        for board in load_boards().values()
    ]


def _mode(shape: Shape, options: Options, board: Board) -> ModeFit:
    need = budget(shape, options, board.kernel)
    return ModeFit(
        fits=fits(shape, options, board),
        most_features=most_features(shape, options, board),
        ram_bytes=need.ram,
        flash_bytes=need.flash,
    )
