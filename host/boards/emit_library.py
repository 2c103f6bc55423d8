"""A model to the folder of its C library: quantise, plan, render, write."""

from __future__ import annotations

from pathlib import Path

from feast_codegen.codegen.boards.board import Board
from feast_codegen.codegen.emit.plan import Plan, make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import Emission, write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.project_lock import library_lock


def emit_library(model: Model, board: Board | None, options: Options, folder: Path) -> tuple[Plan, Emission]:
    """Write the library of `model` for `board` into `folder`; board None: for any computer, without limits.

    Waits for a build in the firmware project that the folder belongs to. Raises FeastError if the model
    cannot be quantised or does not fit the board, if options exclude each other, or if the folder holds
    anything else or cannot be written.
    """
    plan = make_plan(quantise(model)[0], board, options)
    with library_lock(folder):
        return plan, write(render(plan), folder)
