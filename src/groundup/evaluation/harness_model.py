"""A model of ours as lm-eval sees one: three questions, answered as its own `HFLM` answers them for transformers.

How likely is a text after another, how likely is a whole text, and what does the model write. So figures can be
compared with published ones. Nothing of lm-eval is imported here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from groundup.chat.conversation import Message
from groundup.chat.template import ChatTemplate
from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.evaluation.continuations import Pair, score_continuations
from groundup.generation.stream import generate_text
from groundup.weights.pretrained import Pretrained

_DEFAULT_NEW_TOKENS = 256
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""What tasks call the most tokens to draw; the first that is there holds."""


class Request(Protocol):
    """One question of lm-eval (its `Instance`)."""

    @property
    def args(self) -> tuple[Any, ...]:
        """What is asked about."""


class HarnessModel:
    """A model of ours with the members of lm-eval's `LM`; give it to `lm_eval.simple_evaluate(model=…)`.

    `harness.as_language_model` makes lm-eval accept it. Tasks' texts may hold special tokens, which are read as such.

    Example:
        >>> from types import SimpleNamespace as Request
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> gpt = GPT(GPTConfig(vocab_size=257, context_length=8, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> found = Pretrained(model=gpt, tokenizer=ByteBPE([], special_tokens=["<|endoftext|>"]), source="tiny")
        >>> [(likely, is_greedy)] = HarnessModel(found).loglikelihood([Request(args=("ab", "c"))])
        >>> -10 < likely < 0
        True
    """

    rank = 0
    world_size = 1

    def __init__(self, found: Pretrained, *, batch_size: int = 8) -> None:
        self._found = found
        self._batch_size = batch_size
        self._prefix = _prefix(found)
        self.device = found.model.device
        self.cache_hook: Any = None

    def set_cache_hook(self, cache_hook: Any) -> None:  # noqa: ANN401 - lm-eval's own class
        """Take what lm-eval would keep answers with; it keeps them itself at the end of each kind of question."""
        self.cache_hook = cache_hook

    @property
    def tokenizer_name(self) -> str:
        """By what lm-eval names its store of laid-out conversations."""
        return self._found.source

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Return the model's template, which lm-eval notes in its report."""
        return self._found.chat_template if chat_template else None

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True) -> str:
        """Return a conversation as the text that the model was taught to see.

        Raises:
            InputError: the model has no template, or it refuses the conversation.
        """
        if self._found.chat_template is None:
            raise InputError(
                f"expected a model with a chat template, found {self._found.source} without: leave out chat"
            )
        messages = [Message(role=turn["role"], content=turn["content"]) for turn in chat_history]
        return ChatTemplate(self._found.chat_template, self._found.template_tokens).render(
            messages, add_generation_prompt
        )

    def loglikelihood(self, requests: Sequence[Request], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return for each (context, continuation) the natural log of its probability, and whether it was the likeliest.

        An empty context is the begin token, of models without one the end token. Spaces at the end of a context are
        counted to the continuation, as tokens have them; both are encoded together, then parted where the context ends.
        """
        pairs = [self._pair(*request.args) for request in requests]
        found = score_continuations(self._found.model, pairs, batch_size=self._batch_size)
        return [(one.log_probability, one.is_greedy) for one in found]

    def loglikelihood_rolling(self, requests: Sequence[Request], disable_tqdm: bool = False) -> list[float]:
        """Return for each (text,) the natural log of its probability; one longer than the context is read in pieces.

        Each token is predicted once, after what of its piece stands before it; the last piece is moved to the left
        until it fills the context.
        """
        windows: list[tuple[int, Pair]] = []
        for i, request in enumerate(requests):
            ids = self._encode(*request.args)
            windows += ((i, pair) for pair in rolling_windows(ids, self._prefix, self._found.model.context_length))
        scored = score_continuations(self._found.model, [pair for _, pair in windows], batch_size=self._batch_size)
        totals = [0.0] * len(requests)
        for (i, _), found in zip(windows, scored, strict=True):
            totals[i] += found.log_probability
        return totals

    def generate_until(self, requests: Sequence[Request], disable_tqdm: bool = False) -> list[str]:
        """Return for each (context, settings) what the model writes, up to one of the stop texts or the end token.

        Raises:
            InputError: settings that are not known, or no room for a context beside what is to be drawn.
        """
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(i)
        texts = [""] * len(requests)
        for settings, members in groups.items():
            config = generation_config(json.loads(settings))
            prompts = {i: self._prompt(requests[i].args[0], config.max_new_tokens) for i in members}
            members.sort(key=lambda i: len(prompts[i]), reverse=True)
            for first in range(0, len(members), self._batch_size):
                batch = members[first : first + self._batch_size]
                drawn = generate_text(self._found.model, self._found.tokenizer, [prompts[i] for i in batch], config)
                for i, text in zip(batch, drawn, strict=True):
                    texts[i] = text
        return texts

    def _encode(self, text: str) -> list[int]:
        ids = self._found.tokenizer.encode(text, allow_special=True)
        before = list(self._found.bos)
        return ids if ids[: len(before)] == before else before + ids

    def _pair(self, context: str, continuation: str) -> Pair:
        if not context:
            ids = self._found.tokenizer.encode(continuation, allow_special=True)
            return (ids[:1], ids[1:]) if ids[:1] == [self._prefix] else ([self._prefix], ids)
        stripped = context.rstrip()
        before = self._encode(stripped) or [self._prefix]
        return before, self._encode(context + continuation)[len(self._encode(stripped)) :]

    def _prompt(self, context: str, n_new: int) -> list[int]:
        room = self._found.model.context_length - n_new
        if room < 1:
            raise InputError(
                f"expected fewer tokens to draw than the {self._found.model.context_length:,} that this model sees at "
                f"once, found {n_new:,}: set max_gen_toks in the task's generation_kwargs"
            )
        return self._encode(context)[-room:] or [self._prefix]


def rolling_windows(ids: Sequence[int], prefix: int, context_length: int) -> Iterator[Pair]:
    """Yield (ids before, ids to predict): every id once, in pieces of the context; the last has a full one if it can.

    Example:
        >>> list(rolling_windows([0, 1, 2, 3, 4, 5], 9, 4))
        [([9], [0, 1, 2, 3]), ([1, 2, 3], [4, 5])]
    """
    for first in range(0, len(ids), context_length):
        after = ids[first : first + context_length]
        n_before = context_length + 1 - len(after)
        yield (ids[max(first - n_before, 0) : first] if first else [prefix]), after


def generation_config(settings: Mapping[str, Any]) -> GenerationConfig:
    """Return a task's settings (its generation_kwargs) as ours.

    Raises:
        InputError: a setting that is not known.

    Example:
        >>> found = generation_config({"until": [".", ""], "max_gen_toks": 5, "do_sample": False, "temperature": 0.7})
        >>> found.strategy, found.stop, found.max_new_tokens
        ('greedy', ('.',), 5)
    """
    given = dict(settings)
    lengths = [given.pop(name) for name in _LENGTHS if given.get(name) is not None]
    until = given.pop("until", None) or []
    temperature = given.pop("temperature", None) or 0.0
    is_drawn = given.pop("do_sample", None)
    chosen: dict[str, Any] = {"strategy": "greedy"}
    if temperature > 0 if is_drawn is None else is_drawn:
        chosen = {"strategy": "sample", "temperature": float(temperature) or 1.0}
        chosen |= {name: given.pop(name) for name in ("top_k", "top_p", "min_p") if name in given}
    for name in ("top_k", "top_p", "min_p"):  # of no effect on the likeliest token
        given.pop(name, None)
    if "repetition_penalty" in given:
        chosen["repetition_penalty"] = given.pop("repetition_penalty")
    if given:
        raise InputError(
            f"expected generation_kwargs that are known, found {', '.join(given)}: leave them out of the task"
        )
    return GenerationConfig(
        max_new_tokens=int(lengths[0]) if lengths else _DEFAULT_NEW_TOKENS,
        stop=tuple(text for text in ([until] if isinstance(until, str) else until) if text),
        **chosen,
    )


def _prefix(found: Pretrained) -> int:
    """Return the id that stands before a text of which nothing else is known."""
    spelled = found.tokenizer.special_tokens
    begin = spelled.get(found.template_tokens.get("bos_token", ""))
    candidates = (*found.bos[-1:], begin, found.tokenizer.end_id, *found.opening()[-1:])
    for token in candidates:
        if token is not None:
            return token
    raise InputError(
        f"expected a model with a begin or end token, which empty contexts become, found {found.source} without: take "
        "another model"
    )
