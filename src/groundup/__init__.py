"""groundup: GPT from the ground up."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch: not for `import groundup`
    from groundup.models.gpt import GPT
    from groundup.tokenization.base import Tokenizer

__version__ = "0.1.0"


def load(name: str) -> "tuple[GPT, Tokenizer]":
    """Load a model and its tokenizer by name.

    Args:
        name: a short name (`groundup models` lists them), a run, a folder from `transformers`, a .gguf file, or a
            repository OWNER/NAME on the hub.

    Returns:
        The model in evaluation mode, on the CPU and in float32, and its tokenizer.

    Raises:
        InputError: no such model, a damaged one, or one of a family that `GPT` does not cover.
    """
    from groundup.resolve import open_model

    found = open_model(name)
    return found.model, found.tokenizer
