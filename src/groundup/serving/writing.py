"""A prompt to what a page shows while its text is written: the text so far, one line about it, errors in that line."""

import time
import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace

from groundup.chat.prompt import as_message
from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation import prepare_for_inference, stream, suggest_precision
from groundup.training.devices import choose_device
from groundup.weights.pretrained import Pretrained

SECONDS_BETWEEN = 0.05
"""A page is told of new text no more often: sooner is not seen, and telling takes longer than a small model's token."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a page shows at one moment."""

    text: str | None
    """The prompt and what was drawn after it. None: what it shows already."""
    status: str
    """One line about it."""
    is_error: bool = False
    """Whether that line says what went wrong."""


class Writer:
    """Writes with models by name; keeps the last one. Not for two texts at a time.

    Args:
        open_model: from a name to a model, as `groundup.resolve.open_model`.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> found = Pretrained(model=model, tokenizer=CharacterTokenizer("abc"), source="drawn at random")
        >>> writer = Writer(lambda name: found)
        >>> moments = list(writer.write("mine", "ab", lambda: GenerationConfig(max_new_tokens=5)))
        >>> moments[0].status, len(moments[-1].text), moments[-1].status[:10]
        ('loading mine …', 7, '5 tokens i')
    """

    def __init__(self, open_model: Callable[[str], Pretrained]) -> None:
        self._open_model = open_model
        self._kept: tuple[str, Pretrained] | None = None

    def write(
        self,
        name: str,
        prompt: str,
        config: Callable[[], GenerationConfig],
        is_stopped: Callable[[], bool] = lambda: False,
        *,
        is_chat: bool = False,
    ) -> Generator[Written]:
        """Yield what to show, moment by moment; it never raises. Closing the iterator ends the text, too.

        Args:
            name: the model.
            prompt: how the text begins. Empty: as the model's own opening.
            config: how to draw; called here, so that its InputError is shown as the others are.
            is_stopped: asked at each step; True ends the text.
            is_chat: the prompt is what a person says; the text is what the model answers.
        """
        last = Written(text=None, status="")
        try:
            with closing(self._moments(name.strip(), prompt, config, is_stopped, is_chat)) as moments:
                for last in moments:
                    yield last
        except InputError as error:
            yield Written(text=last.text, status=str(error), is_error=True)
        except Exception as error:  # a defect of ours: its traceback belongs in the terminal, not in the page
            traceback.print_exc()
            said = " ".join(f"{type(error).__name__}: {error}".split())
            yield Written(text=last.text, status=f"a defect: {said} (more in the terminal)", is_error=True)

    def _moments(
        self,
        name: str,
        prompt: str,
        config: Callable[[], GenerationConfig],
        is_stopped: Callable[[], bool],
        is_chat: bool,
    ) -> Generator[Written]:
        chosen = config()  # before a model is loaded
        if self._kept is None or self._kept[0] != name:
            yield Written(text=None, status=f"loading {name} …")
        found = self._model(name)
        tokenizer = found.tokenizer
        ids, text = (_question if is_chat else _beginning)(found, prompt)
        begun = shown = time.perf_counter()
        n_tokens, token = 0, None
        steps = stream(found.model, tokenizer, ids, chosen, is_stopped=is_stopped)
        yield Written(text=text, status="searching …" if chosen.strategy == "beam" else "reading the prompt …")
        with closing(steps):  # type: ignore[type-var]  # a generator, though `stream` promises an iterator only
            for step in steps:
                n_tokens, token, text = n_tokens + 1, step.token, text + step.text
                now = time.perf_counter()
                if n_tokens == 1 or now - shown >= SECONDS_BETWEEN:
                    shown = now
                    yield Written(text=text, status=_pace(n_tokens, now - begun))
        is_ended = chosen.stop_at_end and token is not None and token == tokenizer.end_id
        end = "the text ended" if is_ended else "stopped" if is_stopped() else "length reached"
        yield Written(text=text, status=f"{_pace(n_tokens, time.perf_counter() - begun)} · {end}")

    def _model(self, name: str) -> Pretrained:
        """Return the model, prepared for drawing, from the last text where it is the same."""
        if not name:
            raise InputError("expected a model, found none: choose one, or type a run, a folder or a hub id")
        if self._kept is None or self._kept[0] != name:
            self._kept = None  # never two models in memory
            found = self._open_model(name)
            model = found.model.to(choose_device())
            self._kept = name, replace(found, model=prepare_for_inference(model, suggest_precision(model)))
        return self._kept[1]


def _beginning(found: Pretrained, prompt: str) -> tuple[list[int], str]:
    """Return the ids of a text to go on with, and how it is shown."""
    if prompt:
        return found.encode(prompt), prompt
    ids = found.opening()
    return ids, found.tokenizer.decode(token for token in ids if token != found.tokenizer.end_id).lstrip("\n")


def _question(found: Pretrained, prompt: str) -> tuple[list[int], str]:
    """Return the ids of something to answer, which is not repeated."""
    if not prompt.strip():
        raise InputError("expected something to answer, found an empty prompt: write one")
    return as_message(found, prompt), ""


def _pace(n_tokens: int, seconds: float) -> str:
    rate = f" · {n_tokens / seconds:,.1f} tokens/s" if seconds > 0 else ""
    return f"{n_tokens:,} token{'s' * (n_tokens != 1)} in {seconds:.1f} s{rate}"
