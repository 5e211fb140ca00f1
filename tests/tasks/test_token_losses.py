"""Losses of chosen positions: torch's, whole or in blocks, with torch's gradients."""

import pytest
import torch
from torch.nn import functional as F

from groundup.configs import GPTConfig
from groundup.models.gpt import GPT
from groundup.tasks.token_losses import summed_loss, token_losses

N, V, D = 7, 11, 16


def case(*, tied: bool) -> tuple[GPT, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=V, context_length=8, d_model=D, n_layers=1, n_heads=2, tie_embeddings=tied)
    return GPT(config).double(), torch.randn(N, D, dtype=torch.float64, requires_grad=True), torch.arange(N)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("limit", [N * V, N * V - 1, 2 * V, 1])
def test_losses_and_gradients_are_torchs_in_any_number_of_blocks(
    tied: bool, limit: int, monkeypatch: pytest.MonkeyPatch
):
    model, hidden, targets = case(tied=tied)
    weights = torch.randn(N, dtype=torch.float64)
    expected = F.cross_entropy(hidden @ model.output_weight.T, targets, reduction="none")
    gradients = torch.autograd.grad(expected @ weights, [hidden, model.output_weight], retain_graph=True)
    monkeypatch.setattr("groundup.tasks.token_losses.LOGITS_IN_A_STEP", limit)
    found = token_losses(model, hidden, targets)
    # float64: the same terms in another order
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for one, other in zip(torch.autograd.grad(found @ weights, [hidden, model.output_weight]), gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)
    with torch.no_grad():
        torch.testing.assert_close(token_losses(model, hidden, targets), expected, rtol=1e-12, atol=0)
    total = summed_loss(model, hidden, targets)
    torch.testing.assert_close(total, expected.sum(), rtol=1e-12, atol=0)
    [one] = torch.autograd.grad(total, [hidden])
    torch.testing.assert_close(one, torch.autograd.grad(expected.sum(), [hidden])[0], rtol=0, atol=1e-13)


def test_only_so_many_logits_are_held_at_once(monkeypatch: pytest.MonkeyPatch):
    model, hidden, targets = case(tied=True)
    rows: list[int] = []
    project = model.project
    monkeypatch.setattr(model, "project", lambda x: rows.append(len(x)) or project(x))
    monkeypatch.setattr("groundup.tasks.token_losses.LOGITS_IN_A_STEP", 2 * V)
    token_losses(model, hidden, targets).sum().backward()
    assert rows == [2, 2, 2, 1, 1, 2, 2, 2]  # forward, and again in the backward pass, from the last on
    with torch.no_grad():
        del rows[:]
        token_losses(model, hidden, targets)
    assert rows == [2, 2, 2, 1]
