"""Recordings, the float model, training, tuning, reports, the link and the command line.

`host.Feast` and `host.HistogramClassifier` follow scikit-learn's conventions; they are imported when
asked for, so that the command line starts without scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.classifiers import HistogramClassifier
    from host.estimator import Feast

__all__ = ["Feast", "HistogramClassifier"]


def __getattr__(name: str) -> Any:
    if name == "Feast":
        from host.estimator import Feast

        return Feast
    if name == "HistogramClassifier":
        from host.classifiers import HistogramClassifier

        return HistogramClassifier
    raise AttributeError(f"module 'host' has no attribute {name!r}")
