"""Recordings to vectors, many at a time: each worker loads, steps and pools its share.

joblib spreads the work over the back end chosen around the call: processes of this
machine, or a Dask cluster (`joblib.parallel_config(backend="dask")`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.base.processes import follow, interrupts_held
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Arithmetic, Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.evaluation.folds import Groups, Labels
from feast_codegen.host.evaluation.pooling import Pooling, pool
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source

Float64Array = npt.NDArray[np.float64]

RawKind = Literal["merged", "by polarity"]
CHUNK: Final = 16
"""Recordings a worker takes at once."""
_OF_THIS_PROCESS: Final = ("LokyBackend", "MultiprocessingBackend")
"""Back ends of joblib whose workers this process starts itself: they end with it."""


class Extractor(Protocol):
    """A frozen network: FloatFeast or Twin."""

    def step(self, events: Events) -> Results:
        """Step events in order; int16 (n,) results."""

    def reset(self) -> None:
        """Begin a new recording."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Pooled recordings with their labels."""

    values: tuple[Float64Array, ...]
    """One (recordings, components) array per pooling."""
    labels: Labels
    """(recordings,)."""
    groups: Groups = None
    """(recordings,): what a cross-validation must keep together."""


def labels_of(source: Source) -> Labels:
    """(recordings,) labels, int64 or names. Raises FeastError unless every recording has one."""
    if None in source.labels:
        raise FeastError(
            f"{source.spec}: a readout needs labels; use a folder of class folders or sim:digits"
        )
    if all(isinstance(label, int) for label in source.labels):
        return np.array(source.labels, np.int64)
    return np.array([str(label) for label in source.labels])


def groups_of(source: Source) -> Groups:
    """(recordings,) numbers of the groups; None where each recording is one of its own."""
    if len(set(source.groups)) in (0, len(source)):
        return None
    return np.unique(np.array(source.groups), return_inverse=True)[1].astype(np.int64)


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
    return _spread(source, (model, arithmetic), model.params.total_features, poolings, jobs, progress)


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
    from multiprocessing import resource_tracker

    from joblib import Parallel, delayed
    from joblib.externals.loky.backend import resource_tracker as loky_tracker
    from joblib.parallel import get_active_backend

    labels = labels_of(source)
    shares = [range(at, min(at + CHUNK, len(source))) for at in range(0, len(source), CHUNK)]
    parent = os.getpid() if type(get_active_backend()[0]).__name__ in _OF_THIS_PROCESS else None
    tasks = (
        delayed(_pooled)(source.pick(share), network, count, tuple(poolings), parent) for share in shares
    )
    parts: list[list[Float64Array]] = []
    if parent is not None and jobs != 1 and os.name != "nt":
        # They would let Ctrl-C through again when they start amid the block.
        loky_tracker.ensure_running()
        resource_tracker.ensure_running()
    with interrupts_held():  # workers are started here
        results = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    for share, part in zip(shares, results, strict=True):
        parts.append(part)
        progress(share.stop, len(source))
    values = tuple(np.concatenate([part[index] for part in parts]) for index in range(len(poolings)))
    return Vectors(values, labels, groups_of(source))


def _pooled(
    source: Source,
    network: tuple[Model, Arithmetic] | None,
    count: int,
    poolings: tuple[Pooling, ...],
    parent: int | None,
) -> list[Float64Array]:
    """One (recordings, components) array per pooling: what a worker does, which `parent` has started."""
    if parent is not None:
        follow(parent)
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
