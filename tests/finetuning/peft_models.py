"""Small models of `transformers` with an adapter of `peft`, every number of it off its initial value."""

from typing import Any

import torch
from torch import Tensor

from groundup.models.gpt import GPT
from groundup.proofs.hf_weights import gpt_from_gpt2

V = 61
TOKENS = torch.randint(V, (2, 12), generator=torch.Generator().manual_seed(0))
TARGETS = {
    "gpt2": ["c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}


def base(family: str, seed: int = 0) -> Any:
    """A small model with biases off zero, and logits of size 1 or more, so that errors show."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    ids = {"bos_token_id": None, "eos_token_id": None, "initializer_range": 0.2}
    if family == "gpt2":
        sizes = {"vocab_size": V, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 2}
        no_dropout = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
        theirs = GPT2LMHeadModel(GPT2Config(**sizes, **ids, **no_dropout))
    else:
        sizes = {"vocab_size": V, "max_position_embeddings": 32, "hidden_size": 24, "intermediate_size": 40}
        heads = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        theirs = LlamaForCausalLM(LlamaConfig(**sizes, **heads, **ids))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return theirs.eval()


def adapted(family: str, seed: int = 0, **fields: Any) -> tuple[GPT, Any]:
    """Our copy of a small model without an adapter, and the model itself with one."""
    from peft import LoraConfig, get_peft_model

    theirs = base(family)
    ours = gpt_from_gpt2(theirs)
    options = {"r": 4, "lora_alpha": 6, "target_modules": TARGETS[family], "fan_in_fan_out": family == "gpt2"} | fields
    torch.manual_seed(seed)
    model = get_peft_model(theirs, LoraConfig(init_lora_weights=False, **options))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "magnitude" in name:
                parameter.mul_(1 + 0.3 * torch.rand_like(parameter))
    return ours, model.eval()


def logits(theirs: Any) -> Tensor:
    """What a model of theirs says about TOKENS."""
    with torch.no_grad():
        found: Tensor = theirs(TOKENS).logits
    return found


def apart(ours: GPT, theirs: Any) -> float:
    """The largest difference of logits."""
    with torch.no_grad():
        return float((ours(TOKENS) - logits(theirs)).abs().max())
