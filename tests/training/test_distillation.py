"""Distillation runs: begun, stopped, gone on with the same bits, opened as any language model; and what is refused."""

import io
import json
import re
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from groundup.configs.codec import from_json, to_json
from groundup.configs.distillation import DistillConfig, HiddenMatchConfig, SoftTargetConfig, WrittenConfig
from groundup.configs.finetune_runs import ClassifyConfig, LabelledConfig
from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import CheckpointConfig, ComputeConfig, EvaluationConfig, TrainConfig
from groundup.configs.translation import TranslationConfig
from groundup.data import teacher_logits
from groundup.errors import InputError
from groundup.finetuning import launch as finetuning
from groundup.resolve import open_model
from groundup.training import teaching
from groundup.training.kinds import resume, start
from groundup.training.run_folder import Run
from groundup.training.step import Stepper
from groundup.training.trained import evaluate_run, load_run
from groundup.weights.fingerprint import model_fingerprint

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 30
STEPS = 6
TRAINING = TrainConfig(
    steps=STEPS,
    batch_size=2,
    device="cpu",
    precision="float32",
    evaluation=EvaluationConfig(every_steps=3, max_tokens=64, sample_tokens=4),
    checkpoints=CheckpointConfig(every_steps=3),
    compute=ComputeConfig(threads=1, linear="default"),  # nothing is measured
)
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of a teacher of two layers, beside its text."""
    folder = tmp_path_factory.mktemp("teacher")
    (folder / "text.txt").write_text(TEXT)
    config = RunConfig(
        data=DataConfig(corpus=str(folder / "text.txt")),
        model=GPTConfig(context_length=16, d_model=24, n_layers=2, n_heads=2),
        training=TRAINING,
    )
    start(config, folder / "run", console=QUIET)
    return folder / "run"


def config(teacher: Path, folder: Path, **given: object) -> DistillConfig:
    usual = {
        "teacher": str(teacher),
        "data": DataConfig(corpus=str(teacher.parent / "text.txt"), tokenizer="teacher"),
        "model": GPTConfig(context_length=16, d_model=8, n_layers=1, n_heads=2, dropout=0.1),
        "soft": SoftTargetConfig(folder=str(folder / "said")),
        "training": TRAINING,
    }
    return DistillConfig(**(usual | given))  # type: ignore[arg-type]


def begin(config: DistillConfig, folder: Path, shown: Console = QUIET) -> None:
    start(config, folder, open_model=open_model, console=shown)


def weights(run: Path, step: int = STEPS) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{step}" / "model.safetensors")


def test_a_student_learns_and_is_a_language_model_like_any_other(teacher: Path, tmp_path: Path):
    shown = Console(file=io.StringIO(), width=500)
    told = config(teacher, tmp_path, hidden=HiddenMatchConfig(weight=0.1))
    begin(told, tmp_path / "run", shown)
    page = shown.file.getvalue()  # type: ignore[attr-defined]
    # 29 entries, all there are: 29 ids of 2 bytes, 30 logarithms of 2
    assert "the teacher reads the text: 1,214 tokens, 143.3 kB in " in page
    loss = json.loads((tmp_path / "run" / "teacher.json").read_text())["loss"]
    assert (
        f"teacher     {teacher}: {load_run(teacher).model.n_parameters():,} parameters, validation loss {loss:.4f}\n"
        in page
    )
    assert re.search(r"student     1,\d{3} parameters \(\d\.\d%\): 1 layers, 8 wide, 2 heads, context 16\n", page)
    assert "learns      90% soft targets at temperature 1, the 29 likeliest of each position: 143.3 kB in" in page
    assert "hidden states of blocks 1 like 2 of the teacher's, with weight 0.1\n" in page
    # The same windows of the same text; the teacher's own were measured by the same code.
    assert loss == pytest.approx(load_run(teacher).metrics["loss"], rel=1e-6)

    saved, loaded = weights(tmp_path / "run"), load_run(tmp_path / "run")
    assert saved.pop("projections.1.weight").shape == (24, 8)
    assert loaded.config.model == told.model
    assert not any("projections" in name for name in loaded.model.state_dict())
    assert evaluate_run(tmp_path / "run", max_tokens=64)["loss"] == pytest.approx(loaded.metrics["loss"], rel=1e-6)
    opened = open_model(str(tmp_path / "run"))
    assert opened.model.n_parameters() == sum(tensor.numel() for tensor in saved.values())
    assert opened.opening() == opened.tokenizer.encode("\n")
    assert from_json(DistillConfig, to_json(told)) == told


def test_weight_0_ends_in_the_bits_of_a_run_without_a_teacher(teacher: Path, tmp_path: Path):
    told = config(teacher, tmp_path, soft=SoftTargetConfig(weight=0.0))
    begin(told, tmp_path / "run")
    start(RunConfig(data=replace(told.data, tokenizer="characters"), model=told.model, training=TRAINING),
          tmp_path / "alone", console=QUIET)  # fmt: skip
    alone = weights(tmp_path / "alone")
    assert {f"gpt.{name}" for name in alone} == weights(tmp_path / "run").keys()
    assert all(torch.equal(weights(tmp_path / "run")[f"gpt.{name}"], tensor) for name, tensor in alone.items())


@pytest.mark.parametrize("kind", ["soft", "hidden", "written"])
def test_a_stopped_run_goes_on_with_the_same_bits(
    kind: str, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = config(
        teacher,
        tmp_path,
        hidden=HiddenMatchConfig(weight=0.1 if kind == "hidden" else 0.0),
        written=WrittenConfig(n_texts=20 if kind == "written" else 0, max_tokens=12),
    )
    begin(told, tmp_path / "whole")
    update = Stepper.update

    def stopping(self: Stepper, step: int) -> float:  # type: ignore[type-arg]
        if step == 4:
            raise KeyboardInterrupt
        return update(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "update", stopping)
        begin(told, tmp_path / "run")
    shutil.rmtree(tmp_path / "said")  # what the teacher said is computed again: to the same bits
    assert Run.open(tmp_path / "run").checkpoint_steps()[-1] == 4
    resume(tmp_path / "run", open_model=open_model, console=QUIET)
    whole = weights(tmp_path / "whole")
    assert all(torch.equal(tensor, whole[name]) for name, tensor in weights(tmp_path / "run").items())


def test_the_teacher_reads_a_text_once_and_goes_on_where_it_was_stopped(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told, firsts = config(teacher, tmp_path), []
    read = teaching.read_by_teacher

    def stopping(*args, first: int, **named):  # type: ignore[no-untyped-def]
        firsts.append(first)
        for number, block in enumerate(read(*args, first=first, **named), first):
            if number == 1 and len(firsts) == 1:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(teaching, "read_by_teacher", stopping)
    with pytest.raises(KeyboardInterrupt):
        begin(told, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    begin(told, tmp_path / "run")
    begin(told, tmp_path / "again")  # reads nothing
    assert firsts == [0, 1]
    assert all(torch.equal(weights(tmp_path / "again")[n], t) for n, t in weights(tmp_path / "run").items())


def test_the_teacher_may_write_what_is_learned(teacher: Path, tmp_path: Path):
    shown = Console(file=io.StringIO(), width=500)
    told = config(teacher, tmp_path, written=WrittenConfig(n_texts=10, prompt_tokens=3, max_tokens=12))
    begin(told, tmp_path / "run", shown)
    page = shown.file.getvalue()  # type: ignore[attr-defined]
    # One long text has no end-of-text token: each is as long as it may be.
    assert "120 tokens to learn, written by the teacher (10 texts), 135 held out; 29 different ones\n" in page
    assert "the teacher reads the text: 119 tokens" in page
    assert evaluate_run(tmp_path / "run", max_tokens=64)["bytes"] == 64  # of the text itself
    with pytest.raises(InputError, match=r"max_tokens to be at most 16, what .* can see, found 17: lower it"):
        begin(config(teacher, tmp_path, written=WrittenConfig(n_texts=1, max_tokens=17)), tmp_path / "no")


def refused(told: DistillConfig, folder: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        begin(told, folder)
    assert "\n" not in str(error.value)
    assert not folder.exists()


def test_a_student_with_another_vocabulary_is_refused(teacher: Path, tmp_path: Path):
    data = config(teacher, tmp_path).data
    (tmp_path / "other.txt").write_text("abc" * 100)
    for other, found in (
        (replace(data, tokenizer="bpe", bpe_vocab_size=260), "DataConfig.tokenizer bpe, of 260 others"),
        (replace(data, corpus=str(tmp_path / "other.txt"), tokenizer="characters"), "characters, of 3 others"),
    ):
        message = (
            rf"^expected the student to have its teacher's vocabulary of 29 tokens, found .*{found}: leave it out$"
        )
        refused(config(teacher, tmp_path, data=other), tmp_path / "run", message)
    smaller = GPTConfig(vocab_size=28, context_length=16, d_model=8, n_layers=1, n_heads=2)
    refused(config(teacher, tmp_path, model=smaller), tmp_path / "run", "at least the tokenizer's 29, found 28")
    begin(config(teacher, tmp_path, data=replace(data, tokenizer="characters")), tmp_path / "same")  # is the teacher's


def test_a_text_that_the_teacher_cannot_spell_is_refused(teacher: Path, tmp_path: Path):
    (tmp_path / "other.txt").write_text("ÄÖÜ" * 100)
    data = DataConfig(corpus=str(tmp_path / "other.txt"), tokenizer="teacher")
    refused(config(teacher, tmp_path, data=data), tmp_path / "run", "Ä")


def test_a_teacher_that_does_not_write_is_refused(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finetuning, "write_results", lambda *args, **named: None)  # nobody asks what it reached
    lines = [f"the fox {name}\ta\nthe dog {name}\tb\n" for name in "abcdefghijklmnopqrst"]
    (tmp_path / "labels.tsv").write_text("text\tlabel\n" + "".join(lines))
    labels = ClassifyConfig(
        base=str(teacher),
        data=LabelledConfig(file=str(tmp_path / "labels.tsv"), max_tokens=8),
        training=replace(TRAINING, steps=1),
    )
    finetuning.finetune(labels, tmp_path / "labeller", open_base=open_model, console=QUIET)
    message = r"^expected a model that writes, found .*labeller, which labels texts"
    refused(config(tmp_path / "labeller", tmp_path, data=config(teacher, tmp_path).data), tmp_path / "run", message)
    Run.create(tmp_path / "translator", TranslationConfig()).checkpoints.mkdir()
    message = "expected a run of a language model from scratch, found .*translator, of a model that translates"
    refused(config(tmp_path / "translator", tmp_path, data=config(teacher, tmp_path).data), tmp_path / "run", message)
    refused(config(tmp_path / "nobody", tmp_path), tmp_path / "run", "expected a model, found nothing called")


def test_more_entries_than_the_vocabulary_has_are_refused(teacher: Path, tmp_path: Path):
    told = config(teacher, tmp_path, soft=SoftTargetConfig(top_k=30))
    refused(
        told, tmp_path / "run", r"^expected SoftTargetConfig\.top_k to be at most 29, all tokens .*, found 30: lower"
    )


def test_no_room_is_one_line_before_the_teacher_reads(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(teacher_logits.shutil, "disk_usage", lambda path: usage(100, 0, 10))
    refused(config(teacher, tmp_path), tmp_path / "run", r"^expected 67\.3 MB free at .*, found 0\.0 kB: make room")


def test_another_teacher_is_never_taken_for_the_first(teacher: Path, tmp_path: Path):
    shutil.copytree(teacher, tmp_path / "teacher")
    shutil.copy(teacher.parent / "text.txt", tmp_path / "text.txt")
    told = config(tmp_path / "teacher", tmp_path)
    begin(told, tmp_path / "run")
    (one,) = [path.name for path in (tmp_path / "said").iterdir() if path.is_dir()]
    # Other weights under the same name: what was said by the first is left alone, and no run goes on with the second.
    before = model_fingerprint(open_model(str(tmp_path / "teacher")).model)
    (tmp_path / "teacher" / "best.json").unlink(missing_ok=True)
    shutil.rmtree(tmp_path / "teacher" / "checkpoints" / f"step-{STEPS}")
    assert model_fingerprint(open_model(str(tmp_path / "teacher")).model) != before
    begin(told, tmp_path / "other")
    names = {path.name for path in (tmp_path / "said").iterdir() if path.is_dir()}
    assert len(names) == 2
    assert one in names
    with pytest.raises(InputError, match=r"to be the teacher that .* began with, found other weights, from .*: put"):
        resume(tmp_path / "run", open_model=open_model, console=QUIET)
    (tmp_path / "run" / "teacher.json").unlink()
    with pytest.raises(InputError, match=r"teacher\.json, which says who .* learns from, found none: restore"):
        resume(tmp_path / "run", open_model=open_model, console=QUIET)
