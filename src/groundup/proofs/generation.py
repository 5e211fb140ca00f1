"""Proofs of generation/: greedy text and every processor against transformers, the cache and batches against none."""

import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig
from groundup.generation.choice import choose
from groundup.generation.filters import min_p, temperature, top_k, top_p, typical_p
from groundup.generation.generate import generate
from groundup.generation.processors import Processor, chain
from groundup.generation.text_rules import ban, logit_bias, no_repeat_ngram, repetition_penalty
from groundup.models.gpt import GPT
from groundup.proofs.compare import apart, largest
from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama
from groundup.proofs.models import tiny_gpt2, tiny_llama
from groundup.proofs.table import Proof
from groundup.tokenization.characters import CharacterTokenizer

BANNED = [[5], [7, 8], [1, 2, 3]]
CHOICES = (" blue", " red", " as black as a night without the moon")
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


def _draws() -> tuple[Tensor, Tensor]:
    """Return 64 random rows of logits and of texts over few tokens, so that runs of them come again."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 97, generator=generator, dtype=torch.float64) * 3
    return logits, torch.randint(12, (64, 40), generator=generator)


def _processor(name: str, ours: Processor, *arguments: object) -> Callable[[], float]:
    """Compare one of ours with transformers' `name`, built with `arguments`."""

    def difference() -> float:
        from transformers.generation import logits_process

        logits, ids = _draws()
        theirs = getattr(logits_process, name)(*arguments)
        # -inf marks what is removed; softmax makes it comparable.
        return apart(ours(logits, ids).softmax(-1), theirs(ids, logits.clone()).softmax(-1))

    return difference


def _chain() -> float:
    """Return the largest difference between our chain and the scores of one step of transformers' `generate`."""
    _, ids = _draws()
    config = GenerationConfig(
        logit_bias=((3, 2.0), (50, -1.0)),
        repetition_penalty=1.3,
        no_repeat_ngram_size=2,
        temperature=0.7,
        top_k=50,
        top_p=0.95,
        min_p=0.01,
        typical_p=0.9,
    )
    names = ("repetition_penalty", "no_repeat_ngram_size", "temperature", "top_k", "top_p", "min_p", "typical_p")
    step = tiny_gpt2().generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=1,
        do_sample=True,
        sequence_bias=[[[token], value] for token, value in config.logit_bias],
        bad_words_ids=BANNED,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
        output_scores=True,
        **{name: getattr(config, name) for name in names},
    )
    return apart(chain(config, BANNED)(step.logits[0], ids).softmax(-1), step.scores[0].softmax(-1))


def _choice(build: Callable[[], Any], convert: Callable[[Any], GPT]) -> Callable[[], float]:
    """Compare the likelihoods of choices with those of whole texts, read by transformers one by one."""

    def difference() -> float:
        theirs, tokenizer, prompt = build(), CharacterTokenizer(string.printable[:97]), "The sky was"
        scored = choose(convert(theirs), tokenizer, prompt, CHOICES).scored
        differences = []
        for one in scored:
            ids = torch.tensor([tokenizer.encode(prompt + one.text)])
            with torch.inference_mode():
                logprobs = theirs(ids).logits[0, :-1].log_softmax(-1)
            expected = logprobs.gather(-1, ids[0, 1:, None])[len(prompt) - 1 :, 0]
            differences.append(apart(torch.tensor(one.logprobs), expected))
        return largest(differences)

    return difference


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


_LOGITS = "float32: the same sums in another order, through every layer"
_PROBABILITIES = "float64 rounding of probabilities"


def _proof(
    part: str,
    reference: str,
    difference: Callable[[], float],
    bound: float = 0.0,
    why: str = "tokens that differ are counted",
) -> Proof:
    return Proof(
        room="generation",
        part=part,
        reference=reference,
        bound=bound,
        why=why,
        difference=difference,
        needs=("transformers",),
    )


def _processor_proof(part: str, name: str, ours: Processor, *arguments: object) -> Proof:
    return _proof(part, "transformers' processor", _processor(name, ours, *arguments), 1e-12, _PROBABILITIES)


PROOFS = (
    _proof("greedy text, GPT-2: 150 tokens", "transformers generate", _greedy(tiny_gpt2, gpt_from_gpt2)),
    _proof("greedy text, Llama: 150 tokens", "transformers generate", _greedy(tiny_llama, gpt_from_llama)),
    _processor_proof("temperature", "TemperatureLogitsWarper", lambda logits, _: temperature(logits, 0.7), 0.7),
    _processor_proof("top-k", "TopKLogitsWarper", lambda logits, _: top_k(logits, 5), 5),
    _processor_proof("top-p", "TopPLogitsWarper", lambda logits, _: top_p(logits, 0.9), 0.9),
    _processor_proof("min-p", "MinPLogitsWarper", lambda logits, _: min_p(logits, 0.05), 0.05),
    _processor_proof("typical", "TypicalLogitsWarper", lambda logits, _: typical_p(logits, 0.6), 0.6),
    _processor_proof(
        "repetition penalty",
        "RepetitionPenaltyLogitsProcessor",
        lambda logits, ids: repetition_penalty(logits, ids, 1.3),
        1.3,
    ),
    _processor_proof(
        "no repeated 3-gram", "NoRepeatNGramLogitsProcessor", lambda logits, ids: no_repeat_ngram(logits, ids, 3), 3
    ),
    _processor_proof(
        "logit bias",
        "SequenceBiasLogitsProcessor",
        lambda logits, _: logit_bias(logits, [(3, 2.0), (50, -1.0)]),
        [[[3], 2.0], [[50], -1.0]],
    ),
    _processor_proof(
        "banned sequences",
        "NoBadWordsLogitsProcessor",
        lambda logits, ids: ban(logits, ids, torch.tensor([[-1, -1, 5], [-1, 7, 8], [1, 2, 3]])),
        BANNED,
    ),
    _proof(
        "all processors in a chain", "transformers generate: scores", _chain, 1e-6, "float32 rounding of probabilities"
    ),
    _proof(
        "constrained choice, GPT-2", "transformers, each text whole", _choice(tiny_gpt2, gpt_from_gpt2), 1e-4, _LOGITS
    ),
    _proof(
        "constrained choice, Llama", "transformers, each text whole", _choice(tiny_llama, gpt_from_llama), 1e-4, _LOGITS
    ),
    _proof("sampling with the cache, past the context", "sampling without", _uncached),
    _proof("prompts of different lengths in a batch", "each prompt alone", _batched),
)
