"""Decoders in a worker: each way in which it ends is one line, and the next file reads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import isolated_decoder, open_recording
from feast_codegen.host.recordings.readers.base import Recording, make_events
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.support import event_files as files
from tests.support.networks import make_events as random_events
from tests.support.paths import ROOT
from tests.support.waiting import LIMIT_S, is_alive, wait_until

SENSOR = Sensor(40, 30)


def written(folder: Path, name: str = "a.aedat4", seed: int = 1) -> tuple[Path, Events]:
    events = random_events(500, SENSOR, seed=seed)
    return files.write_aedat4(folder / name, events, SENSOR), events


def broken(folder: Path) -> Path:
    """Text in the header that is none: `aedat` panics over it, and again while it says so."""
    path, _ = written(folder, "broken.aedat4")
    path.write_bytes(path.read_bytes().replace(b'<node name="info"', b'<n\xd0de name="info"'))
    return path


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No worker waits yet."""
    idle = isolated_decoder._Idle()
    monkeypatch.setattr(isolated_decoder, "_idle", idle)
    yield
    idle.end()


@pytest.fixture
def planted(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of `planted_main`."""
    monkeypatch.setattr(isolated_decoder, "WORKER", "tests.host.recordings.test_isolated_decoder")


def planted_main() -> None:
    """A worker with decoders that do what no library should."""
    from feast_codegen.host.recordings.readers import worker

    def after_some(what: str) -> Recording:
        def chunks() -> Iterator[Events]:
            yield make_events([1, 2, 3], [0, 0, 0], [0, 0, 0], [0, 1, 0])
            if what == "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            elif what == "leave":
                os._exit(3)
            elif what == "hang":
                threading.Event().wait()
            elif what == "fail":
                raise ZeroDivisionError("a bug of ours")
            elif what == "print":
                print("a library says something", flush=True)
            elif what == "chatter":
                os.write(int(os.environ["OUT"]), b"{}\n")

        return Recording(SENSOR, chunks)

    worker.DECODERS["planted"] = lambda path, reading, left_out: after_some(path.name)
    worker.main()


def read_planted(what: str) -> Events:
    return isolated_decoder.opened_apart("planted")(Path(what), Reading(), LeftOut()).read()


def test_a_file_that_ends_its_decoder_is_one_line_and_the_next_reads(tmp_path: Path) -> None:
    good, events = written(tmp_path)
    for _ in range(2):
        with pytest.raises(
            FeastError, match=r"broken.aedat4: damaged: its decoder ended \(.+\) after event 0$"
        ):
            open_recording(broken(tmp_path))
        np.testing.assert_array_equal(open_recording(good).read(), events)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("die", r"^die: damaged: its decoder ended \(Segmentation fault\) after event 3$"),
        ("leave", r"^leave: damaged: its decoder ended \(exit 3\) after event 3$"),
    ],
)
def test_workers_that_end(what: str, says: str) -> None:
    with pytest.raises(FeastError, match=says):
        read_planted(what)
    assert not isolated_decoder._idle._workers


class Elapsed(threading.Timer):
    """A timer whose time is over as soon as it starts."""

    def start(self) -> None:
        assert self.interval == isolated_decoder.LIMIT_S
        self.function()


@pytest.mark.usefixtures("planted")
def test_a_worker_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = isolated_decoder.opened_apart("planted")(Path("hang"), Reading(), LeftOut()).chunks()
    assert next(chunks).size == 3
    monkeypatch.setattr(isolated_decoder.threading, "Timer", Elapsed)
    with pytest.raises(FeastError, match=r"^hang: its decoder gave no answer for 60 s after event 3$"):
        next(chunks)
    assert not isolated_decoder._idle._workers


@pytest.mark.usefixtures("planted")
def test_a_bug_in_a_reader_is_told_as_one() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug of ours"):
        read_planted("fail")


@pytest.mark.usefixtures("planted")
def test_what_a_library_prints_is_no_answer() -> None:
    assert read_planted("print").size == 3


def test_files_at_once_and_one_after_the_other(tmp_path: Path) -> None:
    """Each open file has a worker to itself, and a worker serves many files."""
    one, of_one = written(tmp_path, "one.aedat4", 1)
    two, of_two = written(tmp_path, "two.aedat4", 2)
    got: tuple[list[Events], list[Events]] = ([], [])
    for pieces in zip(open_recording(one).chunks(), open_recording(two).chunks(), strict=True):
        for piece, parts in zip(pieces, got, strict=True):
            parts.append(piece)
    assert len(got[0]) > 5
    np.testing.assert_array_equal(np.concatenate(got[0]), of_one)
    np.testing.assert_array_equal(np.concatenate(got[1]), of_two)
    before = {worker.pid for worker in isolated_decoder._idle._workers}
    for _ in range(5):
        np.testing.assert_array_equal(open_recording(two).read(), of_two)
    assert {worker.pid for worker in isolated_decoder._idle._workers} == before


def test_reading_may_stop_early(tmp_path: Path) -> None:
    path, events = written(tmp_path)
    for _ in range(3):
        first = next(iter(open_recording(path).chunks()))
        np.testing.assert_array_equal(first, events[: first.size])
    np.testing.assert_array_equal(open_recording(path).read(), events)


def _read_in_fork(path: str, results: multiprocessing.Queue[bytes]) -> None:
    results.put(open_recording(Path(path)).read().tobytes())


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_forks_do_not_share_a_worker(tmp_path: Path) -> None:
    path, events = written(tmp_path)
    open_recording(path)  # one is idle
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[bytes] = context.Queue()
    forks = [context.Process(target=_read_in_fork, args=(str(path), results)) for _ in range(2)]
    for fork in forks:
        fork.start()
    for _ in range(20):
        np.testing.assert_array_equal(open_recording(path).read(), events)
    for _ in forks:
        np.testing.assert_array_equal(np.frombuffer(results.get(timeout=LIMIT_S), EVENT_DTYPE), events)
    for fork in forks:
        fork.join(LIMIT_S)


def test_messages_name_the_path_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        Path("no.h5").write_bytes(b"text")
        with pytest.raises(FeastError, match=r"^no\.h5: byte 0: not an HDF5 file$"):
            open_recording(Path("no.h5"), SENSOR)


@pytest.mark.skipif(sys.platform == "win32", reason="asks for its children in /proc or by ps")
def test_workers_end_with_their_process(tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from feast_codegen.host.recordings.readers import isolated_decoder as apart, open_recording\n"
        "print(open_recording(Path(sys.argv[1])).read().size)\n"
        "(worker,) = apart._idle._workers; print(worker.pid, flush=True)\n"
        "sys.argv[2] == 'killed' and os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for how in ("left", "killed"):
        done = subprocess.run(
            [sys.executable, "-c", script, path, how], capture_output=True, text=True, cwd=ROOT, check=False
        )
        size, pid = (int(word) for word in done.stdout.split())
        assert size == 500 and done.stderr == ""
        wait_until(lambda pid=pid: not is_alive(pid), f"the worker of a process that was {how} ends")


@pytest.mark.usefixtures("fresh")
def test_answers_without_sense_are_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker that a file has taken over may say anything."""
    path, _ = written(tmp_path)
    for said in (
        b"{}",
        b"[]",
        b"no json",
        b'{"events": -1}',
        b'{"events": 1e9}',
        b'{"sensor": [0, "x"]}',
        b"\xff",
    ):
        monkeypatch.setattr(isolated_decoder, "WORKER", "tests.host.recordings.test_isolated_decoder")
        monkeypatch.setenv("SAYS", said.decode("latin-1"))
        with pytest.raises(FeastError, match=r"a.aedat4: damaged: its decoder"):
            open_recording(path)


@pytest.mark.usefixtures("fresh")
def test_modules_beside_the_recordings_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, events = written(tmp_path)
    for name in ("json", "h5py", "aedat", "codegen", "host"):
        (tmp_path / f"{name}.py").write_text("import os\nos._exit(4)\n")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(open_recording(path).read(), events)


@pytest.mark.usefixtures("fresh")
@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed")
def test_the_folder_one_works_in_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, events = written(tmp_path)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    np.testing.assert_array_equal(open_recording(path).read(), events)


@pytest.mark.usefixtures("fresh")
def test_a_worker_that_cannot_start_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_decoder, "WORKER", "feast_codegen.host.recordings.readers.none")
    with pytest.raises(FeastError, match=r"a\.aedat4: its decoder cannot be started: `.+` may say why"):
        open_recording(written(tmp_path)[0])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(FeastError, match=r"the decoder cannot be started: No such file"):
        open_recording(written(tmp_path)[0])


if __name__ == "__main__":
    if "SAYS" in os.environ:
        sys.stdin.readline()
        sys.stdout.buffer.write(isolated_decoder.READY + os.environ["SAYS"].encode("latin-1") + b"\n")
    else:
        planted_main()
