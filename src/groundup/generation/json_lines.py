"""Drawn texts as JSON, one object a line, for programs that read them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from groundup.configs.generation import GenerationConfig
from groundup.generation.drafts import Draft
from groundup.generation.prefix import Prefix
from groundup.generation.stream import Step, generate_n_best, stream
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer


def json_lines(
    model: GPT,
    tokenizer: Tokenizer,
    ids: Sequence[int],
    config: GenerationConfig,
    *,
    prompt: str,
    n_samples: int = 1,
    draft: GPT | Draft | None = None,
    n_drafted: int = 4,
) -> Iterator[str]:
    """Yield one JSON object for each text drawn after `ids`, as soon as it is whole.

    Its fields: prompt, text, seed, n_tokens, logprob (natural log of the whole text's probability under the model),
    ended ("end": the end-of-text token, "stop": a stop text, "length": max_new_tokens), and with config.n_top also
    steps, each with its token, text, logprob and top alternatives. With strategy="beam": prompt, text and score.

    Args:
        model: what predicts.
        tokenizer: what spells.
        ids: the prompt.
        config: how to draw; text k uses config.seed + k.
        prompt: repeated in each object.
        n_samples: texts; beam search has one result, or config.beam.n_best.
        draft: as in `stream`.
        n_drafted: as in `stream`.

    Raises:
        InputError: as `stream`.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> config = GenerationConfig(max_new_tokens=5)
        >>> found = json.loads(next(json_lines(model, CharacterTokenizer("abc"), [1], config, prompt="b")))
        >>> found["prompt"], found["n_tokens"], found["ended"]
        ('b', 5, 'length')
    """
    if config.strategy == "beam":
        for text, score in generate_n_best(model, tokenizer, ids, config):
            yield _line({"prompt": prompt, "text": text, "score": score})
        return
    prefix = Prefix(model) if config.use_cache else None  # the prompt is read once for all samples
    for k in range(n_samples):
        drawn = replace(config, seed=config.seed + k)
        steps = list(stream(model, tokenizer, ids, drawn, prefix=prefix, draft=draft, n_drafted=n_drafted))
        told: dict[str, object] = {
            "prompt": prompt,
            "text": "".join(step.text for step in steps),
            "seed": config.seed + k,
            "n_tokens": len(steps),
            "logprob": sum(step.logprob for step in steps),
            "ended": _reason(steps, tokenizer, config),
        }
        if config.n_top:
            told["steps"] = [asdict(step) for step in steps]
        yield _line(told)


def _reason(steps: Sequence[Step], tokenizer: Tokenizer, config: GenerationConfig) -> str:
    if config.stop_at_end and steps[-1].token == tokenizer.end_id:
        return "end"
    drawn = tokenizer.decode(step.token for step in steps)
    return "stop" if any(stop in drawn for stop in config.stop) else "length"


def _line(told: dict[str, object]) -> str:
    return json.dumps(told, ensure_ascii=False)
