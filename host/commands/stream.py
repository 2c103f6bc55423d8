"""`codegen stream`: events through a device, features back, in real time or as fast as it goes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from codegen.errors import FeastError
from host.commands.filter_options import FilterHereOption
from host.commands.options import JsonOption, LearningOption, SelectOption, SkipOption, check_output
from host.console import count, note, percent, print_facts, print_json

PortOption = Annotated[
    str,
    typer.Option(
        "--port",
        metavar="PORT",
        help="The device: /dev/ttyACM0, COM3, socket://HOST:PORT, rfc2217://HOST:PORT, qemu:BOARD.",
    ),
]
BaudOption = Annotated[int, typer.Option("--baud", metavar="N", min=300, help="Speed of a serial port.")]
StreamModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="MODEL", help="The model it must have been built from; qemu: builds it first."
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="LIVE", help="A camera instead of SOURCE: edvs://PORT or genx320://FILE."),
]
SpeedOption = Annotated[
    str,
    typer.Option("--speed", metavar="SPEED", help="max, real, or a factor of real time such as 0.5."),
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(stream)


def parse_speed(text: str) -> float | None:
    """A ``--speed``: None for ``max``. Raises FeastError unless it is max, real or a positive number."""
    if text == "max":
        return None
    try:
        speed = 1.0 if text == "real" else float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < 1e6:
        raise FeastError(f"--speed {text}: expected max, real, or a factor above 0 such as 0.5")
    return speed


def stream(
    port: PortOption,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A file of events, or any source of several recordings."),
    ] = None,
    live: FromOption = None,
    model: StreamModelOption = None,
    learning: LearningOption = False,
    select: SelectOption = "nearest",
    no_filters: FilterHereOption = False,
    initialise: Annotated[
        bool, typer.Option("--initialise", help="Begin with the model's own weights and thresholds.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Go on from what the device has learned, whatever it is.")
    ] = False,
    speed: SpeedOption = "max",
    record: Annotated[
        Path | None, typer.Option("--record", metavar="OUT.npz", help="Keep events and results in a file.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N recordings.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", min=0.1, help="Stop a live source after S s.")
    ] = None,
    baud: BaudOption = 115_200,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Stream events through a device and receive its features.

    Every result arrives, in order, and equals the device's own digest, or the command fails and says what
    was lost. A device that restarts gets its learned state back and the recording is replayed.

    Example: codegen stream --port qemu:mps2_an386 --model model.npz 'sim:digits?count=5' --speed real
    """
    from codegen.model_file import load_model
    from codegen.options import Options
    from host.endpoints import device_at, require_state
    from host.feeds import live_feed, recorded_feeds
    from host.recorder import Recorder
    from host.streaming import Feed, Finished, Streamer

    if (source is None) == (live is None):
        raise FeastError("name either a SOURCE of recordings or a live one with --from")
    pace = parse_speed(speed)
    if record is not None:
        check_output(record)
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
        streamer = Streamer(connect, learning=learning, initialise=initialise)
        stack.callback(streamer.close)
        hello = streamer.link.hello
        if network is not None and not initialise and not adopt:
            require_state(hello, network)
        feeds: Iterator[Feed]
        if live is not None:
            feed = stack.enter_context(live_feed(live, hello.camera, seconds, pace, ours))
            if not feed.replayable:
                stack.enter_context(_interrupt_ends(feed))
            feeds = iter([feed])
        else:
            assert source is not None
            feeds = recorded_feeds(source, hello.camera, pace, limit, skip_bad_events, ours)
        recorder = stack.enter_context(Recorder(record)) if record is not None else None
        readout = network.readout if network is not None else None
        tally = _Tally(readout.labels if readout else ())
        status = _Status()
        with status:
            for piece in streamer.stream(feeds):
                if isinstance(piece, Finished):
                    tally.finished(piece, streamer.link.latency)
                    if hello.classes and not as_json:
                        status.clear()
                        print(f"{piece.name}: {tally.labels[piece.name] or 'no label, no feature won'}")
                    if recorder is not None:
                        recorder.end_recording(piece.name)
                    continue
                tally.events += len(piece.stretch)
                if recorder is not None:
                    recorder.add(piece.stretch)
                status.show(tally.events, streamer)
        outcome = tally.outcome(port, hello.build_id, streamer)
        if recorder is not None:
            recorder.save(outcome)
    _print(outcome, as_json)


@contextmanager
def _interrupt_ends(feed: Any) -> Iterator[None]:
    """Ctrl-C ends a live source in good order: what was sent is answered, what was recorded is kept."""

    def end(*_: object) -> None:
        feed.stop = True

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Status:
    """One line on a terminal's stderr: events, rate, latency, what had to be mended."""

    def __init__(self) -> None:
        self._shown_at, self._shown_events, self._rate = time.monotonic(), 0, 0.0
        self._visible = sys.stderr.isatty()

    def __enter__(self) -> _Status:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away, for other output."""
        if self._visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, events: int, streamer: Any) -> None:
        """Bring the line up to date, four times a second at most."""
        now = time.monotonic()
        if not self._visible or now - self._shown_at < 0.25:
            return
        rate = (events - self._shown_events) / (now - self._shown_at)
        self._shown_at, self._shown_events = now, events
        link = streamer.link
        mended = sum(link.losses.values()) + sum(
            n for name, n in streamer.totals.items() if not name.endswith("_frames")
        )
        line = (
            f"{count(events)} events  {count(round(rate))} events/s  latency "
            f"{1e3 * link.latency.percentile(50):.1f} ms  mended {count(mended)}  replayed {streamer.resumed}"
        )
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


class _Tally:
    """What was streamed so far."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        """classes: their labels, if the model is known."""
        self.events = 0
        self.recordings = 0
        self.labels: dict[str, str | None] = {}
        self.labelled, self.right = 0, 0
        self.digest = ""
        self.state_id = ""
        self.latency_ms: list[float] = []
        self._classes = classes
        self._began = time.monotonic()

    def finished(self, piece: Any, latency: Any) -> None:
        self.recordings += 1
        label = piece.summary.label
        known = self._classes[label] if 0 <= label < len(self._classes) else f"class {label}"
        self.labels[piece.name] = known if label >= 0 else None
        if self._classes and piece.label is not None:
            self.labelled += 1
            self.right += self.labels[piece.name] == str(piece.label)
        self.digest = f"{piece.summary.result_digest:08x}"
        self.state_id = f"{piece.summary.state_id:08x}"
        self.latency_ms = [1e3 * latency.percentile(p) for p in (50, 99)]

    def outcome(self, port: str, build_id: str, streamer: Any) -> dict[str, Any]:
        elapsed = time.monotonic() - self._began
        losses = {name: n for name, n in streamer.totals.items() if n and not name.endswith("_frames")}
        return {
            "port": port,
            "build_id": build_id,
            "state_id": self.state_id,
            "recordings": self.recordings,
            "events": self.events,
            "labels": self.labels if streamer.link.hello.classes else None,
            "labelled": self.labelled,
            "accuracy": self.right / self.labelled if self.labelled else None,
            "last_result_digest": self.digest,
            "seconds": round(elapsed, 3),
            "events_per_second": round(self.events / elapsed, 1),
            "latency_ms_median": round(self.latency_ms[0], 3),
            "latency_ms_99": round(self.latency_ms[1], 3),
            "resumed": streamer.resumed,
            "mended": losses,
        }


def _right(outcome: dict[str, Any]) -> str | None:
    """How many recordings got the label that their source gives them; None where it cannot be told."""
    if outcome["accuracy"] is None:
        return None
    return f"{percent(outcome['accuracy'], 1)} of {count(outcome['labelled'])} labelled recordings right"


def _print(outcome: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    mended = ", ".join(f"{name} {count(n)}" for name, n in outcome["mended"].items()) or "nothing"
    facts = {
        "device": f"{outcome['port']}, build {outcome['build_id']}, learned state {outcome['state_id']}",
        "streamed": f"{count(outcome['events'])} events of {count(outcome['recordings'])} recordings, "
        f"{count(round(outcome['events_per_second']))} events/s",
        "labels": _right(outcome),
        "latency": f"{outcome['latency_ms_median']:.1f} ms, 99 %: {outcome['latency_ms_99']:.1f} ms",
        "lost": "nothing: every result arrived, digests agree",
        "mended": mended,
        "replayed": f"{outcome['resumed']} times",
    }
    print_facts({name: value for name, value in facts.items() if value is not None})
    if outcome["resumed"]:
        note(f"codegen: note: the link broke {outcome['resumed']} times; recordings were replayed")
