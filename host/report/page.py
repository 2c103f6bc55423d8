"""One self-contained HTML page: a network, how it learned, what it sees, how it runs on the device."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.base.temporary import replacing
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.host import colours as page_colours
from feast_codegen.host.network.receptive_field import receptive_field
from feast_codegen.host.network.training_signals import Signals
from feast_codegen.host.report import pictures
from feast_codegen.host.report.panels import Panel
from feast_codegen.host.text import percent

FRAMES: Final = 6
"""Moments of a recording shown as still pictures."""
REPLAY_EVENTS: Final = 100_000
"""Longer recordings are replayed up to here, so that the page stays small."""


@dataclass(frozen=True)
class Fact:
    """One figure with its name, and what it means."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A stage of the chain: what was done, and its figures."""

    title: str
    text: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One recording and the result of the frozen network for each of its events."""

    name: str
    events: Events
    results: Results


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page shows. ``win_rates`` (features,): shares of one, frozen features, nearest wins."""

    title: str
    model: Model
    headline: tuple[Fact, ...]
    signals: Signals | None
    """Of the training that made the model; without them the page has no learning curve."""
    win_rates: npt.NDArray[np.float64]
    exhibit: Exhibit | None
    """None for a model without recordings."""
    sections: tuple[Section, ...]
    panels: tuple[Panel, ...] = ()
    noise: tuple[bool, ...] = ()
    """(features,) which encode isolated noise; empty where that was not looked at."""


@dataclass(frozen=True)
class Scale:
    """The colours of the weights: the weight at which they end, and the stops of the colour bar as CSS."""

    end: float
    signed: bool
    stops: str


def win_rates(results: Results, features: int) -> npt.NDArray[np.float64]:
    """Share of each feature among the feature events; zeros where there is none."""
    wins = np.bincount(results[results >= 0], minlength=features)
    return wins / max(int(wins.sum()), 1)


def render_report(report: Report) -> str:
    """The page as text. Draws the pictures, so it takes a second or two."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = percent
    colours = page_colours.palette(report.model.params.total_features)
    fields = [receptive_field(report.model, weights) for weights in report.model.weights]
    scale = _scale(fields)
    exhibit = report.exhibit
    return environment.get_template("report.html.j2").render(
        report=report,
        model=report.model,
        features=_feature_cards(report, fields, colours, scale),
        scale=scale,
        fading=[float(np.exp(-0.5 * step)) for step in range(7)],
        learning=_learning(report, colours),
        exhibit=None if exhibit is None else _exhibit_pictures(exhibit, report.model, colours),
        replay=None
        if exhibit is None
        else _replay(exhibit, report.model.camera, colours, report.model.params.tau_us),
    )


def write_report(report: Report, path: Path) -> None:
    """Write the page; an existing file is replaced in one step or not at all.

    Raises FeastError if the file cannot be written.
    """
    text = render_report(report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:  # a name may hold bytes that are no text: they become escapes
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise FeastError(f"{path}: cannot write the report: {error.strerror or error}") from None


def _feature_cards(
    report: Report, fields: list[Any], colours: list[str], scale: Scale
) -> list[dict[str, Any]]:
    model = report.model
    highest = max(float(report.win_rates.max()), 1e-9)
    return [
        {
            "id": index,
            "picture": pictures.feature_picture(fields[index], scale.end, scale.signed),
            "colour": colours[index],
            "threshold": float(model.thresholds[index]),
            "wins": float(report.win_rates[index]) if report.exhibit is not None else None,
            "noise": bool(report.noise and report.noise[index]),
            "length": 100.0 * float(report.win_rates[index]) / highest,
        }
        for index in range(model.params.total_features)
    ]


def _scale(fields: list[Any]) -> Scale:
    values = np.stack(fields)
    signed = bool(values.min() < 0.0)
    stops = page_colours.SIGNED_WEIGHTS if signed else page_colours.WEIGHTS
    return Scale(page_colours.weight_scale_end(values), signed, ", ".join(stops))


def _learning(report: Report, colours: list[str]) -> dict[str, str] | None:
    if report.signals is None:
        return None
    law = report.model.params.law_miss_rate
    return {
        "misses": pictures.miss_picture(report.signals, law),
        "thresholds": pictures.threshold_picture(report.signals, colours),
    }


def _exhibit_pictures(exhibit: Exhibit, model: Model, colours: list[str]) -> dict[str, Any]:
    events, results, sensor = exhibit.events, exhibit.results, model.camera
    tau_us = model.params.tau_us
    by_polarity = [page_colours.ON_COLOUR if on else page_colours.OFF_COLOUR for on in events["polarity"]]
    chosen = results >= 0
    by_winner = [colours[winner] for winner in results[chosen]]
    return {
        "name": exhibit.name,
        "events": len(events),
        "feature_events": int(chosen.sum()),
        "span_ms": (int(events["t_us"][-1]) - int(events["t_us"][0])) / 1000.0 if len(events) else 0.0,
        "raw": pictures.space_time_picture(events, by_polarity, sensor),
        "won": pictures.space_time_picture(events[chosen], by_winner, sensor),
        "frames": [
            {
                "at_ms": (at_us - int(events["t_us"][0])) / 1000.0,
                "raw": pictures.surface_picture(events, at_us, sensor, tau_us),
                "won": pictures.winner_picture(events, results, at_us, sensor, tau_us, colours),
            }
            for at_us in _moments(events)
        ],
    }


def _moments(events: Events) -> list[int]:
    """Times at which equal shares of the events have passed."""
    if len(events) == 0:
        return []
    shares = (np.arange(FRAMES) + 1) / (FRAMES + 1)
    return [int(events["t_us"][int(share * (len(events) - 1))]) for share in shares]


def _replay(exhibit: Exhibit, sensor: Sensor, colours: list[str], tau_us: float) -> dict[str, Any]:
    """The recording for the page's player: little-endian arrays as base64, times from 0."""
    events, results = exhibit.events[:REPLAY_EVENTS], exhibit.results[:REPLAY_EVENTS]
    start = events["t_us"][0] if len(events) else 0
    arrays = {
        "t_us": (events["t_us"] - start).astype("<u4"),
        "x": events["x"].astype("<u2"),
        "y": events["y"].astype("<u2"),
        "polarity": events["polarity"].astype("<u2"),
        "result": results.astype("<i2"),
    }
    encoded = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
    return encoded | {
        "width": sensor.width,
        "height": sensor.height,
        "tau_us": tau_us,
        "colours": colours,
        "on": page_colours.ON_COLOUR,
        "off": page_colours.OFF_COLOUR,
    }
