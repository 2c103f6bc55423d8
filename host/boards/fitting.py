"""What fits which board: `codegen boards --fit`."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.boards import Board, load_boards
from codegen.filters import Filters
from codegen.memory import budget, fits, largest_fitting
from codegen.model import MOST_NEURONS, Hyperparameters, Sensor
from codegen.options import Options
from codegen.readout import ReadoutSize


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


def largest_neurons(
    params: Hyperparameters,
    sensor: Sensor,
    options: Options,
    board: Board,
    lower: Hyperparameters | None = None,
    readout: ReadoutSize | None = None,
    filters: Filters | None = None,
) -> int:
    """Most neurons a bank that fit the board and that a model may have."""
    return min(largest_fitting(params, sensor, options, board, lower, readout, filters), MOST_NEURONS)


def fit_boards(
    params: Hyperparameters,
    sensor: Sensor,
    lower: Hyperparameters | None = None,
    readout: ReadoutSize | None = None,
    filters: Filters | None = None,
) -> list[BoardFit]:
    """The network of these parameters, with what there is of a layer below, a readout and filters, on every
    board."""
    return [
        BoardFit(
            name=board.name,
            free_ram_bytes=board.model_ram_bytes,
            free_flash_bytes=board.model_flash_bytes,
            frozen=_mode(params, sensor, Options(), board, lower, readout, filters),
            learning=_mode(params, sensor, Options(learning=True), board, lower, readout, filters),
        )
        for board in load_boards().values()
    ]


def _mode(
    params: Hyperparameters,
    sensor: Sensor,
    options: Options,
    board: Board,
    lower: Hyperparameters | None,
    readout: ReadoutSize | None,
    filters: Filters | None,
) -> ModeFit:
    need = budget(params, sensor, options, board.kernel, lower, readout, filters)
    return ModeFit(
        fits=fits(params, sensor, options, board, lower, readout, filters),
        largest_neurons=largest_neurons(params, sensor, options, board, lower, readout, filters),
        ram_bytes=need.ram,
        flash_bytes=need.flash,
    )
