"""Pictures for the report: features, surfaces, feature events and learning curves.

Each function takes plain arrays and returns text for HTML: pixel pictures as PNG data URIs with a
transparent ground, drawings as SVG whose ink is the page's own text colour, so both suit a light and
a dark page.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.colours import OFF_COLOUR, ON_COLOUR, SIGNED_WEIGHTS, WEIGHTS, coloured, rgb
from feast_codegen.host.network.training_signals import Signals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#123456"
FAINT: Final = "#654321"
"""Stand-ins that become the page's CSS colours."""
TITLE_PT: Final = 10
LABEL_PT: Final = 9.5
TICK_PT: Final = 9
"""A drawing is about as wide, in points, as a telephone's page in pixels: its text stays readable there."""
_HALF: Final = (5.2, 3.5)
NAMED_CURVES: Final = 16
_STYLES: Final = ("-", (0, (5, 1.5)), (0, (1.5, 1)))
"""Neighbours differ in more than colour."""

Pixels = npt.NDArray[np.uint8]


def feature_picture(patch: npt.NDArray[np.float64], scale_end: float, signed: bool) -> str:
    """One feature, (side, side), as a PNG; its colours end at `scale_end`, diverging if `signed`."""
    values = patch / scale_end
    if signed:
        return _png(coloured((values + 1.0) / 2.0, SIGNED_WEIGHTS))
    return _png(coloured(values, WEIGHTS))


def surface_picture(events: Events, at_us: int, sensor: Sensor, tau_us: float) -> str:
    """Time surface at `at_us` as PNG: orange brighter, blue darker, fading with exp(-age/tau)."""
    past = events[events["t_us"] <= at_us]
    colours = np.where(past["polarity"][:, None] != 0, rgb(ON_COLOUR), rgb(OFF_COLOUR))
    return _fading_picture(past, colours, at_us, sensor, tau_us)


def winner_picture(
    events: Events, results: Results, at_us: int, sensor: Sensor, tau_us: float, colours: list[str]
) -> str:
    """Feature events at `at_us` as PNG: each pixel in the colour of its last winner, fading."""
    chosen = (events["t_us"] <= at_us) & (results >= 0)
    table = np.array([rgb(colour) for colour in colours], np.uint8)
    return _fading_picture(events[chosen], table[results[chosen]], at_us, sensor, tau_us)


def space_time_picture(events: Events, colours: list[str], sensor: Sensor) -> str:
    """Events as points in space and time, SVG, y down; `colours` has one entry an event."""
    drawing = figure(5.2, 3.3)
    axes: Any = drawing.add_axes((0.0, 0.03, 1.0, 1.0), projection="3d")
    times_ms = (events["t_us"] - events["t_us"].min()) / 1000.0 if len(events) else np.zeros(0)
    axes.scatter(
        times_ms,
        events["x"],
        events["y"],
        c=colours or None,
        s=7.0,
        linewidths=0,
        depthshade=False,
        rasterized=True,
    )
    axes.set(ylim=(0, sensor.width), zlim=(sensor.height, 0))
    axes.set_box_aspect((2.0, 1.0, 1.0 * sensor.height / sensor.width), zoom=1.16)
    axes.view_init(elev=16, azim=-62)
    for axis, name, pad in (
        (axes.xaxis, "time, ms", 6),
        (axes.yaxis, "x, pixels", 2),
        (axes.zaxis, "y, pixels", 0),
    ):
        axis.set_label_text(name, color=INK, fontsize=LABEL_PT)
        axis.labelpad = pad
        axis.set_pane_color((0.5, 0.5, 0.5, 0.06))
        axis.line.set_color(FAINT)
    axes.xaxis.set_major_locator(round_ticks(6))
    for axis in (axes.yaxis, axes.zaxis):
        axis.set_major_locator(round_ticks(3))
    axes.tick_params(colors=INK, labelsize=TICK_PT, pad=0)
    axes.grid(False)
    return svg(drawing)


def miss_picture(signals: Signals, law: float) -> str:
    """Miss rate and its expected value over compared events, SVG.

    Logarithmic in events, because networks differ only in the transient. Windows are taken together in up to
    100 steps of equal length on that scale. A step without a miss has no logarithm: it is a triangle below.
    """
    seen, compared, misses = _steps(signals)
    drawing = figure(*_HALF)
    axes: Any = drawing.subplots()
    rates = misses / compared
    some = misses > 0
    lowest = min([law, *rates[some]]) if law > 0 or some.any() else 1e-3
    axes.axhline(law, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.plot(seen, np.where(some, rates, np.nan), color=ON_COLOUR, linewidth=1.6, marker="o", markersize=2.5)
    axes.set_yscale("log")
    axes.set_ylim(lowest / 3.0, 1.4)
    if not some.all():
        below = np.full(int((~some).sum()), 0.04)
        where = axes.get_xaxis_transform()
        axes.plot(
            seen[~some], below, color=ON_COLOUR, linestyle="", marker="v", markersize=5, transform=where
        )
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    note = "" if some.all() else "; triangle: no miss"
    finish(axes, "events", f"miss rate (dashed: expected, {100 * law:.2f} %{note})")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    drawing.subplots_adjust(left=0.13, right=0.96, bottom=0.16, top=0.89)
    return svg(drawing)


def threshold_picture(signals: Signals, colours: list[str]) -> str:
    """All selection thresholds over compared events, SVG; ids at the ends of up to 16 curves."""
    ends, count = _ends(signals), len(colours)
    seen = signals.events[ends]
    drawing = figure(*_HALF)
    axes: Any = drawing.subplots()
    for index, colour in enumerate(colours):
        style = _STYLES[index % len(_STYLES)]
        axes.plot(seen, signals.thresholds[ends, index], color=colour, linewidth=1.2, linestyle=style)
    last = signals.thresholds[ends[-1], :count]
    axes.set_xscale("log")
    finish(axes, "events", "selection thresholds (cosine), with feature ids")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    low, high = axes.get_ylim()
    for place, index in enumerate(_spread(last, NAMED_CURVES)):
        height = low + (high - low) * (place + 0.5) / min(count, NAMED_CURVES)
        axes.annotate(
            str(index),
            (seen[-1], last[index]),
            (1.06, (height - low) / (high - low)),
            textcoords="axes fraction",
            color=colours[index],
            fontsize=TICK_PT,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colours[index],
                "linewidth": 0.5,
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )
    drawing.subplots_adjust(left=0.11, right=0.88, bottom=0.16, top=0.89)
    return svg(drawing)


def finish(axes: Any, x_label: str, title: str) -> None:
    """Label, grid and ink that all drawings share."""
    axes.set_title(title, loc="left", color=INK, fontsize=TITLE_PT)
    axes.set_xlabel(x_label, color=INK, fontsize=LABEL_PT)
    axes.tick_params(colors=INK, which="both", labelsize=TICK_PT, length=3)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def _ends(signals: Signals) -> npt.NDArray[np.int64]:
    windows = signals.compared.size
    ends: npt.NDArray[np.int64] = np.unique(np.geomspace(1, windows, min(100, windows)).astype(np.int64)) - 1
    return ends


def _steps(signals: Signals) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """(events seen, compared, misses) of each step."""
    ends = _ends(signals)
    starts = np.concatenate([[0], ends[:-1] + 1])
    compared = np.add.reduceat(signals.compared, starts)
    return signals.events[ends], compared, np.add.reduceat(signals.misses, starts)


def _spread(values: npt.NDArray[np.float64], most: int) -> list[int]:
    """Indices of at most `most` values, evenly chosen by rank, from the lowest to the highest."""
    order = np.argsort(values, kind="stable")
    chosen = np.linspace(0, order.size - 1, min(most, order.size)).round().astype(int)
    return [int(index) for index in order[chosen]]


def round_ticks(most: int, whole: bool = False) -> Any:
    """Where ticks go: at most `most` steps of 1, 2 or 5 times a power of ten."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole)


def _fading_picture(
    events: Events, colours: npt.NDArray[Any], at_us: int, sensor: Sensor, tau_us: float
) -> str:
    pixels = np.zeros((sensor.height, sensor.width, 4), np.uint8)
    ages_us = at_us - events["t_us"].astype(np.float64)
    pixels[events["y"], events["x"], :3] = colours  # the last event of a pixel wins
    pixels[events["y"], events["x"], 3] = np.rint(255.0 * np.exp(-ages_us / tau_us))
    return _png(pixels)


def _png(pixels: Pixels) -> str:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    nameless: Any = {"Software": None}
    imsave(buffer, pixels, format="png", metadata=nameless)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def figure(width: float, height: float) -> Figure:
    """A drawing of this size in inches, for `svg`."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height))
    made.patch.set_alpha(0.0)
    return made


def svg(figure: Figure) -> str:
    """Inline SVG in the page's colours, as wide as its place, its ids prefixed as figures share a page."""
    import matplotlib

    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "feast", "font.family": "sans-serif"}
    ):
        figure.savefig(buffer, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "var(--ink)").replace(FAINT, "var(--line)")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    prefix = "f" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
