"""What of a model learns: parameters that are frozen, that begin to learn later, or that have a rate of their own.

The marks are attributes of the parameters themselves, so a task's module is trained by the one loop as it is.
"""

from torch import Tensor, nn

from groundup.quantization.convert import quantized_layers

RATE, START = "_groundup_rate", "_groundup_start"
"""Attributes of a parameter: its learning rate as a multiple of the run's, and the step at which it begins to learn."""


def set_rate(parameter: nn.Parameter, scale: float) -> None:
    """Let `parameter` learn at `scale` times the run's learning rate.

    Raises:
        ValueError: a scale that is not above zero.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> set_rate(layer.weight, 16.0)
        >>> rate_of(layer.weight), rate_of(layer.bias)
        (16.0, 1.0)
    """
    if not scale > 0:
        raise ValueError(f"a rate must be above 0, found {scale}: freeze what is not to learn")
    setattr(parameter, RATE, scale)


def rate_of(parameter: nn.Parameter) -> float:
    """Return what `set_rate` set, 1 where nobody did."""
    scale: float = getattr(parameter, RATE, 1.0)
    return scale


def start_at(parameter: nn.Parameter, step: int) -> None:
    """Let `parameter` be frozen before `step` (counted from 0), and learn from then on."""
    setattr(parameter, START, step)


def is_learned(parameter: nn.Parameter) -> bool:
    """Tell whether `parameter` learns at some step of the run: not frozen, or only for now."""
    return parameter.requires_grad or hasattr(parameter, START)


def start_of(parameter: nn.Parameter) -> int:
    """Return the step from which `parameter` learns, as `start_at` set it: 0 where nobody did."""
    step: int = getattr(parameter, START, 0)
    return step


def thaw(model: nn.Module, step: int) -> None:
    """Freeze and unfreeze the parameters of `model` that have a start as they are to be at `step`: a pure function.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> start_at(layer.bias, 10)
        >>> thaw(layer, 9)
        >>> layer.bias.requires_grad, is_learned(layer.bias), layer.weight.requires_grad
        (False, True, True)
        >>> thaw(layer, 10)
        >>> layer.bias.requires_grad
        True
    """
    for parameter in model.parameters():
        start = getattr(parameter, START, None)
        if start is not None:
            parameter.requires_grad_(step >= start)


def learned_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state_dict of `model` without what is frozen for good: that is its base's, and is kept there.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> _ = layer.weight.requires_grad_(False)
        >>> list(learned_state(layer))
        ['bias']
    """
    frozen = {name for name, p in model.named_parameters(remove_duplicate=False) if not is_learned(p)}
    frozen |= {f"{name}.{part}" for name, layer in quantized_layers(model).items() for part in layer.state_dict()}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def n_learned(model: nn.Module) -> int:
    """Count the numbers that learn at some step.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> _ = layer.weight.requires_grad_(False)
        >>> n_learned(layer)
        2
    """
    return sum(parameter.numel() for parameter in model.parameters() if is_learned(parameter))


def n_numbers(model: nn.Module) -> int:
    """Count the numbers of a model, frozen ones too; of quantized layers those that their bits stand for.

    Example:
        >>> n_numbers(nn.Linear(3, 2))
        8
    """
    return sum(p.numel() for p in model.parameters()) + sum(
        layer.n_quantized for layer in quantized_layers(model).values()
    )
