"""Filters on the host: in front of networks and sources, found, tried and streamed; on emulated boards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import FILTERED, MISS, Events
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Hyperparameters, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.run import run_on_board
from feast_codegen.host.cli.app import execute
from feast_codegen.host.evaluation.fit_readout import fit_readout
from feast_codegen.host.evaluation.tune import Search, tune
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.filter_report import measure_filters
from feast_codegen.host.recordings.hot_pixels import (
    count_events,
    find_hot_pixels,
    read_hot_pixels,
    write_hot_pixels,
)
from feast_codegen.host.recordings.open import Source, open_source
from feast_codegen.host.sklearn_api import Feast
from feast_codegen.host.streaming.inputs import live_feed, recorded_feeds
from feast_codegen.host.streaming.learned_state import check_same_geometry
from feast_codegen.host.verify import verify
from tests.host.streaming.test_cameras import edvs_bytes
from tests.support.firmware_project import needs_compiler, needs_emulator
from tests.support.link_device import build_real_process, on_pty
from tests.support.networks import behind, make_events, make_model

CAMERA = Sensor(34, 34)
FILTERS = Filters(CAMERA, ((3, 4), (20, 7)), 2000, 5000, 0, 1)
SMALL = Hyperparameters(features=3, radius=1)
DIGITS = "sim:digits?count=6"


def digits() -> Source:
    return open_source(DIGITS)


def test_float_network_sees_what_is_left_in_any_chunking() -> None:
    model = behind(FILTERS, radius=1, features=3, polarity="separate")
    events = digits().load(0).events
    whole, chunked, bare = FloatFeast(model), FloatFeast(model), FloatFeast(model.unfiltered)
    results = whole.step(events)
    parts = [chunked.step(part) for part in np.split(events, [1, 700, 701, 3000])]
    np.testing.assert_array_equal(results, np.concatenate(parts))
    left = results != FILTERED
    assert 0 < np.count_nonzero(left) < events.size
    np.testing.assert_array_equal(bare.step(FILTERS.downsampled(events[left])), results[left])
    assert whole.counters["filtered"] == np.count_nonzero(~left)
    assert sum(whole.counters.values()) == events.size
    whole.reset()
    np.testing.assert_array_equal(whole.step(events), results)
    scores = FloatFeast(model).scores(events)
    assert np.isnan(scores.best[~left]).all() and np.isfinite(scores.best[left]).all()


def test_filtered_source_is_what_the_network_sees() -> None:
    source = digits()
    pieces = replace(source, read_chunks=lambda index: iter(np.array_split(source.read(index), 7)))
    seen = pieces.filtered(FILTERS)
    assert seen.sensor == Sensor(17, 17)
    for index in (0, 5):
        events = source.load(index).events
        left = FloatFeast(behind(FILTERS, radius=1, features=2)).step(events) != FILTERED
        np.testing.assert_array_equal(seen.load(index).events, FILTERS.downsampled(events[left]))
    everything = Filters(CAMERA, tuple((x, y) for y in range(34) for x in range(34)))
    nothing = source.filtered(everything)
    assert nothing.load(0).events.size == 0 == sum(piece.events.size for piece in nothing.load_chunks(0))
    empty = replace(source, read=lambda index: source.read(index)[:0])
    with pytest.raises(FeastError, match=r"digits.* recording 0: no event is left"):
        empty.filtered(everything).load(0)


def test_training_behind_filters_is_training_on_what_they_leave() -> None:
    source = digits()
    inside = train(source, SMALL, filters=FILTERS).model
    outside = train(source.filtered(FILTERS), SMALL).model
    np.testing.assert_array_equal(inside.weights, outside.weights)
    assert (inside.filters, inside.sensor, inside.camera) == (FILTERS, Sensor(17, 17), CAMERA)
    fixed = train(source, SMALL, filters=FILTERS, arithmetic="fixed").model
    assert fixed.filters == FILTERS
    with pytest.raises(FeastError, match="has a 34x34 sensor, the filters are for 8x8"):
        train(source, SMALL, filters=Filters(Sensor(8, 8), refractory_us=9))


def test_verify_with_and_without_the_filters() -> None:
    source = digits().pick(range(2))
    model = train(source, SMALL, filters=FILTERS).model
    inside = verify(model, source)
    outside = verify(model, source.filtered(FILTERS), Options(filters=False))
    assert inside.mismatches == outside.mismatches == 0
    assert inside.filtered > 0 == outside.filtered
    assert inside.agreement == outside.agreement
    assert inside.model_id == outside.model_id == model.model_id


def test_class_scores_count_in_pixels_of_the_network() -> None:
    source = open_source("sim:bars?count=40")
    inside = train(source, SMALL, filters=FILTERS).model
    seen = source.filtered(FILTERS)
    outside = train(seen, SMALL).model
    np.testing.assert_array_equal(
        fit_readout(source, inside, 5).readout.weights, fit_readout(seen, outside, 5).readout.weights
    )


def test_learned_states_are_not_for_other_filters() -> None:
    model, other = (
        behind(FILTERS, features=2, radius=1),
        make_model(FILTERS.sensor, features=2, radius=1),
    )

    class Device:
        sensor, features_per_bank, radius, banks = FILTERS.sensor, 2, 1, 1

    check_same_geometry(model, Device, model)  # type: ignore[arg-type]
    with pytest.raises(FeastError, match="learned behind filters"):
        check_same_geometry(model, Device, other)  # type: ignore[arg-type]


def test_estimator_takes_filters() -> None:
    from sklearn.base import clone

    recordings = [digits().load(index).events for index in range(3)]
    feast = clone(Feast(features=2, radius=1, grid=4, filters=FILTERS)).fit(recordings)
    assert feast.model_.filters == FILTERS
    counts = feast.transform(recordings)
    left = [np.count_nonzero(results >= 0) for results in feast.feature_events(recordings)]
    np.testing.assert_allclose(counts.sum(axis=1), left)
    with pytest.raises(FeastError, match="filters are for a 34x34 camera"):
        Feast(sensor=(40, 40), filters=FILTERS).fit(recordings)


def test_tuning_behind_filters_is_a_study_of_its_own(tmp_path: Path) -> None:
    source, storage = open_source("sim:bars?count=44"), str(tmp_path / "tune.journal")
    search = Search(source, get_board("mps2_an386"), "richness")
    tune(search, storage=storage, trials=1)
    found = tune(replace(search, filters=FILTERS), storage=storage, trials=1)
    assert len(found.trials) == 1 and "behind hot pixels: 2" in found.source
    assert found.trials[0].cost.ram > 2 * 34 * 34


# Hot pixels


def with_hot(events: Events, pixels: list[tuple[int, int]], rate_hz: float = 400.0) -> Events:
    extra = make_events(
        int(len(pixels) * rate_hz * 0.3), CAMERA, mean_gap_us=3e5 / (len(pixels) * rate_hz * 0.3)
    )
    places = np.array(pixels)[np.random.default_rng(1).integers(0, len(pixels), extra.size)]
    extra["x"], extra["y"] = places[:, 0], places[:, 1]
    every = np.concatenate([events, extra])
    return every[np.argsort(every["t_us"], kind="stable")]


def test_planted_hot_pixels_are_found_and_nothing_else() -> None:
    planted = [(0, 0), (16, 16), (17, 16), (33, 20)]
    clean = digits()
    noisy = replace(clean, read=lambda index: with_hot(clean.read(index), planted))
    assert find_hot_pixels(count_events(clean)) == ()
    assert find_hot_pixels(count_events(noisy)) == tuple(planted)


def test_hot_pixels_of_sensors_of_any_size() -> None:
    for shape in ((1, 1), (1, 9), (2, 2), (40, 3)):
        assert find_hot_pixels(np.full(shape, 50)) == ()


def test_hot_pixel_files(tmp_path: Path) -> None:
    path = tmp_path / "hot.txt"
    write_hot_pixels(path, [(3, 4), (33, 33)], CAMERA)
    assert read_hot_pixels(path, CAMERA) == ((3, 4), (33, 33))
    path.write_text("# mine\n\n5, 6  # corner\n7 8\n")
    assert read_hot_pixels(path, CAMERA) == ((5, 6), (7, 8))
    path.write_text("5 6", encoding="utf-8-sig")
    assert read_hot_pixels(path, CAMERA) == ((5, 6),)
    for text, problem in (
        ("1 2\n3\n", "line 2: '3'"),
        ("1 -2", "line 1"),
        ("34 0", "outside the 34x34"),
        (f"1 {'9' * 5000}", "line 1: .*expected a pixel"),
    ):
        path.write_text(text)
        with pytest.raises(FeastError, match=problem):
            read_hot_pixels(path, CAMERA)
    with pytest.raises(FeastError, match="cannot read"):
        read_hot_pixels(tmp_path / "none.txt", CAMERA)


def test_report_of_the_filters_adds_up() -> None:
    source = digits()
    report = measure_filters(FILTERS, source)
    assert [stage.name for stage in report.stages] == ["hot pixels", "refractory", "background"]
    counts = [report.events, *(stage.passed for stage in report.stages)]
    assert counts == sorted(counts, reverse=True)
    net = FloatFeast(behind(FILTERS, radius=1, features=2))
    left = 0
    for stream in source:
        net.reset()
        left += int(np.count_nonzero(net.step(stream.events) >= MISS))
    assert report.passed == left


# Commands and streams


def test_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--refractory-us", "2000", "--background-activity-us", "5000", "--downsample", "2"]

    def codegen(*arguments: str) -> dict[str, object]:
        assert execute([*arguments, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    tried = codegen("filter", DIGITS, *options, "--hot-pixels", "auto", "--save-hot-pixels", "hot.txt")
    assert tried["sensor"] == "17x17" and tried["hot_pixels"] == []
    nothing = codegen("filter", DIGITS, "--hot-pixels", "auto")
    assert nothing.keys() == tried.keys() and nothing["stages"] == nothing["hot_pixels"] == []
    assert nothing["passed"] == nothing["events"] == tried["events"]
    Path("empty.txt").write_text("# none\n")
    assert execute(["filter", DIGITS, "--hot-pixels", "empty.txt"]) == 0
    assert "none in empty.txt" in capsys.readouterr().out
    Path("hot.txt").write_text("3 4\n20 7\n")
    made = codegen(
        "train",
        DIGITS,
        "-o",
        "m.npz",
        "--features",
        "3",
        "--radius",
        "1",
        *options,
        "--hot-pixels",
        "hot.txt",
    )
    assert load_model(Path("m.npz")).filters == FILTERS and made["filters"]
    verified = codegen("verify", "m.npz", DIGITS, "--max-recordings", "1")
    assert verified["mismatches"] == 0 and int(str(verified["filtered"])) > 0
    assert codegen("verify", "m.npz", DIGITS, "--max-recordings", "1", "--host-filters")["filtered"] == 0
    with_filters = codegen("emit", "m.npz", "--board", "mps2_an386", "-o", "lib")
    without = codegen("emit", "m.npz", "--board", "mps2_an386", "-o", "lib", "--no-filters")
    assert with_filters["model_id"] == without["model_id"] and with_filters["build_id"] != without["build_id"]
    assert "src/feast_filter.c" in without["removed"]  # type: ignore[operator]


@pytest.mark.parametrize("where", [[], ["--host-filters"]], ids=["on the device", "before it"])
def test_recordings_of_which_the_filters_leave_nothing(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = Filters(CAMERA, tuple((x, y) for y in range(34) for x in range(34)))
    model = tmp_path / "refractory.npz"
    save_model(behind(everything, radius=1, features=3), model)
    assert execute(["verify", str(model), DIGITS, "--max-recordings", "2", *where]) == 0
    said = capsys.readouterr()
    assert "DIFFERENT" not in said.out and "no difference" in said.out
    program = build_real_process(tmp_path, load_model(model), Options(filters=not where))
    with on_pty(program) as port:
        stream = [
            "stream",
            "--port",
            port,
            "--model",
            str(model),
            "--json",
            DIGITS,
            "--max-recordings",
            "2",
            *where,
        ]
        assert execute(stream) == 0
    assert json.loads(capsys.readouterr().out)["recordings"] == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["filter", DIGITS], "no filter"),
        (["filter", DIGITS, "--hot-pixels", "none.txt"], "none.txt: cannot read"),
        (["filter", DIGITS, "--downsample", "9"], "--downsample 9: expected 1, 2, 4, 8, 16, 32 or 64"),
        (["filter", DIGITS, "--refractory-us", "5", "--save-hot-pixels", "x"], "--hot-pixels auto"),
        (["train", DIGITS, "-o", "m.npz", "--filter-cells", "2"], "of no use"),
        (["train", DIGITS, "-o", "m.npz", "--filter-cells", "0"], "--filter-cells 0: expected 1, 2, 4"),
        (
            ["train", DIGITS, "-o", "m.npz", "--hot-pixels", "auto", "--readout-grid", "5"],
            "belongs to --readout",
        ),
        (["train", DIGITS, "-o", "m.npz", "--hot-pixels", "auto", "--downsample", "9"], "expected 1, 2, 4"),
        (
            ["train", DIGITS, "-o", "m.npz", "--hot-pixels", "auto", "--readout", "--readout-grid", "35"],
            "expected 1 to 34",
        ),
        (["stream", "--port", "qemu:mps2_an386", "--host-filters", DIGITS], "name the model"),
    ],
)
def test_refusals(
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def count_events(*_: object) -> None:
        pytest.fail("looked for hot pixels before the options were checked")

    monkeypatch.setattr("feast_codegen.host.recordings.hot_pixels.count_events", count_events)
    monkeypatch.chdir(tmp_path)
    assert execute(arguments) == 2
    printed = capsys.readouterr()
    assert problem in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert not list(tmp_path.iterdir())


def test_feeds_filter_for_a_device_that_does_not(tmp_path: Path) -> None:
    feeds = recorded_feeds(DIGITS, FILTERS.sensor, None, 1, filters=FILTERS)
    given = np.concatenate([*next(feeds).batches()])
    np.testing.assert_array_equal(given, digits().filtered(FILTERS).load(0).events)
    with pytest.raises(FeastError, match="the device is built for 17x17"):
        recorded_feeds(DIGITS, FILTERS.sensor, None, 1)
    filters = replace(FILTERS, camera=Sensor(128, 128))
    events = make_events(400, Sensor(128, 128), mean_gap_us=20.0)
    path = tmp_path / "capture.edvs"
    path.write_bytes(edvs_bytes(events, 4))
    with live_feed(f"edvs://{path}?format=4", filters.sensor, filters=filters) as feed:
        given = np.concatenate([*feed.batches()])
    results = FloatFeast(behind(filters, radius=1, features=2)).step(events)
    assert given.size == np.count_nonzero(results != FILTERED)
    assert given["x"].max() < 64
    assert feed.stream.sensor == filters.sensor
    smaller = replace(FILTERS, camera=Sensor(64, 64))
    with (
        pytest.raises(FeastError, match=r"capture\.edvs: .*outside the 64x64"),
        live_feed(f"edvs://{path}?format=4", smaller.sensor, filters=smaller),
    ):
        pass


@pytest.mark.firmware
@needs_compiler
@needs_emulator
@pytest.mark.parametrize(
    ("board", "options"),
    [
        ("mps2_an386", Options(learning=True)),
        ("bbcmicrobit", Options()),
    ],
    ids=["learning M4", "frozen M0"],
)
def test_an_emulated_board_filters_as_the_twin_does(board: str, options: Options, tmp_path: Path) -> None:
    source = digits().pick(range(1))
    model = train(source, SMALL, filters=FILTERS).model
    run = run_on_board(model, get_board(board), source, options, project_dir=tmp_path / "firmware")
    assert run.difference is None
    assert run.device_digest == run.twin_digest
    assert run.filtered > 0


def test_a_camera_too_large_for_a_board_is_told_what_takes_the_memory() -> None:
    wide = Filters(Sensor(346, 260), background_us=5000, downsample_shift=2)
    with pytest.raises(FeastError, match=r"filters' times 179920.*larger cells"):
        make_plan(quantise(behind(wide, features=1))[0], get_board("netduinoplus2"), Options())
    small = replace(wide, cell_shift=2)
    plan = make_plan(quantise(behind(small, features=1))[0], get_board("netduinoplus2"), Options())
    assert plan.budget.ram < 40_000


def test_an_emission_without_filters_is_that_of_the_bare_network(tmp_path: Path) -> None:
    model = behind(FILTERS, features=2, radius=1)
    left_out = render(make_plan(quantise(model)[0], None, Options(filters=False)))
    bare = render(make_plan(replace(quantise(model.unfiltered)[0], model_id=model.model_id), None, Options()))
    different = {path for path in bare if left_out[path] != bare[path]}
    assert set(left_out) == set(bare) and different == {"manifest.json", "include/feast_config.h"}
    write(left_out, tmp_path / "lib")
