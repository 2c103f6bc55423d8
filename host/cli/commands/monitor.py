"""`codegen monitor`: the live view of a device in the browser."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.cli.commands.stream import (
    BaudOption,
    CameraOption,
    PortOption,
    SpeedOption,
    StreamModelOption,
    device_options,
    parse_speed,
)
from feast_codegen.host.cli.emission_options import DeviceOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.reading_options import ReadingOptions, remembered
from feast_codegen.host.progress import note

if TYPE_CHECKING:
    from feast_codegen.host.monitor.server import Monitor
    from feast_codegen.host.monitor.session import Session

_LOOK_S = 0.1


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(monitor)


@with_option_groups
def monitor(
    port: PortOption,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Recordings to stream, again and again."),
    ] = None,
    camera: CameraOption = None,
    model: StreamModelOption = None,
    *,
    emission: DeviceOptions,
    speed: SpeedOption = "real",
    web_port: Annotated[
        int, typer.Option("--web-port", metavar="N", min=0, max=65535, help="Port of the page; 0 is any.")
    ] = 0,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where recordings and states are saved.")
    ] = Path(),
    baud: BaudOption = 115_200,
    reading: ReadingOptions,
) -> None:
    """Show live what a device sees and learns, in the browser.

    Prints the address of a page that only this machine can open. The page draws a sample of the events,
    the device processes all of them. Ends with Ctrl-C; a recording that is running is saved.

    Example: codegen monitor --port qemu:mps2_an386 --model model.npz sim:digits --learning
    """
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.boards.connect import device_at
    from feast_codegen.host.monitor.server import Monitor
    from feast_codegen.host.monitor.session import Session
    from feast_codegen.host.streaming.inputs import live_feed, recorded_feeds
    from feast_codegen.host.streaming.streamer import Feed, Streamer

    if (source is None) == (camera is None):
        raise FeastError("name either a SOURCE of recordings or a live one with --camera")
    if not folder.is_dir():
        raise FeastError(f"{folder}: there is no such folder")
    pace = parse_speed(speed)
    network = load_model(model) if model is not None else None
    options = device_options(emission, network)
    ours = network.input_filters if network is not None and not options.filters else None
    with ExitStack() as stack:
        stack.enter_context(_termination_ends())
        server = Monitor(web_port)
        stack.callback(server.close)
        connect = stack.enter_context(device_at(port, model=network, options=options, baud=baud))
        streamer = Streamer(connect, learning=options.learning)
        stack.callback(streamer.close)
        sensor = streamer.link.hello.camera
        feed = None if camera is None else stack.enter_context(live_feed(camera, sensor, None, pace, ours))

        def feeds() -> Iterator[Feed]:
            if feed is not None:
                return iter([feed])
            assert source is not None
            return recorded_feeds(source, sensor, pace, None, reading.reading(), ours, remembered)

        session = Session(streamer, feeds, network, folder, options)
        stack.enter_context(server.running(session))
        session.start()
        stack.callback(_close, session)
        print(server.url, flush=True)
        note("codegen: open this address in a browser on this machine; Ctrl-C ends")
        _watch(session, server)


def _watch(session: Session, server: Monitor) -> None:
    """Wait until the session or the server fails, and raise what it failed with."""
    while session.is_alive() and server.is_alive():
        time.sleep(_LOOK_S)
    raise session.error or server.error or FeastError("the monitor has ended by itself")


def _close(session: Session) -> None:
    if session.recording:
        note(f"codegen: saving {session.recording}; Ctrl-C again gives it up")
    if saved := session.close():
        note(f"codegen: saved {saved}")


@contextmanager
def _termination_ends() -> Iterator[None]:
    """SIGTERM ends the block in good order, as Ctrl-C does, with the exit code that shells have for it."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.getsignal(signal.SIGTERM)
    in_main = threading.current_thread() is threading.main_thread()  # others cannot set handlers
    if before is not signal.SIG_DFL or not in_main:  # whoever starts this has a plan of their own
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
