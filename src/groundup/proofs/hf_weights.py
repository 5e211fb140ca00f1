"""Weights of `transformers`' GPT-2 and Llama models in memory, copied into a `GPT` so that the two can be compared."""

from typing import Any

import torch
from torch import Tensor

from groundup.configs.model import Activation, GPTConfig
from groundup.models.gpt import GPT

ACTIVATIONS: dict[str, Activation] = {"gelu_new": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
"""Our names of the non-linearities that GPT-2 checkpoints use."""


def gpt_from_gpt2(hf_model: Any, *, fused: bool = True) -> GPT:  # noqa: ANN401 - transformers is not imported here
    """Return a `GPT` with the weights of a `transformers.GPT2LMHeadModel`, in evaluation mode.

    Its `Conv1D` keeps matrices as [in, out], the transpose of `nn.Linear`, and query, key and value in one.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> sizes = dict(vocab_size=10, n_positions=8, n_embd=16, n_layer=1, n_head=2)
        >>> theirs = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)).eval()
        >>> tokens = torch.tensor([[1, 2, 3]])
        >>> torch.allclose(gpt_from_gpt2(theirs)(tokens), theirs(tokens).logits, atol=1e-6)
        True
    """
    hf = hf_model.config
    config = GPTConfig(
        vocab_size=hf.vocab_size,
        context_length=hf.n_positions,
        d_model=hf.n_embd,
        n_layers=hf.n_layer,
        n_heads=hf.n_head,
        d_ff=hf.n_inner,
        norm_epsilon=hf.layer_norm_epsilon,
        activation=ACTIVATIONS[hf.activation_function],
        tie_embeddings=hf.tie_word_embeddings,
    )
    theirs: dict[str, Tensor] = hf_model.state_dict()
    ours = {
        "token_embedding.weight": theirs["transformer.wte.weight"],
        "position_embedding.weight": theirs["transformer.wpe.weight"],
    }
    for i in range(config.n_layers):
        block, hf_block = f"blocks.{i}", f"transformer.h.{i}"
        for kind in ("weight", "bias"):
            ours[f"{block}.attention_norm.{kind}"] = theirs[f"{hf_block}.ln_1.{kind}"]
            ours[f"{block}.feed_forward_norm.{kind}"] = theirs[f"{hf_block}.ln_2.{kind}"]
            qkv = theirs[f"{hf_block}.attn.c_attn.{kind}"].chunk(3, dim=-1)
            for name, part in zip(("query", "key", "value"), qkv, strict=True):
                ours[f"{block}.attention.{name}.{kind}"] = part.T if kind == "weight" else part
            for name, hf_name in (
                ("attention.output", "attn.c_proj"),
                ("feed_forward.up", "mlp.c_fc"),
                ("feed_forward.down", "mlp.c_proj"),
            ):
                part = theirs[f"{hf_block}.{hf_name}.{kind}"]
                ours[f"{block}.{name}.{kind}"] = part.T if kind == "weight" else part
    for kind in ("weight", "bias"):
        ours[f"final_norm.{kind}"] = theirs[f"transformer.ln_f.{kind}"]
    if not config.tie_embeddings:
        ours["output.weight"] = theirs["lm_head.weight"]
    return _build(config, ours, fused)


def gpt_from_llama(hf_model: Any, *, fused: bool = True) -> GPT:  # noqa: ANN401 - transformers is not imported here
    """Return a `GPT` with the weights of a `transformers.LlamaForCausalLM`, in evaluation mode.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> sizes = dict(vocab_size=10, hidden_size=16, intermediate_size=32, num_hidden_layers=1)
        >>> theirs = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2)).eval()
        >>> tokens = torch.tensor([[1, 2, 3]])
        >>> torch.allclose(gpt_from_llama(theirs)(tokens), theirs(tokens).logits, atol=1e-6)
        True
    """
    hf = hf_model.config
    config = GPTConfig(
        vocab_size=hf.vocab_size,
        context_length=hf.max_position_embeddings,
        d_model=hf.hidden_size,
        n_layers=hf.num_hidden_layers,
        n_heads=hf.num_attention_heads,
        n_kv_heads=hf.num_key_value_heads,
        d_ff=hf.intermediate_size,
        position="rotary",
        rotary_base=float(hf.rope_parameters["rope_theta"]),
        norm="rms",
        norm_epsilon=hf.rms_norm_eps,
        activation="swiglu",
        bias=False,
        tie_embeddings=hf.tie_word_embeddings,
    )
    theirs: dict[str, Tensor] = hf_model.state_dict()
    ours = {
        "token_embedding.weight": theirs["model.embed_tokens.weight"],
        "final_norm.weight": theirs["model.norm.weight"],
    }
    names = {
        "attention_norm": "input_layernorm",
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "feed_forward_norm": "post_attention_layernorm",
        "feed_forward.gate": "mlp.gate_proj",
        "feed_forward.up": "mlp.up_proj",
        "feed_forward.down": "mlp.down_proj",
    }
    for i in range(config.n_layers):
        for name, hf_name in names.items():
            ours[f"blocks.{i}.{name}.weight"] = theirs[f"model.layers.{i}.{hf_name}.weight"]
    if not config.tie_embeddings:
        ours["output.weight"] = theirs["lm_head.weight"]
    return _build(config, ours, fused)


def _build(config: GPTConfig, tensors: dict[str, Tensor], fused: bool) -> GPT:
    with torch.random.fork_rng(devices=[]):  # initial weights, about to be overwritten, cost the caller no randomness
        model = GPT(config, fused=fused)
    model.load_state_dict(tensors)  # strict: a name left over or missing on either side is an error
    return model.eval()
