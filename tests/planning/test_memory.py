"""The memory of a run: laws of the estimate, and the estimate held against a process that trains."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from groundup.configs.model import GPTConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import EvaluationConfig, TrainConfig
from groundup.models.gpt import GPT
from groundup.planning import memory as planned
from groundup.planning.memory import estimate_memory, evaluation_batch, expected_vocabulary, has_documents
from groundup.recipes.language import RECIPES
from groundup.tasks import language_modeling
from groundup.training.optimizers import build_optimizer

SMALL = RunConfig(model=GPTConfig(vocab_size=96, context_length=64, d_model=48, n_layers=2, n_heads=4))
LARGE = 2 * 10**9


def with_training(config: RunConfig, **changes: object) -> RunConfig:
    return replace(config, training=replace(config.training, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["adamw", "adamw_by_hand", "muon"])
def test_the_optimizer_holds_what_is_said(name: str):
    config = with_training(SMALL, optimizer=OptimizerConfig(name=name))  # type: ignore[arg-type]
    model = GPT(config.model)
    optimizer = build_optimizer(model, config.training.optimizer, learning_rate=1e-3)
    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    optimizer.step()
    moments = [
        tensor.nbytes
        for state in optimizer.state.values()
        for tensor in state.values()
        if isinstance(tensor, torch.Tensor) and tensor.numel() > 1  # not the count of steps
    ]
    assert planned.optimizer_bytes(config) == sum(moments)


def test_the_peak_is_the_sum_of_its_parts():
    found = estimate_memory(SMALL)
    parts = ("weights", "gradients", "optimizer", "activations", "logits", "workspace", "evaluation", "process")
    assert found.peak == sum(getattr(found, part) for part in parts)


@pytest.mark.parametrize("name", RECIPES)
def test_a_smaller_micro_batch_never_takes_more(name: str):
    config = RECIPES[name]()
    sizes = [estimate_memory(with_training(config, batch_size=batch)).peak for batch in (1, 2, 4, 8, 64)]
    # nearly: tensors that grow beyond what the allocator keeps go back to the system, which can save some memory
    assert all(later >= 0.9 * earlier for earlier, later in itertools.pairwise(sizes))


def test_accumulation_costs_a_gradient_of_the_token_table_at_most():
    whole, cut = (estimate_memory(with_training(SMALL, accumulation_steps=parts)).peak for parts in (1, 4))
    assert 0 <= cut - whole <= 4 * 96 * 48


def test_less_is_needed_in_bfloat16_when_activations_are_most_of_it():
    config = with_training(SMALL, batch_size=512, precision="bfloat16")
    assert estimate_memory(config).peak < estimate_memory(with_training(config, precision="float32")).peak


def test_what_it_copies_from_the_task_is_still_so():
    assert planned.LOGITS_IN_EVALUATION == language_modeling.LOGITS_AT_ONCE
    assert evaluation_batch(replace(SMALL, model=replace(SMALL.model, vocab_size=50_257, context_length=1024))) == 1
    assert evaluation_batch(SMALL) == 64
    assert evaluation_batch(with_training(SMALL, evaluation=EvaluationConfig(max_tokens=64 + 10 * 32))) == 10


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [("characters", planned.CHARACTERS), ("bpe", 1_024), ("gpt2", 50_257), ("a.json", 50_257)],
)
def test_the_vocabulary_before_a_text_is_read(tokenizer: str, expected: int):
    config = RunConfig(data=DataConfig(tokenizer=tokenizer))
    assert expected_vocabulary(config) == expected
    assert expected_vocabulary(replace(config, model=GPTConfig(vocab_size=7))) == 7


def test_a_folder_is_a_collection_of_documents(tmp_path: Path):
    assert has_documents(DataConfig(corpus=str(tmp_path), tokenizer="bpe"))
    assert not has_documents(DataConfig(corpus=str(tmp_path), tokenizer="bpe", separate_documents=False))
    assert not has_documents(DataConfig(corpus=str(tmp_path / "one.txt"), tokenizer="bpe"))


TRAIN = """
import sys
import torch
from groundup.cli.main import main
from groundup.training.peak_memory import peak_memory
assert main(sys.argv[1:]) == 0
print(peak_memory(torch.device("cpu")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the estimate is of a process on Linux")
@pytest.mark.parametrize(
    "model",
    [GPTConfig(context_length=256, d_model=128, n_layers=4, n_heads=4, bias=False),
     GPTConfig(context_length=64, d_model=64, n_layers=2, n_heads=2, dropout=0.1, vocab_size=20_000, bias=False)],
    ids=["activations", "logits"],
)  # fmt: skip
def test_a_process_that_trains_takes_what_is_said(model: GPTConfig, tmp_path: Path):
    config = RunConfig(
        data=DataConfig(corpus="tales", tokenizer="bpe", bpe_vocab_size=300, max_bytes=200_000),
        model=model,
        training=TrainConfig(steps=3, batch_size=16, evaluation=EvaluationConfig(max_tokens=512, sample_tokens=4)),
    )
    foretold = estimate_memory(config).peak
    assert foretold < LARGE
    options = f"""
        --data.bpe-vocab-size 300 --data.max-bytes 200000 --model.context-length {model.context_length}
        --model.d-model {model.d_model} --model.n-layers {model.n_layers} --model.n-heads {model.n_heads}
        --model.dropout {model.dropout} --model.position learned --model.no-bias
        --training.steps 3 --training.batch-size 16 --training.device cpu --training.precision float32
        --training.evaluation.max-tokens 512 --training.evaluation.sample-tokens 4
    """.split()
    if model.vocab_size is not None:
        options += ["--model.vocab-size", str(model.vocab_size)]
    command = [sys.executable, "-c", TRAIN, "train", "tales", "--out", str(tmp_path / "run"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # what is promised; measured apart by 3 % and 5 %
    assert foretold == pytest.approx(int(done.stdout.split()[-1]), rel=0.2)
