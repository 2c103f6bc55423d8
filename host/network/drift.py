"""A converged network meets new recordings: has what it sees changed?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Model
from feast_codegen.host.network.convergence import CALIBRATION, DRIFT_WINDOW, Drift, DriftDetector
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.training import Learner
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.recordings.open import Source


@dataclass(frozen=True)
class DriftReport:
    """What the detector said. Events are compared ones, in whole windows of the detector."""

    calibrated_on: int
    """Events that said what is usual."""
    false_alarm: Drift | None
    """An alarm over the rest of the known recordings."""
    watched: int
    """Events of both parts since the calibration."""
    alarm: Drift | None
    """The first alarm of all."""
    events_until: int | None
    """Events of the new recordings until the alarm; None without one, or if it was a false one."""


def look_for_drift(
    model: Model,
    known: Source,
    new: Source,
    *,
    calibration: int = CALIBRATION,
    progress: Progress = silent,
) -> DriftReport:
    """Let the network go on learning, first on `known` recordings (what is usual), then on `new` ones.

    Raises FeastError if the known recordings are too few for the calibration.
    """
    detector = DriftDetector(model.params.total_features, calibration=calibration)
    net = FloatFeast(model, learning=True)
    total = len(known) + len(new)
    feed(detector, net, known, progress, 0, total)
    if not detector.calibrated:
        raise FeastError(
            f"{known.spec}: too few events to know what is usual: {calibration} windows of {DRIFT_WINDOW} "
            f"are needed; give more recordings or a smaller calibration"
        )
    false_alarm, before = detector.alarm, detector.windows * DRIFT_WINDOW
    feed(detector, net, new, progress, len(known), total)
    alarm = detector.alarm
    until = None if alarm is None or false_alarm is not None else alarm.events - before
    return DriftReport(calibration * DRIFT_WINDOW, false_alarm, detector.windows * DRIFT_WINDOW, alarm, until)


def feed(
    detector: DriftDetector,
    net: Learner,
    streams: Iterable[EventStream],
    progress: Progress = silent,
    done: int = 0,
    total: int = 0,
) -> None:
    """Step recordings in chunks that end where the detector's windows do."""
    for index, stream in enumerate(streams, start=1):
        net.reset()
        start = 0
        while start < stream.events.size:
            chunk = stream.events[start : start + detector.remaining]
            start += chunk.size
            detector.update(net.step(chunk), net.thresholds)
        progress(done + index, total)
