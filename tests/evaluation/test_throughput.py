"""Throughput: medians of turns, and models of any context length."""

from time import perf_counter
from typing import Any

import pytest
import torch
from tests.evaluation.quantized_models import small_model

from groundup.configs.model import GPTConfig
from groundup.evaluation import throughput
from groundup.evaluation.throughput import measure_throughput
from groundup.models.gpt import GPT


def test_models_take_turns_and_the_median_counts(monkeypatch: pytest.MonkeyPatch):
    turns: list[GPT] = []
    seconds = iter([(9.0, 9.0)] * 2 + [(1.0, 2.0), (2.0, 4.0), (7.0, 7.0), (9.0, 9.0), (0.5, 1.0), (1.0, 2.0)])

    def one_round(model: GPT, prompt: torch.Tensor, n_drawn: int) -> tuple[float, float]:
        turns.append(model)
        assert (len(prompt), n_drawn) == (8, 4)
        return next(seconds)

    monkeypatch.setattr(throughput, "_one_round", one_round)
    one, other = small_model(), small_model()
    found = measure_throughput([one, other], n_prompt=8, n_drawn=4, rounds=3)
    assert turns == [one, other] * 4
    assert [(model.prefill, model.decode) for model in found] == [(8.0, 2.0), (4.0, 1.0)]


@pytest.mark.parametrize("context_length", [2, 5, 64])
def test_a_short_context_is_enough(context_length: int, monkeypatch: pytest.MonkeyPatch):
    model = GPT(GPTConfig(vocab_size=7, context_length=context_length, d_model=8, n_layers=1, n_heads=1)).eval()
    read: list[int] = []
    hidden_states = model.hidden_states

    def noted(tokens: torch.Tensor, **how: Any) -> torch.Tensor:
        read.append(tokens.numel())
        return hidden_states(tokens, **how)

    monkeypatch.setattr(model, "hidden_states", noted)
    begin = perf_counter()
    (found,) = measure_throughput([model], n_prompt=8, n_drawn=4, rounds=1)
    spent = perf_counter() - begin
    assert found.n_prompt + found.n_drawn <= context_length
    assert read == 2 * [found.n_prompt, *(1,) * found.n_drawn]  # two rounds, of which the second counts
    assert found.n_prompt / found.prefill + found.n_drawn / found.decode <= spent
