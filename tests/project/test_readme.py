"""The README says what today's code does: its commands exist, its example runs, its table is the house."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from groundup.cli.main import COMMANDS
from groundup.configs import from_dict, to_dict
from groundup.recipes import RECIPES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOMS = sorted(path.parent.name for path in (ROOT / "src/groundup").glob("*/__init__.py"))


def commands() -> list[list[str]]:
    """Every `groundup …` command in a console or shell block."""
    blocks = re.findall(r"```(?:console|sh)\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [
        shlex.split(line, comments=True)[1:] for line in lines if line.startswith(("groundup ", ".venv/bin/groundup "))
    ]


def test_there_are_commands_to_check():
    assert len(commands()) >= 6


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_command_exists(command: list[str]):
    assert command[0] in COMMANDS
    if command[0] == "train":
        assert command[1] in RECIPES
        known = to_dict(RECIPES[command[1]]())
        for option in (word for word in command[2:] if word.startswith("--") and word not in ("--out", "--stamp")):
            fields: object = known
            for name in option.removeprefix("--").replace("-", "_").split("."):
                assert isinstance(fields, dict)
                fields = fields[name]
        assert from_dict(type(RECIPES[command[1]]()), known) == RECIPES[command[1]]()


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", README, flags=re.MULTILINE))
    assert {"demo", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_rooms_are_the_house():
    assert set(re.findall(r"^\| `(\w+)/`", README, flags=re.MULTILINE)) == set(ROOMS)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(README, {}, "README", "README.md", 0)
    assert len(test.examples) >= 4
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def test_architecture_names_every_room():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for room in ROOMS:
        assert f"`{room}/`" in page
