"""Tuning: a true front, kept and shared in journals and databases, over processes and a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest

import feast_codegen.host.evaluation.network_size
import feast_codegen.host.evaluation.tune
from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.instruction_model import instructions_per_event
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.cli.app import execute
from feast_codegen.host.evaluation.feature_vectors import feature_vectors
from feast_codegen.host.evaluation.network_size import SizeCurve, size_curve
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.evaluation.tune import ParetoFront, Search, Trial, front_from, front_values, tune
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import Source, open_source
from feast_codegen.host.report.curves import alone, front_picture, size_picture
from tests.support.waiting import LIMIT_S, wait_until

SOURCE = "sim:bars?count=40"
BOARD = "mps2_an386"


def quick(storage: object, trials: int, seed: int = 0) -> ParetoFront:
    return tune(
        Search(open_source(SOURCE), get_board(BOARD), "separation"),
        storage=str(storage),
        trials=trials,
        seed=seed,
    )


def better(one: Trial, other: Trial) -> bool:
    pairs = [
        (one.quality, other.quality),
        (-one.cost.instructions, -other.cost.instructions),
        (-one.cost.ram, -other.cost.ram),
        (-one.cost.flash, -other.cost.flash),
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def test_a_study_goes_on_where_it_stopped_and_repeats_with_its_seed(tmp_path: Path) -> None:
    first = quick(tmp_path / "a.journal", 4)
    assert len(first.trials) + first.failed == 4
    on = quick(tmp_path / "a.journal", 7)
    assert {each.params for each in first.trials} < {each.params for each in on.trials}
    assert quick(tmp_path / "a.journal", 7) == on
    assert quick(tmp_path / "b.journal", 4) == first
    assert quick(tmp_path / "c.journal", 4, seed=1) != first
    for each in on.trials:
        assert each.best == (not any(better(other, each) for other in on.trials))
    assert front_from(json.loads(json.dumps(front_values(on))), "x") == on


def test_ctrl_c_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    measured = feast_codegen.host.evaluation.tune.measure

    def measure(*arguments: object) -> float:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measured(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(feast_codegen.host.evaluation.tune, "measure", measure)
    stopped = quick(tmp_path / "journal", 5)
    assert stopped.interrupted and len(stopped.trials) == 2
    done = quick(tmp_path / "journal", 5)
    assert not done.interrupted and len(done.trials) == 5
    assert {each.params for each in stopped.trials} < {each.params for each in done.trials}


def test_what_does_not_fit_the_board_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        feast_codegen.host.evaluation.tune, "fits", lambda shape, *_: shape.params.features < 16
    )
    found = quick(tmp_path / "journal", 8)
    assert found.failed > 0
    assert all(each.params.features < 16 for each in found.trials)


def test_storages_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FeastError, match="there is no folder"):
        quick(tmp_path / "no" / "journal", 1)
    with pytest.raises(FeastError, match="cannot keep a study there") as caught:
        quick("nonsense://user:secret@host/name", 1)
    assert "secret" not in str(caught.value)
    (tmp_path / "text").write_text("this is no journal\n")
    with pytest.raises(FeastError, match="cannot keep a study there"):
        quick(tmp_path / "text", 1)


def share(storage: str, cwd: Path) -> ParetoFront:
    """Two processes at once bring one study to six trials."""
    command = [
        *(
            sys.executable,
            "-m",
            "feast_codegen",
            "tune",
            SOURCE,
            "--storage",
            storage,
            "--trials",
            "6",
        ),
        *("--objective", "separation", "--json"),
    ]
    both = [
        subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for each in both:
        _, said = each.communicate(timeout=LIMIT_S)
        assert each.returncode == 0, said
    return quick(storage, 6)


def test_processes_share_a_journal(tmp_path: Path) -> None:
    found = share(str(tmp_path / "journal"), tmp_path)
    assert 6 <= len(found.trials) + found.failed <= 7  # the last may have been begun by both


@pytest.fixture
def postgres() -> Iterator[str]:
    """URL of a database server of our own, on a socket in a temporary folder."""
    pytest.importorskip("psycopg")
    places = [str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")]
    path = os.pathsep.join([*places, os.environ.get("PATH", "")])
    initdb, server = shutil.which("initdb", path=path), shutil.which("pg_ctl", path=path)
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL server: apt-get install postgresql")
    user = None
    if os.geteuid() == 0:  # it refuses to run as root
        import pwd

        names = {each.pw_name for each in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
    folder = Path(tempfile.mkdtemp(prefix="feast-pg-", dir="/tmp"))
    if user:
        shutil.chown(folder, user)
    run = {"check": True, "cwd": folder, "user": user, "capture_output": True}
    try:
        subprocess.run([initdb, "-D", folder / "data", "-U", "feast", "-A", "trust", "-N"], **run)  # type: ignore[call-overload]
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        log = folder / "log"
        subprocess.run([server, "-D", folder / "data", "-w", "-l", log, "-o", options, "start"], **run)  # type: ignore[call-overload]
        try:
            yield f"postgresql+psycopg://feast@/postgres?host={folder}"
        finally:
            subprocess.run([server, "-D", folder / "data", "-m", "immediate", "stop"], **run)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_processes_share_a_postgresql_database(postgres: str, tmp_path: Path) -> None:
    import psycopg

    found = share(postgres, tmp_path)
    assert 6 <= len(found.trials) + found.failed <= 7
    clients = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as ours:
        # The server learns of a closed connection a little later.
        wait_until(lambda: ours.execute(clients).fetchone() == (1,), "a search closes its connections")


def test_a_dask_cluster_extracts_the_same_vectors() -> None:
    distributed = pytest.importorskip("dask.distributed")
    source = open_source("sim:bars?count=40")
    model = train(source, Hyperparameters(features=4, radius=1)).model
    here = feature_vectors(source, model, [Pooling(), Pooling(kind="surface")])
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        with joblib.parallel_config(backend="dask"):
            there = feature_vectors(source, model, [Pooling(), Pooling(kind="surface")], jobs=-1)
        assert len(client.scheduler_info()["workers"]) == 2
    for one, other in zip(here.values, there.values, strict=True):
        np.testing.assert_array_equal(one, other)


def test_forecast_of_instructions_grows_with_the_network() -> None:
    sizes = [Hyperparameters(features=n, radius=r) for n, r in ((4, 1), (16, 1), (16, 5), (64, 5))]
    for kernel in ("small", "portable", "dsp", "vector"):
        counts = [instructions_per_event(params, kernel) for params in sizes]  # type: ignore[arg-type]
        assert counts == sorted(counts)
    assert instructions_per_event(sizes[2], "dsp") == pytest.approx(2213.7)


def test_command_writes_the_front_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "tuned.json"
    arguments = ["tune", SOURCE, "--objective", "separation", "--trials", "3", "-o", str(output)]
    assert execute([*arguments, "--storage", str(tmp_path / "journal")]) == 0
    assert "--features" in capsys.readouterr().out
    found = front_from(json.loads(output.read_text()), "x")
    assert len(found.trials) == 3
    picture = output.with_suffix(".svg").read_text()
    assert picture.startswith("<svg") and picture == alone(front_picture(found))
    with pytest.raises(FeastError, match="not a file written by"):
        front_from({"trials": [1]}, "x.json")


def test_command_recommends_a_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "sim:bars?count=8"
    assert execute(["size", source, "--json", "-o", str(tmp_path / "size.json")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["recommended"] in [point["features"] for point in printed["points"]]
    assert (tmp_path / "size.svg").read_text().startswith("<svg")
    curve = size_curve(open_source(source), Hyperparameters(), sizes=(2, 4))
    assert "recommended" in size_picture(curve)


def test_size_is_that_of_the_context_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three options were once left aside: the answer was always that of 11x11 pixels, 20 ms, merged."""
    asked = []

    def curve(source: Source, params: Hyperparameters, **_: object) -> SizeCurve:
        asked.append(params)
        return SizeCurve((), 4, "stub")

    monkeypatch.setattr(feast_codegen.host.evaluation.network_size, "size_curve", curve)
    arguments = ["size", "sim:bars?count=8", "--json", "--radius", "2", "--tau-us", "5000"]
    assert execute([*arguments, "--polarity", "separate"]) == 0
    assert asked == [Hyperparameters(radius=2, tau_us=5000.0, polarity="separate")]
