"""Proofs of shortcuts in generation/: speculative text and a conversation on a prefix against transformers."""

import math
from collections.abc import Callable
from typing import Any

import torch

from groundup.configs.generation import GenerationConfig
from groundup.generation.decode import decode
from groundup.generation.drafts import Draft, PromptLookup
from groundup.generation.prefix import Prefix
from groundup.generation.sampling import draw, row_generators
from groundup.generation.speculative import accept, speculate
from groundup.models.gpt import GPT
from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama
from groundup.proofs.models import tiny_gpt2, tiny_llama
from groundup.proofs.table import Proof

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]
N_DRAWS = 3_000


def _greedy_by_transformers(theirs: Any, prompt: list[int], n: int) -> list[int]:  # noqa: ANN401 - imported on use only
    given = torch.tensor([prompt])
    mask = torch.ones_like(given)
    out = theirs.generate(given, attention_mask=mask, max_new_tokens=n, do_sample=False, pad_token_id=0)
    new: list[int] = out[0, len(prompt) :].tolist()
    return new


def _speculated(make_draft: Callable[[], GPT | Draft]) -> Callable[[], float]:
    def difference() -> float:
        theirs = tiny_gpt2().double()  # float64: no rounding decides between two tokens
        model, config = gpt_from_gpt2(theirs).double(), GenerationConfig(strategy="greedy", max_new_tokens=50)
        wrong = 0
        for prompt in PROMPTS:
            ours = [one.token for [one] in speculate(model, make_draft(), prompt, config)]
            wrong += sum(a != b for a, b in zip(ours, _greedy_by_transformers(theirs, prompt, 50), strict=True))
        return wrong

    return difference


def _draft_model() -> GPT:
    """Return the model that it drafts for, with every weight a little off."""
    draft = gpt_from_gpt2(tiny_gpt2()).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in draft.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return draft


def _conversation() -> float:
    theirs = tiny_llama().double()
    model, config = gpt_from_llama(theirs).double(), GenerationConfig(strategy="greedy", max_new_tokens=12)
    prefix, text, wrong = Prefix(model), [1, 2, 3], 0
    for turn in range(4):
        ours = [one.token for [one] in decode(model, [text], config, prefix=prefix)]
        wrong += sum(a != b for a, b in zip(ours, _greedy_by_transformers(theirs, text, 12), strict=True))
        text = [*text, *ours, turn]
    return wrong if prefix.n_reused else math.inf


def _accepted() -> float:
    """Return the chi-square statistic of tokens that were drafted from q and accepted or redrawn for p."""
    p, q = torch.randn(2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(dim=-1)
    ours, drafting = row_generators(0, 2)
    counts = torch.zeros_like(p)
    for _ in range(N_DRAWS):
        drafted = int(draw(q.log()[None], [drafting]))
        counts[int(accept(p.log()[None], drafted, q, [ours])[0])] += 1
    return float(((counts - N_DRAWS * p) ** 2 / (N_DRAWS * p)).sum())


def _proof(part: str, reference: str, difference: Callable[[], float], bound: float, why: str, *needs: str) -> Proof:
    return Proof(
        room="generation", part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs
    )


_COUNTED = "tokens that differ are counted"
PROOFS = (
    _proof(
        "greedy text with a draft model: 150 tokens",
        "transformers generate",
        _speculated(_draft_model),
        0.0,
        _COUNTED,
        "transformers",
    ),
    _proof(
        "greedy text, prompt lookup: 150 tokens",
        "transformers generate",
        _speculated(PromptLookup),
        0.0,
        _COUNTED,
        "transformers",
    ),
    _proof(
        "a conversation on a prefix: 48 tokens", "transformers generate", _conversation, 0.0, _COUNTED, "transformers"
    ),
    _proof(
        f"speculative sampling: {N_DRAWS:,} tokens",
        "their probabilities",
        _accepted,
        24.32,
        "99.9 % of chi-square with 7 degrees of freedom",
    ),
)
