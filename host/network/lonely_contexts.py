"""How many contexts hold nothing but their own event: a network learns nothing from them.

Where most are so, the time constant is too short for the recordings, or their times are in another unit than
was taken.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.recordings.source import Source

SPANS: Final = 3.0
"""Time constants after which a cell counts as empty."""
_MOST_RECORDINGS: Final = 8
_MOST_EVENTS: Final = 20_000
"""Of each recording."""
_NEVER: Final = -(1 << 62)


def lonely_share(source: Source, params: Hyperparameters) -> float:
    """Share of contexts, 0 to 1, without a second active cell within SPANS time constants.

    Looks at the beginnings of a few recordings of `source`, which holds what the network sees; NaN if they
    hold no event.
    """
    channels = 2 if params.polarity == "separate" else 1
    seen = lonely = 0
    for index in np.unique(np.linspace(0, len(source) - 1, min(len(source), _MOST_RECORDINGS)).astype(int)):
        last = np.full((channels, source.sensor.height, source.sensor.width), _NEVER, np.int64)
        left = _MOST_EVENTS
        for piece in source.load_chunks(int(index)):
            events = piece.events[:left]
            lonely += _count_lonely(
                events["t_us"].astype(np.int64),
                events["x"],
                events["y"],
                events["polarity"] if channels == 2 else np.zeros(events.size, np.uint8),
                last,
                params.radius,
                int(min(SPANS * params.tau_us, 1 << 61)),
            )
            seen += events.size
            left -= events.size
            if left <= 0:
                break
    return lonely / seen if seen else float("nan")


@jit()
def _count_lonely(
    t_us: npt.NDArray[np.int64], x: Any, y: Any, channel: Any, last: Any, radius: int, span_us: int
) -> int:
    """Events without another cell of their patch within `span_us`; updates `last`."""
    height, width = int(last.shape[1]), int(last.shape[2])
    lonely = 0
    for i in range(t_us.size):
        column, row, surface = int(x[i]), int(y[i]), int(channel[i])
        found = False
        for other_row in range(max(row - radius, 0), min(row + radius + 1, height)):
            for other in range(max(column - radius, 0), min(column + radius + 1, width)):
                is_other = other_row != row or other != column
                if is_other and t_us[i] - last[surface, other_row, other] <= span_us:
                    found = True
            if found:
                break
        lonely += not found
        last[surface, row, column] = t_us[i]
    return lonely
