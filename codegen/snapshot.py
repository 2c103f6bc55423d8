"""Names the words of a snapshot (docs/numerics.md section 8), for messages about differences."""

from __future__ import annotations

from collections.abc import Callable

from codegen.filters import Filters
from codegen.options import Options
from codegen.quantise import QuantModel, used_filters, used_readout

Section = tuple[int, Callable[[int], str]]
"""Words of a part of the snapshot, and what each is called."""


def word_name(quant: QuantModel, options: Options, index: int) -> str:
    """What word `index` of a snapshot is part of, e.g. ``"weight 17 of feature 3"``.

    `options`: those the snapshot was taken with; words of filters and scores are there if they say so.
    Raises IndexError beyond the snapshot.
    """
    sections = _learned(quant) + _passing(quant, options)
    if quant.lower is not None:
        lower = quant.lower
        learned, passing = _below(_learned(lower)), _below(_passing(lower, options.below))
        sections = _learned(quant) + learned + _passing(quant, options) + passing
    if readout := used_readout(quant, options):
        sections += [
            (score_words(len(readout.labels)) - 1, lambda i: f"score of class {i // 4}"),
            (1, lambda _: "scored flag"),
        ]
    for words, name in sections:
        if index < words:
            return name(index)
        index -= words
    raise IndexError(index)


def score_words(classes: int) -> int:
    """Words of class scores, at the end of a snapshot; 0 for no classes."""
    return 4 * classes + 1 if classes else 0


def _learned(quant: QuantModel) -> list[Section]:
    features, dims = quant.params.features, quant.params.dims
    return [
        (features * dims, lambda i: f"weight {i % dims} of feature {i // dims}"),
        (2 * features, lambda i: f"threshold of feature {i // 2}"),
        (2, lambda _: "dither state"),
    ]


def _passing(quant: QuantModel, options: Options) -> list[Section]:
    params = quant.params
    width, height, channels = quant.sensor.width, quant.sensor.height, params.channels

    def pixel(i: int) -> str:
        row, x = divmod(i, width)
        surface, y = (row % channels, row // channels) if channels > 1 else divmod(row, height)
        return f"pixel x={x} y={y} of surface {surface}"

    return [
        (1, lambda _: "learning switch"),
        (1, lambda _: "started flag"),
        (4, lambda _: "time of the last event"),
        (4, lambda _: "octave"),
        (2, lambda _: "phase"),
        (2 * params.features, lambda i: f"wins of feature {i // 2}"),
        (8, lambda i: f"counter of {('misses', 'border', 'outside', 'backwards')[i // 2]}"),
        (3, lambda i: ("window_events", "window_misses", "last_window_misses")[i]),
        *_filters(used_filters(quant, options)),
        (params.surfaces * width * height, pixel),
    ]


def _filters(filters: Filters | None) -> list[Section]:
    if filters is None:
        return []
    across = filters.cells.width
    return [
        (2, lambda _: "counter of filtered"),
        (1, lambda _: "seen flag"),
        (4, lambda _: "time of the last event seen"),
        (filters.snapshot_words - 7, lambda i: f"ticks left of filter cell x={i % across} y={i // across}"),
    ]


def _below(sections: list[Section]) -> list[Section]:
    def named(name: Callable[[int], str]) -> Callable[[int], str]:
        return lambda i: f"{name(i)} of the lower layer"

    return [(words, named(name)) for words, name in sections]
