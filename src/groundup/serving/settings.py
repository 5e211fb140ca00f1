"""What the page offers to choose from, and what was chosen there as a GenerationConfig."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.errors import InputError
from groundup.planning.quantities import in_parameters

if TYPE_CHECKING:
    from groundup.available import Available


def model_choices(models: "Sequence[Available]") -> list[tuple[str, str]]:
    """Return (label, name) of each model: how large it is, and how to get it where it is not here.

    Example:
        >>> from groundup.available import Available
        >>> gpt2 = {"name": "gpt2", "kind": "text", "licence": "MIT", "source": "openai-community/gpt2"}
        >>> model_choices([Available(n_parameters=124_439_808, n_bytes=None, how="get 0.5 GB", **gpt2)])
        [('gpt2 · 124M · get 0.5 GB', 'gpt2')]
    """
    return [(" · ".join(filter(None, (model.name, _size(model), model.how))), model.name) for model in models]


def _size(model: "Available") -> str:
    return "" if model.n_parameters is None else in_parameters(model.n_parameters)


def first_choice(models: "Sequence[Available]", wanted: str = "") -> str:
    """Return the name that is chosen at first: `wanted`, else the first model that is here, else the first, else ""."""
    here = [model.name for model in models if model.n_bytes is not None]
    return next(iter([wanted] * bool(wanted) + here + [model.name for model in models]), "")


def first_mode(models: "Sequence[Available]", name: str) -> str:
    """Return "chat" for a model that is known to converse, else "text"."""
    return "chat" if any(model.name == name and model.kind == "chat" for model in models) else "text"


def generation_config(
    *,
    strategy: object,
    temperature: object,
    top_k: object,
    top_p: object,
    n_beams: object,
    length: object,
    seed: object,
) -> GenerationConfig:
    """Return what the page's controls ask for; a browser may send anything, an emptied field as None.

    `top_k` 0 and `top_p` 1 keep all tokens. What the strategy does not read keeps its default, whatever the page says.

    Raises:
        InputError: a value that is not a number, or one that GenerationConfig refuses.

    Example:
        >>> asked = {"temperature": 0.8, "top_k": 0, "top_p": 0.9, "n_beams": 4, "length": 64.0, "seed": 3}
        >>> config = generation_config(strategy="sample", **asked)
        >>> config.top_k, config.top_p, config.max_new_tokens
        (None, 0.9, 64)
    """
    n_tokens, first = _whole("length", length), _whole("seed", seed)
    match strategy:
        case "greedy":
            return GenerationConfig(strategy="greedy", max_new_tokens=n_tokens, seed=first)
        case "beam":
            return GenerationConfig(
                strategy="beam", beam=BeamConfig(n_beams=_whole("beams", n_beams)), max_new_tokens=n_tokens, seed=first
            )
        case "sample":
            k, p = _whole("top-k", top_k), _number("top-p", top_p)
            return GenerationConfig(
                temperature=_number("temperature", temperature),
                top_k=None if k == 0 else k,
                top_p=None if p == 1.0 else p,
                max_new_tokens=n_tokens,
                seed=first,
            )
    raise InputError(f"expected the strategy sample, greedy or beam, found {strategy!r}")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"expected a number for {name}, found {'nothing' if value is None else repr(value)}")
    return value


def _whole(name: str, value: object) -> int:
    number = _number(name, value)
    if not float(number).is_integer():
        raise InputError(f"expected a whole number for {name}, found {number}")
    return int(number)
