"""What can be streamed: sources of recordings, and cameras, by one name each.

======================================  ============================================================
``edvs:///dev/ttyUSB0?format=4``        a live eDVS camera; ``&baud=4000000``, ``&invert=1``
``edvs://capture.edvs?format=2``        the same bytes, recorded in a file
``genx320:///dev/ttyACM0``              rows of six 16-bit words as OpenMV's GenX320 gives them
``genx320://capture.npz``               such rows recorded: ``.npz`` (array ``events``), ``.npy``, or raw
======================================  ============================================================
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.link.run_results import NO_EVENTS
from feast_codegen.host.link.serial_port import Port, open_port
from feast_codegen.host.recordings.events import EventStream, check_events
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.reading import Reading
from feast_codegen.host.recordings.source import Source
from feast_codegen.host.streaming.cameras import EDVS_SENSOR, GENX320_SENSOR, EdvsDecoder, Genx320Decoder
from feast_codegen.host.streaming.streamer import Feed, Recorded

EDVS_BAUD: Final = 4_000_000
_READ_S: Final = 0.0
_OPEN_S: Final = 5.0


def recorded_feeds(
    spec: str,
    camera: Sensor,
    speed: float | None,
    limit: int | None,
    reading: Reading = Reading(),
    filters: Filters | None = None,
    opened: Callable[[Source], Source] = lambda source: source,
) -> Iterator[Feed]:
    """Recordings of a source, in order.

    `camera`: what the device takes. `filters`: of a model whose device leaves them to us; they come first.
    `opened` is given the source when it is open, and returns it.
    Raises FeastError if there is no such source, or its sensor is larger than the camera.
    """
    if filters:
        camera = filters.camera
    source = opened(open_source(spec, camera if Path(spec).exists() else None, reading=reading))
    if source.sensor.width > camera.width or source.sensor.height > camera.height:
        raise FeastError(f"{spec}: has a {source.sensor} sensor, the device is built for {camera}")
    if filters:
        source = source.filtered(filters)
    if limit is not None:
        source = source.pick(range(min(limit, len(source))))
    return (Recorded(stream, speed) for stream in source)


class Live:
    """A camera as a feed. ``dropped_events``: those outside the sensor or back in time, left out."""

    label = None
    replayable = False

    def __init__(
        self,
        name: str,
        port: Port,
        decode: Callable[[bytes], Events],
        camera: Sensor,
        seconds: float | None,
        filters: Filters | None = None,
    ) -> None:
        self.name = name
        self.dropped_events = 0
        self.stop = False
        """Set to end the stream."""
        self._port, self._decode, self._camera, self._seconds = port, decode, camera, seconds
        self._filter = EventFilter(filters) if filters else None
        self._last_us = 0

    def batches(self) -> Iterator[Events]:
        """What has come; empty where nothing has. Ends after `seconds`, and when `stop` is set."""
        limit = None if self._seconds is None else time.monotonic() + self._seconds
        while not self.stop and (limit is None or time.monotonic() < limit):
            data = self._port.read(_READ_S)
            yield self._good(self._decode(data)) if data else NO_EVENTS

    def _good(self, events: Events) -> Events:
        kept = events[(events["x"] < self._camera.width) & (events["y"] < self._camera.height)]
        if len(kept):
            latest = np.maximum(np.maximum.accumulate(kept["t_us"]), np.uint64(self._last_us))
            kept = kept[kept["t_us"] >= latest]
        self.dropped_events += len(events) - len(kept)
        if len(kept):
            self._last_us = int(kept["t_us"][-1])
        if self._filter is None:
            return kept
        passed = self._filter.classify(kept) == PASSED
        return self._filter.filters.downsampled(kept[passed])


@contextmanager
def live_feed(
    spec: str,
    camera: Sensor,
    seconds: float | None = None,
    speed: float | None = None,
    filters: Filters | None = None,
) -> Iterator[Any]:
    """The feed called `spec` (see the module's table) while the block runs.

    A capture in a file is given as a recording, at `speed`. Events off the device's `camera` are
    left out of a live source. `filters`: of a model whose device leaves them to us. Raises FeastError
    for an unknown name or option, or a port that cannot be opened.
    """
    scheme, _, rest = spec.partition("://")
    where, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    known = {"edvs": {"format", "invert", "baud"}, "genx320": {"invert", "baud"}}
    if scheme not in known or not where:
        raise FeastError(
            f"{spec}: unknown live source; known: edvs://PORT, genx320://PORT, or a file instead"
        )
    for name in options.keys() - known[scheme]:
        raise FeastError(f"{spec}: unknown option {name!r}; known: {', '.join(sorted(known[scheme]))}")
    invert = _number(spec, options, "invert", 0, 1)
    if scheme == "edvs":
        mode = _number(spec, options, "format", 4, 4)
        edvs = EdvsDecoder(mode, bool(invert))  # type: ignore[arg-type]
        decode, known_size = edvs.feed, EDVS_SENSOR
    else:
        decode, known_size = Genx320Decoder(bool(invert)).feed, GENX320_SENSOR
    if filters:
        camera = filters.camera
    path = Path(where)
    if path.is_file() and not stat.S_ISCHR(path.stat().st_mode):
        events = _read_capture(path, decode, Genx320Decoder(bool(invert)), scheme)
        check_events(events, filters.camera if filters else known_size, str(path))
        if filters:
            events = filters.downsampled(events[EventFilter(filters).classify(events) == PASSED])
        yield Recorded(EventStream(events, filters.sensor if filters else known_size, path.name, None), speed)
        return
    port = open_port(where, _number(spec, options, "baud", EDVS_BAUD, 100_000_000), _OPEN_S)
    try:
        if scheme == "edvs":
            port.write(f"!E{mode}\nE+\n".encode())
        yield Live(spec, port, decode, camera, seconds, filters)
        if scheme == "edvs":
            port.write(b"E-\n")
    finally:
        port.close()


def _read_capture(
    path: Path, decode: Callable[[bytes], Events], genx320: Genx320Decoder, scheme: str
) -> Events:
    if scheme == "genx320" and path.suffix in (".npz", ".npy"):
        try:
            loaded = np.load(path, allow_pickle=False)
            rows = loaded["events"] if path.suffix == ".npz" else loaded
        except (OSError, ValueError, KeyError) as error:
            raise FeastError(f"{path}: not a GenX320 capture: {error}") from None
        if rows.dtype != np.uint16 or rows.ndim != 2 or rows.shape[1] != 6:
            raise FeastError(f"{path}: events are {rows.dtype} {rows.shape}, expected uint16 (n, 6)")
        return genx320.decode(rows)
    return decode(path.read_bytes())


def _number(spec: str, options: dict[str, str], name: str, default: int, high: int) -> int:
    text = options.get(name, str(default))
    if not text.isdecimal() or int(text) > high:
        raise FeastError(f"{spec}: {name}={text}: expected a whole number, at most {high}")
    return int(text)
