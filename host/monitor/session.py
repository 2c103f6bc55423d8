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
from pathlib import Path
from typing import Any, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.fixed_point.state_layout import score_words
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import name_of
from feast_codegen.host.link.run_results import NO_EVENTS, ResultChunk
from feast_codegen.host.link.serial_port import LinkError
from feast_codegen.host.monitor.orders import Orders
from feast_codegen.host.monitor.pictures import (
    DRAWN_EVENTS,
    SignalView,
    feature_pictures,
    look,
    picture_side,
    surfaces_of,
    thinned,
    weight_scale,
    weight_words,
)
from feast_codegen.host.monitor.recording import Recording, RecordingError, free_name
from feast_codegen.host.monitor.vitals import Vitals
from feast_codegen.host.recordings.events import Label
from feast_codegen.host.streaming.learned_state import from_words
from feast_codegen.host.streaming.streamer import Feed, Finished, Streamer

_SHARE: Final = 5
"""A question that took a second is asked again after this many."""
_SIGNALS_S, _SURFACE_S, _FEATURES_S = 0.25, 0.25, 1.0
_SHOWN_WORDS: Final = 20_000
"""A longer surface, or longer features, are not fetched: they would keep the line from the events."""
WORKER_S: Final = 0.6
"""Limit for the worker to stop at its next piece; then the port is closed under it."""
BROKEN_S: Final = 0.3
"""Limit for the worker to stop after that; then it is left behind, to end with the process."""


class RefusedError(FeastError):
    """An order that cannot be carried out. Nothing is lost: the page shows why, and the monitor goes on."""


class Session(threading.Thread):
    """``version`` grows whenever there is something new; `view` is what the page is sent."""

    def __init__(
        self,
        streamer: Streamer,
        feeds: Callable[[], Iterator[Feed]],
        model: Model | None,
        folder: Path,
        options: Options = Options(),
        line_bytes_per_s: float | None = None,
    ) -> None:
        """feeds: gives the feeds from the beginning. model: of the device, if known. folder: for files.

        options: of emission, what the model was made into. line_bytes_per_s: what the line carries each way.
        """
        super().__init__(daemon=True, name="monitor")
        self.version = 0
        self.error: Exception | None = None
        """Why the worker has ended, if not by `close`."""
        self._streamer, self._feeds, self._model, self._folder = streamer, feeds, model, folder
        self._options = options
        self._lock = threading.Lock()
        self._orders = Orders()
        self._halt = self._paused = self._cut = self._broken = False
        self._recording = Recording(folder, streamer.link.hello.build_id)
        self._unanswered_after: int | None = None
        self._due = {"signals": 0.0, "surface": 0.0, "features": 0.0}
        self._recent: deque[ResultChunk] = deque()
        self._recent_events = 0
        self._events = 0
        self._began = (time.monotonic(), 0)
        self._signal_view = SignalView()
        self._vitals = Vitals(line_bytes_per_s)
        hello = streamer.link.hello
        self._surfaces = surfaces_of(hello, model)
        self._surface_words = self._surfaces * hello.sensor.width * hello.sensor.height
        self._score_words = score_words(hello.classes)
        readout = model.readout if model is not None and hello.classes else None
        self._labels = readout.labels if readout else tuple(f"class {n}" for n in range(hello.classes))
        self._weight_words = weight_words(hello, model)
        self._weight_scale = weight_scale(model, options)
        self._fixed = self._describe()
        self._view: dict[str, Any] = {"device": self._fixed, "events": 0, "note": ""}

    # --- for the server ---

    def view(self) -> dict[str, Any]:
        """A copy of all there is to show, for JSON."""
        with self._lock:
            return dict(self._view)

    def order(self, what: str) -> bool:
        """Ask for pause, resume, record, stop, learn, freeze or save; False for anything else.

        It is carried out between two exchanges, unless an order of the same kind comes before that.
        """
        return self._orders.put(what)

    @property
    def recording(self) -> str | None:
        """Name of the file that is being recorded, if there is one."""
        return self._recording.name

    def close(self, worker_s: float = WORKER_S, broken_s: float = BROKEN_S) -> Path | None:
        """End the thread within the two limits, and save what is being recorded; returns its path.

        Saving may take longer. Raises what has failed meanwhile: a recording that cannot be saved, for one.
        """
        reported = self.error  # the caller knows it already
        self._halt = self._cut = True
        self.join(worker_s)
        if self.is_alive():
            self._broken = True  # the worker waits for the device
            self._streamer.close()
            self.join(broken_s)
        saved = None
        try:
            saved = self._recording.save()
        except FeastError as error:
            self.error = self.error or error
        self._show(note=_reason(self.error) if self.error else "the monitor has ended", state="stopped")
        if self.error is not None and reported is None:
            raise self.error
        return saved

    # --- the thread ---

    def run(self) -> None:
        try:
            while not self._halt:
                self._play_all()
        except Exception as error:  # the command raises it again, in its own thread
            if isinstance(error, RecordingError) or not (self._broken or self._is_expected(error)):
                self.error = error
                self._show(note=_reason(error), state="stopped")

    def _is_expected(self, error: Exception) -> bool:
        """The device may stop answering while the session ends anyway."""
        return self._halt and isinstance(error, LinkError)

    def _play_all(self) -> None:
        """Stream every feed once."""
        count = 0
        for piece in self._streamer.stream(self._pausable(feed) for feed in self._feeds()):
            count += 1
            self._take(piece)
            if self._halt:
                return
        if not count:
            raise FeastError("the source has no recordings: nothing to show")

    def _pausable(self, feed: Feed) -> Feed:
        self._vitals.lag.begin(getattr(feed, "speed", 1.0))  # a camera has the pace of its clock
        return _Pausable(feed, self)

    def _take(self, piece: Any) -> None:
        if isinstance(piece, Finished):
            self._cut = False
            self._recording.end_recording(piece.name)
            counters = {name: n for name, n in self._streamer.totals.items() if n}
            self._show(
                totals=counters,
                recording=piece.name,
                recording_label=name_of(self._labels, piece.summary.label) if self._labels else None,
            )
            return
        chunk = piece.chunk
        self._vitals.took(chunk)
        if len(chunk):
            self._events += len(chunk)
            self._recent.append(chunk)
            self._recent_events += len(chunk)
            while self._recent_events - len(self._recent[0]) > 20 * DRAWN_EVENTS:
                self._recent_events -= len(self._recent.popleft())
            self._recording.add(chunk)
        try:
            self._carry_out()
            self._ask()
        except LinkError as error:
            self._unanswered(error)

    def _unanswered(self, error: LinkError) -> None:
        """A question has failed: the run finds out why, and begins again where it can; but only once."""
        if self._unanswered_after == self._streamer.resumed:
            raise error
        self._unanswered_after = self._streamer.resumed
        self._show(note=str(error))

    def _carry_out(self) -> None:
        """Carry out one order, if one is due: however many come, the stream goes on."""
        what = self._orders.take()
        if what is None:
            return
        began = time.monotonic()
        try:
            self._do(what)
        except RefusedError as error:
            self._show(note=str(error))
        finally:
            self._orders.carried_out(what, began)

    def _do(self, what: str) -> None:
        note: dict[str, str] = {}
        if what in ("pause", "resume"):
            self._paused = what == "pause"
            self._due = dict.fromkeys(self._due, 0.0)
            self._ask()
        elif what in ("learn", "freeze"):
            if what == "learn" and not self._fixed["learning"]:
                raise RefusedError("this device was built without learning")
            if self._streamer.learning != (what == "learn"):
                self._streamer.learning = what == "learn"
                self._cut = True
        elif what == "record":
            saved = self._recording.save()
            note = {"note": f"saved {saved.name}" if saved else ""}
            try:
                self._recording.begin()
            except FeastError as error:
                raise RefusedError(str(error)) from None
        elif what == "stop":
            saved = self._recording.save()
            note = {"note": f"saved {saved.name}"} if saved else {}
        elif what == "save":
            note = {"note": f"saved {self._save().name}"}
        self._show(**note)

    def _save(self) -> Path:
        """Write what the device has learned to a model file."""
        if self._model is None:
            raise RefusedError("start the monitor with --model to save what the device has learned")
        words = self._streamer.link.read_state()
        path = free_name(self._folder, "learned")
        try:
            save_model(from_words(words, self._model, self._options), path)
        except FeastError as error:
            raise RefusedError(str(error)) from None
        return path

    # --- what is shown ---

    def _describe(self) -> dict[str, Any]:
        hello = self._streamer.link.hello
        params = self._model.params if self._model is not None else None
        return {
            "port": self._streamer.link.name,
            "build_id": hello.build_id,
            "sensor": [hello.sensor.width, hello.sensor.height],
            "features": hello.features,
            "side": picture_side(hello, self._model),
            "surfaces": self._surfaces,
            "learning": hello.learning,
            "labels": self._labels,
            "law": None if params is None else params.law_miss_rate,
            **look(hello, self._model),
        }

    def _ask(self) -> None:
        """Ask the device what is due, rarely enough."""
        now = time.monotonic()
        shown: dict[str, Any] = {}
        link = self._streamer.link
        if now >= self._due["signals"]:
            signals = link.signals()
            shown |= self._signal_view.take(signals) | {"counters": dict(link.counters())}
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
            shown |= self._vitals.view(link)
            self._unanswered_after = None
            self._show(**shown, drawn=self._thinned(), losses=dict(link.losses))

    def _wait(self, what: str, began: float, least_s: float) -> None:
        now = time.monotonic()
        self._due[what] = now + max(least_s, _SHARE * (now - began))

    def _surface(self) -> str:
        """The device's own surface: int16 values as base64, surface after surface."""
        link, count = self._streamer.link, self._surface_words
        words = link.read_state(link.hello.snapshot_words - self._score_words - count, count)
        return base64.b64encode(words.astype("<u2").tobytes()).decode()

    def _weights(self) -> str:
        """Pictures of the features as base64, int16, one after the other: the device's own weights in Q15.

        Of a second layer: what they look for in pixels, each to its own scale.
        """
        link = self._streamer.link
        words = link.read_state(0, self._weight_words) * self._weight_scale
        return feature_pictures(words, self._model if link.hello.layered else None)

    def _thinned(self) -> list[list[int]]:
        """Of the events since the last picture, those to draw."""
        chunks = [chunk for chunk in self._recent if len(chunk)]
        self._recent.clear()
        self._recent_events = 0
        return thinned(chunks, self._streamer.link.hello.downsample)

    def _show(self, **values: Any) -> None:
        state = "paused" if self._paused else "learning" if self._streamer.learning else "running"
        fixed = {
            "events": self._events,
            "state": state,
            "learning": self._streamer.learning,
            "recording_to": self._recording.name,
            "resumed": self._streamer.resumed,
        }
        with self._lock:
            self._view = {**self._view, **fixed, **values}
            self.version += 1


def _reason(error: Exception) -> str:
    """For the page."""
    kind = "" if isinstance(error, FeastError) else f"{type(error).__name__}: "
    return f"stopped: {kind}{error}"


class _Pausable:
    """A feed that falls silent while the session is paused and ends when it is cut."""

    def __init__(self, feed: Feed, session: Session) -> None:
        self._feed, self._session = feed, session

    @property
    def name(self) -> str:
        return self._feed.name

    @property
    def label(self) -> Label | None:
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
