"""Fine-tuning runs go through the one loop: they begin, stop, go on with the same bits, and are measured."""

import io
import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tests.finetuning.small_runs import (
    STEPS,
    TUNINGS,
    classify_config,
    resources,
    save_base,
    text_config,
    write_labelled,
)

from groundup.configs.finetuning import FreezingConfig, TuningConfig
from groundup.errors import InputError
from groundup.evaluation.classification_plots import draw_classification
from groundup.finetuning import results
from groundup.finetuning.launch import finetune, resume_finetune
from groundup.finetuning.tuned import label_texts, open_classifier, open_tuned, open_writer
from groundup.resolve import open_model
from groundup.training.learned import n_learned
from groundup.training.step import Stepper
from groundup.weights.huggingface import load_huggingface
from groundup.weights.huggingface_export import largest_logit_difference, save_huggingface

QUIET = Console(quiet=True)


def weights(run: Path, step: int = STEPS) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{step}" / "model.safetensors")


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training here; one test takes its picture all the same."""
    monkeypatch.setattr(results, "draw_classification", lambda *args, **named: None)


# Of full, the embeddings begin to learn after step 4: the optimizer remembers nothing of them when it stops at 3.
@pytest.mark.parametrize(("tuning", "stop"), [("full", 3), ("full", 5), ("lora", 5), ("prefix", 5)])
def test_a_stopped_run_goes_on_with_the_same_bits(
    tuning: str, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = classify_config(tmp_path, tuning)
    finetune(config, tmp_path / "whole", open_base=open_model, console=QUIET)
    update = Stepper.update

    def stopping(self: Stepper, step: int) -> float:
        if step == stop:
            raise KeyboardInterrupt
        return update(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "update", stopping)
        assert finetune(config, tmp_path / "parts", open_base=open_model, console=QUIET).interrupted
    assert not (tmp_path / "parts" / "test.json").exists()
    outcome = resume_finetune(tmp_path / "parts", open_base=open_model, console=QUIET)
    assert outcome.step == STEPS
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "whole" / "test.json").read_text() == (tmp_path / "parts" / "test.json").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_lora_run_goes_on_with_the_same_bits(tmp_path: Path):
    config = classify_config(tmp_path, "lora")
    finetune(config, tmp_path / "whole", open_base=open_model, console=QUIET)
    session = textwrap.dedent("""
        import sys
        from pathlib import Path
        from rich.console import Console
        from tests.finetuning.small_runs import classify_config
        from groundup.finetuning.launch import finetune
        from groundup.resolve import open_model
        from groundup.training.killed import die_at
        die_at("save", 4)  # when one file of the checkpoint is on disk and the others are not
        folder = Path(sys.argv[1])
        finetune(classify_config(folder), folder / "killed", open_base=open_model, console=Console(quiet=True))
    """)
    died = subprocess.run([sys.executable, "-c", session, str(tmp_path)], cwd=Path.cwd(), check=False)
    assert died.returncode == -9
    resume_finetune(tmp_path / "killed", open_base=open_model, console=QUIET)
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_a_checkpoint_holds_what_learns_and_nothing_of_a_frozen_base(tuning: str, tmp_path: Path):
    finetune(classify_config(tmp_path, tuning), tmp_path / "run", open_base=open_model, console=QUIET)
    saved = weights(tmp_path / "run")
    tuned = open_tuned(tmp_path / "run", open_base=open_model)
    assert sum(tensor.numel() for tensor in saved.values()) == n_learned(tuned.model)
    assert ("gpt.token_embedding.weight" in saved) == (tuning == "full")
    base = open_model(str(tmp_path / "base")).model
    frozen = {
        name.removeprefix("gpt.").replace(".linear.weight", ".weight"): p
        for name, p in tuned.model.named_parameters()
        if not p.requires_grad and name not in saved
    }
    known = dict(base.named_parameters())
    assert bool(frozen) == (tuning != "full")
    assert all(torch.equal(p, known[name]) for name, p in frozen.items())


def test_the_end_of_a_run_is_measured_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "draw_classification", draw_classification)
    shown = io.StringIO()
    config = classify_config(tmp_path)
    finetune(config, tmp_path / "run", open_base=open_model, console=Console(file=shown, width=100))
    test = json.loads((tmp_path / "run" / "test.json").read_text())
    lines = (tmp_path / "run" / "predictions.tsv").read_text().splitlines()
    assert test["n"] == 16 == len(lines) - 1  # a fifth of 80
    low, high = test["intervals"]["accuracy"]
    assert low <= test["metrics"]["accuracy"] <= high
    assert (tmp_path / "run" / "test.png").stat().st_size > 1_000
    assert "labels no, yes" in shown.getvalue()
    cost = resources(tmp_path / "run")
    # Two blocks of query, key, value, output with r = 2: 2 · 2 · (32 + 24 + 24 + 32); a head of 2 · 16.
    assert cost["trainable"] == 2 * 2 * (32 + 24 + 24 + 32) + 2 * 16
    assert cost["method"] == "lora"
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").exists()


def test_the_labels_of_an_opened_run_are_those_of_its_test(tmp_path: Path):
    finetune(classify_config(tmp_path), tmp_path / "run", open_base=open_model, console=QUIET)
    _, *rows = (line.split("\t") for line in (tmp_path / "run" / "predictions.tsv").read_text().splitlines())
    tuned = open_classifier(tmp_path / "run", open_base=open_model)
    found = label_texts(tuned, [row[-1] for row in rows])
    assert [tuned.labels[i] for i in found.probabilities.argmax(axis=1)] == [row[1] for row in rows]


@pytest.mark.parametrize("tuning", ["lora", "dora"])
def test_a_tuned_writer_is_a_plain_model_that_can_be_exported(tuning: str, tmp_path: Path):
    finetune(text_config(tmp_path, tuning), tmp_path / "run", open_base=open_model, console=QUIET)
    beside = open_tuned(tmp_path / "run", open_base=open_model).base.model
    merged = open_model(str(tmp_path / "run"))
    assert (
        dict(merged.model.named_parameters()).keys()
        == dict(open_model(str(tmp_path / "base")).model.named_parameters()).keys()
    )
    # Sums of 16 products in another order: rounding of float32 at logits of about 1.
    assert largest_logit_difference(beside, merged.model) < 1e-5
    save_huggingface(merged.model, merged.tokenizer, tmp_path / "exported")
    assert largest_logit_difference(merged.model, load_huggingface(tmp_path / "exported").model) == 0.0
    test = json.loads((tmp_path / "run" / "test.json").read_text())["metrics"]
    assert test["loss"] < test["base_loss"]


def test_a_learned_prefix_stays_before_the_text(tmp_path: Path):
    finetune(text_config(tmp_path, "prefix"), tmp_path / "run", open_base=open_model, console=QUIET)
    tuned, base = open_model(str(tmp_path / "run")), open_model(str(tmp_path / "base"))
    assert tuned.model.prefix is not None
    assert largest_logit_difference(tuned.model, base.model) > 0
    with pytest.raises(InputError, match="vectors before"):
        save_huggingface(tuned.model, tuned.tokenizer, tmp_path / "exported")


def test_another_base_is_refused(tmp_path: Path):
    config = classify_config(tmp_path)
    finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    other = open_model(str(save_base(tmp_path / "other", seed=1)))
    said = rf"found other weights, from {tmp_path}/other; the first came from {tmp_path}/base: put"
    for use in (open_tuned, resume_finetune):
        with pytest.raises(InputError, match=said):
            use(tmp_path / "run", open_base=lambda name: other)


@pytest.mark.parametrize("name", ["base.json", "data.json"])
def test_what_a_run_began_with_is_not_forgotten(name: str, tmp_path: Path):
    finetune(classify_config(tmp_path), tmp_path / "run", open_base=open_model, console=QUIET)
    (tmp_path / "run" / name).unlink()
    for use in (open_tuned, resume_finetune):
        with pytest.raises(InputError, match=f"{name}, .*restore it"):
            use(tmp_path / "run", open_base=open_model)


def test_other_texts_are_refused(tmp_path: Path):
    config = classify_config(tmp_path)
    finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    write_labelled(tmp_path / "texts.tsv", n=90)
    more = replace(config, training=replace(config.training, steps=STEPS + 2))
    with pytest.raises(InputError, match="found others"):
        resume_finetune(tmp_path / "run", open_base=open_model, config=more, console=QUIET)


def test_what_learns_cannot_change(tmp_path: Path):
    config = classify_config(tmp_path)
    finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    with pytest.raises(InputError, match="expected tuning"):
        resume_finetune(tmp_path / "run", open_base=open_model, config=replace(config, tuning=TUNINGS["full"]))


def test_a_run_of_another_task_is_named(tmp_path: Path):
    finetune(classify_config(tmp_path), tmp_path / "labels", open_base=open_model, console=QUIET)
    with pytest.raises(InputError, match="groundup classify"):
        open_writer(tmp_path / "labels", open_base=open_model)
    finetune(text_config(tmp_path), tmp_path / "writes", open_base=open_model, console=QUIET)
    with pytest.raises(InputError, match="learned to write"):
        open_classifier(tmp_path / "writes", open_base=open_model)


def test_a_run_that_has_ended_is_left_as_it_is(tmp_path: Path):
    finetune(classify_config(tmp_path), tmp_path / "run", open_base=open_model, console=QUIET)
    before = (tmp_path / "run" / "test.json").stat().st_mtime_ns
    assert resume_finetune(tmp_path / "run", open_base=open_model, console=QUIET).was_over
    assert (tmp_path / "run" / "test.json").stat().st_mtime_ns == before


def test_a_run_that_goes_on_is_measured_anew_and_its_adapter_is_the_new_one(tmp_path: Path):
    config = classify_config(tmp_path)
    finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    first = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    more = replace(config, training=replace(config.training, steps=STEPS + 4))
    resume_finetune(tmp_path / "run", open_base=open_model, config=more, console=QUIET)
    found = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    saved = weights(tmp_path / "run", STEPS + 4)
    layer = "blocks.0.attention.query"
    [B] = [tensor for name, tensor in found.items() if name.endswith("layers.0.self_attn.q_proj.lora_B.weight")]
    assert any(not torch.equal(first[name], found[name]) for name in found)
    assert torch.equal(B, saved[f"gpt.{layer}.adapters.default.B"])  # rotary columns of B lie as in transformers
    cost = resources(tmp_path / "run")
    assert cost["steps"] == STEPS + 4
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert cost["tokens"] == max(record.get("tokens", 0) for record in records)


def test_a_run_that_stops_while_it_is_measured_is_measured_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(*args: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(results, "test_classifier", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune(classify_config(tmp_path), tmp_path / "run", open_base=open_model, console=QUIET)
    assert not (tmp_path / "run" / "test.json").exists()
    assert resume_finetune(tmp_path / "run", open_base=open_model, console=QUIET).was_over
    assert (tmp_path / "run" / "test.json").exists()
    assert resources(tmp_path / "run")["steps"] == STEPS


def test_texts_that_change_while_a_run_learns_are_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = classify_config(tmp_path)
    update = Stepper.update

    def change(self: Stepper, step: int) -> float:
        write_labelled(tmp_path / "texts.tsv", n=90)
        return update(self, step)

    monkeypatch.setattr(Stepper, "update", change)
    with pytest.raises(InputError, match="found others"):
        finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    assert not (tmp_path / "run" / "test.json").exists()


def test_a_writer_of_which_nothing_learns_is_refused(tmp_path: Path):
    config = text_config(tmp_path)
    idle = TuningConfig(method="last", freezing=FreezingConfig(last_blocks=0))
    with pytest.raises(InputError, match="last_blocks to be at least 1"):
        finetune(replace(config, tuning=idle), tmp_path / "run", open_base=open_model, console=QUIET)
    assert not (tmp_path / "run").exists()


def test_a_model_that_reads_less_than_the_texts_is_refused_and_leaves_no_folder(tmp_path: Path):
    config = classify_config(tmp_path)
    config = replace(config, data=replace(config.data, max_tokens=65))
    with pytest.raises(InputError, match="at most 64"):
        finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    assert not (tmp_path / "run").exists()
