"""Where a device is: a port by the names of pyserial, or `qemu:BOARD`, and whether it is the wanted one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.plan import Plan, build_id, make_plan
from feast_codegen.codegen.fixed_point.quantise import QuantModel, quantise
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options, every_combination
from feast_codegen.host.boards.firmware_project import PROJECT
from feast_codegen.host.link.clock import OnWait, ignore
from feast_codegen.host.link.device_limits import BROKEN
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.link import DEFAULT_BAUD, Link, open_link
from feast_codegen.host.streaming.streamer import Connect

QEMU: Final = "qemu:"


@contextmanager
def device_at(
    port: str,
    *,
    model: Model | None = None,
    options: Options | None = None,
    either_mode: bool = False,
    baud: int = DEFAULT_BAUD,
    project_dir: Path = PROJECT,
    on_wait: OnWait = ignore,
) -> Iterator[Connect]:
    """What opens a link to the device at `port`, as often as need be, while the block runs.

    port: as `link.link.open_link`, or ``qemu:BOARD``: the firmware last built for that board, or with
    `model` one that is built now. With `model` every device must have been built from it with `options`;
    with `either_mode` learning or not.
    on_wait: as for `open_link`. Raises FeastError as `open_link`, and where there is no such board, emulator
    or firmware.
    """
    chosen = options or Options()
    if not port.startswith(QEMU):
        yield lambda: _checked(open_link(port, baud=baud, on_wait=on_wait), model, chosen, either_mode)
        return
    from feast_codegen.host.boards.build import firmware_path
    from feast_codegen.host.boards.emulator import CONNECT_S, emulate
    from feast_codegen.host.boards.run import build_for_board

    board = get_board(port.removeprefix(QEMU))
    elf = firmware_path(board, project_dir)
    if model is not None:
        elf = build_for_board(model, board, chosen, project_dir)[1].elf
    elif not elf.is_file():
        raise FeastError(f"{port}: no firmware: name its model with --model, or run `codegen build` first")
    with emulate(board, elf) as emulator:
        yield lambda: _checked(
            open_link(emulator.url, name=port, connect_s=CONNECT_S, on_wait=on_wait),
            model,
            chosen,
            either_mode,
        )


def require_state(link: Link) -> None:
    """Raise FeastError unless the device holds the learned state that the model given to `device_at` has."""
    link.hello.require(link.hello.build_id, link.model_state_id)


def _checked(link: Link, model: Model | None, options: Options, either_mode: bool) -> Link:
    """The link, if its device was built from `model`; else it is closed. Raises FeastError."""
    if model is not None:
        try:
            # Class scores may have been left out of the build: the device tells, and is not foreign for it.
            kept = replace(options, readout=options.readout and link.hello.classes > 0)
            if either_mode:
                kept = replace(kept, learning=link.hello.learning)
            quant = quantise(model)[0]
            plan = make_plan(quant, None, kept)
            if link.hello.build_id != plan.ids.build:
                _refuse_other_options(link.hello, quant)
            link.hello.require(plan.ids.build, model_id=plan.ids.model)
            _require_geometry(link.hello, plan)
            link.model_state_id = plan.ids.state
        except FeastError:
            link.close()
            raise
    return link


def _refuse_other_options(hello: Hello, quant: QuantModel) -> None:
    """Raise FeastError if the device was built from this model, with other options of emission."""
    if not quant.model_id.startswith(hello.model_id):
        return
    for options in every_combination():
        if build_id(quant, options) == hello.build_id:
            how = f"with {options.flags}" if options.flags else "without options of emission"
            here = "" if options.filters else " (--host-filters for --no-filters, where it is given events)"
            raise FeastError(
                f"device was built from this model {how}: give the same options here{here}, or build the "
                "firmware with those given (codegen build) and flash it"
            )


def _require_geometry(hello: Hello, plan: Plan) -> None:
    """Raise FeastError unless the device says of itself what its build id stands for."""
    layer = plan.last
    params = layer.quant.params
    expected = {
        "sensor": layer.quant.sensor,
        "camera": plan.camera,
        "downsample": plan.downsample_shift,
        "features_per_bank": params.features,
        "radius": params.radius,
        "banks": params.banks,
        "classes": len(plan.readout.quant.labels) if plan.readout else 0,
        "fades": plan.readout is not None and plan.readout.fades,
        "state_words": plan.state.learned_words,
        "snapshot_words": plan.state.words,
        "learning": layer.learning,
        "select_threshold": layer.select_threshold,
    }
    for name, value in expected.items():
        if getattr(hello, name) != value:
            raise FeastError(
                f"device says {name} {getattr(hello, name)}, a build {hello.build_id} has {value}: {BROKEN}"
            )
