"""Speculative decoding: a draft guesses several tokens, the model reads them at once and keeps those it agrees with.

Source: Leviathan et al. 2023, algorithm 1; Chen et al. 2023.

Greedy tokens are `decode`'s own, and so are those sampled with a draft that chooses (`PromptLookup`), seed for seed:
there a token is drawn as `decode` draws it, and the proposal is kept as long as it says the same. In exact arithmetic,
that is: several tokens are multiplied in other shapes than one, so in float32 two tokens whose logits lie within
rounding, some 1e-5, may change places, and in a copy with rounded matrices two that lie within that rounding. A model
that draws its drafts takes other numbers from the generator: same distribution, other tokens.

Shapes: n drafted tokens, D width, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig
from groundup.generation.drafts import Draft, ModelDraft, Proposal
from groundup.generation.prefix import Prefix
from groundup.generation.processors import Processor, chain
from groundup.generation.prompts import checked_prompts
from groundup.generation.reading import evaluation_mode, next_logits
from groundup.generation.sampling import (
    Draw,
    check_strategy,
    draw,
    log_probabilities,
    report,
    row_generators,
    take,
)
from groundup.models.gpt import GPT
from groundup.models.writer import Writer


@dataclass
class Speculation:
    """What speculating did, counted as it goes on.

    Example:
        >>> Speculation(n_passes=10, n_drafted=40, n_accepted=30).acceptance
        0.75
    """

    n_passes: int = 0
    """Passes of the model; `decode` takes one for each token."""
    n_drafted: int = 0
    """Tokens that the draft proposed."""
    n_accepted: int = 0
    """Those of them that the model kept. Each pass draws one token more."""

    @property
    def acceptance(self) -> float:
        """The share of drafted tokens that were kept."""
        return self.n_accepted / max(1, self.n_drafted)


def speculate(
    model: Writer,
    draft: GPT | Draft,
    prompt: Sequence[int],
    config: GenerationConfig,
    *,
    n_drafted: int = 4,
    end_id: int | None = None,
    vocab_size: int | None = None,
    is_finished: Callable[[int], bool] = lambda row: False,
    banned: Sequence[Sequence[int]] = (),
    prefix: Prefix | None = None,
    counts: Speculation | None = None,
) -> Iterator[list[Draw]]:
    """Yield the steps that `decode` yields for one prompt, in fewer passes of `model` where `draft` guesses well.

    A drafted token x is kept with probability min(1, p(x) / q(x)), p being the model's distribution as `config`
    reshapes it and q the draft's; in place of the first that is not, one is drawn from max(0, p - q), and after the
    last one from p. So tokens are distributed as `decode`'s, whatever the draft proposes.

    Args:
        model: what predicts.
        draft: what proposes: a smaller model with the same vocabulary, or any `Draft`.
        prompt: as one of `decode`'s.
        config: how to draw. `use_cache` is not asked: there is always one.
        n_drafted: most tokens proposed at once.
        end_id: as in `decode`.
        vocab_size: as in `decode`.
        is_finished: as in `decode`; the row is 0.
        banned: as in `decode`.
        prefix: as in `decode`.
        counts: what was drafted and accepted is added to it.

    Raises:
        InputError: as `decode`; also for a draft model with a smaller vocabulary.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.generation.drafts import PromptLookup
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> steps = list(speculate(model, PromptLookup(), [1, 2, 3], GenerationConfig(max_new_tokens=20)))
        >>> len(steps), steps[0][0].row
        (20, 0)
    """
    check_strategy(config)
    prefix = Prefix(model) if prefix is None else prefix
    prefix.check(model)
    [start], n_tokens = checked_prompts(model, [prompt], end_id, vocab_size)
    if isinstance(draft, GPT):
        draft = ModelDraft(draft, config, n_tokens=n_tokens, banned=banned)
    verifier = _Verifier(
        model=model,
        config=config,
        process=chain(config, banned, n_tokens=n_tokens),
        n_tokens=n_tokens,
        prefix=prefix,
        counts=Speculation() if counts is None else counts,
        generators=row_generators(config.seed, 1),
    )
    return _steps(verifier, draft, start, n_drafted, end_id, is_finished)


def accept(logits: Tensor, drafted: int, q: Tensor, generators: Sequence[torch.Generator]) -> tuple[Tensor, bool]:
    """Return the next token, int64 [1], and whether it is the `drafted` one, kept: so it is softmax(logits)'s draw.

    Args:
        logits: [1, V], of p.
        drafted: a token drawn from `q`.
        q: [V], probabilities in float64.
        generators: one.

    Example:
        >>> q = torch.tensor([1.0, 0.0], dtype=torch.float64)
        >>> accept(q.log()[None], 0, q, row_generators(0, 1)), accept(q.flip(0).log()[None], 0, q, row_generators(0, 1))
        ((tensor([0]), True), (tensor([1]), False))
    """
    p = logits[0].cpu().double().softmax(dim=-1)  # [V]
    uniform = torch.rand((), generator=generators[0], dtype=torch.float64)
    if uniform * q[drafted] < p[drafted]:
        return torch.tensor([drafted]), True
    rest = (p - q).clamp(min=0)
    # Where p and q agree up to rounding nothing is left; then p itself is as good.
    return draw((rest if rest.any() else p).log()[None], generators), False


@dataclass(frozen=True)
class _Verifier:
    """Reads what was drafted, and draws one token after another as long as they are the drafted ones."""

    model: Writer
    config: GenerationConfig
    process: Processor
    n_tokens: int
    prefix: Prefix
    counts: Speculation
    generators: Sequence[torch.Generator]

    def draws(self, ids: list[int], start: int, proposal: Proposal) -> Iterator[Draw]:
        text = torch.tensor([[*ids, *proposal.tokens]], device=self.model.device)  # [1, T + n]
        hidden = self.prefix.read(text[0, start:], n_last=len(proposal.tokens) + 1)  # [n + 1, D]
        logits = next_logits(self.model, hidden, self.n_tokens)  # [n + 1, V]
        logprobs = log_probabilities(logits)
        self.counts.n_passes += 1
        self.counts.n_drafted += len(proposal.tokens)
        n_known = len(ids)
        for i in range(len(logits)):
            # Row by row, like `decode`: a text that ends at a token never asks what may follow it.
            token, is_kept = self._next(self.process(logits[i : i + 1], text[:, : n_known + i]), i, proposal)
            self.counts.n_accepted += is_kept
            yield from report([0], token, logprobs[i : i + 1], self.config.n_top)
            if not is_kept:
                return

    def _next(self, logits: Tensor, i: int, proposal: Proposal) -> tuple[Tensor, bool]:
        if i < len(proposal.tokens) and proposal.probabilities is not None and self.config.strategy == "sample":
            return accept(logits, proposal.tokens[i], proposal.probabilities[i], self.generators)
        token = take(logits, self.config, self.generators)
        return token, i < len(proposal.tokens) and int(token) == proposal.tokens[i]


@torch.inference_mode()
def _steps(
    verifier: _Verifier,
    draft: Draft,
    prompt: list[int],
    n_drafted: int,
    end_id: int | None,
    is_finished: Callable[[int], bool],
) -> Iterator[list[Draw]]:
    config, context_length = verifier.config, verifier.model.context_length
    ids, start = list(prompt), 0
    n_last = len(prompt) + config.max_new_tokens
    with evaluation_mode(verifier.model):
        verifier.prefix.begin([prompt], config.cache)
        while True:
            if len(ids) - start > context_length:  # the window slides where `decode`'s does
                start = len(ids) - max(1, context_length // 2)
            room = min(n_drafted, n_last - len(ids) - 1, context_length - (len(ids) - start))
            proposal = draft.propose(ids, room) if room > 0 else Proposal([])
            proposal = Proposal(proposal.tokens[: max(0, room)], proposal.probabilities)
            for one in verifier.draws(ids, start, proposal):
                yield [one]
                ids.append(one.token)
                if len(ids) == n_last or (config.stop_at_end and one.token == end_id) or is_finished(0):
                    return
