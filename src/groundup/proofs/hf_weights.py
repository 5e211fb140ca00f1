"""Models of `transformers` in memory, copied into a `GPT` so that the two can be compared."""

from typing import Any

import torch

from groundup.models.gpt import GPT
from groundup.weights.huggingface import gpt_from_tensors


def gpt_from_gpt2(hf_model: Any, *, fused: bool = True) -> GPT:  # noqa: ANN401 - transformers is not imported here
    """Return a `GPT` with the weights of a `transformers.GPT2LMHeadModel`, in evaluation mode.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> sizes = dict(vocab_size=10, n_positions=8, n_embd=16, n_layer=1, n_head=2)
        >>> theirs = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)).eval()
        >>> tokens = torch.tensor([[1, 2, 3]])
        >>> torch.allclose(gpt_from_gpt2(theirs)(tokens), theirs(tokens).logits, atol=1e-6)
        True
    """
    # Copied: a proof may change one of the two and compare.
    tensors = {name: tensor.clone() for name, tensor in hf_model.state_dict().items()}
    model = gpt_from_tensors(hf_model.config.to_dict(), tensors, source=type(hf_model).__name__)
    if fused:
        return model
    with torch.random.fork_rng(devices=[]):  # initial weights, about to be overwritten, cost the caller no randomness
        by_hand = GPT(model.config, fused=False)
    by_hand.load_state_dict(model.state_dict())
    return by_hand.eval()


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
    return gpt_from_gpt2(hf_model, fused=fused)  # the family is in its config
