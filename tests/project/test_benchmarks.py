"""Each benchmark runs, at a size that takes seconds, and gives a table; what it imports anywhere is there."""

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
NAMES = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if "\ndef run(" in path.read_text(encoding="utf-8")}
SLOW = {  # those whose tiny run takes more than five seconds: processes of their own, a recipe, or a pretrained model
    "bands", "engine_gpt", "finetune_quality", "finetune_speed", "loader_memory", "plan_accuracy", "pretrained_speed",
    "shakespeare_record",
}  # fmt: skip
NEW = NAMES.keys() - SLOW - {
    "beam_cost", "bpe_encoding", "bpe_training", "engine_loader", "engine_mlp", "generation_speed",
    "training_overhead", "training_speed",
}  # fmt: skip
"""Until somebody has measured it, a benchmark is not among the fast tests."""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path))  # what is measured at this size must not be kept
    monkeypatch.delenv("NANOGPT", raising=False)


def a_run(name: str):
    return pytest.param(name, marks=[pytest.mark.slow] if name in SLOW | NEW else [])


@pytest.mark.parametrize("name", [a_run(name) for name in NAMES])
def test_tiny_run(name):
    found = importlib.import_module(f"benchmarks.{name}").run(True)
    assert found["what"]
    assert found["rows"]
    assert all(row.keys() == found["rows"][0].keys() for row in found["rows"])


def programs(path: Path) -> Iterator[ast.Module]:
    """Yield a module, and the programs that it holds as strings, to be run with -c."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield tree
    whole = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in whole for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
        else:
            continue
        if "import " in text:
            try:
                yield ast.parse(text)
            except SyntaxError:  # words for people
                continue


def imports_of(program: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Yield each module that a program imports anywhere, and the name that it takes from there."""
    for node in ast.walk(program):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def missing(path: Path) -> list[str]:
    """Return what a benchmark imports and nobody has; other people's packages may be left out of a machine."""
    asked = {one for program in programs(path) for one in imports_of(program)}
    ours = {(module, name) for module, name in asked if module.partition(".")[0] in ("groundup", "benchmarks")}
    return sorted(".".join(filter(None, one)) for one in ours if not is_there(*one))


def is_there(module: str, name: str | None) -> bool:
    try:
        if hasattr(importlib.import_module(module), name or "__name__"):
            return True
        return importlib.util.find_spec(f"{module}.{name}") is not None
    except ModuleNotFoundError:  # of the module, or because it holds no others
        return False


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_what_it_imports_is_there(path: Path):
    assert missing(path) == []


def test_programs_in_strings_are_looked_into(tmp_path: Path):
    assert any(
        ("groundup.cli.main", "main") in set(imports_of(program)) for program in programs(NAMES["plan_accuracy"])
    )
    broken = tmp_path / "broken.py"
    broken.write_text(
        'RUN = """import sys\nfrom groundup.cli.main import nothing\n"""\n'
        'def later(n):\n    from groundup.errors import Gone\n    return f"from benchmarks import lost; lost({n!r})"\n'
    )
    assert missing(broken) == ["benchmarks.lost", "groundup.cli.main.nothing", "groundup.errors.Gone"]


def test_a_folder_without_nanogpt_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOGPT", str(tmp_path))
    with pytest.raises(SystemExit, match=r"expected NANOGPT to be a folder with nanoGPT's model.py, found /"):
        importlib.import_module("benchmarks.training_speed").run(True)
