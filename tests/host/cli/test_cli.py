"""The command line: what it prints, what it refuses, and that a failure is one line and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import feast_codegen.host.boards.run
import feast_codegen.host.evaluation.train_model
import feast_codegen.host.verify
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.cli.app import execute
from feast_codegen.host.cli.commands.train import DEFAULTS

SOURCE = "sim:bars?count=4"
BOARD = "mps2_an386"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def values(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1
        values: dict[str, Any] = json.loads(self.out)
        return values


Codegen = Callable[..., Outcome]


@pytest.fixture
def codegen(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Codegen:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        code = execute([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.npz"
    assert execute(["train", SOURCE, "-o", str(path), "--features", "4", "--radius", "2"]) == 0
    return path


def assert_refused(outcome: Outcome, *parts: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("codegen: error: ") and outcome.err.count("\n") == 1, outcome.err
    for part in parts:
        assert part in outcome.err


def test_train_reports_what_it_learned(codegen: Codegen) -> None:
    outcome = codegen("train", SOURCE, "-o", "m.npz", "--features", 4, "--radius", 2, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    values = outcome.values
    assert values["events"] > 1000 and values["recordings"] == 4 and values["features"] == 4
    assert 0 <= values["miss_rate"] <= 1 and len(values["model_id"]) == 64
    assert values["left_out"] == [] and values["accuracy"] is None
    assert values["law_miss_rate"] == Hyperparameters(features=4).law_miss_rate


def test_training_again_gives_the_same_model(codegen: Codegen, model: Path) -> None:
    again = codegen("train", SOURCE, "-o", "m.npz", "--features", 4, "--radius", 2)
    assert again.code == 0
    assert Path("m.npz").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("polarity", ["merged", "separate", "signed"])
@pytest.mark.parametrize("border", ["zero", "skip"])
def test_train_and_verify_every_kind_of_surface(codegen: Codegen, polarity: str, border: str) -> None:
    kind = ("--polarity", polarity, "--border", border, "--features", 3, "--radius", 1)
    assert codegen("train", SOURCE, "-o", "m.npz", *kind).code == 0
    values = codegen("verify", "m.npz", SOURCE, "--json").values
    assert values["mismatches"] == values["stress_mismatches"] == 0
    assert values["events"] == sum(mode["events"] for mode in values["modes"].values())
    assert values["stress_events"] == sum(mode["stress_events"] for mode in values["modes"].values()) > 0
    assert set(values["modes"]) == {"frozen", "learning"}
    assert values["float_agreement"] > 0.99 and values["float_agreement_untied"] == 1.0
    assert 0.5 < values["untied_share"] <= 1.0
    assert values["accuracy"] is None and values["float_accuracy"] is None


def test_fixed_training_is_marked(codegen: Codegen) -> None:
    arguments = (
        "train",
        SOURCE,
        "-o",
        "m.npz",
        "--features",
        4,
        "--radius",
        2,
        "--arithmetic",
        "fixed",
        "--json",
    )
    assert codegen(*arguments).values["arithmetic"] == "fixed"


def test_defaults_are_those_of_the_rule() -> None:
    assert Hyperparameters() == DEFAULTS


def test_verify_prints_both_modes(codegen: Codegen, model: Path) -> None:
    outcome = codegen("verify", model, SOURCE, "--max-recordings", 1)
    assert outcome.code == 0
    assert outcome.out.startswith("frozen ") and "\nlearning " in outcome.out
    assert outcome.out.count("no difference") == 2


def test_verify_names_the_first_difference(
    codegen: Codegen, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = feast_codegen.host.verify.Twin.step

    def dishonest(self: Any, events: Any) -> Any:
        results = honest(self, events)
        results[events["t_us"] == events["t_us"].max()] = 7
        return results

    monkeypatch.setattr(feast_codegen.host.verify.Twin, "step", dishonest)
    outcome = codegen("verify", model, SOURCE)
    assert outcome.code == 1
    assert "codegen: difference, frozen: bars-0-0, event 0: result: C feature" in outcome.err
    assert "Traceback" not in outcome.err


def test_verify_fails_where_only_the_stress_stream_differs(
    codegen: Codegen, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = feast_codegen.host.verify.render

    def faulty(plan: Any) -> dict[str, str]:
        files = honest(plan)
        short = files["src/feast_layer1_step.h"].replace("(uint64_t)1 << 23", "(uint64_t)1 << 25")
        return files | {"src/feast_layer1_step.h": short}

    monkeypatch.setattr(feast_codegen.host.verify, "render", faulty)
    outcome = codegen("verify", model, SOURCE, "--max-recordings", 1, "--json")
    assert outcome.code == 1
    values = outcome.values
    assert (values["mismatches"], values["stress_mismatches"]) == (0, 2)
    assert values["modes"]["frozen"]["difference"] is None
    assert ", event " in values["modes"]["frozen"]["stress_difference"]
    assert "codegen: difference, frozen: stress step" in outcome.err


def test_emit_is_deterministic_and_leaves_unchanged_files_alone(codegen: Codegen, model: Path) -> None:
    first = codegen("emit", model, "--board", BOARD, "-o", "feast", "--json").values
    texts = {path: path.read_bytes() for path in Path("feast").rglob("*") if path.is_file()}
    again = codegen("emit", model, "--board", BOARD, "-o", "feast", "--json").values
    assert first["written"] and not again["written"]
    assert {path: path.read_bytes() for path in Path("feast").rglob("*") if path.is_file()} == texts
    assert first["model_id"].encode() in texts[Path("feast/include/feast_config.h")]


def test_boards_lists_name_and_verification(codegen: Codegen) -> None:
    table = codegen("boards").out
    assert BOARD in table and "emulated" in table
    names = [board["name"] for board in codegen("boards", "--json").values["boards"]]
    assert BOARD in names and "netduinoplus2" in names


def test_report_is_one_file_with_everything_in_it(codegen: Codegen, model: Path) -> None:
    assert codegen("report", model, SOURCE, "-o", "r.html", "--show-recording", 3).code == 0
    assert "bars-0-3" in Path("r.html").read_text()


@pytest.mark.firmware
@pytest.mark.parametrize("learning", [(), ("--learning",)])
def test_build_and_run_on_the_emulated_board(
    codegen: Codegen, model: Path, learning: tuple[str, ...]
) -> None:
    built = codegen("build", "--board", BOARD, model, *learning, "--json").values
    assert Path(built["elf"]).is_file()
    values = codegen(
        "emulate", "--board", BOARD, model, SOURCE, "--max-recordings", 2, *learning, "--json"
    ).values
    assert values["device_digest"] == values["twin_digest"] and len(values["device_digest"]) == 8
    assert values["device_state_digest"] == values["twin_state_digest"]
    assert values["difference"] is None and values["events"] > 1000 and values["recordings"] == 2
    assert values["flash_bytes"] == built["flash_bytes"] and values["ram_bytes"] == built["ram_bytes"]
    assert 0 < values["stack_bytes"] < built["stack_reserved_bytes"]
    assert 100 < values["instructions_per_event"] <= values["instructions_max"]


@pytest.mark.firmware
def test_run_names_the_first_event_that_differs(
    codegen: Codegen, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = feast_codegen.host.boards.run.Twin.step

    def dishonest(self: Any, events: Any) -> Any:
        results = honest(self, events)
        results[41] = -1
        return results

    monkeypatch.setattr(feast_codegen.host.boards.run.Twin, "step", dishonest)
    outcome = codegen("emulate", "--board", BOARD, model, SOURCE, "--max-recordings", 1)
    assert outcome.code == 1
    assert outcome.err.startswith("codegen: difference: bars-0-0, event 41: device feature ")
    assert outcome.err.endswith(", twin MISS\n")


# Bad input


def write_events(path: Path, rows: list[tuple[int, int, int, int]]) -> Path:
    """An N-MNIST file of (t_us, x, y, polarity)."""
    words = [(x, y, polarity << 7 | t >> 16, t >> 8 & 255, t & 255) for t, x, y, polarity in rows]
    path.write_bytes(np.array(words, np.uint8).tobytes())
    return path


def test_missing_recording(codegen: Codegen) -> None:
    assert_refused(codegen("train", "nowhere.bin", "-o", "m.npz"), "nowhere.bin")
    assert not Path("m.npz").exists()


def test_truncated_recording(codegen: Codegen, tmp_path: Path) -> None:
    path = write_events(tmp_path / "short.bin", [(1, 2, 3, 1), (2, 2, 3, 1)])
    path.write_bytes(path.read_bytes()[:-2])
    assert_refused(codegen("train", path, "-o", "m.npz"), "short.bin")


def test_event_outside_the_sensor(codegen: Codegen, tmp_path: Path, model: Path) -> None:
    path = write_events(tmp_path / "wide.bin", [(1, 2, 3, 1), (2, 200, 3, 1)])
    assert_refused(codegen("train", path, "-o", "m.npz"), "wide.bin", "event 1", "x=200", "34x34")
    assert_refused(codegen("verify", model, path), "wide.bin", "event 1")


def test_time_running_backwards(codegen: Codegen, tmp_path: Path) -> None:
    path = write_events(tmp_path / "back.bin", [(5, 2, 3, 1), (4, 2, 3, 1)])
    assert_refused(codegen("train", path, "-o", "m.npz"), "back.bin", "event 1", "t=4")


def test_bad_events_are_left_out_on_request(codegen: Codegen, tmp_path: Path) -> None:
    rows = [(t, 10, 10, 1) for t in range(0, 4000, 2)]
    path = write_events(tmp_path / "bad.bin", [*rows, (1, 10, 10, 1), (4000, 99, 3, 0)])
    outcome = codegen("train", path, "-o", "m.npz", "--skip-bad-events", "--json")
    early = {"what": "events", "why": "earlier than the events before them", "count": 1}
    outside = {"what": "events", "why": "outside the sensor or of no polarity", "count": 1}
    assert outcome.code == 0 and outcome.values["left_out"] == [early, outside]
    assert outcome.err == (
        "codegen: bad.bin: 1 events left out: earlier than the events before them\n"
        "codegen: bad.bin: 1 events left out: outside the sensor or of no polarity\n"
    )


def test_sensor_of_a_file(codegen: Codegen, tmp_path: Path) -> None:
    path = write_events(tmp_path / "wide.bin", [(t, 200, 3, 1) for t in range(2000)])
    assert codegen("train", path, "-o", "m.npz", "--sensor", "240x180", "--json").code == 0
    assert_refused(codegen("train", path, "-o", "m.npz", "--sensor", "big"), "big", "WIDTHxHEIGHT")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_corrupted_model(codegen: Codegen, model: Path, tmp_path: Path, damage: str) -> None:
    whole = model.read_bytes()
    middle = len(whole) // 2
    content = {
        "empty": b"",
        "text": b"not a model\n",
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    }[damage]
    bad = tmp_path / "bad.npz"
    bad.write_bytes(content)
    assert_refused(codegen("emit", bad, "--board", BOARD, "-o", "feast"), "bad.npz")
    assert not Path("feast").exists()


def test_missing_model(codegen: Codegen) -> None:
    for command in (
        ["emit", "x.npz", "--board", BOARD],
        ["verify", "x.npz", SOURCE],
        ["report", "x.npz", SOURCE],
    ):
        assert_refused(codegen(*command), "x.npz: no such model file")


def test_build_with_nothing_emitted_says_what_to_run(codegen: Codegen) -> None:
    assert_refused(codegen("build", "--board", BOARD), "codegen emit")


@pytest.mark.parametrize("command", ["emit", "build"])
def test_options_that_exclude_each_other(codegen: Codegen, model: Path, command: str) -> None:
    arguments = (command, model, "--board", BOARD, "--learning", "--weights", "int8")
    assert_refused(codegen(*arguments), "weights int8: learning needs weights int16")


def test_options_of_a_model_need_the_model(codegen: Codegen) -> None:
    assert_refused(codegen("build", "--board", BOARD, "--learning"), "--learning")


def test_unknown_board(codegen: Codegen, model: Path) -> None:
    assert_refused(codegen("emit", model, "--board", "toaster", "-o", "feast"), "toaster", BOARD)
    assert not Path("feast").exists()


def test_model_too_large_for_the_board(codegen: Codegen) -> None:
    big = ("--features", 300, "--radius", 7, "--sensor", "34x34")
    assert codegen("train", "sim:bars?count=1", "-o", "big.npz", *big).code == 0
    refused = codegen("emit", "big.npz", "--board", "netduinoplus2", "-o", "feast", "--learning")
    assert_refused(refused, "netduinoplus2")
    assert not Path("feast").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--features", "0"),
        ("--radius", "99"),
        ("--tau-us", "-1"),
        ("--eta", "nan"),
        ("--epochs", "0"),
        ("--seed", "-1"),
    ],
)
def test_parameter_out_of_range(codegen: Codegen, option: str, value: str) -> None:
    assert_refused(codegen("train", SOURCE, "-o", "m.npz", option, value), option[2:].replace("-", "_"))
    assert not list(Path().iterdir())


def test_output_that_cannot_be_written_is_refused_before_the_work(
    codegen: Codegen, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feast_codegen.host.evaluation.train_model, "train", pytest.fail)
    assert_refused(codegen("train", SOURCE, "-o", "nowhere/m.npz"), "nowhere")
    Path("folder").mkdir()
    assert_refused(codegen("train", SOURCE, "-o", "folder"), "is a folder")
    assert_refused(codegen("report", model, SOURCE, "-o", "nowhere/r.html"), "nowhere")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["bogus"], "bogus"),
        (["train"], "SOURCE"),
        (["train", SOURCE], "--output"),
        (["train", SOURCE, "-o", "m", "--features", "many"], "--features"),
        (["train", SOURCE, "-o", "m", "--polarity", "north"], "north"),
        (["emit", "m.npz", "--bored", "x"], "--bored"),
        (["train", "sim:clouds", "-o", "m.npz"], "clouds"),
        (["train", "sim:bars?count=x", "-o", "m.npz"], "count"),
        (["emulate", "--board", BOARD], "MODEL"),
        (["train", "warp:NMNIST", "-o", "m.npz"], "warp"),
    ],
)
def test_wrong_usage(codegen: Codegen, arguments: list[str], part: str) -> None:
    assert_refused(codegen(*arguments), part)


def test_interruption_is_one_line(codegen: Codegen, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(feast_codegen.host.evaluation.train_model, "train", interrupted)
    outcome = codegen("train", SOURCE, "-o", "m.npz")
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "codegen: interrupted\n")
    assert not list(Path().iterdir())


def test_ctrl_c_while_still_importing_is_one_line() -> None:
    script = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from feast_codegen.host.cli.__main__ import main\n"
        "main()"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "codegen: interrupted\n")


def test_a_bug_is_not_hidden(codegen: Codegen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feast_codegen.host.evaluation.train_model, "train", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        codegen("train", SOURCE, "-o", "m.npz")


def test_a_closed_pipe_is_no_traceback() -> None:
    script = f"{sys.executable} -m feast_codegen boards --json | true"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert ran.stderr == ""


def test_help_needs_no_heavy_imports() -> None:
    script = (
        "import sys, feast_codegen.host.cli.app; feast_codegen.host.cli.app.execute(['--help']); "
        "heavy = {'numba', 'sklearn', 'matplotlib', 'tonic', 'cffi', 'jinja2', 'rich'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)


def test_version_is_that_of_the_package(codegen: Codegen) -> None:
    outcome = codegen("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{version('feast-codegen')}\n", "")


def test_no_progress_unless_stderr_is_a_terminal(codegen: Codegen) -> None:
    outcome = codegen("train", SOURCE, "-o", "m.npz", "--features", 2, "--radius", 1)
    assert outcome.err == ""
