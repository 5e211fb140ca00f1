"""A small model, and the same with its layers in few bits."""

import copy

import numpy as np
import torch
from torch import nn

from groundup.configs.model import GPTConfig
from groundup.models.gpt import GPT
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear

V = 96
LLAMA = {"activation": "swiglu", "norm": "rms", "position": "rotary", "bias": False}


def small_model(**parts: object) -> GPT:
    """Far from uniform, so that what a layer does matters."""
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=V, context_length=16, d_model=32, n_layers=2, n_heads=2, **parts)
    model = GPT(config).eval()
    for parameter in model.parameters():
        parameter.data.mul_(4)
    return model


def in_int4(model: GPT, *parts: str) -> GPT:
    """A copy in which the linear layers whose names hold one of `parts` are in 4 bits."""
    found = copy.deepcopy(model)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and any(part in name for part in parts):
            found.set_submodule(name, Int4Linear(quantize_int4(layer.weight, group_size=32), layer.bias))
    return found


def text(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(V, size=n).astype(np.uint16)
