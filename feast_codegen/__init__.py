"""From an event-camera recording to a FEAST feature extractor on a microcontroller, proven bit-exact.

The package loads each name below at its first use, so importing it is quick. Recordings come from files,
folders, data sets and a simulator, all named by one string, or from memory, in any usual form:

>>> import feast_codegen
>>> recordings = feast_codegen.open_recordings("sim:bars?count=4")
>>> events = feast_codegen.events_from({"x": [3, 4], "y": [7, 7], "t_us": [0, 500], "p": [1, -1]})
>>> events["polarity"].tolist()
[1, 0]

Learn features, prove the C that is made of them equal to the integer model, write it for a board:

>>> model = feast_codegen.train(recordings, features=4, radius=1)
>>> report = feast_codegen.verify(model, recordings)
>>> report.mismatches, report.stress_mismatches
(0, 0)
>>> feast_codegen.emit(model, "feast", board="mps2_an386").folder.name
'feast'

A model is one file, and its export to C two lines:

>>> feast_codegen.save_model(model, "model.npz")
>>> model = feast_codegen.load_model("model.npz")
>>> emission = feast_codegen.emit(model, "feast", board="mps2_an386")

`run_on_board(model, recordings, board="mps2_an386")` builds the firmware, runs it on an emulated board and
compares every result; `open_link("/dev/ttyACM0")` talks to a real one. `Feast` and `HistogramClassifier` are
estimators with scikit-learn's conventions:

>>> feast = feast_codegen.Feast(features=4, radius=1, grid=3).fit(recordings)
>>> feast.transform(recordings).shape
(4, 36)

What a user can put right is a FeastError, in one line:

>>> feast_codegen.emit(model, "feast", board="pdp11")  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
feast_codegen.codegen.base.errors.FeastError: unknown board 'pdp11': expected one of ...

docs/reference/python-api.md lists every function with its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feast_codegen.codegen.base.errors import FeastError
    from feast_codegen.codegen.base.events import EVENT_DTYPE
    from feast_codegen.codegen.base.extras import MissingExtraError
    from feast_codegen.codegen.base.sensor import Sensor
    from feast_codegen.codegen.boards.board import Board
    from feast_codegen.codegen.model.filters import Filters
    from feast_codegen.codegen.model.model import Hyperparameters, Model
    from feast_codegen.codegen.model.options import Options
    from feast_codegen.host.api import (
        boards,
        build,
        emit,
        load_model,
        open_link,
        open_recordings,
        quantise,
        run_on_board,
        save_model,
        train,
        verify,
    )
    from feast_codegen.host.evaluation.classifiers import HistogramClassifier
    from feast_codegen.host.recordings.events import EventStream
    from feast_codegen.host.recordings.in_memory import events_from
    from feast_codegen.host.recordings.reading import Reading
    from feast_codegen.host.recordings.source import Source
    from feast_codegen.host.sklearn_api import Feast

    __version__: str

__all__ = [
    "EVENT_DTYPE",
    "Board",
    "EventStream",
    "Feast",
    "FeastError",
    "Filters",
    "HistogramClassifier",
    "Hyperparameters",
    "MissingExtraError",
    "Model",
    "Options",
    "Reading",
    "Sensor",
    "Source",
    "__version__",
    "boards",
    "build",
    "emit",
    "events_from",
    "load_model",
    "open_link",
    "open_recordings",
    "quantise",
    "run_on_board",
    "save_model",
    "train",
    "verify",
]

_HOMES = {
    "codegen.base.errors": ("FeastError",),
    "codegen.base.events": ("EVENT_DTYPE",),
    "codegen.base.extras": ("MissingExtraError",),
    "codegen.base.sensor": ("Sensor",),
    "codegen.boards.board": ("Board",),
    "codegen.model.filters": ("Filters",),
    "codegen.model.model": ("Hyperparameters", "Model"),
    "codegen.model.options": ("Options",),
    "host.evaluation.classifiers": ("HistogramClassifier",),
    "host.recordings.events": ("EventStream",),
    "host.recordings.in_memory": ("events_from",),
    "host.recordings.reading": ("Reading",),
    "host.recordings.source": ("Source",),
    "host.sklearn_api": ("Feast",),
}
"""Where what is not in host.api is defined, for the running program; type checkers read the imports above."""


def __getattr__(name: str) -> Any:
    """Load what `name` is, at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from feast_codegen.codegen.base.tool import VERSION

        value: Any = VERSION
    else:
        from importlib import import_module

        home = next((home for home, names in _HOMES.items() if name in names), "host.api")
        value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
