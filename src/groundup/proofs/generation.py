"""Proofs of generation/: greedy text and every processor against transformers, the cache and batches against none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig
from groundup.generation import generate, repetition_penalty, temperature, top_k, top_p
from groundup.models.gpt import GPT
from groundup.proofs.compare import apart, largest
from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama
from groundup.proofs.models import tiny_gpt2, tiny_llama
from groundup.proofs.table import Proof

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]


def _greedy(build: Callable[[], Any], convert: Callable[[Any], GPT]) -> Callable[[], float]:
    def difference() -> float:
        theirs = build()
        ours = convert(theirs)
        wrong = 0
        for prompt in PROMPTS:
            config = GenerationConfig(strategy="greedy", max_new_tokens=50)
            expected = theirs.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=50,
                do_sample=False,
                pad_token_id=0,
            )[0, len(prompt) :].tolist()
            wrong += sum(a != b for a, b in zip(generate(ours, [prompt], config)[0], expected, strict=True))
        return wrong

    return difference


def _processors() -> float:
    """Return the largest difference between our processors' logits and transformers', over 64 random rows."""
    from transformers.generation.logits_process import (
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 97, generator=generator) * 3
    ids = torch.randint(97, (64, 12), generator=generator)
    pairs: list[tuple[Tensor, Any]] = [
        (temperature(logits, 0.7), TemperatureLogitsWarper(0.7)),
        (top_k(logits, 5), TopKLogitsWarper(5)),
        (top_p(logits, 0.9), TopPLogitsWarper(0.9)),
        (repetition_penalty(logits, ids, 1.3), RepetitionPenaltyLogitsProcessor(1.3)),
    ]
    # -inf marks what is removed; exp makes it comparable.
    return largest(apart(ours.softmax(-1), theirs(ids, logits.clone()).softmax(-1)) for ours, theirs in pairs)


def _model() -> GPT:
    return gpt_from_gpt2(tiny_gpt2()).double()  # float64: no rounding decides between two tokens


def _tokens_that_differ(a: list[list[int]], b: list[list[int]]) -> float:
    return sum(x != y for row, other in zip(a, b, strict=True) for x, y in zip(row, other, strict=True))


def _uncached() -> float:
    model, config = _model(), GenerationConfig(max_new_tokens=150)  # the context is 64: the window slides
    return _tokens_that_differ(
        generate(model, PROMPTS, config), generate(model, PROMPTS, replace(config, use_cache=False))
    )


def _batched() -> float:
    model, config = _model(), GenerationConfig(max_new_tokens=50, temperature=0.9)
    alone = [generate(model, [prompt], replace(config, seed=row))[0] for row, prompt in enumerate(PROMPTS)]
    return _tokens_that_differ(generate(model, PROMPTS, config), alone)


def _proof(part: str, reference: str, difference: Callable[[], float], bound: float = 0.0) -> Proof:
    why = "float32 rounding of probabilities" if bound else "tokens that differ are counted"
    return Proof(
        room="generation",
        part=part,
        reference=reference,
        bound=bound,
        why=why,
        difference=difference,
        needs=("transformers",),
    )


PROOFS = (
    _proof("greedy text, GPT-2: 150 tokens", "transformers generate", _greedy(tiny_gpt2, gpt_from_gpt2)),
    _proof("greedy text, Llama: 150 tokens", "transformers generate", _greedy(tiny_llama, gpt_from_llama)),
    _proof("temperature, top-k, top-p, repetition", "transformers processors", _processors, 1e-6),
    _proof("sampling with the cache, past the context", "sampling without", _uncached),
    _proof("prompts of different lengths in a batch", "each prompt alone", _batched),
)
