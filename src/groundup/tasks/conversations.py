"""Instruction tuning: the assistant's replies are learned, what others say is only read; conversations share rows.

Shapes: B rows, T positions, N learned positions of all rows, D width.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.configs.training import TrainConfig
from groundup.data.length_batches import LengthBatches
from groundup.data.packing import Example, lay_out, pack
from groundup.errors import InputError
from groundup.evaluation.perplexity import Perplexity
from groundup.layers.masks import segment_mask
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import DESCRIBED_CHARACTERS, DESCRIBED_ROWS
from groundup.tasks.replies import opening_of, sample_reply
from groundup.tasks.token_losses import summed_loss
from groundup.tokenization.base import Tokenizer


@dataclass(frozen=True)
class ReplyBatch:
    """Rows of conversations, and what is to be predicted in them."""

    inputs: Tensor
    """Tokens, int64 [B, T]."""
    segments: Tensor | None
    """Which conversation of its row a position belongs to [B, T]; 0 is padding. None: one a row, from its start."""
    places: Tensor
    """Positions whose next token is learned, counted through all rows, int64 [N]."""
    targets: Tensor
    """That token, int64 [N]."""
    n_read: int
    """Tokens of conversations; the rest is padding."""


class ConversationTuning:
    """Learn to reply as in given conversations.

    Several conversations share a row; none sees another, so what is learned is what each would teach alone. Only the
    positions before learned tokens go through the output matrix, which in a small model with a large vocabulary is
    most of the work.

    Args:
        train: conversations to learn from.
        validation: conversations to measure on.
        tokenizer: what spells their tokens.
        context_length: T, positions of a row; a longer conversation is cut.
        training: rows of a step, seed, and what to evaluate.
        packed: let conversations share rows. That moves them to later positions, which changes nothing for rotary
            positions, whose attention sees distances alone; with other positions, or virtual tokens before the text,
            it would: then each has a row of its own.
        opening: ids to which samples reply. None: those before the first reply of the first validation conversation.

    Raises:
        InputError: a side without anything to learn within `context_length`.
    """

    def __init__(
        self,
        *,
        train: Sequence[Example],
        validation: Sequence[Example],
        tokenizer: Tokenizer,
        context_length: int,
        training: TrainConfig,
        packed: bool,
        opening: Sequence[int] | None = None,
    ) -> None:
        self._tokenizer, self._training, self._packed = tokenizer, training, packed
        self._pad_id = tokenizer.end_id or 0
        self.rows = self._rows(_cut(train, context_length, "training"), context_length)
        """Conversations to learn from, as they share rows."""
        held_out = _cut(validation, context_length, "validation")
        n_learned, few = 0, []
        for example in held_out:
            if n_learned >= training.evaluation.max_tokens:
                break
            few.append(example)
            n_learned += int(example.is_learned[1:].sum())
        rows = self._rows(few, context_length)
        size = training.batch_size
        self._validation = [self._batch(rows[first : first + size]) for first in range(0, len(rows), size)]
        self._opening = opening_of(held_out[0]) if opening is None else list(opening)
        lengths = [sum(example.n_inputs for example in row) for row in self.rows]
        self._dealt = LengthBatches(lengths, training.sequences_per_step, training.seed)

    @property
    def floor(self) -> None:
        """Nobody knows how well replies can be predicted."""
        return None

    def train_batch(self, step: int) -> list[ReplyBatch]:
        """Return the micro-batches of one step: its global batch of rows, cut into accumulation_steps parts."""
        chosen, size = self._dealt.batch(step), self._training.batch_size
        return [self._batch([self.rows[i] for i in chosen[k : k + size]]) for k in range(0, len(chosen), size)]

    def n_targets(self, batch: ReplyBatch) -> int:
        """Return N, the learned tokens."""
        return batch.targets.numel()

    def n_tokens(self, batch: ReplyBatch) -> int:
        """Return the tokens that are read, padding left out."""
        return batch.n_read

    def loss(self, model: GPT, batch: ReplyBatch) -> Tensor:
        """Return the cross-entropy summed over the learned tokens, in nats, computed in float32 or better.

        Raises:
            ValueError: rows with several conversations for a model in which their positions matter.
        """
        if batch.segments is not None and (model.rotary is None or model.prefix is not None):
            raise ValueError("expected rotary positions and no virtual tokens for packed rows: pass packed=False")
        device = model.device
        mask = None if batch.segments is None else segment_mask(batch.segments.to(device, non_blocking=True))
        hidden = model.hidden_states(batch.inputs.to(device, non_blocking=True), mask=mask).flatten(0, 1)  # [B · T, D]
        learned = hidden.index_select(0, batch.places.to(device, non_blocking=True))  # [N, D]
        return summed_loss(model, learned, batch.targets.to(device, non_blocking=True))

    @torch.no_grad()
    def evaluate(self, model: GPT) -> dict[str, float]:
        """Return "loss" (nats per token) and "perplexity" of the replies of the first validation conversations."""
        was_training = model.training
        model.eval()
        try:
            sums = [self.loss(model, batch) for batch in self._validation]
        finally:
            model.train(was_training)
        n_tokens = sum(self.n_targets(batch) for batch in self._validation)
        loss = torch.stack(sums).cpu().double().sum().item() / n_tokens
        return {"loss": loss, "perplexity": Perplexity(loss=loss, n_tokens=n_tokens, n_bytes=0).perplexity}

    def sample(self, model: GPT, step: int) -> str:
        """Return a reply drawn from the model behind what it replies to; the same draw at each step."""
        n_tokens, seed = self._training.evaluation.sample_tokens, self._training.seed
        return sample_reply(model, self._tokenizer, self._opening, n_tokens=n_tokens, seed=seed) if n_tokens else ""

    def describe(self, batch: ReplyBatch) -> str:
        """Return the text of each row with how many of its tokens are learned, a line each: quoted as in JSON."""
        B, T = batch.inputs.shape
        n_learned = torch.bincount(batch.places // T, minlength=B).tolist()
        texts = [self._tokenizer.decode(ids) for ids in batch.inputs[:DESCRIBED_ROWS].tolist()]
        lines = [
            f"row {b + 1}  {n_learned[b]} learned  {json.dumps(text, ensure_ascii=False)[:DESCRIBED_CHARACTERS]}"
            for b, text in enumerate(texts)
        ]
        return "\n".join([*lines, *([f"… {B - len(lines)} more rows"] if len(lines) < B else [])])

    def _rows(self, examples: Sequence[Example], context_length: int) -> list[list[Example]]:
        if not self._packed:
            return [[example] for example in examples]
        lengths = [example.n_inputs for example in examples]
        return [[examples[i] for i in row] for row in pack(lengths, context_length)]

    def _batch(self, rows: Sequence[Sequence[Example]]) -> ReplyBatch:
        found = lay_out(rows, self._pad_id)
        is_shared = max(map(len, rows)) > 1
        places = torch.from_numpy(found.is_learned.ravel().nonzero()[0])
        return ReplyBatch(
            inputs=torch.from_numpy(found.inputs),
            segments=torch.from_numpy(found.segments) if is_shared else None,  # padding comes last: causality hides it
            places=places,
            targets=torch.from_numpy(found.targets).flatten()[places],
            n_read=int((found.segments > 0).sum()),
        )


def _cut(examples: Sequence[Example], context_length: int, side: str) -> list[Example]:
    """Return the examples that fit with what is learned in them: the token behind a full row is still predicted."""
    n = context_length + 1
    cut = [Example(one.ids[:n], one.is_learned[:n]) for one in examples if one.is_learned[1:n].any()]
    if not cut:
        raise InputError(
            f"expected {side} conversations with a reply within {context_length:,} tokens (context_length), found "
            "none: raise it, or give shorter conversations"
        )
    return cut
