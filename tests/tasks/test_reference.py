"""Log-probabilities of replies: those of the model, word by word; measured once, and found again in the file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.chat.examples import Pair
from groundup.configs import GPTConfig
from groundup.data.packing import Example
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.reference import lay_out_pairs, measure_reference, reply_logprobs


def pairs(n: int, seed: int = 0) -> list[Pair]:
    """Return pairs of replies of 1 to 5 tokens to prompts of 1 to 5."""
    draw = np.random.default_rng(seed)

    def behind(prompt: np.ndarray) -> Example:
        reply = draw.integers(1, 30, draw.integers(1, 6))
        return Example(np.concatenate([prompt, reply]), np.arange(len(prompt) + len(reply)) >= len(prompt))

    prompts = [draw.integers(1, 30, draw.integers(1, 6)) for _ in range(n)]
    return [Pair(behind(prompt), behind(prompt)) for prompt in prompts]


def model(**changes: object) -> GPT:
    torch.manual_seed(0)
    fields = {"vocab_size": 30, "context_length": 12, "d_model": 16, "n_layers": 2, "n_heads": 2}
    return GPT(GPTConfig(**(fields | changes))).double()


def by_hand(gpt: GPT, one: Example) -> torch.Tensor:
    logprobs = gpt(torch.from_numpy(one.ids)[None])[0].log_softmax(-1)
    return sum(logprobs[t - 1, one.ids[t]] for t in range(len(one.ids)) if one.is_learned[t])


@pytest.mark.parametrize("limit", [1 << 23, 50])
def test_they_are_the_sums_of_the_models_log_probabilities(limit: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("groundup.tasks.token_losses.LOGITS_IN_A_STEP", limit)
    some, gpt = pairs(5), model()
    batch = lay_out_pairs(some, torch.zeros(5, 2), pad_id=0)
    expected = [by_hand(gpt, one) for k in (0, 1) for one in (pair[k] for pair in some)]
    found = reply_logprobs(gpt, batch)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=0)  # float64, another order
    assert batch.n_read == sum(one.n_inputs for pair in some for one in pair)
    weights = torch.arange(10.0, dtype=torch.float64)  # each row has a gradient of its own
    parameters = list(gpt.parameters())
    expected_gradients = torch.autograd.grad(torch.stack(expected) @ weights, parameters)
    for one, other in zip(torch.autograd.grad(found @ weights, parameters), expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_reference_of_a_pair_stands_with_its_rows():
    batch = lay_out_pairs(pairs(3), torch.tensor([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]), pad_id=0)
    assert batch.reference.tolist() == [1, 2, 3, 4, 5, 6]


@torch.no_grad()
def test_measured_are_those_wanted_whatever_the_batches_and_without_dropout():
    some, gpt = pairs(6), model(dropout=0.5)
    expected = torch.stack([torch.stack([by_hand(gpt.eval(), one) for one in pair]) for pair in some]).float()
    gpt.train()
    for batch_size in (1, 4, 9):
        found = measure_reference(gpt, some, wanted=[4, 0, 4, 3], pad_id=0, batch_size=batch_size)
        torch.testing.assert_close(found[[0, 3, 4]], expected[[0, 3, 4]], rtol=1e-6, atol=0)  # kept in float32
        assert found[[1, 2, 5]].isnan().all()
    assert gpt.training


def test_what_lies_in_the_file_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    some, gpt, file = pairs(6), model(), tmp_path / "reference.json"
    measure = lambda wanted: measure_reference(gpt, some, wanted=wanted, pad_id=0, batch_size=2, file=file)  # noqa: E731
    first = measure([0, 1, 2])
    read: list[int] = []
    forward = gpt.hidden_states
    monkeypatch.setattr(gpt, "hidden_states", lambda tokens: read.append(len(tokens)) or forward(tokens))
    second = measure([0, 1, 2])
    assert not read
    torch.testing.assert_close(second, first, rtol=0, atol=0, equal_nan=True)  # JSON keeps every bit
    third = measure([2, 5])
    assert read == [2]  # the one pair that was missing
    torch.testing.assert_close(third[:3], first[:3], rtol=0, atol=0)
    assert json.loads(file.read_text())["logprobs"][3:5] == [None, None]


def test_a_file_of_other_pairs_or_damaged_is_refused_and_left(tmp_path: Path):
    file = tmp_path / "reference.json"
    measure_reference(model(), pairs(3), wanted=[0], pad_id=0, batch_size=2, file=file)
    whole = file.read_text()
    with pytest.raises(InputError, match=r"of this run's pairs in .*reference.json, found those of others: remove it"):
        measure_reference(model(), pairs(3, seed=1), wanted=[0], pad_id=0, batch_size=2, file=file)
    assert file.read_text() == whole
    for text in (whole[:-9], "{}", "[]", '{"pairs": 1, "logprobs": [1, [2]]}'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"reference.json, found a damaged file") as caught:
            measure_reference(model(), pairs(3), wanted=[0], pad_id=0, batch_size=2, file=file)
        assert "\n" not in str(caught.value)
        assert file.read_text() == text


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"expected to write .*file/reference.json, found: .*: make room"):
        measure_reference(
            model(), pairs(1), wanted=[0], pad_id=0, batch_size=2, file=tmp_path / "file" / "reference.json"
        )


def test_it_is_measured_where_the_run_computes(monkeypatch: pytest.MonkeyPatch):
    gpt, some, moves = model(), pairs(3), []
    move = GPT.to
    monkeypatch.setattr(GPT, "to", lambda self, place: moves.append(place) or move(self, "cpu"))
    there = torch.device("cuda")  # this machine may have none: only the moves are real
    found = measure_reference(gpt, some, wanted=[0, 2], pad_id=0, batch_size=2, device=there)
    assert moves == [there, torch.device("cpu")]
    again = measure_reference(gpt, some, wanted=[0, 2], pad_id=0, batch_size=2)
    assert torch.equal(found.isnan(), again.isnan())
    assert torch.equal(found[[0, 2]], again[[0, 2]])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_measures_what_the_cpu_does():
    gpt, some = model(), pairs(5)
    expected = measure_reference(gpt, some, wanted=range(5), pad_id=0, batch_size=2)
    found = measure_reference(gpt, some, wanted=range(5), pad_id=0, batch_size=2, device=torch.device("cuda"))
    assert gpt.device.type == "cpu"
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)  # of float64, rounded to float32
