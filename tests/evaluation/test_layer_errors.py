"""Errors of layers: against the products themselves, on the inputs that the model before gives."""

import pytest
import torch
from tests.evaluation.quantized_models import LLAMA, in_int4, small_model
from torch import nn

from groundup.evaluation.layer_errors import bytes_of, layer_errors, layer_pairs
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear

TOKENS = torch.arange(24).view(2, 12)


@pytest.mark.parametrize("parts", [{}, LLAMA], ids=["gpt2", "llama"])
def test_each_is_the_error_of_its_product(parts: dict[str, object]):
    before = small_model(**parts)
    after = in_int4(before, "blocks.0", "blocks.1.feed_forward")
    found = {one.name: one for one in layer_errors(before, after, TOKENS)}
    assert list(found) == list(layer_pairs(before, after))
    given: dict[str, torch.Tensor] = {}
    for name in found:
        before.get_submodule(name).register_forward_hook(lambda _, x, y, name=name: given.update({name: x[0]}))
    with torch.no_grad():
        before(TOKENS)
        for name, one in found.items():
            x, W = given[name], before.get_submodule(name).weight
            expected = (x @ (after.get_submodule(name).dequantized() - W).T).norm() / (x @ W.T).norm()
            assert one.error == pytest.approx(expected.item(), rel=1e-4)  # float32 sums in another order
            assert 0.01 < one.error < 0.3


def test_of_a_tied_embedding_it_is_that_of_the_logits():
    before = small_model()
    after = in_int4(before, "none")
    W = before.token_embedding.weight
    after.token_embedding = QuantizedEmbedding(quantize_int4(W, group_size=32))
    (found,) = layer_errors(before, after, TOKENS)
    with torch.no_grad():
        hidden = before.hidden_states(TOKENS).flatten(0, 1)
        off = hidden @ (after.token_embedding.dequantized() - W).T
        assert found.error == pytest.approx((off.norm() / (hidden @ W.T).norm()).item(), rel=1e-4)  # order of sums
    assert (found.name, found.block) == ("token_embedding", None)


def test_of_an_untied_one_both_are_judged():
    before = small_model(tie_embeddings=False)
    after = in_int4(before, "output")
    after.token_embedding = QuantizedEmbedding(quantize_int4(before.token_embedding.weight, group_size=32))
    found = {one.name: one.error for one in layer_errors(before, after, TOKENS)}
    W = before.token_embedding.weight
    expected = (after.token_embedding.dequantized() - W).norm() / W.norm()
    assert found["token_embedding"] == pytest.approx(expected.item(), rel=1e-5)  # order of sums
    assert 0.01 < found["output"] < 0.3


def test_it_leaves_no_hook_behind_and_the_model_as_it_was():
    before = small_model().train()
    after = in_int4(before, "blocks")
    layer_errors(before, after, TOKENS)
    assert not any(module._forward_hooks for module in before.modules())
    assert before.training


def test_zeros_have_no_error():
    before = small_model()
    before.blocks[0].feed_forward.down.weight.data.zero_()
    after = in_int4(before, "blocks.0.feed_forward.down")
    assert [one.error for one in layer_errors(before, after, TOKENS)] == [0.0]


def test_bytes_count_what_is_kept():
    layer = nn.Linear(64, 8)
    assert bytes_of(layer) == 4 * (64 * 8 + 8)
    kept = Int4Linear(quantize_int4(layer.weight, group_size=32), layer.bias)
    assert bytes_of(kept) == kept.n_bytes == 64 * 8 // 2 + 8 * 2 * 4 + 8 * 4
    rotary = small_model(**LLAMA)
    assert bytes_of(rotary) == 4 * rotary.n_parameters()
