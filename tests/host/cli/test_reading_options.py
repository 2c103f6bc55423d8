"""The options of reading reach the readers, and what is not read is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.cli.app import execute
from tests.support.networks import make_events

TRAIN = ("--radius", "1", "--features", "4", "--json")


def train(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> tuple[int, str, str]:
    code = execute(["train", str(path), "-o", str(path.with_name("m.npz")), *TRAIN, *options])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def write_text(path: Path, order: str, scale: int = 1) -> Path:
    events = make_events(300, Sensor(34, 34))
    columns = {
        "t": events["t_us"] * np.uint64(scale),
        "x": events["x"],
        "y": events["y"],
        "p": events["polarity"],
    }
    rows = zip(*(columns[name].tolist() for name in order), strict=True)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def test_columns_in_another_order(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "xypt")
    code, out, err = train(capsys, path, "--sensor", "34x34", "--columns", "xypt")
    assert (code, err) == (0, "")
    assert json.loads(out)["events"] == 300


def test_another_unit_of_time(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plain, nanoseconds = write_text(tmp_path / "a.csv", "txyp"), write_text(tmp_path / "b.csv", "txyp", 1000)
    ids = []
    for path, options in ((plain, ("--time-unit", "us")), (nanoseconds, ("--time-unit", "ns"))):
        code, out, _ = train(capsys, path, "--sensor", "34x34", "--arithmetic", "fixed", *options)
        assert code == 0
        ids.append(json.loads(out)["miss_rate"])
    assert ids[0] == ids[1]


def test_what_is_not_read_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "cut.bin"
    events = make_events(300, Sensor(34, 34))
    words = [
        int(e["x"]) << 32 | int(e["y"]) << 24 | int(e["polarity"]) << 23 | int(e["t_us"]) % 2**23
        for e in events
    ]
    path.write_bytes(b"".join(word.to_bytes(5, "big") for word in words)[:-2])
    code, _, err = train(capsys, path)
    assert code == 2 and "--accept-truncated" in err
    code, out, err = train(capsys, path, "--accept-truncated")
    assert code == 0 and json.loads(out)["events"] == 299
    assert err.startswith("codegen: cut.bin: ") and err.count("\n") == 1, err
