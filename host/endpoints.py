"""Where a device is: a port by the names of pyserial, or `qemu:BOARD`, and whether it is the wanted one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from codegen import wire
from codegen.boards import get_board
from codegen.errors import FeastError
from codegen.model import Model
from codegen.options import Options
from codegen.plan import build_id
from codegen.quantise import quantise
from host.boards.build import build
from host.boards.project import PROJECT
from host.hello import Hello
from host.learned import words_of
from host.link import DEFAULT_BAUD, Link, open_link
from host.streaming import Connect

QEMU: Final = "qemu:"


@contextmanager
def device_at(
    port: str,
    *,
    model: Model | None = None,
    options: Options | None = None,
    baud: int = DEFAULT_BAUD,
    project_dir: Path = PROJECT,
) -> Iterator[Connect]:
    """What opens a link to the device at `port`, as often as need be, while the block runs.

    port: as `host.link.open_link`, or ``qemu:BOARD``: the firmware last built for that board, or with
    `model` one that is built now. With `model` every device must have been built from it with `options`.
    Raises FeastError as `open_link`, and where there is no such board, emulator or firmware.
    """
    chosen = options or Options()
    if not port.startswith(QEMU):
        yield lambda: _checked(open_link(port, baud=baud), model, chosen)
        return
    from host.boards.emulator import emulate
    from host.device import emit_for_board

    board = get_board(port.removeprefix(QEMU))
    elf = project_dir / ".pio" / "build" / board.name / "firmware.elf"
    if model is not None:
        emit_for_board(model, board, chosen, project_dir)
        elf = build(board, project_dir).elf
    elif not elf.is_file():
        raise FeastError(f"{port}: no firmware: name its model with --model, or run `codegen build` first")
    with emulate(board, elf) as emulator:
        yield lambda: _checked(open_link(emulator.url, name=port), model, chosen)


def require_state(hello: Hello, model: Model) -> None:
    """Raise FeastError unless the device holds the learned state that `model` starts from."""
    hello.require(hello.build_id, wire.snapshot_digest(words_of(model)))


def _checked(link: Link, model: Model | None, options: Options) -> Link:
    if model is not None:
        try:
            # Class scores may have been left out of the build: the device tells, and is not foreign for it.
            kept = replace(options, readout=options.readout and link.hello.classes > 0)
            link.hello.require(build_id(quantise(model)[0], kept))
        except FeastError:
            link.close()
            raise
    return link
