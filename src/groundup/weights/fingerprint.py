"""A model by the hash of all that it computes with: its config and every number of it."""

import hashlib
import json

import torch

from groundup.configs.codec import to_dict
from groundup.models.gpt import GPT

_DECIDES_NOTHING = ("dropout", "context_length", "zero_init_outputs")
"""Fields of a GPTConfig that change nothing of what a trained model answers to a text that it has room for."""


def model_fingerprint(gpt: GPT) -> str:
    """Return a SHA-256 in hex over the config of `gpt` and all of its parameters and buffers, on whatever device.

    Unlike `finetuning.base.base_fingerprint`, which samples and does not see adapters, it reads everything, about a
    second for each 200 million parameters: what is computed from one model's answers must never pass for another's.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> gpt = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> before = model_fingerprint(gpt)
        >>> with torch.no_grad():
        ...     gpt.token_embedding.weight[3, 5] += 1e-6
        >>> model_fingerprint(gpt) == before
        False
    """
    config = {name: value for name, value in to_dict(gpt.config).items() if name not in _DECIDES_NOTHING}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, tensor in sorted(gpt.state_dict().items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
