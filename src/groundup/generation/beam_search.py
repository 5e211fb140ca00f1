"""Beam search: the most likely continuations of a prompt, several followed at once.

Shapes: P prompts that are not done, W beams of each, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation.beam_reading import BeamReader
from groundup.generation.hypotheses import Beam, Beams, Hypothesis
from groundup.generation.prefix import Prefix
from groundup.generation.processors import Processor, chain
from groundup.generation.prompts import checked_prompts
from groundup.generation.reading import evaluation_mode
from groundup.generation.sampling import Draw, log_probabilities
from groundup.models.conditioned import Conditioned
from groundup.models.writer import Writer


def beam_search(
    model: Writer,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    *,
    end_id: int | None = None,
    vocab_size: int | None = None,
    banned: Sequence[Sequence[int]] = (),
    is_finished: Callable[[Sequence[int]], bool] | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    prefix: Prefix | None = None,
) -> list[list[Hypothesis]]:
    """Return for each prompt the config.beam.n_best hypotheses that scored best, best first.

    At each step every beam is continued by every token, and of all these the n_beams with the largest sum of
    log-probabilities go on (Lowerre 1976; for text Sutskever et al. 2014, section 3.2). What ends is compared by score,
    `Hypothesis.score` (Wu et al. 2016, eq. 14, with a simpler penalty of length). Beams, scores and the moment to stop
    are those of `transformers`: processors change log-probabilities, not logits, and the filters of sampling are not
    applied.

    A hypothesis ends with `end_id` when config.stop_at_end, when the caller says so, after config.max_new_tokens, or
    at the context's end: beams do not slide. A prompt's beams do not depend on the other prompts. One beam is greedy
    decoding, unless early_stopping="never" looks beyond the first end.

    Args:
        model: what predicts.
        prompts: ids of each; an empty one begins with `end_id`.
        config: how to search; its stop and banned texts are the caller's business.
        end_id: the end-of-text token, if there is one.
        vocab_size: continue by ids below it only. None: all that the model has.
        banned: sequences of ids that are never drawn; see `chain`.
        is_finished: asked about the tokens that a hypothesis has drawn; True ends it there.
        is_stopped: asked before each step; True ends every hypothesis with it.
        prefix: what the prompts may begin with, read before; see `Prefix`.

    Raises:
        InputError: what `decode` refuses; and a coverage_penalty for a model that reads no source, or with no cache.

    Example:
        >>> from groundup.configs.generation import BeamConfig
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> config = GenerationConfig(strategy="beam", max_new_tokens=3, beam=BeamConfig(n_beams=4, n_best=2))
        >>> [len(one.tokens) for one in beam_search(model, [[1, 2, 3]], config)[0]]
        [3, 3]
    """
    starts, n_tokens, process = checked_search(
        model, prompts, config, end_id=end_id, vocab_size=vocab_size, banned=banned, prefix=prefix
    )
    if not starts:
        return []
    # The last token of the context may be followed by one more, which nothing reads.
    longest = [min(config.max_new_tokens, model.context_length + 1 - len(start)) for start in starts]
    beams = [Beams(config.beam, most) for most in longest]
    capacity = max(len(start) + most for start, most in zip(starts, longest, strict=True))
    with torch.inference_mode(), evaluation_mode(model):
        reader = _reader(model, starts, config, capacity=capacity, n_tokens=n_tokens, prefix=prefix)
        _search(reader, beams, process, config, _ends(config, end_id, is_finished), is_stopped)
    return [one.ended[: config.beam.n_best] for one in beams]


def checked_search(
    model: Writer,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    *,
    end_id: int | None,
    vocab_size: int | None,
    banned: Sequence[Sequence[int]],
    prefix: Prefix | None,
) -> tuple[list[list[int]], int, Processor]:
    """Return the prompts as they will be read, how many ids there are, and the processors; else refuse the search.

    Raises:
        InputError: as `beam_search`, all but logits that are NaN.
    """
    if prefix is not None:
        prefix.check(model, use_cache=config.use_cache)
    if config.beam.coverage_penalty and not (isinstance(model, Conditioned) and config.use_cache):
        found = "use_cache=False" if isinstance(model, Conditioned) else f"a {type(model).__name__}"
        raise InputError(
            f"expected an encoder–decoder with a cache for coverage_penalty={config.beam.coverage_penalty}, "
            f"found {found}: leave the penalty out"
        )
    starts, n_tokens = checked_prompts(model, prompts, end_id, vocab_size)
    return starts, n_tokens, chain(config, banned, n_tokens=n_tokens)


def _reader(
    model: Writer,
    starts: list[list[int]],
    config: GenerationConfig,
    *,
    capacity: int,
    n_tokens: int,
    prefix: Prefix | None,
) -> BeamReader:
    kind, penalty = config.cache if config.use_cache else None, config.beam.coverage_penalty
    return BeamReader(
        model, starts, capacity=capacity, n_tokens=n_tokens, prefix=prefix, kind=kind, coverage_penalty=penalty
    )


def _ends(
    config: GenerationConfig, end_id: int | None, is_finished: Callable[[Sequence[int]], bool] | None
) -> Callable[[Beam], bool]:
    end = end_id if config.stop_at_end else None

    def ends(beam: Beam) -> bool:
        if beam.draws[-1].token == end:
            return True
        return is_finished is not None and is_finished([draw.token for draw in beam.draws])

    return ends


class _Reads(Protocol):
    """What the search needs of a model; see `BeamReader`."""

    logits: Tensor

    @property
    def texts(self) -> Tensor: ...

    @property
    def coverage(self) -> list[float]: ...

    def read(self, parents: Sequence[int], tokens: Sequence[int]) -> None: ...


def _search(
    reader: _Reads,
    beams: list[Beams],
    process: Processor,
    config: GenerationConfig,
    ends: Callable[[Beam], bool],
    is_stopped: Callable[[], bool],
) -> None:
    rows = list(range(len(beams)))
    while rows:
        is_last = is_stopped()
        width = len(beams[rows[0]].running)
        candidates = _candidates(reader, rows, beams, process, config)
        for row, found in zip(rows, candidates, strict=True):
            beams[row].advance(found, (lambda beam: True) if is_last else ends)
        going_on = [
            (place * width + beam.parent, beam.draws[-1].token)
            for place, row in enumerate(rows)
            if not beams[row].is_done
            for beam in beams[row].running
        ]
        rows = [row for row in rows if not beams[row].is_done]
        if rows:
            reader.read([parent for parent, _ in going_on], [token for _, token in going_on])


def _candidates(
    reader: _Reads, rows: list[int], beams: list[Beams], process: Processor, config: GenerationConfig
) -> list[Iterator[Beam]]:
    """Return for each prompt the best continuations of its beams, best first: enough if all beams may end."""
    logprobs = log_probabilities(reader.logits)  # [P·W, V]
    totals = torch.tensor([beam.total for row in rows for beam in beams[row].running], dtype=torch.float64)
    sums = process(logprobs, reader.texts) + totals.to(logprobs)[:, None]  # [P·W, V]
    V = sums.shape[-1]
    flat = sums.view(len(rows), -1)  # [P, W·V]
    best, places = flat.topk(min(2 * config.beam.n_beams, flat.shape[-1]), dim=-1)  # [P, 2·n_beams]
    own = logprobs.view(len(rows), -1).gather(-1, places).tolist()
    coverage = reader.coverage
    values, ids = logprobs.topk(min(config.n_top, V), dim=-1)  # [P·W, n_top]
    tops = [tuple(zip(i, v, strict=True)) for i, v in zip(ids.tolist(), values.tolist(), strict=True)]

    def continued(at: int, row: int) -> Iterator[Beam]:
        running = beams[row].running
        for total, place, logprob in zip(best[at].tolist(), places[at].tolist(), own[at], strict=True):
            parent, token = divmod(place, V)
            reading = at * len(running) + parent
            draw = Draw(row, token, logprob, tops[reading])
            yield Beam(total, (*running[parent].draws, draw), parent, coverage[reading])

    return [continued(at, row) for at, row in enumerate(rows)]
