"""What quantizing changed in each layer: relative errors of outputs, on the inputs that the layer really gets.

Shapes: B batch, T positions, D width, V vocabulary.
"""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from groundup.evaluation.degradation import pieces
from groundup.generation.reading import evaluation_mode
from groundup.models.gpt import GPT
from groundup.quantization.convert import quantized_layers


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """One layer, before and after.

    Example:
        >>> found = LayerError(name="blocks.2.attention.query", error=0.1, n_bytes=4096, n_bytes_quantized=640)
        >>> found.block, found.kind
        (2, 'attention.query')
    """

    name: str
    """As `named_modules` calls it."""
    error: float
    """‖Ŵx − Wx‖ / ‖Wx‖ over all x, where Ŵ is the quantized matrix: 0.1 is a tenth."""
    n_bytes: int
    """What it took before."""
    n_bytes_quantized: int
    """What it takes now."""

    @property
    def block(self) -> int | None:
        """Which block it belongs to. None: the embedding, or the output matrix."""
        parts = self.name.split(".")
        return int(parts[1]) if parts[0] == "blocks" else None

    @property
    def kind(self) -> str:
        """Its name within the block."""
        return self.name.split(".", 2)[-1]


def layer_pairs(before: GPT, after: GPT) -> dict[str, tuple[nn.Module, nn.Module]]:
    """Return the quantized layers of `after`, each behind what it was, by name.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=32, n_layers=1, n_heads=2))
        >>> layer_pairs(model, model)
        {}
    """
    return {name: (before.get_submodule(name), layer) for name, layer in quantized_layers(after).items()}


@torch.no_grad()
def layer_errors(before: GPT, after: GPT, tokens: Tensor) -> list[LayerError]:
    """Return the error of each quantized layer on the text `tokens` (int64 [B, T]), in the order of the model.

    Each layer is given what it gets in the model before, so that its error is its own and not that of those below it.
    Biases, which both have, do not count. The embedding is judged as the output matrix that it also is; where there
    is another, by its own numbers.

    Args:
        before: the model as it was.
        after: its quantized version.
        tokens: a text.

    Raises:
        InputError: a text longer than the model sees.

    Example:
        >>> import copy
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.quantization.int4 import quantize_int4
        >>> from groundup.quantization.int4_linear import Int4Linear
        >>> before = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=32, n_layers=1, n_heads=2))
        >>> after = copy.deepcopy(before)
        >>> up = before.blocks[0].feed_forward.up
        >>> after.blocks[0].feed_forward.up = Int4Linear(quantize_int4(up.weight, group_size=32), up.bias)
        >>> found = layer_errors(before, after, torch.tensor([[1, 2, 3]]))
        >>> found[0].name, 0.02 < found[0].error < 0.15, found[0].n_bytes_quantized / found[0].n_bytes < 0.2
        ('blocks.0.feed_forward.up', True, True)
    """
    layers = layer_pairs(before, after)
    sums = {name: _Sums() for name in layers}
    with evaluation_mode(before), evaluation_mode(after), ExitStack() as hooks:
        for name, (was, now) in layers.items():
            if isinstance(was, nn.Linear) and was is not before.output:
                hooks.callback(was.register_forward_hook(partial(_judge, sums[name], now)).remove)
        hidden = before.hidden_states(tokens.to(before.device)).flatten(0, 1)  # [B * T, D]
        head = "token_embedding" if before.output is None else "output"
        if head in layers:
            for rows in pieces(len(hidden), before.vocab_size):
                sums[head].add(before.project(hidden[rows]), after.project(hidden[rows]))
        if head == "output" and "token_embedding" in layers:
            was, now = layers["token_embedding"]
            ids = torch.arange(before.vocab_size, device=before.device)
            sums["token_embedding"].add(was(ids), now(ids))
    return [
        LayerError(name=name, error=sums[name].ratio, n_bytes=bytes_of(was), n_bytes_quantized=bytes_of(now))
        for name, (was, now) in layers.items()
    ]


class _Sums:
    """Squares of differences, and of what there was before, summed."""

    def __init__(self) -> None:
        self._difference = self._size = 0.0

    def add(self, was: Tensor, now: Tensor, bias: Tensor | None = None) -> None:
        self._difference += _square(now - was)
        self._size += _square(was if bias is None else was - bias)

    @property
    def ratio(self) -> float:
        """‖difference‖ / ‖before‖; 0 where there was nothing."""
        return math.sqrt(self._difference / self._size) if self._size else 0.0


def _judge(sums: _Sums, now: nn.Module, layer: nn.Linear, given: tuple[Tensor, ...], output: Tensor) -> None:
    """Hold the output of a layer against what `now` makes of the same input: a hook of the layer."""
    sums.add(output, now(*given), layer.bias)


def bytes_of(module: nn.Module) -> int:
    """Return the bytes of what `module` keeps: of its weights, tied ones once, and not of tables made from its config.

    Example:
        >>> bytes_of(nn.Linear(4, 2))
        40
    """
    kept = {(tensor.data_ptr(), tensor.shape): tensor for tensor in module.state_dict().values()}
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


def _square(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x).item() ** 2)
