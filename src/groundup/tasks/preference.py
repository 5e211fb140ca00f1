"""Preference tuning: a model is taught to prefer one reply to another, without leaving what it was (DPO).

Shapes: P pairs, B rows (2 · P: the chosen replies, then the rejected).
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.chat.examples import Pair
from groundup.configs.training import TrainConfig
from groundup.data.length_batches import LengthBatches
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import DESCRIBED_CHARACTERS
from groundup.tasks.reference import PairBatch, lay_out_pairs, measure_reference, reply_logprobs
from groundup.tasks.replies import opening_of, sample_reply
from groundup.tokenization.base import Tokenizer


def reward_margins(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
) -> Tensor:
    """Return by how much the implicit reward of the chosen reply is above the rejected one's, for each pair [P].

    The reward of a reply is beta · (its log-probability - the reference's), up to a constant of its prompt (Rafailov et
    al. 2023, eq. 5).

    Example:
        >>> one, two = torch.tensor([-1.0]), torch.tensor([-2.0])
        >>> reward_margins(one, two, two, two, beta=0.5).item()  # 0.5 · ((-1 + 2) - (-2 + 2))
        0.5
    """
    return beta * ((chosen_logprobs - reference_chosen) - (rejected_logprobs - reference_rejected))


def dpo_loss(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
) -> Tensor:
    """Return -log σ(beta · (log π(c)/π₀(c) - log π(r)/π₀(r))) of each pair [P] (Rafailov et al. 2023, eq. 7).

    Args:
        chosen_logprobs: what the model gives the chosen replies, summed over their tokens, in nats [P].
        rejected_logprobs: the rejected ones [P].
        reference_chosen: what the reference gives the chosen ones [P].
        reference_rejected: the rejected ones [P].
        beta: how dear it is to leave the reference.

    Example:
        >>> same = torch.tensor([-3.0])
        >>> dpo_loss(same, same, same, same, beta=0.1).item() == torch.tensor(2.0).log().item()  # nothing learned yet
        True
    """
    return -F.logsigmoid(
        reward_margins(chosen_logprobs, rejected_logprobs, reference_chosen, reference_rejected, beta=beta)
    )


class PreferenceTuning:
    """Learn to prefer chosen replies to rejected ones.

    The reference is the model itself before it is tuned. What it gives the replies is measured here, once, so no second
    model is kept: of the training pairs those that the run will come to.

    Args:
        train: pairs to learn from.
        validation: pairs to measure on.
        reference: the model as it is before anything was changed in it; used here only.
        tokenizer: what spells the tokens.
        training: pairs of a step, seed, and what to evaluate.
        beta: how dear it is to leave the reference.
        folder: where to keep what was measured, so that a run that goes on need not measure it again. None: nowhere.
        device: where to measure the reference. None: where it is.

    Raises:
        InputError: a side without pairs, a pair that is longer than the model's context, or what `measure_reference`
            refuses.
    """

    def __init__(
        self,
        *,
        train: Sequence[Pair],
        validation: Sequence[Pair],
        reference: GPT,
        tokenizer: Tokenizer,
        training: TrainConfig,
        beta: float,
        folder: Path | None = None,
        device: torch.device | None = None,
    ) -> None:
        if not train or not validation:
            raise InputError("expected pairs to learn from and pairs to measure on, found none of one: give more")
        self._train, self._tokenizer, self._training, self._beta = train, tokenizer, training, beta
        self._pad_id = tokenizer.end_id or 0
        self._opening = opening_of(validation[0].chosen)
        lengths = [max(one.chosen.n_inputs, one.rejected.n_inputs) for one in train]
        self._dealt = LengthBatches(lengths, training.sequences_per_step, training.seed)
        n_learned = n_measured = 0
        while n_measured < len(validation) and n_learned < training.evaluation.max_tokens:
            n_learned += sum(int(example.is_learned[1:].sum()) for example in validation[n_measured])
            n_measured += 1
        seen: set[int] = set()
        for step in range(training.steps):
            if len(seen) == len(train):
                break
            seen.update(self._dealt.batch(step).tolist())
        size = training.batch_size

        def measured(pairs: Sequence[Pair], wanted: Iterable[int], side: str) -> Tensor:
            file = None if folder is None else folder / f"reference-{side}.json"
            return measure_reference(
                reference, pairs, wanted=wanted, pad_id=self._pad_id, batch_size=size, file=file, device=device
            )

        self._reference = measured(train, seen, "train")  # [P, 2]
        held_out = measured(validation, range(n_measured), "validation")
        self._validation = [
            lay_out_pairs(validation[first:end], held_out[first:end], self._pad_id)
            for first in range(0, n_measured, size)
            for end in [min(first + size, n_measured)]
        ]

    @property
    def floor(self) -> None:
        """Replies can be told apart without end: the loss falls towards 0."""
        return None

    def train_batch(self, step: int) -> list[PairBatch]:
        """Return the micro-batches of one step: its global batch of pairs, cut into accumulation_steps parts."""
        chosen, size = self._dealt.batch(step), self._training.batch_size
        parts = [chosen[k : k + size] for k in range(0, len(chosen), size)]
        return [lay_out_pairs([self._train[i] for i in part], self._reference[part], self._pad_id) for part in parts]

    def n_targets(self, batch: PairBatch) -> int:
        """Return P."""
        return len(batch.inputs) // 2

    def n_tokens(self, batch: PairBatch) -> int:
        """Return the tokens that are read, padding left out."""
        return batch.n_read

    def loss(self, model: GPT, batch: PairBatch) -> Tensor:
        """Return the loss summed over pairs; see `dpo_loss`."""
        return dpo_loss(*self._logprobs(model, batch), beta=self._beta).sum()

    @torch.no_grad()
    def evaluate(self, model: GPT) -> dict[str, float]:
        """Return "loss", "accuracy" (share of pairs whose chosen reply has the larger reward) and mean "margin"."""
        was_training = model.training
        model.eval()
        try:
            found = [reward_margins(*self._logprobs(model, batch), beta=self._beta) for batch in self._validation]
        finally:
            model.train(was_training)
        margins = torch.cat(found).cpu().double()  # [P]
        return {
            "loss": -F.logsigmoid(margins).mean().item(),
            "accuracy": (margins > 0).double().mean().item(),
            "margin": margins.mean().item(),
        }

    def sample(self, model: GPT, step: int) -> str:
        """Return a reply to the first validation prompt, drawn from the model; the same draw at each step."""
        n_tokens, seed = self._training.evaluation.sample_tokens, self._training.seed
        return sample_reply(model, self._tokenizer, self._opening, n_tokens=n_tokens, seed=seed) if n_tokens else ""

    def describe(self, batch: PairBatch) -> str:
        """Return the text of each chosen and each rejected reply behind its prompt, a line each: quoted as in JSON."""
        P = self.n_targets(batch)
        texts = [json.dumps(self._tokenizer.decode(ids), ensure_ascii=False) for ids in batch.inputs.tolist()]
        names = [f"{kind} {p + 1}" for kind in ("chosen", "rejected") for p in range(P)]
        return "\n".join(f"{name}  {text[:DESCRIBED_CHARACTERS]}" for name, text in zip(names, texts, strict=True))

    def _logprobs(self, model: GPT, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the model gives chosen and rejected replies, and what the reference gave them, [P] each."""
        chosen, rejected = reply_logprobs(model, batch).chunk(2)
        reference_chosen, reference_rejected = batch.reference.to(chosen.device, non_blocking=True).chunk(2)
        return chosen, rejected, reference_chosen, reference_rejected
