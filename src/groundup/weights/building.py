"""From named tensors to a model, one tensor at a time: never two copies of the weights in memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.layers.embedding import TokenEmbedding
from groundup.models.gpt import GPT
from groundup.quantization.convert import QuantizedLayer
from groundup.quantization.embedding import QuantizedEmbedding

M = TypeVar("M", bound=nn.Module)
"""A GPT, or another model of models/."""


def build_model(config: GPTConfig, tensors: Iterable[tuple[str, Tensor | QuantizedLayer]], *, source: str) -> GPT:
    """Return a GPT in evaluation mode that holds `tensors`: see `build_module`.

    Example:
        >>> import torch
        >>> config = GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)
        >>> model = GPT(config).eval()
        >>> copy, tokens = build_model(config, model.state_dict().items(), source="a model"), torch.tensor([[1, 2]])
        >>> torch.equal(copy(tokens), model(tokens))
        True
    """
    return build_module(lambda: GPT(config), tensors, source=source)


def build_module(make: Callable[[], M], tensors: Iterable[tuple[str, Tensor | QuantizedLayer]], *, source: str) -> M:
    """Return a model in evaluation mode that holds `tensors`, which are taken one by one, in float32.

    The model is laid out first and nothing is written into it, so that its weights exist once (the system gives memory
    when it is written to): a tensor that is already float32 is taken as
    it is, and any other becomes float32 and may be forgotten by whoever yields it.

    Args:
        make: makes the model.
        tensors: every parameter under its name in the model, once, in any order. A layer that is quantized comes
            whole, under its own name, instead of its weight and bias.
        source: where they come from, for messages.

    Raises:
        InputError: a parameter that is missing, comes twice, has another shape, or that this model does not have.
    """
    with _Uninitialized():
        model = make()
    missing = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for name, found in tensors:
        if isinstance(found, Tensor):
            _take(missing, name, tuple(found.shape), source)
            place, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(place), leaf, nn.Parameter(found.detach().float()))
        else:
            _take(missing, f"{name}.weight", (found.out_features, found.in_features), source)
            if isinstance(bias := getattr(found, "bias", None), Tensor):
                _take(missing, f"{name}.bias", tuple(bias.shape), source)
            _put(model, name, found, source)
        del found  # before the next one is made
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"expected {next(iter(missing))} in {source}, found no such tensor{more}: {_HELP}")
    return model.eval()


def _take(missing: dict[str, tuple[int, ...]], name: str, found: tuple[int, ...], source: str) -> None:
    """Cross a parameter off, if it is one that is missing and has its shape."""
    if name not in missing:
        raise InputError(f"expected each parameter of this model once in {source}, found {name} besides: {_HELP}")
    if (shape := missing.pop(name)) != found:
        raise InputError(f"expected {name} of shape {shape} in {source}, found {found}: {_HELP}")


def _put(model: nn.Module, name: str, layer: QuantizedLayer, source: str) -> None:
    """Put a quantized layer in the place of one of its kind."""
    place = model.get_submodule(name)
    if isinstance(layer, QuantizedEmbedding) and isinstance(place, TokenEmbedding):
        layer.factor = place.scale
    elif isinstance(layer, QuantizedEmbedding) or not isinstance(place, nn.Linear):
        raise InputError(
            f"expected a {type(place).__name__} as {name} in {source}, found {type(layer).__name__}: {_HELP}"
        )
    model.set_submodule(name, layer)


class _Uninitialized(TorchFunctionMode):
    """Leaves new weights as they are. torch's meta device would too, but imports its compiler first: two seconds."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever torch's function returns
        settings = settings or {}
        if getattr(function, "__module__", "") == nn.init.__name__:
            return arguments[0] if arguments else settings["tensor"]
        return function(*arguments, **settings)


_HELP = "the file is damaged, or is of another kind of model than it says"
