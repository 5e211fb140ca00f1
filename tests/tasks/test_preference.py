"""DPO: its loss is the formula's on cases worked out by hand; it starts at log 2 and learns to prefer."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tasks.test_reference import by_hand, model, pairs

from groundup.chat.examples import Pair
from groundup.configs import EvaluationConfig, TrainConfig
from groundup.data.packing import Example
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.preference import PreferenceTuning, dpo_loss, reward_margins
from groundup.tokenization import CharacterTokenizer

TOKENIZER = CharacterTokenizer("".join(map(chr, range(97, 127))))  # ids 0 … 29


def task(
    gpt: GPT, *, train: list[Pair] | None = None, folder: Path | None = None, **training: object
) -> PreferenceTuning:
    return PreferenceTuning(
        train=pairs(10) if train is None else train,
        validation=pairs(5, seed=1),
        reference=gpt,
        tokenizer=TOKENIZER,
        training=TrainConfig(**training),
        beta=0.5,
        folder=folder,
    )


# (chosen, rejected, reference of chosen, of rejected, beta): the loss is log(1 + exp(-beta · ((c - rc) - (r - rr)))).
BY_HAND = [
    ((-1.0, -1.0, -1.0, -1.0, 0.1), math.log(2)),  # nothing moved
    ((-2.0, -9.0, -2.0, -9.0, 0.7), math.log(2)),  # what is likely does not matter, only what moved
    ((-1.0, -3.0, -2.0, -2.0, 1.0), math.log1p(math.exp(-2))),  # chosen one nat up, rejected one down
    ((-3.0, -1.0, -2.0, -2.0, 1.0), math.log1p(math.exp(2))),
    ((-1.0, -3.0, -2.0, -2.0, 0.1), math.log1p(math.exp(-0.2))),
    ((-5.0, -8.0, -4.0, -4.0, 0.5), math.log1p(math.exp(-1.5))),  # both down, the rejected one further
    ((-1.0, -1e4, -1e4, -1.0, 1.0), 0.0),
    ((-1e4, -1.0, -1.0, -1e4, 1.0), 19998.0),  # far out: no overflow
]


@pytest.mark.parametrize(("case", "expected"), BY_HAND)
def test_the_loss_is_the_formulas(case: tuple[float, ...], expected: float):
    *logprobs, beta = case
    found = dpo_loss(*(torch.tensor([one], dtype=torch.float64) for one in logprobs), beta=beta)
    assert found.shape == (1,)
    assert found.item() == pytest.approx(expected, rel=1e-12, abs=1e-12)  # float64


def test_its_gradient_is_the_papers():
    """Rafailov et al. 2023, section 4: beta · σ(r̂(rejected) - r̂(chosen)) times (∇log π(c) - ∇log π(r))."""
    logprobs = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (-1.0, -2.5, -1.5, -2.0)]
    [chosen, rejected, *_] = torch.autograd.grad(dpo_loss(*logprobs, beta=0.3).sum(), logprobs)
    weight = 0.3 / (1 + math.exp(0.3 * ((-1.0 + 1.5) - (-2.5 + 2.0))))
    assert chosen.item() == pytest.approx(-weight, rel=1e-12)
    assert rejected.item() == pytest.approx(weight, rel=1e-12)


def test_the_margin_is_the_difference_of_rewards():
    c, r, rc, rr = (torch.tensor([value]) for value in (-1.0, -3.0, -2.0, -2.5))
    assert reward_margins(c, r, rc, rr, beta=2.0).item() == 2.0 * (1.0 + 0.5)


def test_before_anything_is_learned_the_loss_is_log_2():
    gpt = model()
    tuning = task(gpt, batch_size=4)
    for step in range(3):
        [batch] = tuning.train_batch(step)
        # the reference is kept in float32, of sums of about 15
        assert tuning.loss(gpt, batch).item() / tuning.n_targets(batch) == pytest.approx(math.log(2), abs=1e-6)
    found = tuning.evaluate(gpt)
    assert found["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert found["margin"] == pytest.approx(0, abs=1e-6)


@torch.no_grad()
def test_loss_and_figures_are_those_of_each_pair_alone():
    gpt, before = model(), model()
    tuning = task(gpt, batch_size=3)
    for parameter in gpt.parameters():
        parameter += 0.1 * torch.randn_like(parameter)

    def margin(pair: Pair) -> float:
        moved = [(by_hand(gpt, one) - by_hand(before, one)).item() for one in pair]
        return 0.5 * (moved[0] - moved[1])

    [batch] = tuning.train_batch(0)
    dealt = [tuning._train[i] for i in tuning._dealt.batch(0)]
    expected = sum(math.log1p(math.exp(-margin(pair))) for pair in dealt)
    assert tuning.loss(gpt, batch).item() == pytest.approx(expected, rel=1e-6)  # the reference is kept in float32
    margins = [margin(pair) for pair in pairs(5, seed=1)]
    found = tuning.evaluate(gpt)
    assert found["margin"] == pytest.approx(np.mean(margins), rel=1e-5)
    assert found["accuracy"] == np.mean([one > 0 for one in margins])
    assert 0 < found["accuracy"] < 1
    assert found["loss"] == pytest.approx(np.mean([math.log1p(math.exp(-one)) for one in margins]), rel=1e-6)
    first = task(before, batch_size=3, evaluation=EvaluationConfig(max_tokens=1)).evaluate(gpt)
    assert first["margin"] == pytest.approx(margins[0], rel=1e-5)


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(6, 1), (3, 2), (4, 2)])
def test_a_step_is_a_function_of_its_number_however_it_is_cut(batch_size: int, accumulation_steps: int):
    gpt = model()
    tuning = task(gpt, batch_size=batch_size, accumulation_steps=accumulation_steps)
    whole = task(gpt, batch_size=batch_size * accumulation_steps)
    batches, [expected] = tuning.train_batch(5), whole.train_batch(5)
    assert sum(map(tuning.n_targets, batches)) == whole.n_targets(expected) == batch_size * accumulation_steps
    assert sum(map(tuning.n_tokens, batches)) == whole.n_tokens(expected)
    for one, same in zip(batches, tuning.train_batch(5), strict=True):
        assert one.inputs.equal(same.inputs)
        assert one.reference.equal(same.reference)
    assert torch.cat([one.reference for one in batches]).sort()[0].equal(expected.reference.sort()[0])


def test_only_pairs_that_the_run_comes_to_are_measured():
    tuning = task(model(), batch_size=2, steps=3)
    assert int((~tuning._reference.isnan()).all(1).sum()) == 6
    for step in range(3):
        assert not tuning.train_batch(step)[0].reference.isnan().any()


def test_a_run_that_goes_on_finds_what_was_measured_though_the_model_has_changed(tmp_path: Path):
    gpt = model()
    tuning = task(gpt, batch_size=2, folder=tmp_path)
    with torch.no_grad():
        gpt.token_embedding.weight += 1
    again = task(gpt, batch_size=2, folder=tmp_path)
    assert again.train_batch(4)[0].reference.equal(tuning.train_batch(4)[0].reference)
    assert again.evaluate(gpt) == tuning.evaluate(gpt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reference-train.json", "reference-validation.json"]


def test_a_sample_replies_to_the_first_validation_prompt():
    gpt = model()
    tuning = task(gpt, evaluation=EvaluationConfig(sample_tokens=4))
    one = pairs(5, seed=1)[0].chosen
    assert tuning.sample(gpt, 1).startswith(TOKENIZER.decode(one.ids[: one.is_learned.argmax()].tolist()))
    assert tuning.sample(gpt, 1) == tuning.sample(gpt, 2)


def test_a_batch_is_described_pair_by_pair():
    tuning = task(model(), batch_size=2)
    [batch] = tuning.train_batch(0)
    lines = [line.split("  ", 1) for line in tuning.describe(batch).split("\n")]
    assert [name for name, _ in lines] == ["chosen 1", "chosen 2", "rejected 1", "rejected 2"]
    assert [json.loads(text) for _, text in lines] == [TOKENIZER.decode(ids) for ids in batch.inputs.tolist()]


def test_no_pairs_are_refused():
    with pytest.raises(InputError, match="pairs to learn from and pairs to measure on, found none of one"):
        task(model(), train=[])


def test_a_model_learns_to_prefer():
    """Chosen replies end with token 7, rejected ones with 8; the reference finds them about alike."""

    def ended(k: int, last: int) -> Example:
        return Example(np.array([10 + k % 10, 20 + k % 7, last]), np.array([False, False, True]))

    data = [Pair(ended(k, 7), ended(k, 8)) for k in range(16)]
    gpt = model()
    tuning = PreferenceTuning(
        train=data[4:],
        validation=data[:4],
        reference=gpt,
        tokenizer=TOKENIZER,
        training=TrainConfig(batch_size=4, steps=15),
        beta=0.5,
    )
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=1e-2)
    for step in range(15):
        [batch] = tuning.train_batch(step)
        optimizer.zero_grad()
        tuning.loss(gpt, batch).backward()
        optimizer.step()
    found = tuning.evaluate(gpt)
    assert found["accuracy"] == 1
    assert found["margin"] > 0.5
    assert found["loss"] < 0.5
