"""`codegen stream`: events through a device, features back, in real time or as fast as it goes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.cli.emission_options import DeviceOptions, EmissionOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json
from feast_codegen.host.cli.reading_options import ReadingOptions, remembered
from feast_codegen.host.cli.shared_options import (
    JsonOption,
    MaxRecordingsOption,
    check_output,
)
from feast_codegen.host.link.clock import REAL, Clock
from feast_codegen.host.progress import note
from feast_codegen.host.text import count, percent, printable

if TYPE_CHECKING:
    from feast_codegen.codegen.model.model import Model

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
        "--model",
        metavar="MODEL",
        help="Model from which the device was built; with qemu:BOARD, it is built first.",
    ),
]
_SHORT_S: Final = 2.0
"""A shorter silence is not worth a line of its own."""
CameraOption = Annotated[
    str | None,
    typer.Option(
        "--camera", metavar="CAMERA", help="A camera instead of SOURCE: edvs://PORT or genx320://FILE."
    ),
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


def device_options(emission: EmissionOptions, model: Model | None) -> Options:
    """What the device was built with; without a model only whether it is to learn matters.

    Raises FeastError for options that need the model, or that do not suit it.
    """
    if model is not None:
        return emission.options(model)
    emission.require_none("name the model that the device was built from with --model", allowed={"learning"})
    return Options(emission.learning)


@with_option_groups
def stream(
    port: PortOption,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A file of events, or any source of several recordings."),
    ] = None,
    camera: CameraOption = None,
    model: StreamModelOption = None,
    *,
    emission: DeviceOptions,
    reset_to_model: Annotated[
        bool, typer.Option("--reset-to-model", help="Begin with the model's own weights and thresholds.")
    ] = False,
    use_device_state: Annotated[
        bool, typer.Option("--use-device-state", help="Continue from the state that the device has learned.")
    ] = False,
    speed: SpeedOption = "max",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT.npz", help="Write events and results to this file."),
    ] = None,
    max_recordings: MaxRecordingsOption = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", min=0.1, help="Stop a live source after S s.")
    ] = None,
    baud: BaudOption = 115_200,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> None:
    """Stream events through a device and receive its features.

    Every result arrives, in order, and equals the device's own digest, or the command fails and says what
    was lost. A device that restarts gets its learned state back and the recording is replayed.

    Example: codegen stream --port qemu:mps2_an386 --model model.npz 'sim:digits?count=5' --speed real
    """
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.boards.connect import device_at, require_state
    from feast_codegen.host.streaming.inputs import live_feed, recorded_feeds
    from feast_codegen.host.streaming.recorder import Recorder
    from feast_codegen.host.streaming.streamer import Feed, Finished, Streamer

    if (source is None) == (camera is None):
        raise FeastError("name either a SOURCE of recordings or a live one with --camera")
    pace = parse_speed(speed)
    if output is not None:
        check_output(output)
    network = load_model(model) if model is not None else None
    options = device_options(emission, network)
    ours = network.input_filters if network is not None and not options.filters else None
    with ExitStack() as stack:
        status = stack.enter_context(_Status())
        connect = stack.enter_context(
            device_at(port, model=network, options=options, baud=baud, on_wait=status.waiting)
        )
        streamer = Streamer(connect, learning=options.learning, initialise=reset_to_model)
        status.streamer = streamer
        stack.callback(streamer.close)
        hello = streamer.link.hello
        if network is not None and not reset_to_model and not use_device_state:
            require_state(streamer.link)
        feeds: Iterator[Feed]
        if camera is not None:
            feed = stack.enter_context(live_feed(camera, hello.camera, seconds, pace, ours))
            if not feed.replayable:
                stack.enter_context(_interrupt_ends(feed))
            feeds = iter([feed])
        else:
            assert source is not None
            feeds = recorded_feeds(
                source, hello.camera, pace, max_recordings, reading.reading(), ours, remembered
            )
        recorder = stack.enter_context(Recorder(output)) if output is not None else None
        readout = network.readout if network is not None else None
        tally = _Tally(readout.labels if readout else ())
        for piece in streamer.stream(feeds):
            if isinstance(piece, Finished):
                tally.finished(piece, streamer.link.latency)
                if hello.classes and not as_json:
                    status.clear()
                    label = tally.labels[piece.name] or "no label, no feature won"
                    print(printable(f"{piece.name}: {label}"))
                if recorder is not None:
                    recorder.end_recording(piece.name)
                continue
            tally.events += len(piece.chunk)
            if recorder is not None:
                recorder.add(piece.chunk)
            status.show(tally.events)
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
    """What is going on: one line on a terminal's stderr, else a line of its own every few seconds.

    Events, rate, latency, what was lost and recovered; or what the command waits for, and since when.
    """

    def __init__(self, clock: Clock = REAL) -> None:
        self.streamer: Any = None
        """Set once there is one."""
        self._clock = clock
        self._terminal = sys.stderr.isatty()
        self._every_s = 0.25 if self._terminal else 4.0
        self._events = self._shown_events = 0
        self._shown_at = clock.now()
        self._what = ""

    def __enter__(self) -> _Status:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away, for other output."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, events: int) -> None:
        """There are so many events now. Brings the line up to date where that is due."""
        self._events = events
        self._what = ""
        if self._is_due():
            self._print(self._progress())

    def waiting(self, what: str, for_s: float) -> None:
        """Nothing has come for `for_s` seconds. An OnWait; what is new is shown at once."""
        new = for_s >= _SHORT_S and what != self._what
        if new:
            self._what = what
        if self._is_due() or new:
            self._print(f"{count(self._events)} events  {what} for {for_s:.0f} s")

    def _is_due(self) -> bool:
        return self._clock.now() - self._shown_at >= self._every_s

    def _progress(self) -> str:
        now, link = self._clock.now(), self.streamer.link
        rate = (self._events - self._shown_events) / max(now - self._shown_at, 1e-9)
        recovered = sum(link.losses.values()) + sum(
            n for name, n in self.streamer.totals.items() if not name.endswith("_frames")
        )
        return (
            f"{count(self._events)} events  {count(round(rate))} events/s  latency "
            f"{1e3 * link.latency.percentile(50):.1f} ms  recovered {count(recovered)}  "
            f"replayed {self.streamer.resumed}"
        )

    def _print(self, line: str) -> None:
        self._shown_at, self._shown_events = self._clock.now(), self._events
        if self._terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        else:
            note(f"codegen: {line}")


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
            "recovered": losses,
        }


def _right(outcome: dict[str, Any]) -> str | None:
    """How many recordings got the label that their source gives them; None where the labels are unknown."""
    if outcome["accuracy"] is None:
        return None
    return f"{percent(outcome['accuracy'], 1)} of {count(outcome['labelled'])} labelled recordings right"


def _print(outcome: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    recovered = ", ".join(f"{name} {count(n)}" for name, n in outcome["recovered"].items()) or "nothing"
    facts = {
        "device": f"{outcome['port']}, build {outcome['build_id']}, learned state {outcome['state_id']}",
        "streamed": f"{count(outcome['events'])} events of {count(outcome['recordings'])} recordings, "
        f"{count(round(outcome['events_per_second']))} events/s",
        "labels": _right(outcome),
        "latency": f"{outcome['latency_ms_median']:.1f} ms, 99 %: {outcome['latency_ms_99']:.1f} ms",
        "lost": "nothing: every result arrived, digests agree",
        "recovered": recovered,
        "replayed": f"{outcome['resumed']} times",
    }
    print_facts({name: value for name, value in facts.items() if value is not None})
    if outcome["resumed"]:
        note(f"codegen: note: the link broke {outcome['resumed']} times; recordings were replayed")
