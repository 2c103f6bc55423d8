"""What the header of a model file may hold, field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.limits import MOST_FEATURES_PER_BANK, MOST_RADIUS, MOST_SIDE
from feast_codegen.codegen.model.filters import MOST_HOT_PIXELS
from feast_codegen.codegen.model.model import (
    MOST_SOURCE,
    Arithmetic,
    Border,
    Hyperparameters,
    Polarity,
    stored_params,
)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class ParamsSchema(_Strict):
    """Hyperparameters, each in its range."""

    features: Annotated[int, Field(ge=1, le=MOST_FEATURES_PER_BANK)]
    radius: Annotated[int, Field(ge=1, le=MOST_RADIUS)]
    tau_us: Annotated[float, Field(gt=0, le=1e9)]
    eta: Annotated[float, Field(ge=0, le=1)]
    delta_i: Annotated[float, Field(ge=0, le=2)]
    delta_e: Annotated[float, Field(ge=0, le=2)]
    polarity: Polarity
    border: Border


class SensorSchema(_Strict):
    """Size in pixels."""

    width: Annotated[int, Field(ge=1, le=MOST_SIDE)]
    height: Annotated[int, Field(ge=1, le=MOST_SIDE)]


class FiltersSchema(_Strict):
    """Types only: ranges are those of `check_filters`."""

    camera: SensorSchema
    hot_pixels: Annotated[list[tuple[int, int]], Field(max_length=MOST_HOT_PIXELS)]
    refractory_us: int
    background_us: int
    cell_shift: int
    downsample_shift: int
    max_rate: int = 0
    burst: int = 0


class TrainingSchema(_Strict):
    """Where the numbers came from."""

    source: Annotated[str, Field(max_length=MOST_SOURCE)]
    recordings: Annotated[int, Field(ge=0)]
    events: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=0)]
    seed: int
    arithmetic: Arithmetic
    miss_rate: Annotated[float, Field(ge=0, le=1)]


class LowerSchema(_Strict):
    """The layer below, on the same sensor."""

    hyperparameters: ParamsSchema
    training: TrainingSchema


class ReadoutSchema(_Strict):
    """Class scores. Types only: ranges are those of `check_readout`."""

    grid: int
    labels: tuple[str, ...]


class FadingSchema(_Strict):
    """A fading readout. Types only: ranges are those of `check_fading_readout`."""

    kind: Literal["fading"]
    grid: int
    labels: tuple[str, ...]
    tau_us: float
    min_margin: float
    min_typicality: float


class HeaderSchema(_Strict):
    """The whole header."""

    format: Literal["feast-model"]
    version: Literal[2]
    units: dict[str, str]
    hyperparameters: ParamsSchema
    sensor: SensorSchema
    training: TrainingSchema
    lower: LowerSchema | None = None
    readout: FadingSchema | ReadoutSchema | None = None
    filters: FiltersSchema | None = None


def check_hyperparameters(params: Hyperparameters) -> Hyperparameters:
    """Return `params` if every field is in its range, else raise FeastError naming the field."""
    try:
        ParamsSchema(**stored_params(params))
    except ValidationError as error:
        raise FeastError(first_problem(error)) from None
    return params


def first_problem(error: ValidationError) -> str:
    """The first field that is wrong, why, and what was got, in one line."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"]) or "header"
    got = "" if problem["type"] == "missing" else f", got {problem.get('input')!r}"
    return f"{where}: {problem['msg'].lower()}{got}"[:300]
