"""Recordings to vectors, many at a time: each worker loads, steps and pools its share.

Work is spread with joblib, so whatever back end is chosen around the call serves: processes of this
machine, or a Dask cluster (`joblib.parallel_config(backend="dask")`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from codegen.errors import FeastError
from codegen.model import Arithmetic, Model
from codegen.options import Options
from codegen.quantise import quantise
from codegen.records import Events
from codegen.twin import Twin
from host.console import Progress, silent
from host.datasets import Source
from host.feast import FloatFeast
from host.pooling import Pooling, pool
from host.readout import Extractor

Float64Array = npt.NDArray[np.float64]

RawKind = Literal["merged", "by polarity"]
CHUNK: Final = 16
"""Recordings a worker takes at once."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Pooled recordings with their labels."""

    values: tuple[Float64Array, ...]
    """One (recordings, components) array per pooling."""
    labels: npt.NDArray[np.int64]
    """(recordings,)."""


def labels_of(source: Source) -> npt.NDArray[np.int64]:
    """(recordings,) labels. Raises FeastError unless every recording has one."""
    if None in source.labels:
        raise FeastError(
            f"{source.spec}: a readout needs labels; use a folder of class folders or sim:digits"
        )
    return np.array(source.labels, np.int64)


def feature_vectors(
    source: Source,
    model: Model,
    poolings: Sequence[Pooling],
    *,
    arithmetic: Arithmetic = "float",
    jobs: int = 1,
    progress: Progress = silent,
) -> Vectors:
    """Pool the winners of the frozen network (nearest feature): of the float model or of the twin.

    `jobs`: workers at a time, -1 for one a core. Raises FeastError for a recording without label.
    """
    return _spread(source, (model, arithmetic), model.params.features, poolings, jobs, progress)


def raw_vectors(
    source: Source,
    kind: RawKind,
    poolings: Sequence[Pooling],
    *,
    jobs: int = 1,
    progress: Progress = silent,
) -> Vectors:
    """Pool the events themselves, all alike or by polarity."""
    count = 1 if kind == "merged" else 2
    return _spread(source, None, count, poolings, jobs, progress)


def extractor(model: Model, arithmetic: Arithmetic) -> Extractor:
    """The frozen network in one arithmetic; the nearest feature wins."""
    return FloatFeast(model) if arithmetic == "float" else Twin(quantise(model)[0], Options())


def _spread(
    source: Source,
    network: tuple[Model, Arithmetic] | None,
    count: int,
    poolings: Sequence[Pooling],
    jobs: int,
    progress: Progress,
) -> Vectors:
    from joblib import Parallel, delayed

    labels = labels_of(source)
    shares = [range(at, min(at + CHUNK, len(source))) for at in range(0, len(source), CHUNK)]
    tasks = (delayed(_pooled)(source.pick(share), network, count, tuple(poolings)) for share in shares)
    parts: list[list[Float64Array]] = []
    for share, part in zip(shares, Parallel(n_jobs=jobs, return_as="generator")(tasks), strict=True):
        parts.append(part)
        progress(share.stop, len(source))
    values = tuple(np.concatenate([part[index] for part in parts]) for index in range(len(poolings)))
    return Vectors(values, labels)


def _pooled(
    source: Source, network: tuple[Model, Arithmetic] | None, count: int, poolings: tuple[Pooling, ...]
) -> list[Float64Array]:
    """One (recordings, components) array per pooling: what a worker does."""
    net = extractor(*network) if network else None
    vectors: list[list[Float64Array]] = [[] for _ in poolings]
    for stream in source:
        channels = _channels(net, stream.events, count)
        for kept, pooling in zip(vectors, poolings, strict=True):
            kept.append(pool(channels, stream.events, source.sensor, count, pooling))
    return [np.array(each) for each in vectors]


def _channels(net: Extractor | None, events: Events, count: int) -> npt.NDArray[Any]:
    if net is None:
        return np.asarray(events["polarity"].astype(np.int64) if count == 2 else np.zeros(events.size, int))
    net.reset()
    return net.step(events)
