"""The options of emission, declared once for every command that emits a model or meets what was emitted.

A new option is a field of `Options`, a field of `EmissionOptions` and its line in `EmissionOptions.options`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.options import INPUTS, PREFIX, Options, Select, Weights, inputs
from feast_codegen.host.cli.option_groups import options_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from feast_codegen.codegen.model.model import Model


@dataclass(frozen=True)
class EmissionOptions:
    """The options of `codegen emit`, as given on the command line."""

    learning: Annotated[
        bool, typer.Option("--learning", help="Learn on the device: state in RAM instead of const tables.")
    ] = False
    select: Annotated[
        Select,
        typer.Option(
            "--select", help="Frozen features: the nearest wins, or only those within their threshold."
        ),
    ] = "nearest"
    weights: Annotated[
        Weights,
        typer.Option("--weights", help="Frozen features: int8 halves their tables and costs some agreement."),
    ] = "int16"
    readout: Annotated[
        bool | None,
        typer.Option(
            "--readout/--no-readout",
            show_default=False,
            help="With class scores, or without. [with, if the model has a readout]",
        ),
    ] = None
    no_filters: Annotated[
        bool,
        typer.Option(
            "--no-filters",
            help="Leave the model's filters out of the C: events come filtered and downsampled already.",
        ),
    ] = False

    max_rate: Annotated[
        int | None,
        typer.Option(
            "--max-rate",
            metavar="EVENTS/S",
            min=0,
            show_default=False,
            help="Leave out events beyond this rate, 0 for none. [what the model has]",
        ),
    ] = None

    def options(self, model: Model) -> Options:
        """The options for `model`.

        Raises FeastError if they exclude each other, or ask for a readout that the model does not have.
        """
        if self.readout and model.readout is None:
            raise FeastError("--readout: the model has no readout: train it with codegen train --readout")
        options = Options(
            learning=self.learning,
            select=self.select,
            weights=self.weights,
            readout=self.readout is not False,
            filters=not self.no_filters,
            max_rate=self.max_rate,
        )
        options.check()
        return options

    def require_none(self, advice: str, allowed: Collection[str] = ()) -> None:
        """Raise FeastError with `advice` if an option is given, other than those fields in `allowed`."""
        given = [flag for name, flag in self._given().items() if name not in allowed]
        if given:
            raise FeastError(f"{', '.join(given)}: {advice}")

    def _given(self) -> dict[str, str]:
        """The flags that are not left at their defaults, by field."""
        defaults = type(self)()
        found = {}
        for name, option in options_of(type(self)).items():
            value = getattr(self, name)
            if value != getattr(defaults, name):
                declared = (
                    option.default,
                    *(option.param_decls or ()),
                )  # typer takes the first for a default
                positive, _, negative = next(str(each) for each in declared if each).partition("/")
                found[name] = negative if value is False and negative else positive
        return found


@dataclass(frozen=True)
class EmitOptions(EmissionOptions):
    """For a library of its own name, beside others."""

    prefix: Annotated[
        str,
        typer.Option(
            "--prefix",
            metavar="NAME",
            help="Begin every name and file of the library with NAME, so that several live in one program.",
        ),
    ] = PREFIX
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="NAMES",
            help=f"Add decoders of camera words, with commas between them: {', '.join(INPUTS)}. [none]",
            show_default=False,
        ),
    ] = None

    def options(self, model: Model) -> Options:
        """As of `EmissionOptions`; raises FeastError for an unknown decoder or a bad prefix, too."""
        options = replace(
            EmissionOptions.options(self, model),
            prefix=self.prefix,
            input=() if self.input is None else inputs(self.input),
        )
        options.check()
        return options


@dataclass(frozen=True)
class DeviceOptions(EmissionOptions):
    """For a device that is given events: those the filters leave out are left out on one of the two sides."""

    no_filters: Annotated[
        bool,
        typer.Option(
            "--host-filters", help="The device is built with --no-filters: filter and downsample here."
        ),
    ] = False


@dataclass(frozen=True)
class VerifyOptions(DeviceOptions):
    """For a proof of both modes, frozen and learning."""

    learning: bool = False


@dataclass(frozen=True)
class StateOptions(EmissionOptions):
    """For a device that is given no events: it says itself whether it was built with learning."""

    learning: bool = True

    def options(self, model: Model) -> Options:
        """As of `EmissionOptions`, with learning unless the weights rule it out."""
        return EmissionOptions.options(replace(self, learning=self.weights == "int16"), model)
