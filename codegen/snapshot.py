"""Names the words of a snapshot (docs/numerics.md section 8), for messages about differences."""

from __future__ import annotations

from collections.abc import Callable

from codegen.quantise import QuantModel


def word_name(quant: QuantModel, index: int) -> str:
    """What word `index` of a snapshot is part of, e.g. ``"weight 17 of feature 3"``.

    Raises IndexError beyond the snapshot.
    """
    features, dims = quant.params.features, quant.params.dims
    width, height = quant.sensor.width, quant.sensor.height
    sections: list[tuple[int, Callable[[int], str]]] = [
        (features * dims, lambda i: f"weight {i % dims} of feature {i // dims}"),
        (2 * features, lambda i: f"threshold of feature {i // 2}"),
        (2, lambda _: "dither state"),
        (1, lambda _: "learning switch"),
        (1, lambda _: "started flag"),
        (4, lambda _: "time of the last event"),
        (4, lambda _: "octave"),
        (2, lambda _: "phase"),
        (2 * features, lambda i: f"wins of feature {i // 2}"),
        (8, lambda i: f"counter of {('misses', 'border', 'outside', 'backwards')[i // 2]}"),
        (3, lambda i: ("window_events", "window_misses", "last_window_misses")[i]),
        (
            quant.surfaces * width * height,
            lambda i: f"pixel x={i % width} y={i // width % height} of surface {i // (width * height)}",
        ),
    ]
    for words, name in sections:
        if index < words:
            return name(index)
        index -= words
    raise IndexError(index)
