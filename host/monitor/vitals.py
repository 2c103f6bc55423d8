"""How the stream keeps up: its lag behind real time, its latencies, and what the line carries."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from feast_codegen.host.link.run_results import Latency, ResultChunk

LATENCY_EDGES_MS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
"""Bounds of the bars of the histogram; what is outside counts in the first or the last."""
_KEPT: Final = 5000
_TRAFFIC_S: Final = 1.0


class Lag:
    """How late events come back, against a stream in real time: at its start it has no lag."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._speed: float | None = None
        self._least: float | None = None
        self.seconds: float | None = None
        """Of the last events; None where the stream has no pace of its own, or nothing has come."""

    def begin(self, speed: float | None) -> None:
        """A stream begins, `speed` times as fast as real time; None: as fast as the device takes it."""
        self._speed, self._least, self.seconds = speed, None, None

    def took(self, t_us: int) -> None:
        """The result of the event of this time has come."""
        if self._speed is None:
            return
        ahead = self._clock() - t_us / 1e6 / self._speed
        self._least = ahead if self._least is None else min(self._least, ahead)
        self.seconds = ahead - self._least


class LatencyView:
    """The last latencies of a session, over the ends of recordings."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=_KEPT)
        self._of: Latency | None = None
        self._seen = 0

    def take(self, latency: Latency) -> None:
        """What has come since the last time; every run of a link has a `Latency` of its own."""
        if latency is not self._of:
            self._of, self._seen = latency, 0
        fresh, self._seen = latency.since(self._seen)
        self._kept.extend(fresh)

    def view(self) -> dict[str, Any] | None:
        """Percentiles in ms and a histogram (a count for each pair of LATENCY_EDGES_MS); None if empty."""
        if not self._kept:
            return None
        ms = 1e3 * np.array(self._kept)
        inside = np.clip(ms, LATENCY_EDGES_MS[0], LATENCY_EDGES_MS[-1])
        return {
            "median": round(float(np.median(ms)), 2),
            "p90": round(float(np.percentile(ms, 90)), 2),
            "p99": round(float(np.percentile(ms, 99)), 2),
            "largest": round(float(ms.max()), 2),
            "samples": ms.size,
            "edges": LATENCY_EDGES_MS,
            "counts": np.histogram(inside, LATENCY_EDGES_MS)[0].tolist(),
        }


class Traffic:
    """Bytes per second of the line, each way, over about the last second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: tuple[float, int, int] | None = None
        self._rates: dict[str, float] | None = None

    def take(self, sent: int, received: int) -> dict[str, float] | None:
        """The line has carried so many bytes since it was opened; None until there is a rate."""
        now = self._clock()
        if self._since is None or sent < self._since[1] or received < self._since[2]:  # opened again
            self._since, self._rates = (now, sent, received), None
        elapsed = now - self._since[0]
        if elapsed >= _TRAFFIC_S:
            self._rates = {
                "out": (sent - self._since[1]) / elapsed,
                "in": (received - self._since[2]) / elapsed,
            }
            self._since = (now, sent, received)
        return self._rates


class Vitals:
    """All of it for the page. ``line_bytes_per_s``: what the line can carry each way, if that is known."""

    def __init__(self, line_bytes_per_s: float | None) -> None:
        self.lag = Lag()
        self._line, self._latency, self._traffic = line_bytes_per_s, LatencyView(), Traffic()

    def took(self, chunk: ResultChunk) -> None:
        """Results have come."""
        if len(chunk):
            self.lag.took(int(chunk.events["t_us"][-1]))

    def view(self, link: Any) -> dict[str, Any]:
        """As JSON."""
        self._latency.take(link.latency)
        return {
            "lag_s": None if self.lag.seconds is None else round(self.lag.seconds, 3),
            "latency": self._latency.view(),
            "traffic": self._traffic.take(link.sent_bytes, link.received_bytes),
            "line": self._line,
        }
