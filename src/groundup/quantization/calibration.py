"""Quantization by a text: block after block, each for the inputs that the quantized blocks before it give.

Shapes: n tokens of the text, W windows, T positions of a window, B windows at a time, D width.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.quantization.inputs_seen import InputsSeen
from groundup.quantization.one_layer import aware_scale, in_8_bits, quantize_layer, quantize_table

LONGEST_WINDOW = 512
"""Tokens: a model of a long context is read in pieces, of which more differ than of a few long ones."""
AT_ONCE = 2048
"""Tokens in one pass through a block."""


def calibrate(
    model: GPT, names: Sequence[str], config: QuantizationConfig, windows: Tensor, report: Callable[[str], None]
) -> None:
    """Swap the layers called `names` for quantized ones, in place, by what goes into them on a text.

    The windows of the text pass through a block, whose layers' inputs are summed up (`InputsSeen`); the layers are
    quantized; and the windows pass through the block again, as it is now, to become the inputs of the next. So each
    layer is fitted to the errors of those before it (Frantar et al. 2022, GPTQ, section 4). Memory beside the model:
    4 · D bytes for each token read, and the sums of one block.

    Args:
        model: in evaluation mode.
        names: linear layers, and the token embedding.
        config: how.
        windows: of the text, as `calibration_windows` returns them.
        report: is told of each block.
    """
    windows = windows.to(model.device)
    report(f"reading {windows.numel():,} tokens, in windows of {windows.shape[1]}")
    states, rotation = [], None
    for batch in torch.split(windows, max(1, AT_ONCE // windows.shape[1])):
        x, rotation = model.enter(model.token_embedding(batch))  # [B, T, D]
        states.append(x)
    for i, block in enumerate(model.blocks):
        through = partial(block, rotation=rotation)
        _fit(model, [name for name in names if name.startswith(f"blocks.{i}.")], config, through, states)
        for place, x in enumerate(states):
            states[place] = through(x)
        report(f"block {i + 1} of {len(model.blocks)}")
    if "output" in names:
        _fit(model, ["output"], in_8_bits(config), lambda x: model.project(model.final_norm(x)), states)
    if "token_embedding" in names:  # last, for as the output matrix it meets what the blocks give
        seen = None
        if model.output is None:
            seen = InputsSeen(model.config.d_model, config, model.device)
            for x in states:
                seen.see(model.final_norm(x))
        model.set_submodule("token_embedding", quantize_table(model.token_embedding, config, seen))
    report("done")


def calibration_windows(tokens: Tensor | None, config: QuantizationConfig, context_length: int) -> Tensor:
    """Return the windows of a text that are read, int64 [W, T]: parts of it drawn by config.seed, none of them twice.

    Raises:
        InputError: no text, or one that is too short.

    Example:
        >>> config = QuantizationConfig(calibration_tokens=8)
        >>> calibration_windows(torch.arange(100), config, context_length=4).shape
        torch.Size([2, 4])
    """
    if tokens is None:
        raise InputError("expected a text to calibrate on, found none: this method reads one, give it with --calibrate")
    n_wanted = config.calibration_tokens
    if len(tokens) < n_wanted:
        raise InputError(
            f"expected at least {n_wanted:,} tokens to calibrate on, found {len(tokens):,}: give a longer text, or "
            "lower calibration_tokens"
        )
    T = min(context_length, LONGEST_WINDOW, n_wanted)
    pieces = tokens[: len(tokens) // T * T].view(-1, T)
    drawn = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(config.seed))
    return pieces[drawn[: n_wanted // T]]


def _fit(
    model: GPT,
    names: Sequence[str],
    config: QuantizationConfig,
    through: Callable[[Tensor], Tensor],
    states: Sequence[Tensor],
) -> None:
    """Pass `states` through a part of the model, and quantize its layers called `names` by what went into them."""
    if not names:
        return
    with _watching(model, names, config) as seen:
        for x in states:
            through(x)
    for names_together in _with_same_inputs(seen):
        layers = [cast("nn.Linear", model.get_submodule(name)) for name in names_together]
        inputs = seen[names_together[0]]
        scale = aware_scale(layers, config, inputs)
        for name, layer in zip(names_together, layers, strict=True):
            model.set_submodule(name, quantize_layer(layer, config, inputs, scale))


def _with_same_inputs(seen: Mapping[str, InputsSeen]) -> list[list[str]]:
    """Return the names of layers, those together that share their sums."""
    together: dict[int, list[str]] = {}
    for name, inputs in seen.items():
        together.setdefault(id(inputs), []).append(name)
    return list(together.values())


@contextmanager
def _watching(model: GPT, names: Sequence[str], config: QuantizationConfig) -> Iterator[dict[str, InputsSeen]]:
    """While it is entered, sum up what goes into layers, by name; layers with the same input share the sums."""
    seen: dict[str, InputsSeen] = {}
    last: dict[str, Tensor] = {}  # the newest input, by the name of the first layer that got it

    def look(name: str, layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        (x,) = arguments
        for first, same in last.items():
            if same is x:
                seen[name] = seen[first]
                return
        if name not in seen:
            seen[name] = InputsSeen(x.shape[-1], config, x.device)
        seen[name].see(x)
        last.clear()
        last[name] = x

    hooks = [model.get_submodule(name).register_forward_pre_hook(partial(look, name)) for name in names]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
