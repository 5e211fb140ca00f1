"""How likely texts are to follow others: against one forward pass for each, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.evaluation.continuations import score_continuations
from groundup.models.gpt import GPT

IDS = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(vocab_size=7, context_length=8, d_model=16, n_layers=2, n_heads=2)).eval()
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.mul_(8)  # so that some token is clearly the likeliest
    return gpt


@torch.no_grad()
def alone(model: GPT, before: list[int], after: list[int]) -> tuple[float, bool]:
    ids = torch.tensor((before + after)[-9:])
    rows = model(ids[None, :-1])[0].log_softmax(-1)[-len(after) :]
    targets = torch.tensor(after)
    return float(rows.gather(1, targets[:, None]).sum()), bool((rows.argmax(1) == targets).all())


@settings(max_examples=25, derandomize=True)
@given(
    pairs=st.lists(st.tuples(IDS, st.lists(st.integers(0, 6), min_size=1, max_size=8)), max_size=6),
    batch_size=st.integers(1, 4),
)
def test_batches_find_what_each_pair_finds_alone(model: GPT, pairs: list[tuple[list[int], list[int]]], batch_size: int):
    found = score_continuations(model, pairs, batch_size=batch_size)
    assert len(found) == len(pairs)
    for (total, is_greedy), (before, after) in zip(found, pairs, strict=True):
        expected = alone(model, before, after)
        assert total == pytest.approx(expected[0], abs=1e-4)  # float32 sums of rows of other lengths
        assert is_greedy == expected[1]


def test_answers_of_one_token_are_read_once(model: GPT, monkeypatch: pytest.MonkeyPatch):
    rows: list[torch.Size] = []
    read = GPT.hidden_states

    def counting(self, tokens, **keywords):
        rows.append(tokens.shape)
        return read(self, tokens, **keywords)

    monkeypatch.setattr(GPT, "hidden_states", counting)
    found = score_continuations(model, [([1, 2], [token]) for token in range(7)])
    assert rows == [(1, 2)]
    assert sum(torch.tensor([one.log_probability for one in found]).exp()) == pytest.approx(1, abs=1e-5)
    assert sum(one.is_greedy for one in found) == 1


def test_nothing_is_certain_to_follow(model: GPT):
    assert score_continuations(model, [([1], []), ([1], [2])])[0] == (0.0, True)
    assert score_continuations(model, []) == []


def test_what_cannot_be_read_is_refused(model: GPT):
    with pytest.raises(InputError, match=r"expected continuations of at most 8 tokens.*found one of 9"):
        score_continuations(model, [([1], [2] * 9)])
    with pytest.raises(ValueError, match="expected ids before each continuation, found none"):
        score_continuations(model, [([], [2])])
    with pytest.raises(ValueError, match="expected a batch_size of at least 1, found 0"):
        score_continuations(model, [], batch_size=0)
