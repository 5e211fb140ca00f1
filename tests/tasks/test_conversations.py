"""Conversation tuning: only replies count; packed rows teach, bit by bit, what single rows teach."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from groundup.configs import EvaluationConfig, GPTConfig, TrainConfig
from groundup.data.packing import Example
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.conversations import ConversationTuning
from groundup.tokenization import ByteBPE
from groundup.tokenization.base import END_OF_TEXT

TOKENIZER = ByteBPE([], special_tokens=[END_OF_TEXT])
CONTEXT = 24


def conversations(n: int, seed: int = 0, longest: int = 12) -> list[Example]:
    """Return conversations of 3 to `longest` letters, with at least one learned."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        ids = draw.integers(60, 90, draw.integers(3, longest + 1))
        is_learned = draw.random(len(ids)) < 0.5
        is_learned[0], is_learned[-1] = False, True
        found.append(Example(ids, is_learned))
    return found


def task(*, packed: bool = True, train: list[Example] | None = None, **training: object) -> ConversationTuning:
    return ConversationTuning(
        train=conversations(20) if train is None else train,
        validation=conversations(5, seed=1),
        tokenizer=TOKENIZER,
        context_length=CONTEXT,
        training=TrainConfig(**training),
        packed=packed,
    )


def model(**changes: object) -> GPT:
    torch.manual_seed(0)
    fields = {"vocab_size": 257, "context_length": CONTEXT, "d_model": 16, "n_layers": 2, "n_heads": 2}
    llama = {"position": "rotary", "norm": "rms", "activation": "swiglu", "bias": False, "n_kv_heads": 1}
    return GPT(GPTConfig(**(fields | llama | changes))).double()


def by_hand(gpt: GPT, examples: list[Example]) -> torch.Tensor:
    """Return the summed loss of replies, each conversation alone, by F.cross_entropy over all of it."""
    total = torch.zeros((), dtype=torch.float64)
    for one in examples:
        ids = torch.from_numpy(one.ids)
        targets = torch.where(torch.from_numpy(one.is_learned), ids, -100)[1:]
        total = total + F.cross_entropy(gpt(ids[None, :-1])[0], targets, ignore_index=-100, reduction="sum")
    return total


def gradients(gpt: nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(gpt.parameters())))


@pytest.mark.parametrize("packed", [True, False])
def test_loss_and_gradients_are_those_of_each_conversation_alone(packed: bool):
    tuning, gpt = task(packed=packed, batch_size=14), model()
    rows = tuning.rows
    [batch] = tuning.train_batch(0)
    dealt = [one for i in tuning._dealt.batch(0) for one in rows[i]]
    assert tuning.n_targets(batch) == sum(int(one.is_learned[1:].sum()) for one in dealt)
    assert tuning.n_tokens(batch) == sum(one.n_inputs for one in dealt)
    assert (batch.segments is not None) == packed
    expected, found = by_hand(gpt, dealt), tuning.loss(gpt, batch)
    # float64, but for the tables of rotary angles: those of a later position are rounded otherwise, to 1e-7.
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    for one, other in zip(gradients(gpt, found), gradients(gpt, expected), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


def test_in_float32_packing_changes_nothing_that_is_not_rounding():
    gpt = model().float()
    losses = []
    for packed in (True, False):
        tuning = task(packed=packed, batch_size=1)
        batch = tuning._batch(tuning.rows)
        losses.append(tuning.loss(gpt, batch) / tuning.n_targets(batch))
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=1e-6)  # the bound that was asked for
    for one, other in zip(gradients(gpt, losses[0]), gradients(gpt, losses[1]), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_a_large_vocabulary_goes_in_blocks_to_the_same_loss(monkeypatch: pytest.MonkeyPatch):
    tuning, gpt = task(batch_size=4), model()
    [batch] = tuning.train_batch(0)
    whole = tuning.loss(gpt, batch)
    monkeypatch.setattr("groundup.tasks.token_losses.LOGITS_IN_A_STEP", 100)
    torch.testing.assert_close(tuning.loss(gpt, batch), whole, rtol=1e-12, atol=0)  # float64, another order


def test_only_learned_positions_are_projected(monkeypatch: pytest.MonkeyPatch):
    tuning, gpt = task(batch_size=4), model()
    [batch] = tuning.train_batch(0)
    n_rows, project = [], gpt.project
    monkeypatch.setattr(gpt, "project", lambda hidden: n_rows.append(len(hidden)) or project(hidden))
    tuning.loss(gpt, batch)
    assert n_rows == [tuning.n_targets(batch)]


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_positions_that_packing_would_move_are_refused_packed_and_right_unpacked(position: str):
    gpt = model(position=position)
    packed, single = (task(packed=packed, batch_size=4) for packed in (True, False))
    with pytest.raises(ValueError, match="packed=False"):
        packed.loss(gpt, packed.train_batch(0)[0])
    [batch] = single.train_batch(0)
    dealt = [one for i in single._dealt.batch(0) for one in single.rows[i]]
    torch.testing.assert_close(single.loss(gpt, batch), by_hand(gpt, dealt), rtol=1e-12, atol=0)  # float64


def test_packed_rows_are_refused_with_virtual_tokens_before_the_text(monkeypatch: pytest.MonkeyPatch):
    tuning, gpt = task(batch_size=4), model()
    gpt.prefix = nn.Identity()
    with pytest.raises(ValueError, match="packed=False"):
        tuning.loss(gpt, tuning.train_batch(0)[0])


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(6, 1), (3, 2), (1, 6)])
def test_a_step_learns_the_same_however_it_is_cut(batch_size: int, accumulation_steps: int):
    tuning, gpt = task(batch_size=batch_size, accumulation_steps=accumulation_steps), model()
    whole = task(batch_size=6)
    batches = tuning.train_batch(3)
    assert len(batches) == accumulation_steps
    assert sum(map(tuning.n_targets, batches)) == whole.n_targets(whole.train_batch(3)[0])
    found = sum(tuning.loss(gpt, batch) for batch in batches)
    torch.testing.assert_close(found, whole.loss(gpt, whole.train_batch(3)[0]), rtol=1e-12, atol=0)  # float64


def test_a_step_is_a_function_of_its_number_and_the_seed():
    one, same, other = task(), task(), task(seed=7)
    assert one.train_batch(5)[0].inputs.equal(same.train_batch(5)[0].inputs)
    assert not one.train_batch(5)[0].inputs.equal(other.train_batch(5)[0].inputs)


def test_every_conversation_comes_once_an_epoch_and_rows_are_nearly_full():
    tuning = task(train=conversations(200), batch_size=1)
    n_rows = len(tuning.rows)
    seen = [tuning.train_batch(step)[0] for step in range(n_rows)]
    assert sum(map(tuning.n_tokens, seen)) == sum(one.n_inputs for one in conversations(200))
    assert sum(map(tuning.n_targets, seen)) == sum(int(one.is_learned[1:].sum()) for one in conversations(200))
    assert sum(map(tuning.n_tokens, seen)) / (n_rows * CONTEXT) > 0.95


def test_a_conversation_longer_than_a_row_is_cut_and_one_with_nothing_learned_before_is_left_out():
    long = Example(np.arange(60, 90), np.arange(30) >= 20)
    late = Example(np.arange(60, 90), np.arange(30) >= 25)
    tuning = task(train=[long, late], batch_size=1)
    [batch] = tuning.train_batch(0)
    assert batch.inputs.tolist() == [list(range(60, 84))]
    assert batch.targets.tolist() == [80, 81, 82, 83, 84]  # the last is predicted and not read
    with pytest.raises(InputError, match=r"expected training conversations with a reply within 24 tokens"):
        task(train=[late])


def test_evaluation_is_the_mean_over_learned_tokens_of_the_first_conversations():
    gpt, held_out = model(), conversations(5, seed=1)
    for packed in (True, False):
        found = task(packed=packed, batch_size=2).evaluate(gpt)
        n_learned = sum(int(one.is_learned[1:].sum()) for one in held_out)
        expected = by_hand(gpt, held_out).item() / n_learned
        assert found["loss"] == pytest.approx(expected, rel=1e-12)  # float64, another order
        assert found["perplexity"] == pytest.approx(math.exp(expected))
    few = task(evaluation=EvaluationConfig(max_tokens=1)).evaluate(gpt)["loss"]
    expected = by_hand(gpt, held_out[:1]).item() / int(held_out[0].is_learned[1:].sum())
    assert few == pytest.approx(expected, rel=1e-12)


def test_evaluation_is_without_dropout_and_leaves_the_mode():
    gpt = model(dropout=0.5)
    assert gpt.training
    assert task().evaluate(gpt) == task().evaluate(gpt)
    assert gpt.training


def test_a_sample_replies_to_the_first_validation_conversation_or_to_what_is_given():
    gpt, first = model(), conversations(1, seed=1)[0]
    opening = TOKENIZER.decode(first.ids[: first.is_learned.argmax()].tolist())
    tuning = task(evaluation=EvaluationConfig(sample_tokens=5))
    assert tuning.sample(gpt, 1).startswith(opening)
    assert tuning.sample(gpt, 1) == tuning.sample(gpt, 9)
    assert task(evaluation=EvaluationConfig(sample_tokens=0)).sample(gpt, 1) == ""
    given = ConversationTuning(
        train=conversations(3),
        validation=conversations(3),
        tokenizer=TOKENIZER,
        context_length=CONTEXT,
        training=TrainConfig(),
        packed=True,
        opening=TOKENIZER.encode("Hi"),
    )
    assert given.sample(gpt, 1).startswith("Hi")


def test_a_batch_is_described_row_by_row():
    tuning = task(batch_size=3)
    [batch] = tuning.train_batch(0)
    lines = tuning.describe(batch).split("\n")
    assert len(lines) == 3
    learned = 0
    for b, line in enumerate(lines):
        label, count, text = line.split("  ", 2)
        assert label == f"row {b + 1}"
        learned += int(count.removesuffix(" learned"))
        assert json.loads(text) == TOKENIZER.decode(batch.inputs[b].tolist())
    assert learned == tuning.n_targets(batch)
    many = task(batch_size=70)
    assert many.describe(many.train_batch(0)[0]).endswith("\n… 6 more rows")


def test_a_model_learns_the_replies_and_nothing_else():
    """Of a question that never repeats and a reply that is always the same, the reply is learned to the end."""
    draw = np.random.default_rng(0)
    examples = [Example(np.append(draw.integers(60, 90, 4), [33, 34, 256]), np.arange(7) >= 4) for _ in range(64)]
    tuning = ConversationTuning(
        train=examples,
        validation=examples[:4],
        tokenizer=TOKENIZER,
        context_length=CONTEXT,
        training=TrainConfig(batch_size=4),
        packed=True,
    )
    gpt = model().float()
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=3e-2)
    for step in range(25):
        [batch] = tuning.train_batch(step)
        optimizer.zero_grad()
        (tuning.loss(gpt, batch) / tuning.n_targets(batch)).backward()
        optimizer.step()
    assert tuning.evaluate(gpt)["loss"] < 0.1
    assert tuning.sample(gpt, 1) == TOKENIZER.decode([*examples[0].ids[:4].tolist(), 33, 34])
