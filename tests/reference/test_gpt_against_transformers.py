"""GPT against `transformers`: the same random weights, the same logits, loss gradients and cached steps."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama

# The bound for float32 logits at any size. Measured: 3e-6 at 124M parameters with logits up to 4 (GPT-2 sums
# in another order), 0 for Llama (3e-7 by hand).
BOUND = 1e-4


def gpt2(activation="gelu_new", tied=True, **sizes):
    # no special tokens: the defaults lie outside a small vocabulary
    config = GPT2Config(
        activation_function=activation, tie_word_embeddings=tied, bos_token_id=None, eos_token_id=None, **sizes
    )
    return perturbed(GPT2LMHeadModel(config))


def llama(tied=False, **sizes):
    return perturbed(
        LlamaForCausalLM(LlamaConfig(tie_word_embeddings=tied, bos_token_id=None, eos_token_id=None, **sizes))
    )


def perturbed(model):
    """Move every weight off its initial value, so that biases of 0 and norms of 1 are seen to be copied."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model.eval()


SMALL_GPT2 = {"vocab_size": 101, "n_positions": 32, "n_embd": 48, "n_layer": 3, "n_head": 4}
SMALL_LLAMA = {
    "vocab_size": 101,
    "max_position_embeddings": 32,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}


def small_pair(family, fused):
    torch.manual_seed(0)
    if family == "gpt2":
        theirs = gpt2(**SMALL_GPT2)
        return theirs, gpt_from_gpt2(theirs, fused=fused)
    theirs = llama(**SMALL_LLAMA)
    return theirs, gpt_from_llama(theirs, fused=fused)


@torch.no_grad()
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activation", ["gelu_new", "gelu", "relu"])
def test_small_gpt2_logits(activation, tied, fused):
    torch.manual_seed(0)
    theirs = gpt2(activation, tied, **SMALL_GPT2)
    ours = gpt_from_gpt2(theirs, fused=fused)
    tokens = torch.randint(101, (3, 32))
    assert (ours(tokens) - theirs(tokens).logits).abs().max() <= BOUND
    assert ours.n_parameters() == theirs.num_parameters()


@torch.no_grad()
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("n_kv_heads", [6, 2, 1])
@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_small_llama_logits(n_kv_heads, base, tied, fused):
    torch.manual_seed(0)
    rope = {"rope_type": "default", "rope_theta": base}
    theirs = llama(tied, **(SMALL_LLAMA | {"num_key_value_heads": n_kv_heads, "rope_parameters": rope}))
    ours = gpt_from_llama(theirs, fused=fused)
    tokens = torch.randint(101, (3, 32))
    assert (ours(tokens) - theirs(tokens).logits).abs().max() <= BOUND
    assert ours.n_parameters() == theirs.num_parameters()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_loss_and_gradients(family, fused):
    theirs, ours = small_pair(family, fused)
    theirs, ours = theirs.double(), ours.double()
    tokens = torch.randint(101, (2, 20))
    expected = theirs(tokens, labels=tokens).loss
    loss = torch.nn.functional.cross_entropy(ours(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    # float64, but transformers keeps the norms (Llama) and the loss in float32: 6e-8 of numbers up to 5
    assert abs(loss - expected) <= 1e-6
    expected.backward()
    loss.backward()
    if family == "gpt2":
        embedding, up = theirs.transformer.wte, theirs.transformer.h[0].mlp.c_fc.weight.grad.T
        query = theirs.transformer.h[0].attn.c_attn.weight.grad.T[:48]
    else:
        embedding, up = theirs.model.embed_tokens, theirs.model.layers[0].mlp.up_proj.weight.grad
        query = theirs.model.layers[0].self_attn.q_proj.weight.grad
    block = ours.blocks[0]
    for gradient, reference in (
        (ours.token_embedding.weight.grad, embedding.weight.grad),
        (block.feed_forward.up.weight.grad, up),
        (block.attention.query.weight.grad, query),
    ):
        assert (gradient - reference).abs().max() <= 1e-6


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_cached_steps(family):
    theirs, ours = small_pair(family, fused=True)
    tokens = torch.randint(101, (2, 12))
    past, cache = None, ours.new_cache(2)
    for piece in tokens.split([6, 1, 1, 1, 3], dim=1):
        step = theirs(piece, past_key_values=past, use_cache=True)
        past = step.past_key_values
        assert (ours(piece, cache=cache) - step.logits).abs().max() <= BOUND


@pytest.mark.slow  # groundup verify proves the same logits and counts, and tests/proofs runs it
@torch.no_grad()
def test_gpt2_of_124_million_parameters():
    torch.manual_seed(0)
    theirs = gpt2()
    ours = gpt_from_gpt2(theirs)
    assert ours.n_parameters() == 124_439_808
    tokens = torch.randint(50_257, (1, 64))
    assert (ours(tokens) - theirs(tokens).logits).abs().max() <= BOUND


@torch.no_grad()
def test_llama_of_135_million_parameters():
    """The sizes of SmolLM2-135M: 9 query heads on 3 key/value heads, tied."""
    torch.manual_seed(0)
    theirs = llama(
        tied=True,
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1_536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2_048,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
    )
    ours = gpt_from_llama(theirs)
    assert ours.n_parameters() == 134_515_008
    tokens = torch.randint(49_152, (1, 64))
    assert (ours(tokens) - theirs(tokens).logits).abs().max() <= BOUND
