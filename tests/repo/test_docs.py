"""README and documents say what the program does."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Hyperparameters, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.cli.app import app
from feast_codegen.host.network.float_model import initial_model
from feast_codegen.host.recordings.open import open_source
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def shell_lines() -> list[str]:
    lines = [
        line for page in PAGES for block in code_blocks(page.read_text(), "sh") for line in block.splitlines()
    ]
    return [line for line in lines if re.match(r"(\./run )?codegen ", line)]


def check_line(line: str) -> None:
    """Parse a command line of a document as the program would, without running it."""
    words = shlex.split(line.removeprefix("./run "), comments=True)
    name, arguments = words[1], words[2:]
    assert name in commands(), f"{line}: no such command"
    commands()[name].make_context(name, arguments)


def test_readme_lists_exactly_the_commands() -> None:
    listed = re.findall(r"^\| `codegen (\w+)", README, re.MULTILINE)
    assert sorted(listed) == sorted(commands())


def test_command_lines_of_the_documents_parse() -> None:
    lines = shell_lines()
    assert len(lines) >= 6
    for line in lines:
        check_line(line)


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_shows_a_valid_example(name: str) -> None:
    text = " ".join(commands()[name].help.split())
    example = re.search(r"Example: (codegen .*)$", text)
    assert example, f"codegen {name} --help has no example"
    assert example[1].split()[1] == name
    check_line(example[1])


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_option_is_explained(name: str) -> None:
    for parameter in commands()[name].params:
        assert getattr(parameter, "help", None), f"codegen {name}: {parameter.name} has no help"


def test_readme_names_the_jobs_of_run() -> None:
    usage = subprocess.run(
        ["bash", "run", "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    jobs = set(re.findall(r"\./run (\w+)", usage))
    for page in PAGES:
        assert set(re.findall(r"\./run ([a-z]+)\b", page.read_text())) <= jobs, page
    assert {"demo", "test", "prove", "codegen"} <= jobs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_c_example_gives_the_results_of_the_twin(tmp_path: Path) -> None:
    (example,) = code_blocks(README, "c")
    (compile_line,) = [
        line for block in code_blocks(README, "sh") for line in block.splitlines() if line[:3] == "cc "
    ]
    quant, _ = quantise(initial_model(Hyperparameters(features=4, radius=1), Sensor(34, 34), seed=0))
    write(render(make_plan(quant, get_board("mps2_an386"), Options())), tmp_path / "feast")
    (tmp_path / "example.c").write_text(example)
    subprocess.run(compile_line, shell=True, cwd=tmp_path, check=True)
    events = open_source("sim:bars?count=1").load(0).events[:200]
    lines = "".join(f"{event['t_us']} {event['x']} {event['y']} {event['polarity']}\n" for event in events)
    ran = subprocess.run([tmp_path / "example"], input=lines, check=True, capture_output=True, text=True)
    assert [int(line) for line in ran.stdout.split()] == Twin(quant, Options()).step(events).tolist()


def test_documents_are_current_about_the_python_version() -> None:
    assert "Python 3.11" in README
    assert sys.version_info >= (3, 11)


ARCHITECTURE = (ROOT / "docs" / "develop" / "architecture.md").read_text(encoding="utf-8")


def is_defined(dotted: str) -> bool:
    """Whether ``room.module.name`` or ``room.module.Class.name`` below feast_codegen exists."""
    words = ["feast_codegen", *dotted.split(".")]
    for length in range(len(words), 1, -1):
        try:
            found: Any = importlib.import_module(".".join(words[:length]))
        except ModuleNotFoundError as error:
            if error.name is None or not ".".join(words[:length]).startswith(error.name):
                raise
            continue
        for word in words[length:]:
            fields = getattr(found, "__dataclass_fields__", {})
            if not hasattr(found, word) and word not in fields:
                return False
            found = getattr(found, word, None)
        return True
    return False


def test_architecture_names_what_exists() -> None:
    names = re.findall(r"`((?:codegen|host)\.[\w.]+)`", ARCHITECTURE)
    assert len(names) > 60
    assert [name for name in names if not is_defined(name)] == []
    assert not is_defined("host.link.link.Link.fly") and not is_defined("host.link.plane")


def test_architecture_names_c_functions_that_exist() -> None:
    functions = re.findall(r"`(\w+)\(\)`", ARCHITECTURE)
    files = [*(ROOT / "templates").rglob("*.j2"), *(ROOT / "firmware").rglob("*.[ch]")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert len(functions) > 20
    defined = {name for name in functions if re.search(rf"^[\w *]+[ *]{name}\([^;]*\)\s*\{{", text, re.M)}
    assert set(functions) - defined == set()


def test_architecture_shows_the_floors_of_the_contract() -> None:
    """Top to bottom, as pyproject.toml has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    wanted = [
        [room.strip().removeprefix("feast_codegen.") for room in floor.split("|")]
        for floor in contract["layers"]
    ]
    shown = [
        re.findall(r"`([\w.]+)`", line) for line in re.findall(r"^\| \d+ \| (.*) \|$", ARCHITECTURE, re.M)
    ]
    assert shown == wanted
    assert len(shown) <= 9


def test_glossary_is_in_order_and_has_one_line_a_term() -> None:
    text = (ROOT / "docs" / "develop" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^- \*\*(.+?)\*\*: \S", text, re.M)
    assert len(terms) > 30
    assert terms == sorted(terms, key=str.lower)
    assert len(terms) == len([line for line in text.splitlines() if line and not line.startswith("#")]) - 1
