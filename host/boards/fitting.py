"""What fits which board: `codegen boards --fit`."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.boards import Board, load_boards
from codegen.memory import budget, fits, largest_fitting
from codegen.model import MOST_NEURONS, Shape
from codegen.options import Options


@dataclass(frozen=True)
class ModeFit:
    """A network on a board in one mode of emission."""

    fits: bool
    largest_neurons: int
    """Most neurons a bank with which it would fit; 0 if not even one does."""
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


def largest_neurons(shape: Shape, options: Options, board: Board) -> int:
    """Most neurons a bank that fit the board and that a model may have."""
    return min(largest_fitting(shape, options, board), MOST_NEURONS)


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
        largest_neurons=largest_neurons(shape, options, board),
        ram_bytes=need.ram,
        flash_bytes=need.flash,
    )
