"""`codegen monitor`: the live view of a device in the browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from codegen.errors import FeastError
from host.commands.filter_options import FilterHereOption
from host.commands.options import LearningOption, SelectOption, SkipOption
from host.commands.stream import (
    BaudOption,
    FromOption,
    PortOption,
    SpeedOption,
    StreamModelOption,
    parse_speed,
)
from host.console import note


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(monitor)


def monitor(
    port: PortOption,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Recordings to stream, again and again."),
    ] = None,
    live: FromOption = None,
    model: StreamModelOption = None,
    learning: LearningOption = False,
    select: SelectOption = "nearest",
    no_filters: FilterHereOption = False,
    speed: SpeedOption = "real",
    web_port: Annotated[
        int, typer.Option("--web-port", metavar="N", min=0, max=65535, help="Port of the page; 0 is any.")
    ] = 0,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where recordings and states are saved.")
    ] = Path(),
    baud: BaudOption = 115_200,
    skip_bad_events: SkipOption = False,
) -> None:
    """Show live what a device sees and learns, in the browser.

    Prints the address of a page that only this machine can open. What is drawn is thinned out, every
    event is processed. Ends with Ctrl-C.

    Example: codegen monitor --port qemu:mps2_an386 --model model.npz sim:digits --learning
    """
    from codegen.model_file import load_model
    from codegen.options import Options
    from host.endpoints import device_at
    from host.feeds import live_feed, recorded_feeds
    from host.monitor.server import Monitor
    from host.monitor.session import Session
    from host.streaming import Feed, Streamer

    if (source is None) == (live is None):
        raise FeastError("name either a SOURCE of recordings or a live one with --from")
    if not folder.is_dir():
        raise FeastError(f"{folder}: there is no such folder")
    pace = parse_speed(speed)
    network = load_model(model) if model is not None else None
    if no_filters and network is None:
        raise FeastError("--no-filters: name the model whose filters are meant with --model")
    ours = network.input_filters if network is not None and no_filters else None
    with ExitStack() as stack:
        connect = stack.enter_context(
            device_at(
                port, model=network, options=Options(learning, select, filters=not no_filters), baud=baud
            )
        )
        streamer = Streamer(connect, learning=learning)
        stack.callback(streamer.close)
        camera = streamer.link.hello.camera
        feed = None if live is None else stack.enter_context(live_feed(live, camera, None, pace, ours))

        def feeds() -> Iterator[Feed]:
            if feed is not None:
                return iter([feed])
            assert source is not None
            return recorded_feeds(source, camera, pace, None, skip_bad_events, ours)

        session = Session(streamer, feeds, network, folder)
        server = stack.enter_context(Monitor(session, web_port).running())
        session.start()
        stack.callback(session.close)
        print(server.url, flush=True)
        note("codegen: open this address in a browser on this machine; Ctrl-C ends")
        while session.is_alive():
            time.sleep(0.2)
        if session.failure:
            raise FeastError(session.failure)
