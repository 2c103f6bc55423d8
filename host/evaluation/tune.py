"""Search for networks that are good and cheap: a Pareto front of quality against cost on a board.

Optuna proposes; a trial trains a network and measures it. The study lives in optuna_storage, so
a search can be interrupted, gone on with, and shared by many processes or machines.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import Board
from feast_codegen.codegen.emit.budget import fits
from feast_codegen.codegen.emit.instruction_model import DeviceCost, device_cost
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Hyperparameters, Shape
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.evaluation.activation_scores import activation_score
from feast_codegen.host.evaluation.classifiers import ridge_accuracy
from feast_codegen.host.evaluation.feature_vectors import feature_vectors, labels_of
from feast_codegen.host.evaluation.optuna_storage import opened
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source

Objective = Literal["accuracy", "separation", "richness"]

FEATURES_PER_BANK: Final = (4, 8, 12, 16, 24, 32, 48, 64)
RADII: Final = (1, 2, 3, 4, 5)
TAU_US: Final = (1e3, 1e6)
ETA: Final = (1e-4, 3e-2)
POLARITIES: Final = ("merged", "separate", "signed")
FOLDS: Final = 5
_POOLING: Final = Pooling(grid=5, overlap=1.5, power=0.3)
_DIRECTIONS: Final = ("maximize", "minimize", "minimize", "minimize")


@dataclass(frozen=True)
class Search:
    """What networks are tried on, for which board and for what."""

    source: Source
    board: Board
    objective: Objective = "accuracy"
    filters: Filters | None = None
    """In front of every network."""

    @property
    def spec(self) -> str:
        """Recordings and filters in words; filters that are the same in words differ in the digest."""
        if self.filters is None:
            return self.source.spec
        digest = zlib.crc32(repr(self.filters).encode())
        return f"{self.source.spec} behind {self.filters} ({digest:08x})"

    def shape(self, params: Hyperparameters) -> Shape:
        """The network of these parameters."""
        sensor = self.filters.sensor if self.filters else self.source.sensor
        return Shape(params, sensor, filters=self.filters)


@dataclass(frozen=True)
class Trial:
    """A network that was trained and measured."""

    params: Hyperparameters
    quality: float
    """Of the objective; larger is better."""
    cost: DeviceCost
    best: bool
    """On the front: no other is at least as good in everything and better in something."""


@dataclass(frozen=True)
class ParetoFront:
    """What a study knows by now."""

    source: str
    board: str
    objective: Objective
    trials: tuple[Trial, ...]
    """In order of instructions per event."""
    failed: int
    """Trials that were refused, interrupted or did not fit the board."""
    interrupted: bool = False

    @property
    def best(self) -> tuple[Trial, ...]:
        """The front alone."""
        return tuple(each for each in self.trials if each.best)


def tune(
    search: Search,
    *,
    storage: str,
    trials: int = 50,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress = silent,
) -> ParetoFront:
    """Bring the study in `storage` to `trials` trials, going on where it stands, and return the front.

    `storage`: a file (a journal is made there) or the URL of a database. The study is named by source,
    board and objective, so one storage holds many. One process and one seed give the same trials
    again. `jobs`: workers that extract features.
    Ctrl-C returns what is done, `interrupted` set.
    Raises FeastError for a storage that cannot be used or recordings that cannot be measured.
    """
    import optuna

    if trials < 1:
        raise FeastError(f"trials {trials}: expected 1 or more")
    search = replace(search, source=training_part(search.source))
    if search.objective != "richness":
        labels_of(search.source)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    interrupted = False
    name = f"{search.spec} on {search.board.name} for {search.objective}"
    with opened(storage, name, _DIRECTIONS) as study:

        def run(trial: Any) -> tuple[float, float, float, float]:
            # By the trial's number: processes that share a study draw differently, one alone the same again.
            study.sampler = _sampler(seed + 100_003 * trial.number)
            params = suggest(trial)
            shape = search.shape(params)
            if not fits(shape, Options(), search.board):
                raise optuna.TrialPruned(f"does not fit {search.board.name}")
            cost = device_cost(shape, search.board)
            quality = _known(study, trial) or measure(search, params, seed, jobs)
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
        return front(study, search, interrupted)


def suggest(trial: Any) -> Hyperparameters:
    """The hyperparameters that a trial asks for."""
    return Hyperparameters(
        features=trial.suggest_categorical("features", FEATURES_PER_BANK),
        radius=trial.suggest_categorical("radius", RADII),
        tau_us=float(f"{trial.suggest_float('tau_us', *TAU_US, log=True):.3g}"),
        eta=float(f"{trial.suggest_float('eta', *ETA, log=True):.3g}"),
        polarity=trial.suggest_categorical("polarity", POLARITIES),
    )


def measure(search: Search, params: Hyperparameters, seed: int, jobs: int) -> float:
    """Train a network and say how good it is."""
    source, objective = search.source, search.objective
    model = train(source, params, seed=seed, filters=search.filters).model
    if objective == "accuracy":
        vectors = feature_vectors(source, model, [_POOLING], jobs=jobs)
        return ridge_accuracy(vectors.values[0], vectors.labels, FOLDS, (0,), vectors.groups)
    score = activation_score(source, model, jobs=jobs)
    value = score.separation if objective == "separation" else score.richness
    if value is None:
        raise FeastError(f"{source.spec}: the objective {objective} needs labels")
    return value


def front(study: Any, search: Search, interrupted: bool) -> ParetoFront:
    """What a study holds, in order of instructions."""
    import optuna

    best = {trial.number for trial in study.best_trials}
    trials: dict[Hyperparameters, Trial] = {}
    failed = 0
    for trial in study.get_trials(deepcopy=False):
        if trial.state != optuna.trial.TrialState.COMPLETE:
            failed += trial.state != optuna.trial.TrialState.RUNNING
            continue
        params = suggest(optuna.trial.FixedTrial(trial.params))
        cost = device_cost(search.shape(params), search.board)
        trials.setdefault(params, Trial(params, trial.values[0], cost, trial.number in best))
    ordered = sorted(trials.values(), key=lambda each: each.cost.instructions)
    return ParetoFront(search.spec, search.board.name, search.objective, tuple(ordered), failed, interrupted)


def front_values(found: ParetoFront) -> dict[str, Any]:
    """The front as plain values for JSON."""
    return {
        "source": found.source,
        "board": found.board,
        "objective": found.objective,
        "failed": found.failed,
        "interrupted": found.interrupted,
        "trials": [asdict(each) for each in found.trials],
    }


def front_from(values: dict[str, Any], where: str) -> ParetoFront:
    """The front of `front_values`. Raises FeastError for anything else."""
    try:
        trials = tuple(
            Trial(
                Hyperparameters(**each["params"]),
                float(each["quality"]),
                DeviceCost(**each["cost"]),
                bool(each["best"]),
            )
            for each in values["trials"]
        )
        return ParetoFront(
            str(values["source"]),
            str(values["board"]),
            values["objective"],
            trials,
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
