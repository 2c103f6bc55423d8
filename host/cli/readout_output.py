"""What `train` and `verify` print of a readout, for people and as JSON."""

from __future__ import annotations

import math
from typing import Final

from feast_codegen.host.evaluation.fit_fading import FittedFading, LiveAccuracy
from feast_codegen.host.evaluation.fit_readout import FittedReadout
from feast_codegen.host.evaluation.live import LiveScore, wilson
from feast_codegen.host.text import count, percent

_UNKNOWN: Final = "accuracy unknown: a class comes from one group of recordings alone"


def readout_values(fitted: FittedReadout | FittedFading | None) -> dict[str, object]:
    """Fields of `--json`; null without a readout. Class scores, which need a reset, have no live figures."""
    live: dict[str, object] = {"live_accuracy": None, "live_time_right": None}
    if fitted is None:
        return {"accuracy": None, **live, "readout": None}
    common: dict[str, object] = {"grid": fitted.readout.grid, "labels": fitted.readout.labels}
    common |= {"folds": fitted.folds, "groups": fitted.groups}
    if isinstance(fitted, FittedReadout):
        own: dict[str, object] = {"kind": "linear", "accuracy": fitted.accuracy, "strength": fitted.strength}
        return {"accuracy": fitted.accuracy, **live, "readout": common | own}
    readout, expected = fitted.readout, live_values(fitted.expected)
    own = {"kind": "fading", "tau_us": readout.tau_us, "hidden": readout.hidden, "speeds": expected["speeds"]}
    return {name: expected[name] for name in ("accuracy", *live)} | {"readout": common | own}


def live_values(found: LiveAccuracy | None) -> dict[str, object]:
    """Live figures as JSON: at speed 1, and ``speeds`` with all of them; null for None."""
    if found is None:
        return dict.fromkeys(("accuracy", "live_accuracy", "live_time_right", "speeds"))
    normal = found.live[1.0]
    return {
        "accuracy": found.reset.accuracy,
        "live_accuracy": normal.accuracy,
        "live_time_right": normal.time_right,
        "speeds": {f"{speed:g}": _values(score) for speed, score in found.live.items()},
    }


def _values(score: LiveScore) -> dict[str, object]:
    return {
        "live_accuracy": score.accuracy,
        "interval": wilson(score.right_at_end, score.recordings),
        "live_time_right": score.time_right,
        "lasting_ms": score.lasting_us / 1000 if math.isfinite(score.lasting_us) else None,
    }


def readout_facts(fitted: FittedReadout | FittedFading | None, recordings: int) -> dict[str, object]:
    """Lines for people; `recordings`: that it was fitted to."""
    if fitted is None:
        return {}
    readout = fitted.readout
    size = f"{len(readout.labels)} classes, {readout.grid}x{readout.grid} cells"
    over = f" over {count(fitted.groups)} groups" if fitted.groups < recordings else ""
    how = f"{fitted.folds}-fold cross-validated{over}"
    if isinstance(fitted, FittedReadout):
        known = _UNKNOWN if fitted.accuracy is None else f"{percent(fitted.accuracy, 1)} {how}"
        return {"readout": f"{size}, {known}"}
    fading = f"{size}, fading with {fitted.readout.tau_us / 1000:g} ms, {fitted.readout.hidden} hidden units"
    if fitted.expected is None:
        return {"readout": f"{fading}, {_UNKNOWN}"}
    return {"readout": fading} | live_facts(fitted.expected, f", {how}")


def live_facts(found: LiveAccuracy, how: str = "") -> dict[str, object]:
    """Lines of live figures; `how` they were measured."""
    normal = found.live[1.0]
    low, high = wilson(normal.right_at_end, normal.recordings)
    right = "" if normal.time_right is None else f", right {percent(normal.time_right, 1)} of the time"
    lasting = (
        f", lasting label after {normal.lasting_us / 1000:.0f} ms" if math.isfinite(normal.lasting_us) else ""
    )
    others = ", ".join(
        f"{percent(score.accuracy, 1)} at speed {speed:g}"
        for speed, score in found.live.items()
        if speed != 1.0
    )
    return {
        "accuracy": f"{percent(found.reset.accuracy, 1)} with a reset before each recording{how}",
        "live": f"{percent(normal.accuracy, 1)} ({percent(low, 1)} to {percent(high, 1)}) at the end of a "
        f"recording, nothing reset{right}{lasting}",
        **({"other speeds": others} if others else {}),
    }
