"""One file, one idea, one sitting: the sizes and names that keep the house readable."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src").rglob("*.py"))
MAX_LINES, MAX_FUNCTION = 300, 60
DRAWERS = {"utils", "util", "common", "helpers", "misc"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_one_sitting(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES
    assert path.stem not in DRAWERS
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module opens with one sentence saying what it holds"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= MAX_FUNCTION, f"{node.name} has {lines} lines"


def test_no_class_of_ours_inherits_from_a_concrete_class_of_ours():
    bases: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases]
    # The engine has torch's bases, made to be built upon; a Parameter is a Tensor that a Module finds.
    made_for_it = {"Module", "Optimizer", "Schedule", "Dataset", "Tensor", "_GradMode"}
    made_to_be_filled = {name for name, parents in bases.items() if {"Protocol", "ABC"} & set(parents)}
    abstract = made_to_be_filled | {"InputError"} | made_for_it
    wrong = {name: parent for name, parents in bases.items() for parent in parents if parent in bases.keys() - abstract}
    # nn.Module of the hand-written engine and our AdamW share names with torch's: a class is not its own parent.
    assert {name: parent for name, parent in wrong.items() if name != parent} == {}


def test_nothing_loads_pickle():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert "pickle.load" not in text
        for line in text.splitlines():  # old published weights: tensors and plain values, no code
            assert "torch.load(" not in line or "weights_only=True" in line
