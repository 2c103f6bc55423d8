"""`codegen boards --for`: what it says fits is what emission takes; one feature more is what that refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.limits import MOST_FEATURES_PER_BANK
from feast_codegen.codegen.boards.board import load_boards
from feast_codegen.codegen.emit.budget import check_fit
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Hyperparameters, Sensor, Shape
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import ReadoutSize
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.capacity import fit_boards, most_features
from feast_codegen.host.boards.run import emit_for_board
from feast_codegen.host.cli.app import execute
from tests.support.firmware_project import needs_compiler
from tests.support.networks import behind, make_model, make_stack, with_readout

BOARDS = load_boards()
SENSOR = Sensor(34, 34)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(Hyperparameters(), SENSOR),
        Shape(Hyperparameters(radius=3, polarity="separate", border="skip"), Sensor(128, 128)),
        Shape(Hyperparameters(radius=2), Sensor(346, 260)),
    ],
)
def test_the_limit_is_where_emission_begins_to_refuse(shape: Shape) -> None:
    for found in fit_boards(shape):
        for options, mode in ((Options(), found.frozen), (Options(learning=True), found.learning)):
            board, most = BOARDS[found.name], mode.most_features
            if most:
                check_fit(shape.changed(features=most), options, board)
            if most < MOST_FEATURES_PER_BANK:
                with pytest.raises(FeastError, match=f"too large for {found.name}"):
                    check_fit(shape.changed(features=most + 1), options, board)
            assert mode.fits == (most >= shape.params.features)


def test_a_model_and_its_integers_have_one_shape() -> None:
    """`boards --for` asks the model, emission the integers."""
    for model in (
        with_readout(make_stack(make_model(features=3))),
        behind(Filters(SENSOR, refractory_us=1000, downsample_shift=1)),
    ):
        assert model.shape == quantise(model)[0].shape
        assert model.shape.emitted(Options()) == model.shape
        bare = model.shape.emitted(Options(readout=False, filters=False))
        assert bare == replace(model.unfiltered, readout=None).shape


def test_small_parts_hold_what_they_are_meant_to() -> None:
    found = {board.name: board for board in fit_boards(Shape(Hyperparameters(features=16), SENSOR))}
    assert found["stm32vldiscovery"].frozen.fits, "8 KB of RAM"
    assert found["bbcmicrobit"].learning.fits, "16 KB of RAM"
    assert not found["stm32vldiscovery"].learning.fits
    camera = {board.name: board for board in fit_boards(Shape(Hyperparameters(), Sensor(346, 260)))}
    assert camera["netduinoplus2"].frozen.most_features == 0, "its surface alone takes 180 KB"
    assert camera["pico"].frozen.fits


WIDE = Hyperparameters(features=8, channels=16)


@pytest.mark.parametrize(
    ("name", "learning", "params", "below", "advice"),
    [
        ("bbcmicrobit", True, WIDE, 1, "a smaller radius or fewer features below or no --learning"),
        ("mps3_an547", False, replace(WIDE, radius=3), 1, "a smaller radius or fewer features below"),
        ("mps3_an547", True, replace(WIDE, radius=1), 15, "a smaller radius"),
        ("mps3_an547", True, Hyperparameters(radius=15), 0, "a smaller radius"),
    ],
)
def test_a_lack_of_stack_is_met_by_what_cures_it(
    name: str, learning: bool, params: Hyperparameters, below: int, advice: str
) -> None:
    """One layer where `below`, the radius of the lower layer, is 0."""
    lower = Shape(Hyperparameters(features=params.channels, radius=below), SENSOR) if below else None
    said = rf"bytes of stack, .*; fewer features need no less, choose {advice}$"
    with pytest.raises(FeastError, match=said):
        check_fit(Shape(params, SENSOR, lower), Options(learning=learning), BOARDS[name])


def test_a_lack_of_stack_that_no_model_cures_asks_for_another_board() -> None:
    bare = replace(BOARDS["lm3s6965evb"], stack_bytes=500)
    with pytest.raises(FeastError, match=r"bytes of stack, .* choose a board with more stack$"):
        check_fit(Shape(Hyperparameters(), SENSOR), Options(), bare)


def test_a_readout_that_is_too_large_by_itself_may_be_left_out() -> None:
    shape = Shape(Hyperparameters(features=8, radius=2), SENSOR, readout=ReadoutSize(8, 500))
    with pytest.raises(FeastError, match=r"a larger board, or leave out the readout \(--no-readout\)$"):
        check_fit(shape, Options(), BOARDS["stm32vldiscovery"])


@pytest.mark.firmware
@needs_compiler
@pytest.mark.parametrize(
    ("name", "learning"),
    [
        ("stm32vldiscovery", False),
        ("stm32vldiscovery", True),
        ("bbcmicrobit", True),
        ("lm3s6965evb", True),
        ("b_l475e_iot01a", True),
    ],
)
def test_the_largest_that_fits_links(name: str, learning: bool, tmp_path: Path) -> None:
    board, options = BOARDS[name], Options(learning=learning)
    most = most_features(Shape(Hyperparameters(), SENSOR), options, board)
    assert most >= 8
    emit_for_board(make_model(features=most), board, options, tmp_path / "firmware")
    built = build(board, tmp_path / "firmware")
    ram = built.ram_bytes + built.stack_bytes
    assert ram <= board.ram.bytes
    assert built.flash_bytes <= board.flash.bytes
    assert max(ram / board.ram.bytes, built.flash_bytes / board.flash.bytes) > 0.85, "and not much is left"


def test_the_command_prints_for_people_and_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.npz"
    save_model(make_model(features=16), path)
    assert execute(["boards", "--for", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [board["name"] for board in answer["boards"]] == list(BOARDS)
    assert set(answer["boards"][0]["learning"]) == {
        "fits",
        "most_features",
        "ram_bytes",
        "flash_bytes",
    }
    speeds = {
        board["name"]: (board["link_events_per_s"], board["core_events_per_s"]) for board in answer["boards"]
    }
    for board in answer["boards"]:
        known = BOARDS[board["name"]]
        assert (board["core"], board["verified"]) == (known.core, known.verified)
        assert board["link_events_per_s"] * 40 <= known.uart.baud
    assert speeds["nucleo_h743zi"][1] > speeds["bbcmicrobit"][1] > 0
    save_model(make_stack(make_model(features=16), features=4, radius=1), path)
    assert execute(["boards", "--for", str(path), "--json"]) == 0
    for board in json.loads(capsys.readouterr().out)["boards"]:
        assert board["core_events_per_s"] < speeds[board["name"]][1], "the second layer costs too"
    save_model(make_model(features=16), path)
    assert execute(["boards", "--for", str(path)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("stm32vldiscovery")]
    assert line.split()[1::2] == ["fits", "no"]
