"""Vectors that are learned in place of words before every text, while the model stays as it is: prompts and prefixes.

Shapes: L layers, G key/value heads, P virtual tokens, D width, K head width.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from groundup.configs.finetuning import PromptConfig
from groundup.errors import InputError
from groundup.generation.reading import evaluation_mode
from groundup.layers.virtual_tokens import KeysValues, LearnedPrefix
from groundup.models.gpt import GPT

PromptKind = Literal["prompt", "prefix"]
"""prompt: one embedding for each virtual token. prefix: keys and values of its own for each, in every layer."""


class SoftPrompt(nn.Module):
    """Embeddings of virtual tokens that are learned: prompt tuning (Lester et al. 2021, section 2).

    No position looks ahead, so the virtual tokens never see the text behind them, and what a layer keeps of them is the
    same for every row: it is computed once a forward pass, for a batch of one, and not again for each text.

    Args:
        embeddings: what they begin as [P, D], as the first block would read them but for positions; copied.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> tokens = torch.tensor([[1, 2, 3, 4]])
        >>> expected = model(tokens)[:, 2:]
        >>> model.prefix = SoftPrompt(model.token_embedding(tokens[0, :2]))
        >>> torch.allclose(model(tokens[:, 2:]), expected, atol=1e-5)
        True
    """

    def __init__(self, embeddings: Tensor) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(embeddings.detach().clone())  # [P, D]

    @property
    def n_vectors(self) -> int:
        """How many virtual tokens there are, P."""
        return len(self.embeddings)

    def forward(self, model: GPT) -> list[KeysValues]:
        """Return what each layer of `model` keeps of the virtual tokens, keys and values [1, G, P, K]."""
        # The model is an argument, for a module that held it would make the model a part of itself.
        return model.keys_and_values(self.embeddings[None])


def apply_prompt(gpt: GPT, config: PromptConfig, *, kind: PromptKind, ids: Sequence[int] = (), seed: int = 0) -> None:
    """Put virtual tokens before every text that `gpt` reads, and freeze all its other parameters.

    They begin as tokens that exist: a prompt as their embeddings, a prefix as the keys and values that the model itself
    makes of these, so that training starts from a prompt that could have been written (Lester et al. 2021, section 3.2;
    Li and Liang 2021, section 7.4). What was in the place before is replaced.

    Args:
        gpt: the model; its own weights stay as they are.
        config: how many vectors.
        kind: prompt or prefix.
        ids: tokens of config.text, repeated or cut to the number of vectors. Empty: random ones.
        seed: decides these.

    Raises:
        InputError: as many vectors as the model's context holds tokens, or an id that is not in the vocabulary.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=2))
        >>> apply_prompt(model, PromptConfig(n_vectors=5), kind="prompt", ids=[3, 4])
        >>> [(name, tuple(p.shape)) for name, p in model.named_parameters() if p.requires_grad]
        [('prefix.embeddings', (5, 16))]
        >>> model.context_length
        3
    """
    check_room(gpt, config.n_vectors)
    vocab_size = gpt.vocab_size
    if strange := [token for token in ids if not 0 <= token < vocab_size]:
        raise InputError(f"expected ids below {vocab_size}, the model's vocabulary, for a prompt, found {strange[0]}")
    if ids:
        drawn = torch.tensor([ids[i % len(ids)] for i in range(config.n_vectors)])
    else:
        drawn = torch.randint(vocab_size, (config.n_vectors,), generator=torch.Generator().manual_seed(seed))
    with evaluation_mode(gpt), torch.no_grad():
        embeddings = gpt.token_embedding(drawn.to(gpt.device))  # [P, D]
        prefix = SoftPrompt(embeddings) if kind == "prompt" else LearnedPrefix(gpt.keys_and_values(embeddings[None]))
    put_before(gpt, prefix)


def put_before(gpt: GPT, prefix: SoftPrompt | LearnedPrefix) -> None:
    """Put `prefix` into its place in `gpt`, and let it alone learn."""
    gpt.requires_grad_(False)
    gpt.prefix = prefix.train(gpt.training).requires_grad_(True)


def check_room(gpt: GPT, n_vectors: int) -> None:
    """Raise InputError unless `n_vectors` virtual tokens leave the model room for a text."""
    if n_vectors >= gpt.config.context_length:
        raise InputError(
            f"expected fewer vectors than the model's context holds tokens, {gpt.config.context_length}, "
            f"found {n_vectors}: take fewer"
        )
