"""A vocabulary that grows or shrinks leaves the logits of the other tokens as they were."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.models.resize import resize_token_embeddings
from groundup.weights.huggingface import gpt_from_tensors

TOKENS = torch.tensor([[1, 2, 3], [7, 8, 9]])


def model(tied: bool) -> GPT:
    torch.manual_seed(0)
    return GPT(
        GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2, tie_embeddings=tied)
    ).eval()  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("size", [10, 13])
def test_old_tokens_keep_their_logits(size: int, tied: bool):
    old = model(tied)
    new = resize_token_embeddings(old, size)
    assert new.config.vocab_size == size
    assert new(TOKENS).shape == (2, 3, size)
    # A product with more rows may be summed in another order: float32 rounding of logits below 1.
    assert (new(TOKENS)[..., :10] - old(TOKENS)).abs().max() <= 1e-6
    assert old(TOKENS).shape == (2, 3, 10)


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_a_new_token_is_the_mean_of_the_old_ones(tied: bool):
    old = model(tied)
    new = resize_token_embeddings(old, 12)
    for table, before in (
        (new.token_embedding.weight, old.token_embedding.weight), (new.output_weight, old.output_weight)
    ):  # fmt: skip
        assert torch.equal(table[10], table[11])
        assert torch.allclose(table[10], before.mean(0))
    # Its logit is the mean of the old ones: linear in the row. float32 rounding of logits below 1.
    assert (new(TOKENS)[..., 11] - old(TOKENS).mean(-1)).abs().max() <= 1e-6


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_there_and_back_is_the_same_model(tied: bool):
    old = model(tied)
    assert torch.equal(resize_token_embeddings(resize_token_embeddings(old, 14), 10)(TOKENS), old(TOKENS))
    cut = resize_token_embeddings(old, 4)
    assert torch.equal(cut.token_embedding.weight, old.token_embedding.weight[:4])
    assert cut.token_embedding.weight.untyped_storage().nbytes() == 4 * 4 * 16  # the rest is given back


def test_other_parameters_are_shared_and_gradients_flow():
    old = model(tied=False)
    new = resize_token_embeddings(old, 12)
    assert new.blocks[0].attention.query.weight is old.blocks[0].attention.query.weight
    assert new.output_weight is not old.output_weight
    new(torch.tensor([[11]])).sum().backward()
    assert new.token_embedding.weight.grad[11].abs().sum() > 0
    assert old.token_embedding.weight.grad is None
    assert resize_token_embeddings(model(tied=True), 12).output is None


@torch.no_grad()
def test_transformers_new_rows_are_near_ours():
    """Theirs are drawn around the mean with the covariance of the old rows, shrunk a million times."""
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=40, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=None, eos_token_id=None
        )
    ).eval()  # fmt: skip
    ours = gpt_from_tensors(theirs.config.to_dict(), theirs.state_dict(), source="theirs")
    ours = resize_token_embeddings(ours, 43)
    theirs.resize_token_embeddings(43)
    # Rows of size 0.02; the deviation of theirs is 0.02 / √1e9 ≈ 1e-6.
    assert (theirs.transformer.wte.weight - ours.token_embedding.weight).abs().max() <= 1e-4


@pytest.mark.parametrize("size", [0, -1])
def test_no_tokens_is_refused(size: int):
    with pytest.raises(InputError, match=f"GPTConfig.vocab_size must be at least 1, found {size}"):
        resize_token_embeddings(model(tied=True), size)
