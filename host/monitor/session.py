"""Streams feeds through a device in a thread of its own, and keeps what the page shows.

Everything is processed; what is *drawn* is thinned out here: of the events of a picture at most
`DRAWN_EVENTS`, and the device is asked for its state no more often than leaves the link to the events.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from codegen.errors import FeastError
from codegen.model import Model
from codegen.model_file import save_model
from codegen.readout import name_of
from codegen.records import Events
from codegen.snapshot import score_words
from host.drawing.receptive_fields import receptive_field
from host.hello import Hello
from host.learned import model_of
from host.questions import DeviceSignals
from host.recorder import Recorder
from host.results import NO_EVENTS, Stretch
from host.streaming import Feed, Finished, Streamer

DRAWN_EVENTS: Final = 1500
_SHARE: Final = 5
"""A question that took a second is asked again after this many."""
_SIGNALS_S, _SURFACE_S, _FEATURES_S = 0.25, 0.25, 1.0
_HISTORY: Final = 600
_INT16_MOST: Final = 32767
_SHOWN_WORDS: Final = 20_000
"""A longer surface, or longer features, are not fetched: they would keep the line from the events."""


class Session(threading.Thread):
    """``version`` grows whenever there is something new; `view` is what the page is sent."""

    def __init__(
        self, streamer: Streamer, feeds: Callable[[], Iterator[Feed]], model: Model | None, folder: Path
    ) -> None:
        """feeds: gives the feeds from the beginning. model: of the device, if known. folder: for files."""
        super().__init__(daemon=True, name="monitor")
        self.version = 0
        self.failure: str | None = None
        self._streamer, self._feeds, self._model, self._folder = streamer, feeds, model, folder
        self._lock = threading.Lock()
        self._orders: deque[str] = deque()
        self._halt = self._paused = self._cut = False
        self._recorder: Recorder | None = None
        self._record_path: Path | None = None
        self._due = {"signals": 0.0, "surface": 0.0, "features": 0.0}
        self._recent: deque[Stretch] = deque()
        self._recent_events = 0
        self._events = 0
        self._began = (time.monotonic(), 0)
        self._misses: deque[tuple[int, float]] = deque(maxlen=_HISTORY)
        self._last_signals: DeviceSignals | None = None
        hello = streamer.link.hello
        self._surfaces = _surfaces_of(hello, model)
        self._surface_words = self._surfaces * hello.sensor.width * hello.sensor.height
        self._score_words = score_words(hello.classes)
        readout = model.readout if model is not None and hello.classes else None
        self._labels = readout.labels if readout else tuple(f"class {n}" for n in range(hello.classes))
        self._weight_words = _weight_words(hello, model)
        self._fixed = self._describe()
        self._view: dict[str, Any] = {"device": self._fixed, "events": 0, "note": ""}

    # --- for the server ---

    def view(self) -> dict[str, Any]:
        """A copy of all there is to show, for JSON."""
        with self._lock:
            return dict(self._view)

    def order(self, what: str) -> None:
        """pause, resume, record, stop, learn, freeze or save; carried out between two exchanges."""
        with self._lock:
            self._orders.append(what)

    def close(self) -> None:
        """End the thread."""
        self._halt = self._cut = True
        self.join(10)
        self._stop_recording()

    # --- the thread ---

    def run(self) -> None:
        try:
            while not self._halt:
                for piece in self._streamer.stream(self._pausable(feed) for feed in self._feeds()):
                    self._take(piece)
                    if self._halt:
                        return
        except FeastError as error:
            self.failure = str(error)
            self._show(note=f"stopped: {error}", state="stopped")

    def _pausable(self, feed: Feed) -> Feed:
        return _Pausable(feed, self)

    def _take(self, piece: Any) -> None:
        if isinstance(piece, Finished):
            self._cut = False
            if self._recorder is not None:
                self._recorder.end_recording(piece.name)
            counters = {name: n for name, n in self._streamer.totals.items() if n}
            self._show(
                totals=counters,
                recording=piece.name,
                recording_label=name_of(self._labels, piece.summary.label) if self._labels else None,
            )
            return
        stretch = piece.stretch
        if len(stretch):
            self._events += len(stretch)
            self._recent.append(stretch)
            self._recent_events += len(stretch)
            while self._recent_events - len(self._recent[0]) > 20 * DRAWN_EVENTS:
                self._recent_events -= len(self._recent.popleft())
            if self._recorder is not None:
                self._recorder.add(stretch)
        self._carry_out()
        self._ask()

    def _carry_out(self) -> None:
        while True:
            with self._lock:
                if not self._orders:
                    return
                what = self._orders.popleft()
            try:
                self._do(what)
            except FeastError as error:
                self._show(note=str(error))

    def _do(self, what: str) -> None:
        if what in ("pause", "resume"):
            self._paused = what == "pause"
            self._due = dict.fromkeys(self._due, 0.0)
            self._ask()
        elif what in ("learn", "freeze"):
            if what == "learn" and not self._fixed["learning"]:
                raise FeastError("this device was built without learning")
            self._streamer.learning = what == "learn"
            self._cut = True
        elif what == "record":
            self._stop_recording()
            self._record_path = self._free_name("recording")
            self._recorder = Recorder(self._record_path)
        elif what == "stop":
            self._stop_recording()
        elif what == "save":
            if self._model is None:
                raise FeastError("start the monitor with --model to save what the device has learned")
            path = self._free_name("learned")
            save_model(model_of(self._streamer.link.read_state(), self._model), path)
            self._show(note=f"saved {path.name}")
        self._show()

    def _stop_recording(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None and self._record_path is not None:
            with recorder:
                recorder.end_recording("monitor")
                recorder.save({"build_id": self._fixed["build_id"]})
            self._show(note=f"saved {self._record_path.name}")

    def _free_name(self, kind: str) -> Path:
        numbers = (self._folder / f"{kind}-{i}.npz" for i in range(1, 1_000_000))
        return next(path for path in numbers if not path.exists())

    # --- what is shown ---

    def _describe(self) -> dict[str, Any]:
        hello = self._streamer.link.hello
        params = self._model.params if self._model is not None else None
        return {
            "port": self._streamer.link.name,
            "build_id": hello.build_id,
            "sensor": [hello.sensor.width, hello.sensor.height],
            "features": hello.features,
            "side": _picture_side(hello, self._model),
            "surfaces": self._surfaces,
            "learning": hello.learning,
            "labels": self._labels,
            "law": None if params is None else params.law_miss_rate,
        }

    def _ask(self) -> None:
        """Ask the device what is due, rarely enough."""
        now = time.monotonic()
        shown: dict[str, Any] = {}
        link = self._streamer.link
        if now >= self._due["signals"]:
            signals = link.signals()
            shown |= self._signals(signals) | {"counters": dict(link.counters())}
            if self._labels:
                found = link.scores()
                # As text: a page's numbers are exact up to 2^53 only.
                shown |= {"scores": [str(score) for score in found.scores], "label": found.label}
            self._wait("signals", now, _SIGNALS_S)
        if now >= self._due["surface"] and 0 < self._surface_words <= _SHOWN_WORDS:
            began = time.monotonic()
            shown["surface"] = self._surface()
            self._wait("surface", began, _SURFACE_S)
        if now >= self._due["features"] and 0 < self._weight_words <= _SHOWN_WORDS:
            began = time.monotonic()
            shown["weights"] = self._weights()
            self._wait("features", began, _FEATURES_S)
        if shown:
            began, events = self._began
            elapsed = time.monotonic() - began
            if elapsed > 1.0:
                self._began = (time.monotonic(), self._events)
                shown["rate"] = (self._events - events) / elapsed
            with suppress(ValueError):
                shown["latency_ms"] = round(1e3 * link.latency.percentile(50), 2)
            if shown.get("latency_ms") != shown.get("latency_ms"):
                shown["latency_ms"] = None
            self._show(**shown, drawn=self._thinned(), losses=dict(link.losses))

    def _wait(self, what: str, began: float, least_s: float) -> None:
        now = time.monotonic()
        self._due[what] = now + max(least_s, _SHARE * (now - began))

    def _signals(self, signals: DeviceSignals) -> dict[str, Any]:
        before, self._last_signals = self._last_signals, signals
        compared = signals.hits + signals.misses
        if before is None or compared < before.hits + before.misses:
            self._misses.clear()
        else:
            fresh = compared - before.hits - before.misses
            if fresh:
                self._misses.append((compared, (signals.misses - before.misses) / fresh))
        names = (
            "hits",
            "misses",
            "border",
            "outside",
            "backwards",
            "filtered",
            "last_window_misses",
            "event",
        )
        return {
            "signals": {name: getattr(signals, name) for name in names},
            "thresholds": [round(float(value), 6) for value in signals.thresholds],
            "wins": signals.wins.tolist(),
            "misses": list(self._misses),
        }

    def _surface(self) -> str:
        """The device's own surface: int16 values as base64, surface after surface."""
        link, count = self._streamer.link, self._surface_words
        words = link.read_state(link.hello.snapshot_words - self._score_words - count, count)
        return base64.b64encode(words.astype("<u2").tobytes()).decode()

    def _weights(self) -> str:
        """Pictures of the features as base64, int16, one after the other: the device's own Q15 weights.

        Of a second layer: what they look for in pixels, each to its own scale.
        """
        words = self._streamer.link.read_state(0, self._weight_words).astype("<u2")
        if self._streamer.link.hello.layered and self._model is not None:
            weights = words.view("<i2").reshape(self._model.params.features, -1).astype(np.float64)
            fields = np.stack([receptive_field(self._model, each) for each in weights])
            most = np.abs(fields).max(axis=(1, 2), keepdims=True)
            words = np.rint(fields * (_INT16_MOST / np.maximum(most, 1.0))).astype("<i2").view("<u2")
        return base64.b64encode(words.tobytes()).decode()

    def _thinned(self) -> list[list[int]]:
        """[x, y, result] in pixels of the network: every so many of the events since the last picture."""
        stretches = [stretch for stretch in self._recent if len(stretch)]
        self._recent.clear()
        self._recent_events = 0
        if not stretches:
            return []
        events = np.concatenate([stretch.events for stretch in stretches])
        results = np.concatenate([stretch.results for stretch in stretches])
        step = -(-len(events) // DRAWN_EVENTS)
        chosen = slice(len(events) - 1, None, -step)
        shift = self._streamer.link.hello.downsample
        columns = (events["x"][chosen] >> shift, events["y"][chosen] >> shift, results[chosen])
        drawn: list[list[int]] = np.stack([c.astype(np.int64) for c in columns], axis=1).tolist()
        return drawn

    def _show(self, **values: Any) -> None:
        state = "paused" if self._paused else "learning" if self._streamer.learning else "running"
        fixed = {
            "events": self._events,
            "state": state,
            "recording_to": None
            if self._recorder is None
            else str(self._record_path and self._record_path.name),
            "resumed": self._streamer.resumed,
        }
        with self._lock:
            self._view = {**self._view, **fixed, **values}
            self.version += 1


def _surfaces_of(hello: Hello, model: Model | None) -> int:
    """Surfaces at the end of the state, before the scores; 0 if unknown: a device tells its last layer's."""
    if not hello.layered:
        return hello.banks
    return model.lower.params.surfaces if model is not None and model.lower is not None else 0


def _weight_words(hello: Hello, model: Model | None) -> int:
    """Words of the features' weights; 0 if unknown: a device does not tell how many features are below."""
    if not hello.layered:
        return hello.features * (2 * hello.radius + 1) ** 2
    return model.weights.size if model is not None else 0


def _picture_side(hello: Hello, model: Model | None) -> int:
    """Pixels that a feature's picture is wide."""
    below = model.lower.params.radius if hello.layered and model is not None and model.lower else 0
    return 2 * (hello.radius + below) + 1


class _Pausable:
    """A feed that falls silent while the session is paused and ends when it is cut."""

    def __init__(self, feed: Feed, session: Session) -> None:
        self._feed, self._session = feed, session

    @property
    def name(self) -> str:
        return self._feed.name

    @property
    def label(self) -> int | None:
        return self._feed.label

    @property
    def replayable(self) -> bool:
        return self._feed.replayable

    def batches(self) -> Iterator[Events]:
        for batch in self._feed.batches():
            while self._session._paused and not self._session._cut:
                yield NO_EVENTS
            if self._session._cut:
                return
            yield batch
