"""The pretrained model under an adapter: its fingerprint, by which an adapter finds out that it lies on another one."""

import hashlib
import json

import torch
from torch import Tensor

from groundup.errors import InputError
from groundup.finetuning.lora import lora_layers
from groundup.models.gpt import GPT
from groundup.quantization.convert import quantized_layers

SAMPLES = 64
"""Numbers that are read of each parameter: one seed or one step of training apart, nearly all of them differ."""
_PARTS = (
    "n_heads", "position", "rotary_base", "norm", "norm_order", "norm_epsilon", "activation", "qk_norm",
    "tie_embeddings",
)  # fmt: skip
"""Fields of a GPTConfig that change what the model computes and that the shapes of its parameters do not show."""


def base_fingerprint(gpt: GPT) -> str:
    """Return a SHA-256 in hex over the parts of `gpt`, its parameters' names and shapes, and a sample of their numbers.

    Adapters do not change it, merged or not; nor do the device, dropout, and how long a rotary context is.

    Example:
        >>> from groundup.configs.finetuning import LoRAConfig
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.finetuning.lora import apply_lora
        >>> gpt = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> before = base_fingerprint(gpt)
        >>> _ = apply_lora(gpt, LoRAConfig())
        >>> base_fingerprint(gpt) == before
        True
    """
    digest = hashlib.sha256(json.dumps({name: getattr(gpt.config, name) for name in _PARTS}).encode())
    for name, tensor in sorted(base_parameters(gpt).items()):
        digest.update(json.dumps([name, list(tensor.shape)]).encode())
        flat = tensor.detach().reshape(-1)
        places = torch.linspace(0, len(flat) - 1, min(SAMPLES, len(flat)), dtype=torch.float64).long()
        numbers = flat[places.to(flat.device)].float().cpu().numpy()
        digest.update(numbers.astype("<f4").tobytes())
    return digest.hexdigest()


def base_parameters(gpt: GPT) -> dict[str, Tensor]:
    """Return the parameters that `gpt` has without adapters and prefixes, under the names that they have then.

    Of layers that are quantized, the buffers that stand for them.
    """
    layers = lora_layers(gpt)
    found: dict[str, Tensor] = {}
    kept = {f"{name}.{part}": t for name, layer in quantized_layers(gpt).items() for part, t in layer.named_buffers()}
    for name, tensor in (*gpt.named_parameters(), *kept.items()):
        owner = next((path for path in layers if name.startswith(f"{path}.")), None)
        if name.startswith("prefix.") or (owner is not None and name.startswith(f"{owner}.adapters.")):
            continue
        if owner is None:
            found[name] = tensor
        else:
            plain = name.replace(f"{owner}.linear.", f"{owner}.", 1)
            found[plain] = layers[owner].base_weight if plain == f"{owner}.weight" else tensor
    return found


def refuse_other_base(gpt: GPT, fingerprint: str, base: str) -> None:
    """Refuse to put what was learned on one base on another.

    Args:
        gpt: the base that is there.
        fingerprint: of the one that is needed.
        base: what the one that is needed is called.

    Raises:
        InputError: they differ.
    """
    if base_fingerprint(gpt) != fingerprint:
        raise InputError(
            f"expected the base that this adapter was made for ({base}), found a model with other weights: open {base}"
        )
