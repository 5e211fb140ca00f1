"""From a tuning config to a model in which the right numbers learn."""

from collections.abc import Callable

import torch

from groundup.configs.finetuning import TuningConfig
from groundup.errors import InputError
from groundup.finetuning.freezing import apply_freezing
from groundup.finetuning.lora import apply_lora
from groundup.finetuning.prompt_tuning import apply_prompt
from groundup.models.gpt import GPT
from groundup.quantization.convert import quantized_layers


def apply_method(gpt: GPT, config: TuningConfig, *, encode: Callable[[str], list[int]], seed: int) -> None:
    """Make `gpt` ready to be tuned: adapters or vectors put in, all that does not learn frozen.

    Args:
        gpt: the pretrained model, changed in place.
        config: what learns.
        encode: from text to ids, for a prompt that begins as words.
        seed: decides what is drawn for new parameters.

    Raises:
        InputError: targets, ranks, vectors or blocks that the model has not room for; a quantized base, whose weights
            cannot learn, for methods by which they do.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.training.learned import n_learned
        >>> gpt = GPT(GPTConfig(vocab_size=8, context_length=64, d_model=16, n_layers=2, n_heads=2))
        >>> apply_method(gpt, TuningConfig(method="lora"), encode=lambda text: [], seed=0)
        >>> n_learned(gpt), gpt.n_parameters()  # 2 blocks of 4 layers, with A [8, 16] and B [16, 8]
        (2048, 9792)
    """
    if config.method in ("full", "last") and (quantized := quantized_layers(gpt)):
        raise InputError(
            f"expected a base in floating point for method {config.method}, found {next(iter(quantized))} in few bits, "
            "which cannot learn: take method lora, or the model that was quantized"
        )
    if config.method == "lora":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            apply_lora(gpt, config.lora)
    elif config.method == "prompt" or config.method == "prefix":
        apply_prompt(gpt, config.prompt, kind=config.method, ids=encode(config.prompt.text), seed=seed)
    else:
        apply_freezing(gpt, config.freezing, only_last=config.method == "last")
