"""Options of the readout that a command fits: which kind, and its size."""

from __future__ import annotations

from dataclasses import replace

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.hyperparameters import (
    READOUT_DEFAULTS,
    READOUT_KIND,
    ReadoutKind,
    ReadoutParameters,
)


def chosen_readout(
    readout: bool,
    kind: ReadoutKind | None,
    grid: int | None,
    tau_us: float | None,
    hidden: int | None,
) -> ReadoutParameters | int | None:
    """A fading readout, the cells a side of class scores, or None without ``--readout``.

    Raises FeastError for options of another kind of readout, or of none.
    """
    from feast_codegen.host.evaluation.fit_readout import GRID

    given = {"--readout-kind": kind, "--readout-grid": grid}
    of_fading = {"--readout-tau-us": tau_us, "--readout-hidden": hidden}
    for name, value in (given | of_fading).items():
        if value is not None and not readout:
            raise FeastError(f"{name} belongs to --readout: give both")
    if not readout:
        return None
    if (kind or READOUT_KIND) == "linear":
        for name, value in of_fading.items():
            if value is not None:
                raise FeastError(f"{name} belongs to a fading readout: give --readout-kind fading")
        return GRID if grid is None else grid
    changes = {"grid": grid, "tau_us": tau_us, "hidden": hidden}
    return replace(READOUT_DEFAULTS, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
