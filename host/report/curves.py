"""Drawn curves of tuning: noise features over network size, and quality against cost."""

from __future__ import annotations

import math
from typing import Any

from feast_codegen.host.colours import OFF_COLOUR, ON_COLOUR
from feast_codegen.host.evaluation.network_size import SizeCurve
from feast_codegen.host.evaluation.tune import ParetoFront, Trial
from feast_codegen.host.report import pictures

_ALONE = (
    "<style>svg{--ink:#1d2129;--line:#d8d6cf;background:#fff}svg text{fill:var(--ink)}"
    "@media(prefers-color-scheme:dark){svg{--ink:#e8eaee;--line:#303743;background:#181c23}}</style>"
)


def size_picture(curve: SizeCurve) -> str:
    """Noise features (above) and richness (below) over N, SVG; the recommended N is marked."""
    figure = pictures.figure(5.2, 5.8)
    upper, lower = figure.subplots(2, 1)
    sizes = [point.features for point in curve.points]
    upper.plot(sizes, [point.noise_features for point in curve.points], color=ON_COLOUR, marker="o")
    pictures.finish(upper, "", "features that encode noise")
    lower.plot(sizes, [point.richness for point in curve.points], color=OFF_COLOUR, marker="s")
    named = f"features a bank, N (dashed: recommended, {curve.recommended})"
    pictures.finish(lower, named, "richness: in how many ways recordings differ")
    for axes in (upper, lower):
        axes.axvline(curve.recommended, color=pictures.INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
    upper.yaxis.set_major_locator(pictures.round_ticks(6, whole=True))
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.1, top=0.94, hspace=0.32)
    return pictures.svg(figure)


def front_picture(front: ParetoFront) -> str:
    """Every network that was tried: quality over instructions per event, SVG.

    The front is joined up, and its networks have the letters of `front_names`, with a key below.
    """
    names = front_names(front)
    key_inches = 0.19 * (len(names) + 1)
    height = 3.9 + key_inches
    figure = pictures.figure(5.2, height)
    axes: Any = figure.add_axes((0.11, (key_inches + 0.6) / height, 0.85, 2.95 / height))
    largest = max((each.cost.ram + each.cost.flash for each in front.trials), default=1)
    scale = 100.0 if front.objective == "accuracy" else 1.0
    for chosen, colour, shape, alpha in ((False, OFF_COLOUR, "o", 0.45), (True, ON_COLOUR, "D", 0.9)):
        group = [each for each in front.trials if each.best == chosen]
        axes.scatter(
            [each.cost.instructions for each in group],
            [scale * each.quality for each in group],
            s=[20 + 160 * (each.cost.ram + each.cost.flash) / largest for each in group],
            color=colour,
            marker=shape,
            alpha=alpha,
            linewidths=0,
        )
    steps = _rising(front)
    axes.plot(
        [each.cost.instructions for each in steps],
        [scale * each.quality for each in steps],
        color=ON_COLOUR,
        linewidth=1.4,
        drawstyle="steps-post",
    )
    axes.set_xscale("log")
    _tick_round(axes, [each.cost.instructions for each in front.trials])
    axes.yaxis.set_major_locator(pictures.round_ticks(6))
    unit = "accuracy, %" if front.objective == "accuracy" else front.objective
    pictures.finish(
        axes, "instructions per event (forecast); area of a mark: RAM and flash", f"{unit}, on {front.board}"
    )
    for letter, each in names:
        where = (each.cost.instructions, scale * each.quality)
        axes.annotate(
            letter,
            where,
            (0, 7),
            textcoords="offset points",
            color=pictures.INK,
            fontsize=pictures.TICK_PT,
            ha="center",
        )
    rows = [f"{letter}  {network_name(each)}" for letter, each in names]
    figure.text(
        0.03,
        key_inches / height,
        "\n".join(["diamonds: the front", *rows]),
        color=pictures.INK,
        fontsize=pictures.TICK_PT,
        va="top",
        linespacing=1.45,
    )
    return pictures.svg(figure)


def front_names(front: ParetoFront) -> list[tuple[str, Trial]]:
    """A name for each network of the front, A, B, C ... by instructions: in the drawing and in the table."""
    return [(_letters(index), each) for index, each in enumerate(front.best)]


def network_name(trial: Trial) -> str:
    """The hyperparameters of a network in a few words."""
    params = trial.params
    return (
        f"{params.features} of {params.side}×{params.side}, {params.polarity}, "
        f"τ {params.tau_us / 1000:.3g} ms, η {params.eta:.2g}"
    )


def alone(picture: str) -> str:
    """A drawing made for the report's page as a file of its own."""
    head, _, rest = picture.partition(">")
    if "xmlns=" not in head:
        head += ' xmlns="http://www.w3.org/2000/svg"'
    return f"{head}>{_ALONE}{rest}"


def _rising(front: ParetoFront) -> list[Any]:
    """The networks of the front that are better than all cheaper ones."""
    steps: list[Any] = []
    for each in front.best:
        if not steps or each.quality > steps[-1].quality:
            steps.append(each)
    return steps


def _letters(index: int) -> str:
    return ("" if index < 26 else _letters(index // 26 - 1)) + chr(ord("A") + index % 26)


def _tick_round(axes: Any, values: list[float]) -> None:
    """One kind of tick on a logarithmic axis: numbers that begin with 1, 2 or 5, each written out."""
    axes.minorticks_off()
    if not values:
        return
    low, high = 0.8 * min(values), 1.25 * max(values)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [first * 10.0**exponent for exponent in exponents for first in (1, 2, 5)]
    axes.set_xlim(low, high)
    inside = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(inside, [f"{tick:,.0f}" for tick in inside])
    axes.minorticks_off()
