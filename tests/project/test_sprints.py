"""The results of the sprints run: each demo prints, plots, imports groundup and defines nothing that groundup has."""

import ast
import os
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from tests.project.warm_python import WarmPython

from groundup.configs import RunConfig, to_dict
from groundup.recipes import RECIPES
from groundup.weights.installed import installed_smollm2

ROOT = Path(__file__).parents[2]
DEMOS = sorted((ROOT / "sprints").glob("*/results/*.py"))
SLOW = {  # those that take more than eight seconds
    "02_datasets_and_dataloaders/preprocessing",
    "02_datasets_and_dataloaders/when_workers_pay",
    "02_datasets_and_dataloaders/worker_processes",
    "04_advanced_training_mnist/cosine_annealing",
    "04_advanced_training_mnist/early_stopping",
    "04_advanced_training_mnist/mnist_training",
    "04_advanced_training_mnist/shortcuts",
    "04_advanced_training_mnist/tensorboard_folders",
    "05_embeddings_and_positional_encoding/comparison",
    "05_embeddings_and_positional_encoding/learned_positions",
    "05_embeddings_and_positional_encoding/maps_of_words",
    "05_embeddings_and_positional_encoding/neighbours_and_analogies",
    "05_embeddings_and_positional_encoding/tsne_perplexity",
    "05_embeddings_and_positional_encoding/umap_neighbours",
    "09_train_gpt2/command_line",
    "09_train_gpt2/device_choice",
    "09_train_gpt2/gradient_clipping",
    "09_train_gpt2/perplexity",
    "09_train_gpt2/schedules",
    "09_train_gpt2/training_speed",
    "10_pretrained_generation_demo/beams",
    "10_pretrained_generation_demo/choice",
    "10_pretrained_generation_demo/conversation",
    "10_pretrained_generation_demo/loading",
    "10_pretrained_generation_demo/side_by_side",
    "10_pretrained_generation_demo/speculative",
    "10_pretrained_generation_demo/strategies",
    "10_pretrained_generation_demo/streaming",
    "11_finetune_classification/freezing",
    "11_finetune_classification/pooling",
    "11_finetune_classification/spam",
    "12_finetune_generation/preferences",
    "12_finetune_generation/replies_only",
    "12_finetune_generation/style",
    "13_lora/lora_vs_full",
    "13_lora/merge_and_switch",
    "13_lora/theory",
    "13_lora/variants",
    "14_quantization/dynamic_vs_static",
    "14_quantization/gpt2_in_bits",
    "14_quantization/int8_by_hand",
    "15_encoder_decoder/dates",
    "15_encoder_decoder/reverse",
    "16_decoding_and_metrics/bleu_by_hand",
    "16_decoding_and_metrics/how_varied",
    "17_masked_lm/against_the_posterior",
    "17_masked_lm/alike_or_not",
    "18_distillation/closing_the_gap",
    "18_distillation/what_a_teacher_says",
}
NEEDS_DATA = {
    "04_advanced_training_mnist/convolutions",
    "04_advanced_training_mnist/mnist_training",
    "08_gpt2_assembly/tokenizer",  # GPT-2's vocabulary
    "10_pretrained_generation_demo/loading",  # the same
    "11_finetune_classification/spam",
    "12_finetune_generation/style",  # Shakespeare
}
NEEDS_MODEL = [path for path in DEMOS if "installed_smollm2() is None" in path.read_text(encoding="utf-8")]
MAX_LINES = 100
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
OURS = {  # what a demo imports and never writes again; nobody imports the command line
    node.name
    for path in (ROOT / "src/groundup").rglob("*.py")
    if "cli" not in path.parts
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, DEFINITIONS)
}


def name_of(path: Path) -> str:
    return f"{path.parents[1].name}/{path.stem}"


def drawings_of(path: Path) -> list[Path]:
    """Return the pictures beside a demo that it writes: those that its text names."""
    text = path.read_text(encoding="utf-8")
    return [file for file in path.parent.glob("*.svg") if f'"{file.name}"' in text]


def runs_of(path: Path):
    name = name_of(path)
    marks = [pytest.mark.slow] if name in SLOW else []
    if name in NEEDS_DATA:
        marks.append(pytest.mark.skipif("GROUNDUP_DATA" not in os.environ, reason="GROUNDUP_DATA is not set"))
    if path in NEEDS_MODEL:
        marks.append(pytest.mark.skipif(installed_smollm2() is None, reason="SmolLM2 is not installed: make model"))
    return pytest.param(path, id=name, marks=marks)


def test_there_are_demos():
    assert len(DEMOS) >= 16
    assert {name_of(path) for path in DEMOS} >= SLOW | NEEDS_DATA


@pytest.fixture(scope="module")
def python():
    warm = WarmPython()
    yield warm
    warm.close()


@pytest.mark.parametrize("path", [runs_of(path) for path in DEMOS])
def test_demo_prints_and_plots(path: Path, python: WarmPython, tmp_path: Path, tmp_path_factory):
    out = tmp_path / "new" / "plots"
    is_slow = name_of(path) in SLOW  # those that measure memory are among them
    done = python.run(path, str(out), folder=tmp_path, output=tmp_path_factory.mktemp("said"), fresh=is_slow)
    assert done.returncode == 0, done.stderr
    *report, last = done.stdout.splitlines()
    assert len(report) > 3
    assert last == f"plot: {out / path.stem}.png"
    drawings = {file.name for file in drawings_of(path)}
    assert {file.name for file in out.iterdir()} == {f"{path.stem}.png"} | drawings
    for name in drawings:
        shown = path.with_name(name).read_text(encoding="utf-8")
        assert (out / name).read_text(encoding="utf-8") == shown, f"copy the new {name} beside the demo"
    assert list(tmp_path.iterdir()) == [out.parent], "a demo writes into its folder only"
    pixels = imread(out / f"{path.stem}.png")[..., :3].reshape(-1, 3)
    drawn = (pixels != pixels[0]).any(-1)
    assert 0.01 < drawn.mean() < 0.99, "blank"
    assert len(np.unique(pixels[drawn], axis=0)) > 10


@pytest.mark.parametrize("path", NEEDS_MODEL, ids=name_of)
def test_demo_without_its_model_says_how_to_get_it(path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr("groundup.weights.installed.installed_smollm2", lambda: None)
    monkeypatch.setattr("sys.argv", [str(path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "expected SmolLM2 on this machine, found none: make model installs it\n"


@pytest.mark.parametrize("path", DEMOS, ids=name_of)
def test_demo_copies_nothing(path: Path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert (ast.get_docstring(tree) or "").startswith("Shows ")
    assert text.count("\n") <= MAX_LINES
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert any(module.startswith("groundup.") for module in imported)
    methods = {part for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in node.body}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, DEFINITIONS) and node not in methods}
    assert not defined & OURS, "import it; or, if it is something else, name it otherwise"


@pytest.mark.parametrize("folder", sorted({path.parent for path in DEMOS}), ids=lambda folder: folder.parent.name)
def test_output_of_every_demo_is_in_the_readme(folder: Path):
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("*.py"):
        assert f"[{path.name}]({path.name})" in readme
        assert f"python sprints/{folder.parent.name}/results/{path.name}" in readme
        assert f"plot: runs/sprints/{folder.parent.name}/{path.stem}.png" in readme
        for drawing in drawings_of(path):
            assert f"drawing: runs/sprints/{folder.parent.name}/{drawing.name}" in readme
    for drawing in folder.glob("*.svg"):
        assert f"]({drawing.name})" in readme
        assert sum(drawing in drawings_of(path) for path in folder.glob("*.py")) == 1, "one demo writes it"
    for link in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (folder / link).exists(), link


def test_the_recorded_command_line_knows_todays_options_and_recipes():
    text = (ROOT / "sprints/09_train_gpt2/results/README.md").read_text(encoding="utf-8")
    shown = text[text.index("## command_line.py") : text.index("## cross_entropy.py")]
    named = {
        name.strip() for line in re.findall(r"^  [a-z. ]+:\s+(.*)$", shown, re.MULTILINE) for name in line.split(",")
    }
    known = {leaf.replace("_", "-") for leaf in leaves(to_dict(RunConfig()))} - {"points", "measured-with"}
    assert named - {"out", "stamp"} == known, "run the demo and paste what it prints"
    assert all(f"\n  {name} " in shown for name in RECIPES)


def leaves(plain: dict[str, object]) -> list[str]:
    nested = [leaves(value) if isinstance(value, dict) else [name] for name, value in plain.items()]
    return [name for names in nested for name in names]


@pytest.mark.parametrize("fresh", [True, False])
def test_a_warm_interpreter_is_as_a_fresh_one(fresh: bool, python: WarmPython, tmp_path: Path, tmp_path_factory):
    beside, script = tmp_path / "beside.py", tmp_path / "script.py"
    beside.write_text("word = 'found'\n")
    ends = {"print('done')": (0, ""), "sys.exit(3)": (3, ""), "1 / 0": (1, "ZeroDivisionError"),
            "warnings.warn('old', FutureWarning)": (1, "FutureWarning: old")}  # fmt: skip
    for end, (status, said) in ends.items():
        script.write_text(
            "import atexit, os, sys, warnings, beside\natexit.register(print, 'end')\n"
            f"print(beside.word, __name__, sys.argv[1:], os.getcwd() == {str(tmp_path)!r})\n{end}\n"
        )
        done = python.run(script, "a", "b", folder=tmp_path, output=tmp_path_factory.mktemp("said"), fresh=fresh)
        assert done.returncode == status
        assert done.stdout.splitlines()[0] == "found __main__ ['a', 'b'] True"
        assert done.stdout.splitlines()[-1] == "end"
        assert said in done.stderr
