"""The set-up script, on pretended machines: a PATH of few tools, a Python that notes what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TOOLS = "bash cat cksum cp dirname env grep id mkdir rm sed tail touch"
DEBIAN = ("gcc", "libc6-dev", "gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")

PYTHON = """#!/usr/bin/env bash
# Says yes to every question; `-m venv DIR` makes DIR with itself in it.
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
  *"-m venv"*)
    venv="${!#}"
    mkdir -p "$venv/bin"
    cp "$FAKE_PYTHON" "$venv/bin/python"
    printf '#!%s/bin/python\\n' "$venv" >"$venv/bin/pip"
    ;;
  *"pip install"*) [[ -z "${PIP_FAILS:-}" ]] || { printf '%s\n' "$PIP_FAILS"; exit 1; } ;;
esac
"""


class Machine:
    """A folder with the script and a PATH of its own."""

    def __init__(self, folder: Path, system: str) -> None:
        self.project = folder / "a project"
        self.path = folder / "path"
        self.calls = folder / "calls"
        self.project.mkdir()
        self.path.mkdir()
        self.calls.touch()
        for name in ("run", "pyproject.toml"):
            shutil.copy(ROOT / name, self.project / name)
        shutil.copytree(ROOT / "requirements", self.project / "requirements")
        for tool in TOOLS.split():
            found = shutil.which(tool)
            assert found, tool
            (self.path / tool).symlink_to(found)
        self.tool("uname", f"#!/bin/sh\necho {system}\n")

    def tool(self, name: str, script: str) -> None:
        """Put a program on the PATH."""
        (self.path / name).write_text(script)
        (self.path / name).chmod(0o755)

    def add_python(self) -> None:
        self.tool("python3", PYTHON)

    def add_compilers(self) -> None:
        self.tool("gcc", "#!/bin/sh\n")
        self.tool("qemu-system-arm", "#!/bin/sh\n")
        self.tool("arm-none-eabi-gcc", "#!/bin/sh\necho /usr/lib/libc.a\n")

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": str(self.path),
            "HOME": str(self.project),
            "CALLS": str(self.calls),
            "FAKE_PYTHON": str(self.path / "python3"),
            "CODEGEN_SYSTEM_INSTALL": "no",
        }
        script = self.project / "run"
        return subprocess.run(
            [str(self.path / "bash"), str(script), *arguments],
            env=environment | variables,
            cwd=self.path,
            capture_output=True,
            text=True,
        )

    def count(self, words: str) -> int:
        """Calls of Python that contain `words`."""
        return self.calls.read_text().count(words)


@pytest.fixture
def linux(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "Linux")


def last_line(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 2
    return ran.stderr.splitlines()[-1]


def test_without_python(linux: Machine) -> None:
    assert last_line(linux.run("setup")).startswith(
        "run: error: Python 3.11 or newer is missing, install it with: "
    )


def test_set_up_once_then_never_again(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    first = linux.run("setup")
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr == "Creating the Python environment in .venv (once, a minute or two)\n"
    again = linux.run("setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert linux.count("-m venv") == linux.count("--editable") == 1


@pytest.mark.parametrize("file", ["pyproject.toml", "requirements/test.txt"])
def test_changed_dependencies_are_installed(file: str, linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    linux.run("setup")
    with (linux.project / file).open("a") as changed:
        changed.write("# changed\n")
    assert linux.run("setup").stderr == "Bringing the Python environment in .venv up to date\n"
    assert (linux.count("-m venv"), linux.count("--editable")) == (1, 2)


def test_everything_is_installed_by_its_hash(linux: Machine) -> None:
    """Nothing is resolved again: not the packages, not what builds them, not for the checkout itself."""
    linux.add_python()
    linux.add_compilers()
    linux.run("setup")
    build, packages, checkout = (
        line for line in linux.calls.read_text().splitlines() if "pip install" in line
    )
    assert "--require-hashes" in build and build.endswith("/requirements/build.txt")
    assert "--require-hashes --no-build-isolation" in packages and packages.endswith("/requirements/test.txt")
    assert checkout.endswith(f"--no-deps --no-build-isolation --editable {linux.project}")


def test_a_package_that_is_not_the_locked_one_is_refused(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    line = last_line(linux.run("setup", PIP_FAILS="THESE PACKAGES DO NOT MATCH THE HASHES"))
    assert line.startswith("run: error: a package is not the one that requirements/ locks; ")
    assert "CODEGEN_LOCKED" not in line


def test_unlocked_where_a_locked_package_is_not_made_for(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    assert last_line(linux.run("setup", PIP_FAILS="yes")).endswith("CODEGEN_LOCKED=no ./run setup")
    assert linux.run("setup", CODEGEN_LOCKED="no").returncode == 0
    assert linux.count(f"--editable {linux.project}[test]") == 1
    assert linux.run("setup").stderr == ""


def test_interrupted_set_up_starts_again(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    assert "pip could not install" in last_line(linux.run("setup", PIP_FAILS="yes"))
    assert linux.run("setup").returncode == 0
    assert linux.count("-m venv") == 2
    assert linux.run("setup").stderr == ""


def test_moved_checkout_gets_a_new_environment(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    linux.run("setup")
    linux.project = linux.project.rename(linux.project.with_name("elsewhere"))
    assert linux.run("setup").returncode == 0
    assert linux.count("-m venv") == 2


@pytest.mark.parametrize(
    ("system", "advice"),
    [
        ("Linux", f"sudo apt-get install {' '.join(DEBIAN)}"),
        ("Darwin", "xcode-select --install; brew install --cask gcc-arm-embedded; brew install qemu"),
        ("MINGW64_NT-10.0", "use WSL (wsl --install -d Ubuntu, then ./run there), or in an MSYS2 UCRT64 "
         "shell: pacboy -S gcc arm-none-eabi-gcc arm-none-eabi-newlib qemu"),
    ],
)  # fmt: skip
def test_missing_system_packages_are_one_line(tmp_path: Path, system: str, advice: str) -> None:
    machine = Machine(tmp_path, system)
    machine.add_python()
    if system.startswith("MINGW"):
        script = PYTHON.replace("/bin", "/Scripts")
        machine.tool("python3", script.replace("#!/usr/Scripts", "#!/usr/bin"))
    line = last_line(machine.run("setup"))
    assert line == f"run: error: system packages are missing, install them with: {advice}"


def test_only_what_is_missing_is_named(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    (linux.path / "qemu-system-arm").unlink()
    assert last_line(linux.run("test")).endswith("install them with: sudo apt-get install qemu-system-arm")


def test_newlib_counts_as_part_of_the_cross_compiler(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    linux.tool("arm-none-eabi-gcc", '#!/bin/sh\n[ "$1" = -E ] && exit 1\necho libc.a\n')
    assert "libnewlib-arm-none-eabi" in last_line(linux.run("demo"))


def test_apt_installs_without_asking_where_it_may(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    (linux.path / "qemu-system-arm").unlink()
    linux.tool("apt-get", '#!/bin/sh\necho "apt $*" >>"$CALLS"\n')
    linux.tool("sudo", '#!/bin/sh\necho "sudo $*" >>"$CALLS"\nshift\nexec "$@"\n')
    linux.run("setup", CODEGEN_SYSTEM_INSTALL="yes")
    calls = linux.calls.read_text()
    assert "install -y --no-install-recommends qemu-system-arm" in calls
    assert ("sudo -n true" in calls) == (os.getuid() != 0)


def test_command_line_works_without_the_system_packages(linux: Machine) -> None:
    linux.add_python()
    ran = linux.run("codegen", "boards")
    assert "note: to build and emulate firmware, install: sudo apt-get install gcc" in ran.stderr


def test_coverage_is_asked_of_pytest(linux: Machine) -> None:
    linux.add_python()
    linux.add_compilers()
    linux.run("test", "--coverage", "tests/codegen/test_protocol.py")
    assert linux.count("-m not prove --cov --cov-report=term tests/codegen/test_protocol.py") == 1
    linux.run("test", "tests/codegen/test_protocol.py")
    assert linux.count("--cov ") == 1


def test_usage(linux: Machine) -> None:
    assert linux.run("--help").stdout.startswith("usage: ./run demo")
    assert linux.run().returncode == 2
    assert last_line(linux.run("dance")) == "run: error: unknown job 'dance'"
