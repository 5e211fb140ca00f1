"""How fast models read and write: tokens a second, of several models in turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

from groundup.generation.reading import decode_step, next_logits, prefill
from groundup.models.gpt import GPT


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Speed of one model at batch 1."""

    prefill: float
    """Tokens of a prompt that are read in a second."""
    decode: float
    """Tokens that are drawn in a second after it, the likeliest each time."""
    n_prompt: int
    """Tokens of the prompt."""
    n_drawn: int
    """Tokens drawn."""


@torch.inference_mode()
def measure_throughput(
    models: Sequence[GPT], *, n_prompt: int = 128, n_drawn: int = 32, rounds: int = 3
) -> list[Throughput]:
    """Let the models read the same prompt and go on with it, in turn, and return the median of each.

    In turn, because a machine that is busy or throttled for a while then slows all of them. A first round is not
    counted: kernels are chosen and memory is taken in it.

    Args:
        models: as they are to be used: `prepare_for_inference` makes them ready.
        n_prompt: tokens to read; less where a model sees less than n_prompt + n_drawn.
        n_drawn: tokens to draw.
        rounds: how often each is measured.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> before = perf_counter()
        >>> found = measure_throughput([model], n_prompt=4, n_drawn=2, rounds=1)[0]
        >>> 4 / found.prefill + 2 / found.decode < perf_counter() - before, found.n_drawn  # a round took less than both
        (True, 2)
    """
    room = min(model.context_length for model in models)
    n_prompt = max(1, min(n_prompt, room // 2))
    n_drawn = max(1, min(n_drawn, room - n_prompt))
    vocab_size = min(model.vocab_size for model in models)
    prompt = torch.randint(vocab_size, (n_prompt,), generator=torch.Generator().manual_seed(0))
    times: list[list[tuple[float, float]]] = [[] for _ in models]
    for _ in range(1 + rounds):
        for model, seen in zip(models, times, strict=True):
            seen.append(_one_round(model, prompt.to(model.device), n_drawn))
    return [
        Throughput(
            prefill=n_prompt / median(reading for reading, _ in seen[1:]),
            decode=n_drawn / median(drawing for _, drawing in seen[1:]),
            n_prompt=n_prompt,
            n_drawn=n_drawn,
        )
        for seen in times
    ]


def _one_round(model: GPT, prompt: torch.Tensor, n_drawn: int) -> tuple[float, float]:
    """Return the seconds that reading took, and drawing."""
    begin = perf_counter()
    cache = model.new_cache(1, len(prompt) + n_drawn)
    token = _likeliest(model, prefill(model, [prompt], cache))
    read = perf_counter()
    for _ in range(n_drawn):
        token = _likeliest(model, decode_step(model, token, cache))
    return read - begin, perf_counter() - read


def _likeliest(model: GPT, hidden: torch.Tensor) -> torch.Tensor:
    """Return the likeliest next token, [1]; waits for it, on devices that work by themselves."""
    token = next_logits(model, hidden, model.vocab_size).argmax(-1)
    token.item()
    return token
