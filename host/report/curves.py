"""Drawn curves of tuning: noise features over network size, and quality against cost."""

from __future__ import annotations

from typing import Any

from feast_codegen.host.evaluation.network_size import SizeCurve
from feast_codegen.host.evaluation.tune import ParetoFront
from feast_codegen.host.report.pictures import _FAINT, _INK, OFF_COLOUR, ON_COLOUR, _figure, _svg

_ALONE = "<style>svg{--ink:#1d2129;--line:#d8d6cf;background:#fff}</style>"


def size_picture(curve: SizeCurve) -> str:
    """Noise features (left) and richness (right) over N, SVG; the recommended N is marked."""
    figure = _figure(9.6, 3.2)
    left, right = figure.subplots(1, 2)
    sizes = [point.features for point in curve.points]
    left.plot(sizes, [point.noise_features for point in curve.points], color=ON_COLOUR, marker="o")
    left.set_title("features that encode noise", loc="left", color=_INK, fontsize=11)
    right.plot(sizes, [point.richness for point in curve.points], color=OFF_COLOUR, marker="o")
    right.set_title("richness: in how many ways recordings differ", loc="left", color=_INK, fontsize=11)
    for axes in (left, right):
        axes.axvline(curve.recommended, color=_INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel(f"N (dashed: recommended, {curve.recommended})", color=_INK, fontsize=9)
        _plain(axes)
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.17, top=0.88, wspace=0.14)
    return _svg(figure)


def front_picture(front: ParetoFront) -> str:
    """Every network that was tried: quality over instructions per event, SVG; the front is joined up."""
    figure = _figure(9.6, 3.6)
    axes: Any = figure.subplots()
    largest = max((each.cost.ram + each.cost.flash for each in front.trials), default=1)
    scale = 100.0 if front.objective == "accuracy" else 1.0
    for chosen, colour, alpha in ((False, OFF_COLOUR, 0.45), (True, ON_COLOUR, 0.9)):
        group = [each for each in front.trials if each.best == chosen]
        axes.scatter(
            [each.cost.instructions for each in group],
            [scale * each.quality for each in group],
            s=[20 + 160 * (each.cost.ram + each.cost.flash) / largest for each in group],
            color=colour,
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
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("instructions per event (forecast); size of a dot: RAM and flash", color=_INK, fontsize=9)
    unit = "accuracy, %" if front.objective == "accuracy" else front.objective
    axes.set_title(f"{unit} on {front.board}", loc="left", color=_INK, fontsize=11)
    _plain(axes)
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.15, top=0.9)
    return _svg(figure)


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


def _plain(axes: Any) -> None:
    axes.tick_params(colors=_INK, which="both", labelsize=8, length=3)
    axes.grid(color=_FAINT, linewidth=0.5, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
