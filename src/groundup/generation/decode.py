"""The decoding loop: prompts of ids in, one drawn token a step for every row that has not ended. It knows no text."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig
from groundup.generation.prefix import Prefix
from groundup.generation.processors import Processor, chain
from groundup.generation.prompts import checked_prompts
from groundup.generation.reading import Reader, evaluation_mode, next_logits
from groundup.generation.sampling import Draw, check_strategy, log_probabilities, report, row_generators, take
from groundup.models.writer import Writer


def decode(
    model: Writer,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    *,
    end_id: int | None = None,
    vocab_size: int | None = None,
    is_finished: Callable[[int], bool] = lambda row: False,
    banned: Sequence[Sequence[int]] = (),
    prefix: Prefix | None = None,
) -> Iterator[list[Draw]]:
    """Yield, step by step, one `Draw` for each row that has not ended.

    A row of a batch is drawn as if it were alone: its tokens depend on its prompt and on its own generator, seeded
    with config.seed + row, and not on the other prompts. A row ends with `end_id` (which is yielded) when
    config.stop_at_end, when the caller says so, or after config.max_new_tokens. Config.stop is the caller's business.

    Past the context the window slides: when a row has filled context_length tokens, the model goes on from the last
    context_length // 2 of them (at least 1), read anew from position 0. The rule is the same with and without a
    cache, so both draw the same tokens. The repetition penalty still sees the whole row, prompt included.

    The model is in evaluation mode until the iterator ends or is closed; then its mode is restored.

    Args:
        model: what predicts.
        prompts: ids of each row; an empty one begins with `end_id`, as a new document does in training.
        config: how to draw.
        end_id: the end-of-text token, if there is one.
        vocab_size: draw ids below it only. None: all that the model has. A model's vocabulary may be padded.
        is_finished: asked about each row after the step that holds its token was taken.
        banned: sequences of ids that are never drawn; see `chain`. Texts of config.banned are the caller's business.
        prefix: what the prompts may begin with, read before; it grows by what is drawn. See `Prefix`.

    Raises:
        InputError: an empty prompt without an `end_id`, a prompt longer than the context, an id that is not in the
            vocabulary, what `chain` refuses, strategy="beam", or a prefix of another model or without a cache; with a
            step, also logits that are NaN.
    """
    check_strategy(config)
    if prefix is not None:
        prefix.check(model, use_cache=config.use_cache)
    starts, n_tokens = checked_prompts(model, prompts, end_id, vocab_size)
    process = chain(config, banned, n_tokens=n_tokens)
    return _steps(model, starts, config, process, end_id, n_tokens, is_finished, prefix) if starts else iter(())


class _Texts:
    """The ids of every row that has not ended, and the window of each that the model sees."""

    def __init__(self, prompts: list[list[int]], device: torch.device) -> None:
        self.ids = torch.full((len(prompts), max(map(len, prompts))), -1)  # [B, room]; -1: nothing there yet
        for row, prompt in enumerate(prompts):
            self.ids[row, : len(prompt)] = torch.tensor(prompt)
        self.ids = self.ids.to(device)
        self.ends = [len(prompt) for prompt in prompts]
        self.starts = [0] * len(prompts)

    def windows(self) -> list[Tensor]:
        return [self.ids[i, start:end] for i, (start, end) in enumerate(zip(self.starts, self.ends, strict=True))]

    def append(self, tokens: Tensor) -> None:
        if max(self.ends) == self.ids.shape[1]:  # doubled: the room follows what is drawn, not what may be drawn
            self.ids = torch.cat([self.ids, torch.full_like(self.ids, -1)], dim=1)
        self.ids[torch.arange(len(self.ends)), torch.tensor(self.ends)] = tokens.to(self.ids.device)
        self.ends = [end + 1 for end in self.ends]

    def keep(self, places: list[int]) -> None:
        self.ids = self.ids[places]
        self.ends = [self.ends[place] for place in places]
        self.starts = [self.starts[place] for place in places]

    def slide(self, context_length: int) -> list[int]:
        """Move each window that no longer fits; return their places."""
        slid = [i for i, end in enumerate(self.ends) if end - self.starts[i] > context_length]
        for i in slid:
            self.starts[i] = self.ends[i] - max(1, context_length // 2)
        return slid


@torch.inference_mode()
def _steps(
    model: Writer,
    prompts: list[list[int]],
    config: GenerationConfig,
    process: Processor,
    end_id: int | None,
    n_tokens: int,
    is_finished: Callable[[int], bool],
    prefix: Prefix | None,
) -> Iterator[list[Draw]]:
    context_length = model.context_length
    texts = _Texts(prompts, model.device)
    rows, generators = list(range(len(prompts))), row_generators(config.seed, len(prompts))
    capacity = min(context_length, max(texts.ends) + config.max_new_tokens) if config.use_cache else None
    with evaluation_mode(model):
        if prefix is not None:
            prefix.begin(prompts, config.cache)
        reader = Reader(model, texts.windows(), capacity=capacity, prefix=prefix, kind=config.cache)
        for n_left in reversed(range(config.max_new_tokens)):
            logits = next_logits(model, reader.last_hidden, n_tokens)  # [B, V]
            logprobs = log_probabilities(logits)
            tokens = take(process(logits, texts.ids), config, generators)  # [B]
            texts.append(tokens)
            draws = report(rows, tokens, logprobs, config.n_top)
            yield draws
            kept = [
                place
                for place, one in enumerate(draws)
                if not (config.stop_at_end and one.token == end_id) and not is_finished(one.row)
            ]
            if not kept or not n_left:
                return
            if len(kept) < len(draws):
                texts.keep(kept)
                rows, generators = [rows[i] for i in kept], [generators[i] for i in kept]
            slid = texts.slide(context_length)
            reader.read(texts.windows(), kept=kept, slid=slid)
