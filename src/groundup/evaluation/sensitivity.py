"""Which layers suffer most from being quantized: each alone is, and the model's probabilities are compared.

Shapes: T tokens of a text, D width, V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.evaluation.layer_errors import bytes_of, layer_pairs
from groundup.generation.reading import evaluation_mode
from groundup.models.gpt import GPT

LOG_PROBABILITIES = 1 << 25
"""Numbers that are kept of the model before: 128 MB in float32, at most 682 positions of a vocabulary of 49,152."""
Report = Callable[[str], None]
"""Is told what is being done."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What one layer costs when it alone is quantized.

    Example:
        >>> Sensitivity(name="blocks.0.attention.query", kl=0.002, n_bytes_saved=4_000_000).kl_per_megabyte
        0.0005
    """

    name: str
    """As `named_modules` calls it."""
    kl: float
    """KL(before ‖ with this layer quantized), in nats per token: by how much the loss rises on text of the model's own.
    On any other text the rise of one layer drowns in chance: it is as often a fall."""
    n_bytes_saved: int
    """What quantizing it saves."""

    @property
    def kl_per_megabyte(self) -> float:
        """What a saved megabyte costs here."""
        return self.kl / (self.n_bytes_saved / 1e6)


@torch.no_grad()
def sensitivities(before: GPT, after: GPT, tokens: Tensor, *, report: Report = lambda line: None) -> list[Sensitivity]:
    """Return what each quantized layer of `after` costs alone, the most costly per byte saved first.

    A layer changes nothing in the blocks below it: what they give is computed once and kept (T · D numbers a block).

    Args:
        before: the model as it was. Layers are put into it and taken out again, also after Ctrl-C.
        after: its quantized version.
        tokens: a text, int64 [T]; of it no more is read than LOG_PROBABILITIES allows, or the model sees.
        report: is told how far it is.

    Example:
        >>> import copy
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.quantization.int4 import quantize_int4
        >>> from groundup.quantization.int4_linear import Int4Linear
        >>> before = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=32, n_layers=2, n_heads=2))
        >>> after = copy.deepcopy(before)
        >>> for block, layer in zip(after.blocks, before.blocks):
        ...     up = layer.feed_forward.up
        ...     block.feed_forward.up = Int4Linear(quantize_int4(up.weight, group_size=32), up.bias)
        >>> found = sensitivities(before, after, torch.tensor([1, 2, 3]))
        >>> sorted(one.name for one in found)
        ['blocks.0.feed_forward.up', 'blocks.1.feed_forward.up']
        >>> found[0].kl >= found[1].kl > 0
        True
    """
    T = min(len(tokens), before.context_length, max(1, LOG_PROBABILITIES // before.vocab_size))
    layers = layer_pairs(before, after)
    found = []
    with evaluation_mode(before), evaluation_mode(after):
        inputs = _block_inputs(before, tokens[None, :T].to(before.device))
        expected = F.log_softmax(before.project(inputs.hidden), dim=-1)  # [T, V]
        for i, (name, (was, now)) in enumerate(layers.items()):
            report(f"{name}: {i + 1} of {len(layers)}")
            with replaced(before, {name: now}):
                hidden = inputs.go_on(before, name)
                log_q = F.log_softmax(before.project(hidden), dim=-1)
            kl = max(0.0, F.kl_div(log_q, expected, reduction="sum", log_target=True).item() / T)
            found.append(Sensitivity(name=name, kl=kl, n_bytes_saved=bytes_of(was) - bytes_of(now)))
    return sorted(found, key=lambda one: -one.kl_per_megabyte)


@contextmanager
def replaced(model: GPT, layers: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put `layers` (by name) in the place of those of `model`, and those back at the end.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=4, n_layers=1, n_heads=1))
        >>> norm = model.final_norm
        >>> with replaced(model, {"final_norm": nn.Identity()}):
        ...     print(model.final_norm)
        Identity()
        >>> model.final_norm is norm
        True
    """
    were = {name: model.get_submodule(name) for name in layers}
    try:
        for name, layer in layers.items():
            model.set_submodule(name, layer)
        yield
    finally:
        for name, layer in were.items():
            model.set_submodule(name, layer)


@dataclass(frozen=True)
class _Inputs:
    """What each block is given when a model reads a text."""

    tokens: Tensor
    """The text, int64 [1, T]."""
    blocks: list[tuple[Tensor, dict[str, Any]]]
    """Of each block: its input [1, T, D], and what is said beside it (masks, rotations)."""
    hidden: Tensor
    """What comes out of the final norm [T, D]."""

    def go_on(self, model: GPT, name: str) -> Tensor:
        """Return the hidden states [T, D] of a `model` in which the layer called `name` is another one."""
        if name == "output":
            return self.hidden
        if not name.startswith("blocks."):
            return model.hidden_states(self.tokens)[0]
        first = int(name.split(".")[1])
        x = self.blocks[first][0]
        for block, (_, beside) in zip(model.blocks[first:], self.blocks[first:], strict=True):
            x = block(x, **beside)
        hidden: Tensor = model.final_norm(x)
        return hidden[0]


def _block_inputs(model: GPT, tokens: Tensor) -> _Inputs:
    blocks: list[tuple[Tensor, dict[str, Any]]] = []

    def note(_: nn.Module, given: tuple[Tensor, ...], beside: dict[str, Any]) -> None:
        blocks.append((given[0], beside))

    hooks = [block.register_forward_pre_hook(note, with_kwargs=True) for block in model.blocks]
    try:
        hidden = model.hidden_states(tokens)[0]
    finally:
        for hook in hooks:
            hook.remove()
    return _Inputs(tokens, blocks, hidden)
