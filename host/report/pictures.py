"""Pictures for the report: features, surfaces, feature events and learning curves.

Each function takes plain arrays and returns text for HTML: pixel pictures as PNG data URIs with a
transparent ground, drawings as SVG whose ink is the page's own text colour, so both suit a light and
a dark page.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.network.training_signals import Signals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ON_COLOUR: Final = "#e8743b"
OFF_COLOUR: Final = "#3b8fe8"
_INK: Final = "#123456"
_FAINT: Final = "#654321"
"""Stand-ins that become the page's CSS colours."""

Pixels = npt.NDArray[np.uint8]


def palette(count: int) -> list[str]:
    """`count` colours of like weight on light and dark ground, neighbours apart (OKLCH hue circle).

    >>> palette(2)
    ['#e8777a', '#0097a1']
    """
    steps = max(count, 1)
    colours = []
    for index in range(count):
        hue = math.radians(20 + 360 * index / steps)
        colours.append(_oklch((0.70, 0.60)[index % 2], 0.14, hue))
    return colours


def feature_picture(patch: npt.NDArray[np.float64]) -> str:
    """One feature, (side, side), as a PNG; diverging colours where values are negative."""
    sizes = np.sort(
        np.abs(patch), axis=None
    )  # the event's own pixel is always 1: let it saturate, not dim the rest
    peak = float(max(sizes[-2], 0.4 * sizes[-1])) or 1.0
    if patch.min() < 0.0:
        return _png(_colormap("RdBu_r", np.clip((patch / peak + 1.0) / 2.0, 0.0, 1.0)))
    return _png(_colormap("inferno", np.clip(patch / peak, 0.0, 1.0)))


def surface_picture(events: Events, at_us: int, sensor: Sensor, tau_us: float) -> str:
    """Time surface at `at_us` as PNG: orange brighter, blue darker, fading with exp(-age/tau)."""
    past = events[events["t_us"] <= at_us]
    colours = np.where(past["polarity"][:, None] != 0, _rgb(ON_COLOUR), _rgb(OFF_COLOUR))
    return _fading_picture(past, colours, at_us, sensor, tau_us)


def winner_picture(
    events: Events, results: Results, at_us: int, sensor: Sensor, tau_us: float, colours: list[str]
) -> str:
    """Feature events at `at_us` as PNG: each pixel in the colour of its last winner, fading."""
    chosen = (events["t_us"] <= at_us) & (results >= 0)
    table = np.array([_rgb(colour) for colour in colours], np.uint8)
    return _fading_picture(events[chosen], table[results[chosen]], at_us, sensor, tau_us)


def space_time_picture(events: Events, colours: list[str], sensor: Sensor) -> str:
    """Events as points in space and time, SVG; `colours` has one entry an event."""
    figure = _figure(6.4, 3.5)
    axes: Any = figure.add_axes((-0.1, 0.0, 1.2, 1.1), projection="3d")
    times_ms = (events["t_us"] - events["t_us"].min()) / 1000.0 if len(events) else np.zeros(0)
    heights = sensor.height - 1 - events["y"].astype(np.int64)
    axes.scatter(
        times_ms,
        events["x"],
        heights,
        c=colours or None,
        s=7.0,
        linewidths=0,
        depthshade=False,
        rasterized=True,
    )
    axes.set(xlabel="time (ms)", ylim=(0, sensor.width), zlim=(0, sensor.height), yticks=[], zticks=[])
    axes.set_box_aspect((2.0, 1.0, 1.0 * sensor.height / sensor.width), zoom=1.32)
    axes.view_init(elev=16, azim=-72)
    axes.xaxis.label.set_color(_INK)
    axes.xaxis.labelpad = -4
    axes.tick_params(colors=_INK, labelsize=8, pad=-2)
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.5, 0.5, 0.5, 0.06))
        axis.line.set_color(_FAINT)
    return _svg(figure)


def learning_picture(signals: Signals, law: float, colours: list[str]) -> str:
    """Miss rate with its expected value (left) and all thresholds (right) over compared events, SVG.

    Logarithmic in events, because networks differ only in the transient. Windows are taken
    together in up to 100 steps of equal length on that scale.
    """
    figure = _figure(9.6, 3.3)
    left, right = figure.subplots(1, 2)
    windows = signals.compared.size
    ends = np.unique(np.geomspace(1, windows, min(100, windows)).astype(int)) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    compared = np.add.reduceat(signals.compared, starts)
    misses = np.maximum(np.add.reduceat(signals.misses, starts), 0.5)  # none has no logarithm
    seen = signals.events[ends]
    left.axhline(law, color=_INK, linewidth=1.2, linestyle=(0, (4, 3)))
    left.plot(seen, misses / compared, color=ON_COLOUR, linewidth=1.6)
    left.set_yscale("log")
    left.set_ylim(min(law, (misses / compared).min()) / 2.0, 1.0)
    left.set_title(f"miss rate (dashed: expected, {100 * law:.2f} %)", loc="left", color=_INK, fontsize=11)
    left.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    for index, colour in enumerate(colours):
        right.plot(seen, signals.thresholds[ends, index], color=colour, linewidth=1.2)
    right.set_title("selection thresholds", loc="left", color=_INK, fontsize=11)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("events", color=_INK, fontsize=9)
        axes.tick_params(colors=_INK, which="both", labelsize=8, length=3)
        axes.grid(color=_FAINT, linewidth=0.5, alpha=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_FAINT)
    figure.subplots_adjust(left=0.065, right=0.99, bottom=0.16, top=0.89, wspace=0.16)
    return _svg(figure)


def _fading_picture(
    events: Events, colours: npt.NDArray[Any], at_us: int, sensor: Sensor, tau_us: float
) -> str:
    pixels = np.zeros((sensor.height, sensor.width, 4), np.uint8)
    ages_us = at_us - events["t_us"].astype(np.float64)
    pixels[events["y"], events["x"], :3] = colours  # the last event of a pixel wins
    pixels[events["y"], events["x"], 3] = np.rint(255.0 * np.exp(-ages_us / tau_us))
    return _png(pixels)


def _colormap(name: str, values: npt.NDArray[np.float64]) -> Pixels:
    from matplotlib import colormaps

    coloured: Pixels = colormaps[name](values, bytes=True)
    return coloured


def _png(pixels: Pixels) -> str:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    nameless: Any = {"Software": None}
    imsave(buffer, pixels, format="png", metadata=nameless)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.patch.set_alpha(0.0)
    return figure


def _svg(figure: Figure) -> str:
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
    text = text[text.index("<svg") :].replace(_INK, "var(--ink)").replace(_FAINT, "var(--line)")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    prefix = "f" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """Hex colour of an OKLCH triple, hue in radians, clipped to sRGB (Ottosson 2020)."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    l_ = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m_ = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s_ = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
        -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
        -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
    )
    channels = (min(max(channel, 0.0), 1.0) for channel in linear)
    gammas = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in channels)
    return "#" + "".join(f"{round(255 * value):02x}" for value in gammas)
