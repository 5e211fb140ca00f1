"""What a run that learns to write is made of: documents stay apart, as when a model is trained from the beginning."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.finetuning.small_runs import TUNINGS, training

from groundup.configs import DataConfig, GPTConfig
from groundup.configs.finetune_runs import TextConfig
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.finetuning.preparation_texts import domain_tokens, prepare_text
from groundup.models.gpt import GPT
from groundup.tokenization import ByteBPE
from groundup.training.run_folder import Run
from groundup.weights.pretrained import Pretrained


@pytest.mark.parametrize("tuning", ["lora", "prefix"])
@pytest.mark.parametrize("separate", [True, False])
def test_documents_do_not_see_each_other_unless_asked_to(tuning: str, separate: bool, tmp_path: Path):
    tokenizer = ByteBPE([], special_tokens=["<|endoftext|>"])
    torch.manual_seed(0)
    gpt = GPT(
        GPTConfig(vocab_size=257, context_length=32, d_model=16, n_layers=1, n_heads=2, position="rotary", bias=False)
    )
    base = Pretrained(model=gpt, tokenizer=tokenizer, source="tiny")
    texts = tmp_path / "texts"
    texts.mkdir()
    for n in range(40):
        (texts / f"{n:02}.txt").write_text(f"text {n} {n * n}")
    config = TextConfig(
        base="tiny",
        data=replace(DataConfig(corpus=str(texts), validation_fraction=0.2), separate_documents=separate),
        context_length=24,
        tuning=TUNINGS[tuning],
        training=training(),
    )
    run = Run.create(tmp_path / "run", config)
    task = prepare_text(run, config, base, lambda line: None).task
    _, validation, end_id = domain_tokens(run, config, base, lambda line: None)
    assert end_id == (tokenizer.end_id if separate else None)
    losses = {
        apart: evaluate_tokens(
            gpt.eval(), validation.ids, context_length=24, byte_lengths=byte_lengths_of(tokenizer), max_tokens=200,
            end_id=tokenizer.end_id if apart else None,
        ).loss
        for apart in (True, False)
    }  # fmt: skip
    assert task.evaluate(gpt)["loss"] == pytest.approx(losses[separate], abs=1e-6)  # sums in another order
    assert losses[True] != pytest.approx(losses[False], abs=1e-4)
