"""What a signal leaves behind: no process, no temporary file, one line. Closed streams and hostile names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from feast_codegen.codegen.base import processes, temporary
from feast_codegen.codegen.base.temporary import temporary_folder
from feast_codegen.codegen.model.file import save_model
from tests.support.firmware_project import needs_compiler
from tests.support.networks import make_model
from tests.support.paths import ROOT
from tests.support.signals import default_signals

LIMIT_S = 120
MARK = "FEAST_TEST_MARK"

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks processes up in /proc")


class Command:
    """A command of ours in a folder, with all its descendants and temporary files, recognised by a mark."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, f"{MARK}={uuid.uuid4().hex}"
        self.temporary = folder / "tmp"
        self.started = folder / "started"
        self.programs = folder / "bin"
        self.temporary.mkdir()
        self.programs.mkdir()

    def hangs(self, *names: str) -> None:
        """Programs of these names make a temporary file, start another program, and do not end.

        Asked what they would do (-###), they end at once.
        """
        script = """#!/bin/sh
case "$*" in *-###*) exit 0;; esac
touch "$TMPDIR/left"
sleep 300 &
touch "{started}"
sleep 300
"""
        for name in names:
            path = self.programs / name
            path.write_text(script.format(started=self.started))
            path.chmod(0o755)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        name, value = self.mark.split("=")
        variables = {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PYTHONPATH": str(ROOT),
            name: value,
        }
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=default_signals,
            start_new_session=True,  # so that no other process gets ours
        )

    def alive(self) -> list[str]:
        """Command lines of the processes that bear the mark."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                    found.append((path / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found

    def await_start(self, process: subprocess.Popen[str]) -> None:
        until(lambda: self.started.exists() or process.poll() is not None)
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()}")

    def await_end(self) -> None:
        until(lambda: not self.alive(), self.alive)


def until(condition: object, problem: object = None) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, problem() if callable(problem) else "in time"
        time.sleep(0.02)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    save_model(make_model(features=3, radius=1), tmp_path / "m.npz")
    yield Command(tmp_path)


CLI = ("-m", "feast_codegen")
COMMANDS = {
    "build": (("arm-none-eabi-gcc",), (*CLI, "build", "--board", "mps2_an386", "m.npz")),
    "verify": (("cc",), (*CLI, "verify", "m.npz", "sim:bars?count=1")),
    "train": (("cc",), (*CLI, "train", "sim:bars?count=2", "-o", "n.npz", "--features", "4")),
    "demo": (("cc",), ("-m", "feast_codegen", "demo", "sim:bars?count=4")),
}
LINES = {
    signal.SIGTERM: (143, "terminated"),
    signal.SIGHUP: (129, "terminated"),
    signal.SIGINT: (130, "interrupted"),
}


@needs_compiler
@pytest.mark.firmware
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("build", signal.SIGTERM),
        ("build", signal.SIGKILL),
        ("build", signal.SIGINT),
        ("verify", signal.SIGTERM),
        ("verify", signal.SIGKILL),
        ("train", signal.SIGHUP),
        ("train", signal.SIGKILL),
        ("demo", signal.SIGTERM),
        ("demo", signal.SIGKILL),
    ],
)
def test_a_signal_ends_all_that_a_command_has_started(
    name: str, kind: signal.Signals, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, arguments = COMMANDS[name]
    command.hangs(*programs)
    process = command.start(*arguments)
    command.await_start(process)
    assert len(command.alive()) >= 4, "the command, the guard, the program, what that has started"
    os.kill(process.pid, kind)
    out, err = process.communicate(timeout=LIMIT_S)
    command.await_end()
    if kind == signal.SIGKILL:
        # The next command removes what was left, once it is old enough to be nobody's who just starts.
        monkeypatch.setattr(temporary, "_YOUNG_S", -1.0)
        for folder in {path.parent for path in command.folder.rglob("feast-*") if path.is_dir()}:
            with temporary_folder("next", folder):
                pass
    else:
        code, word = LINES[kind]
        assert (process.returncode, err) == (code, f"codegen: {word}\n")
        assert name == "demo" or out == ""
    left = [path for path in command.folder.rglob("*") if path.name == "left" or path.suffix == ".partial"]
    assert not left + list(command.temporary.iterdir())


SCRIPTS = {
    "flash": """
from pathlib import Path
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.host.boards.flash import flash, plan_flashing
plan = plan_flashing(get_board("nucleo_f446re"), Path("x.elf"), "openocd")
flash(plan, Path("x.elf"))
""",
    "decoder": """
from pathlib import Path
from feast_codegen.host.recordings.readers import isolated_decoder as apart
from feast_codegen.host.recordings.reading import LeftOut, Reading
apart.WORKER = "tests.host.recordings.test_isolated_decoder"
chunks = apart.opened_apart("planted")(Path("hang"), Reading(), LeftOut()).chunks()
next(chunks)
Path("started").touch()
next(chunks)
""",
    "workers": """
import threading
from pathlib import Path
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.evaluation.feature_vectors import raw_vectors
raw_vectors(open_source("sim:digits?count=4000"), "merged", [Pooling(4)], jobs=2,
            progress=lambda *_: Path("started").touch())
""",
}


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("name", list(SCRIPTS))
def test_a_signal_ends_flashing_decoders_and_workers(
    name: str, kind: signal.Signals, command: Command
) -> None:
    command.hangs("openocd")
    begin = "from feast_codegen.host.cli import interrupts; interrupts.end_in_order()\n"
    process = command.start("-c", begin + SCRIPTS[name])
    command.await_start(process)
    assert len(command.alive()) >= 3
    os.kill(process.pid, kind)
    process.communicate(timeout=LIMIT_S)
    command.await_end()


@pytest.mark.parametrize("wait_s", [0.0, pytest.param(0.3, marks=pytest.mark.prove), 0.6])
def test_ctrl_c_in_a_terminal_reaches_workers_without_a_word(wait_s: float, command: Command) -> None:
    """A terminal sends it to all of the group, to workers amid their imports too."""
    script = SCRIPTS["workers"] + "print('went on')"
    process = command.start(
        "-c", "from feast_codegen.host.cli import interrupts; interrupts.end_in_order()\n" + script
    )
    until(lambda: sum("popen_loky" in line for line in command.alive()) >= 2 or process.poll() is not None)
    time.sleep(wait_s)  # anywhere in their imports; the outcome does not depend on it
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_S)
    own = err.count("Traceback") - err.count(
        "During handling of the above exception"
    )  # one may cause another
    assert (out, own) == ("", 1), f"the script's own, which nothing catches, and no worker's: {err}"
    assert err.rstrip().endswith("KeyboardInterrupt")
    command.await_end()


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(command: Command) -> None:
    os.environ[MARK] = command.mark.split("=")[1]
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            processes.run(["sh", "-c", "sleep 300 & sleep 300"], limit_s=0.2)
        done = processes.run(["sh", "-c", "sleep 300 >/dev/null 2>&1 & echo done; exit 3"], limit_s=LIMIT_S)
    finally:
        del os.environ[MARK]
    assert (done.returncode, done.stdout, done.stderr) == (3, "done\n", "")
    command.await_end()
    with pytest.raises(FileNotFoundError):
        processes.run([str(command.folder / "none")], limit_s=1)


def test_folders_in_use_and_foreign_ones_are_not_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary, "_YOUNG_S", -1.0)
    (tmp_path / "feast-notes").mkdir()
    (tmp_path / "feast.txt").touch()
    with temporary_folder("one", tmp_path) as used:
        (used / "work").touch()
        with temporary_folder("two", tmp_path):
            assert (used / "work").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feast-notes", "feast.txt"]


# Interrupt the process when it imports its n-th module after `feast_codegen.host.cli.__main__`.
INTERRUPT_AT = """
import os, signal, sys
from feast_codegen.host.cli.__main__ import main
class Interrupt:
    left = {at}
    def find_spec(self, name, *_):
        Interrupt.left -= 1
        if Interrupt.left == 0: os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Interrupt())
sys.argv = ["codegen", *{arguments}]
main()
"""


def interrupted(command: Command, at: int, number: int, *arguments: str) -> tuple[int, str, str]:
    process = command.start("-c", INTERRUPT_AT.format(at=at, number=number, arguments=arguments))
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "at", [1, 2, 5, 60, 200, *(pytest.param(n, marks=pytest.mark.prove) for n in range(10, 400, 13))]
)
def test_ctrl_c_amid_the_imports_is_one_line(at: int, command: Command) -> None:
    got = interrupted(command, at, signal.SIGINT, "train", "sim:bars?count=2", "-o", "n.npz")
    assert got == (130, "", "codegen: interrupted\n")
    assert not (command.folder / "n.npz").exists()


@pytest.mark.parametrize("name", ["train", "demo"])
@pytest.mark.parametrize("at", [30, 150])
def test_sigterm_amid_the_imports_is_one_line(name: str, at: int, command: Command) -> None:
    got = interrupted(command, at, signal.SIGTERM, name, "sim:bars?count=2", "-o", "n.npz")
    assert got == (143, "", "codegen: terminated\n")


def test_a_signal_that_python_would_drop_is_raised_again(command: Command) -> None:
    """In a destructor an exception is printed and forgotten."""
    script = """
import os, signal, time
from feast_codegen.host.cli import interrupts
interrupts.end_in_order()
class Dropping:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)
try:
    Dropping()
    time.sleep(60)
    print("slept")
except interrupts.Terminated as end:
    print(end.exit_code)
"""
    out, err = command.start("-c", script).communicate(timeout=LIMIT_S)
    assert (out, err) == ("143\n", "")


def test_a_signal_that_the_caller_ignores_is_ignored(command: Command) -> None:
    script = (
        "import os, signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGHUP)]\n"
        "from feast_codegen.host.cli import interrupts\n"
        "interrupts.end_at_once(); interrupts.end_in_order()\n"
        "os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    assert command.start("-c", script).communicate(timeout=LIMIT_S) == ("goes on\n", "")


@pytest.mark.parametrize(
    ("script", "code", "out", "err"),
    [
        ("boards >&-", 0, "", ""),
        ("boards <&- >&- 2>&-", 0, "", ""),
        ("boards | true; exit ${PIPESTATUS[0]}", 1, "", ""),
        ("boards 2>&- | true; exit ${PIPESTATUS[0]}", 1, "", ""),
        ("boards >/dev/full", 2, "", "codegen: error: No space left on device\n"),
        ("emit none.npz --board pico 2>&-", 2, "", ""),
        ("emit none.npz --board pico 2>/dev/full", 2, "", ""),
        ("nonsense >&-", 2, "", "codegen: error: No such command 'nonsense'. (see: codegen --help)\n"),
        ("train sim:bars?count=2 --features 4 -o n.npz >&-; ls n.npz", 0, "n.npz\n", ""),
    ],
)
def test_streams_that_nobody_reads(script: str, code: int, out: str, err: str, command: Command) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m feast_codegen {script}"],
        cwd=command.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_python_m_feast_codegen_is_the_command(command: Command) -> None:
    process = command.start("-m", "feast_codegen", "--version")
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0 and out.strip() and not err
