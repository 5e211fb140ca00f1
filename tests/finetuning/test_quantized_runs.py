"""Whole runs on a quantized base: they learn, go on, and are opened as any other; what they cannot do is one line."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.finetuning.small_runs import classify_config, resources, save_base, text_config
from tests.finetuning.test_writers import validation_losses

from groundup.configs.generation import GenerationConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.finetuning.launch import finetune, resume_finetune
from groundup.finetuning.tuned import label_texts, open_classifier, open_tuned
from groundup.generation import generate_text
from groundup.quantization.convert import quantize_model, quantized_layers
from groundup.resolve import open_model
from groundup.weights.quantized_folder import load_quantized, save_quantized

QUIET = Console(quiet=True)
INT8 = QuantizationConfig(to="int8")


def save_quantized_base(folder: Path) -> None:
    """Write the base that the configs of `small_runs` find, quantized."""
    found = open_model(str(save_base(folder / "plain")))
    quantize_model(found.model, INT8)
    save_quantized(found, folder / "base", INT8)


@pytest.mark.parametrize("tuning", ["lora", "prefix"])
def test_a_text_is_learned_on_a_quantized_base(tuning: str, tmp_path: Path):
    save_quantized_base(tmp_path)
    config = text_config(tmp_path, tuning)
    finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    first, *_, last = validation_losses(tmp_path / "run")
    assert last < first
    assert resume_finetune(tmp_path / "run", open_base=open_model, console=QUIET).was_over
    plain = open_model(str(tmp_path / "plain")).model.n_parameters()
    assert resources(tmp_path / "run")["parameters"] == plain + resources(tmp_path / "run")["trainable"]  # type: ignore[operator]
    assert resources(tmp_path / "run")["checkpoint_bytes"] < 20_000  # type: ignore[operator]  # the base takes 30,000

    tuned = open_tuned(tmp_path / "run", open_base=open_model).base
    found = open_model(str(tmp_path / "run"))
    tokens = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():  # merged weights are rounded once more: 1e-7 was seen of logits of size 1
        torch.testing.assert_close(found.model(tokens), tuned.model(tokens), atol=1e-5, rtol=0)
    assert bool(quantized_layers(found.model)) == (tuning == "prefix")  # adapters need the room of floating point
    text = generate_text(tuned.model, tuned.tokenizer, "5 green", GenerationConfig(max_new_tokens=3, strategy="greedy"))
    assert text


def test_a_run_with_adapters_is_quantized_with_them(tmp_path: Path):
    config = text_config(tmp_path)
    finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    found = open_model(str(tmp_path / "run"))
    expected = found.model.blocks[0].attention.query.weight.detach().clone()
    quantize_model(found.model, INT8)
    save_quantized(found, tmp_path / "out", INT8)
    opened = load_quantized(tmp_path / "out").model.blocks[0].attention.query.dequantized()
    assert ((opened - expected).abs() <= expected.abs().amax(1, keepdim=True) / 127 * 0.5001).all()


def test_labels_are_learned_on_a_quantized_base(tmp_path: Path):
    save_quantized_base(tmp_path)
    finetune(classify_config(tmp_path), tmp_path / "run", open_base=open_model, console=QUIET)
    tuned = open_classifier(tmp_path / "run", open_base=open_model)
    assert label_texts(tuned, ["a good thing", "a bad thing"]).probabilities.shape == (2, 2)


@pytest.mark.parametrize(("tuning", "told"), [("full", "take method lora"), ("dora", "use the model unquantized")])
def test_what_needs_floating_point_is_refused(tuning: str, told: str, tmp_path: Path):
    save_quantized_base(tmp_path)
    with pytest.raises(InputError, match=told):
        finetune(text_config(tmp_path, tuning), tmp_path / "run", open_base=open_model, console=QUIET)


def test_another_base_is_refused(tmp_path: Path):
    save_quantized_base(tmp_path)
    finetune(text_config(tmp_path), tmp_path / "run", open_base=open_model, console=QUIET)
    other = open_model(str(tmp_path / "plain"))
    quantize_model(other.model, replace(INT8, symmetric=False))
    for path in (tmp_path / "base").iterdir():
        path.unlink()
    save_quantized(other, tmp_path / "base", INT8)
    with pytest.raises(InputError, match="found other weights"):
        open_model(str(tmp_path / "run"))
