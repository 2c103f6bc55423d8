"""Search for networks that are good and cheap: a Pareto front of quality against cost on a board.

Optuna proposes; a trial trains a network and measures it. The study lives in a storage, so a search
can be interrupted, gone on with, and shared by many processes or machines: a journal file (also on a
network drive), or a database such as PostgreSQL by its URL.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from codegen.boards import Board
from codegen.cost import DeviceCost, device_cost
from codegen.errors import FeastError
from codegen.filters import Filters
from codegen.memory import fits
from codegen.model import Hyperparameters, Sensor
from codegen.options import Options
from host.activation import activation_score
from host.classifiers import accuracy
from host.console import Progress, silent
from host.datasets import Source
from host.pooling import Pooling
from host.training import train, training_part
from host.vectors import feature_vectors, labels_of

Objective = Literal["accuracy", "separation", "richness"]

NEURONS: Final = (4, 8, 12, 16, 24, 32, 48, 64)
RADII: Final = (1, 2, 3, 4, 5)
TAU_US: Final = (1e3, 1e6)
ETA: Final = (1e-4, 3e-2)
POLARITIES: Final = ("merged", "separate", "signed")
FOLDS: Final = 5
_POOLING: Final = Pooling(grid=5, overlap=1.5, power=0.3)
ATTEMPTS: Final = 6
"""Times a database is opened, half a second apart, when another process makes its tables."""
_DIRECTIONS: Final = ("maximize", "minimize", "minimize", "minimize")
LEASE_S: Final = 120
"""A process silent for this long is taken for dead; its trial counts as failed (databases only)."""


@dataclass(frozen=True)
class Tried:
    """A network that was trained and measured."""

    params: Hyperparameters
    quality: float
    """Of the objective; larger is better."""
    cost: DeviceCost
    best: bool
    """On the front: no other is at least as good in everything and better in something."""


@dataclass(frozen=True)
class Front:
    """What a study knows by now."""

    source: str
    board: str
    objective: Objective
    tried: tuple[Tried, ...]
    """In order of instructions per event."""
    failed: int
    """Trials that were refused, interrupted or did not fit the board."""
    interrupted: bool = False

    @property
    def best(self) -> tuple[Tried, ...]:
        """The front alone."""
        return tuple(each for each in self.tried if each.best)


def tune(
    source: Source,
    board: Board,
    *,
    storage: str,
    trials: int = 50,
    objective: Objective = "accuracy",
    seed: int = 0,
    jobs: int = 1,
    filters: Filters | None = None,
    progress: Progress = silent,
) -> Front:
    """Bring the study in `storage` to `trials` trials, going on where it stands, and return the front.

    `storage`: a file (a journal is made there) or the URL of a database. The study is named by source,
    board and objective, so one storage holds many. One process and one seed give the same trials
    again. `jobs`: workers that extract features. `filters`: in front of every network.
    Ctrl-C returns what is done, `interrupted` set.
    Raises FeastError for a storage that cannot be used or recordings that cannot be measured.
    """
    import optuna

    if trials < 1:
        raise FeastError(f"trials {trials}: expected 1 or more")
    part = training_part(source)
    if objective != "richness":
        labels_of(part)
    sensor = filters.sensor if filters else part.sensor
    spec = f"{part.spec} behind {filters} ({_digest(filters)})" if filters else part.spec
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    interrupted = False
    with _opened(storage, f"{spec} on {board.name} for {objective}") as study:

        def run(trial: Any) -> tuple[float, float, float, float]:
            # By the trial's number: processes that share a study draw differently, one alone the same again.
            study.sampler = _sampler(seed + 100_003 * trial.number)
            params = suggest(trial)
            if not fits(params, sensor, Options(), board, filters=filters):
                raise optuna.TrialPruned(f"does not fit {board.name}")
            cost = device_cost(params, sensor, board, filters)
            quality = _known(study, trial) or measure(part, params, objective, seed, jobs, filters)
            return quality, cost.instructions, float(cost.ram), float(cost.flash)

        def ended() -> int:
            done = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
            return len(study.get_trials(deepcopy=False, states=done))

        progress(ended(), trials)
        try:
            while ended() < trials and not interrupted:
                study.optimize(run, n_trials=1)
                progress(min(ended(), trials), trials)
        except KeyboardInterrupt:
            interrupted = True
        return front(study, spec, board.name, sensor, board, objective, interrupted, filters)


def _digest(filters: Filters) -> str:
    """Tells filters apart that are the same in words, by their hot pixels."""
    return f"{zlib.crc32(repr(filters).encode()):08x}"


def suggest(trial: Any) -> Hyperparameters:
    """The hyperparameters that a trial asks for."""
    return Hyperparameters(
        neurons=trial.suggest_categorical("neurons", NEURONS),
        radius=trial.suggest_categorical("radius", RADII),
        tau_us=float(f"{trial.suggest_float('tau_us', *TAU_US, log=True):.3g}"),
        eta=float(f"{trial.suggest_float('eta', *ETA, log=True):.3g}"),
        polarity=trial.suggest_categorical("polarity", POLARITIES),
    )


def measure(
    source: Source,
    params: Hyperparameters,
    objective: Objective,
    seed: int,
    jobs: int,
    filters: Filters | None = None,
) -> float:
    """Train a network and say how good it is."""
    model = train(source, params, seed=seed, filters=filters).model
    if objective == "accuracy":
        vectors = feature_vectors(source, model, [_POOLING], jobs=jobs)
        return accuracy(vectors.values[0], vectors.labels, folds=FOLDS, seeds=(0,))
    score = activation_score(source, model, jobs=jobs)
    value = score.separation if objective == "separation" else score.richness
    if value is None:
        raise FeastError(f"{source.spec}: the objective {objective} needs labels")
    return value


def front(
    study: Any,
    spec: str,
    name: str,
    sensor: Sensor,
    board: Board,
    objective: Objective,
    interrupted: bool,
    filters: Filters | None = None,
) -> Front:
    """What a study holds, in order of instructions."""
    import optuna

    best = {trial.number for trial in study.best_trials}
    tried: dict[Hyperparameters, Tried] = {}
    failed = 0
    for trial in study.get_trials(deepcopy=False):
        if trial.state != optuna.trial.TrialState.COMPLETE:
            failed += trial.state != optuna.trial.TrialState.RUNNING
            continue
        params = suggest(optuna.trial.FixedTrial(trial.params))
        tried.setdefault(
            params,
            Tried(params, trial.values[0], device_cost(params, sensor, board, filters), trial.number in best),
        )
    ordered = sorted(tried.values(), key=lambda each: each.cost.instructions)
    return Front(spec, name, objective, tuple(ordered), failed, interrupted)


def front_values(found: Front) -> dict[str, Any]:
    """The front as plain values for JSON."""
    return {
        "source": found.source,
        "board": found.board,
        "objective": found.objective,
        "failed": found.failed,
        "interrupted": found.interrupted,
        "tried": [asdict(each) for each in found.tried],
    }


def front_from(values: dict[str, Any], where: str) -> Front:
    """The front of `front_values`. Raises FeastError for anything else."""
    try:
        tried = tuple(
            Tried(
                Hyperparameters(**each["params"]),
                float(each["quality"]),
                DeviceCost(**each["cost"]),
                bool(each["best"]),
            )
            for each in values["tried"]
        )
        return Front(
            str(values["source"]),
            str(values["board"]),
            values["objective"],
            tried,
            int(values["failed"]),
            bool(values["interrupted"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FeastError(f"{where}: not a file written by `codegen tune -o`: {error!r}") from None


def _known(study: Any, trial: Any) -> float | None:
    """Quality of an earlier trial with the same parameters: training again would tell nothing new."""
    import optuna

    states = (optuna.trial.TrialState.COMPLETE,)
    for other in study.get_trials(deepcopy=False, states=states):
        if other.params == trial.params:
            return float(other.values[0])
    return None


def _sampler(seed: int) -> Any:
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=16, constant_liar=True)


@contextlib.contextmanager
def _opened(storage: str, name: str) -> Iterator[Any]:
    """The study of that name, made where there is none; connections to a database are closed at the end."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    with contextlib.ExitStack() as at_the_end:
        with _told_apart(storage):
            place: Any
            if "://" in storage:
                place = _database(storage)
                at_the_end.callback(place.engine.dispose)
            else:
                path = Path(storage)
                if not path.parent.is_dir():
                    raise FeastError(f"{storage}: there is no folder {path.parent} to keep the study in")
                lock = JournalFileOpenLock(storage) if os.name == "nt" else None
                place = JournalStorage(JournalFileBackend(storage, lock_obj=lock))
            study = optuna.create_study(
                storage=place, directions=list(_DIRECTIONS), study_name=name, load_if_exists=True
            )
        yield study


def _database(url: str) -> Any:
    """Storage in a database; its tables are made at the first use, where another process may be first."""
    import optuna
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    for left in range(ATTEMPTS - 1, -1, -1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return RDBStorage(url, heartbeat_interval=LEASE_S // 2, grace_period=LEASE_S)
        except (IntegrityError, ProgrammingError, RuntimeError):
            if left == 0:
                raise
            time.sleep(0.5)
    raise AssertionError("the last attempt returns or raises")


@contextlib.contextmanager
def _told_apart(storage: str) -> Iterator[None]:
    """Turn what goes wrong with a storage into one line; a URL's password is left out of it."""
    place = storage if "://" not in storage else storage.split("://")[0] + "://" + storage.split("@")[-1]
    try:
        yield
    except (FeastError, KeyboardInterrupt):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FeastError(f"{place}: cannot keep a study there: {reason}") from None
