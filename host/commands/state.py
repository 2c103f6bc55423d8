"""`codegen state`: what a device has learned, to a file and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codegen.errors import FeastError
from host.commands.options import JsonOption, SelectOption, check_output
from host.commands.stream import BaudOption, PortOption
from host.console import print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(state)


def state(
    port: PortOption,
    model: Annotated[
        Path, typer.Option("--model", metavar="MODEL", help="The model the device was built from.")
    ],
    upload: Annotated[
        Path | None,
        typer.Option("--upload", metavar="MODEL", help="Let the device go on from this model's state."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Let the device keep its state over a loss of power.")
    ] = False,
    download: Annotated[
        Path | None,
        typer.Option("--download", metavar="OUT", help="Write what it has learned to a model file."),
    ] = None,
    select: SelectOption = "nearest",
    no_filters: Annotated[
        bool, typer.Option("--no-filters", help="The device is built without the model's filters.")
    ] = False,
    baud: BaudOption = 115_200,
    as_json: JsonOption = False,
) -> None:
    """Read or replace the learned state of a device built with --learning.

    Uploading needs no flashing, only a model of the same geometry. Several options are done in the order
    upload, keep, download.

    Example: codegen state --port /dev/ttyACM0 --model model.npz --download learned.npz
    """
    from codegen.model_file import load_model, save_model
    from codegen.options import Options
    from host.endpoints import device_at
    from host.learned import check_same_geometry, model_of, words_of

    if download is not None:
        check_output(download)
    origin = load_model(model)
    other = load_model(upload) if upload is not None else None
    facts: dict[str, object] = {}
    with (
        device_at(
            port, model=origin, options=Options(True, select, filters=not no_filters), baud=baud
        ) as connect,
        connect() as link,
    ):
        if other is not None:
            check_same_geometry(other, link.hello, origin)
            link.write_state(words_of(other))
        if keep:
            facts["kept"] = link.keep_state()
        if download is not None:
            learned = model_of(link.read_state(), origin)
            save_model(learned, download)
            facts["model_id"] = learned.model_id
        elif other is None and not keep and link.hello.uploading:
            raise FeastError("device holds part of an upload only: upload a model, or start it afresh")
        facts = {"build_id": link.hello.build_id, "state_id": f"{link.hello.state_id:08x}", **facts}
    print_json(facts) if as_json else print_facts(facts)
