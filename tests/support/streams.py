"""Recordings through a `Streamer`, and what the twin makes of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.streaming.streamer import Finished, Recorded, Streamer
from tests.support.networks import make_events

SENSOR: Final = Sensor(34, 34)
PATIENT_S: Final = 20.0
"""How long nothing may happen. Only what never ends lasts as long, even on a machine with other work."""
DAMAGE: Final = ("bad_crc", "bad_frame", "too_long")
"""Counters of frames that arrived damaged."""


def recordings(seed: int, sizes: list[int]) -> list[Events]:
    return [make_events(size, SENSOR, seed + i) for i, size in enumerate(sizes)]


def expected(model: Model, streams: list[Events], learning: bool) -> tuple[list[Results], int]:
    twin = Twin(quantise(model)[0], Options(learning=True))
    twin.set_learning(learning)
    results = []
    for events in streams:
        twin.reset()
        results.append(twin.step(events))
    return results, messages.snapshot_digest(twin.learned())


def stream_all(streamer: Streamer, streams: list[Events]) -> tuple[list[Results], int]:
    results: list[list[Results]] = [[] for _ in streams]
    state_id = 0
    feeds = (Recorded(EventStream(events, SENSOR, f"r{i}", None)) for i, events in enumerate(streams))
    for piece in streamer.stream(feeds):
        if isinstance(piece, Finished):
            state_id = piece.summary.state_id
            digest = messages.result_digest(np.concatenate(results[piece.recording]))
            assert digest == piece.summary.result_digest
        else:
            assert piece.chunk.first == sum(map(len, results[piece.recording]))
            assert (
                piece.chunk.events == streams[piece.recording][piece.chunk.first :][: len(piece.chunk)]
            ).all()
            results[piece.recording].append(piece.chunk.results)
    return [np.concatenate(parts) for parts in results], state_id
