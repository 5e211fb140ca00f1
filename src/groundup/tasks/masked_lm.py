"""Masked language modelling: batches of texts with hidden tokens, their cross-entropy, validation by accuracy.

Shapes: B texts of a batch, T tokens, D width, V vocabulary, N hidden tokens of a batch.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.masked import MaskingConfig
from groundup.configs.training import TrainConfig
from groundup.data.document_rows import document_rows
from groundup.data.length_batches import LengthBatches
from groundup.data.padding import pad_rows
from groundup.data.permutation import derive_key
from groundup.data.token_masking import Hidden, Ids, hide_tokens
from groundup.data.tokens import TokenFile
from groundup.errors import InputError
from groundup.evaluation.masked_prediction import HiddenTexts, hide_for_measuring, predict_hidden, score_hidden
from groundup.layers.chunked_cross_entropy import chunked_cross_entropy
from groundup.models.encoder import Encoder
from groundup.tasks.language_modeling import DESCRIBED_CHARACTERS, EPOCHS_IN_A_STEP, LOGITS_IN_A_STEP
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.mask_token import mask_id
from groundup.tokenization.word_numbers import word_numbers

SAMPLED_TEXTS = 3
"""Validation texts that `sample` shows, with what would be filled in."""


@dataclass(frozen=True)
class MaskedBatch:
    """Texts with hidden tokens, padded on the right."""

    tokens: Tensor
    """What is seen: ids, int64 [B, T]."""
    is_token: Tensor
    """Which of them are real, bool [B, T]."""
    places: Tensor
    """Where the hidden tokens are, counted through all of [B · T]: int64 [N]."""
    targets: Tensor
    """What they are, int64 [N]."""


class MaskedLM:
    """Learn to predict hidden tokens from all others (Devlin et al. 2018, section 3.1).

    A text is a document, or a piece of one that is too long; in front of each stands the end-of-text token, if there is
    one, and is never hidden. Texts of similar length share a batch. Which tokens are hidden, and what stands for them,
    is a pure function of seed and step, drawn for the whole step: what it learns from does not depend on how it is cut,
    and a text that comes again has others hidden.

    Args:
        train: tokens to learn from.
        validation: tokens to measure on.
        tokenizer: what made them; it has [MASK].
        context_length: longest text, the token before it included.
        masking: how many are hidden, and what stands for them.
        training: batch sizes, seed, and what to evaluate.
        end_id: the token between documents. None: one text.

    Raises:
        InputError: a tokenizer without [MASK], nothing to learn from or to measure on, or far too many texts in a step.
    """

    def __init__(
        self,
        *,
        train: TokenFile,
        validation: TokenFile,
        tokenizer: Tokenizer,
        context_length: int,
        masking: MaskingConfig,
        training: TrainConfig,
        end_id: int | None = None,
    ) -> None:
        self.tokenizer, self._masking, self._training = tokenizer, masking, training
        self._mask_id = mask_id(tokenizer)
        self.opening = () if tokenizer.end_id is None else (tokenizer.end_id,)
        if (longest := context_length - len(self.opening)) < 1:
            raise InputError(f"EncoderConfig.context_length must be at least 2, found {context_length}")
        self._ids = train.ids
        self._rows = document_rows(train.ids, end_id, longest)
        n_texts = len(self._rows)
        if training.sequences_per_step > (most := EPOCHS_IN_A_STEP * n_texts):
            raise InputError(
                f"expected batch_size * accumulation_steps to be at most {most:,}, which is {EPOCHS_IN_A_STEP:,} times "
                f"the texts, found {training.sequences_per_step:,}: lower them"
            )
        self.batches = LengthBatches(self._rows[:, 1] - self._rows[:, 0], training.sequences_per_step, training.seed)
        special = list(tokenizer.special_tokens.values())
        self._ordinary = np.setdiff1d(np.arange(tokenizer.vocab_size), special)
        held_out = _first(
            validation.ids, document_rows(validation.ids, end_id, longest), training.evaluation.max_tokens
        )
        self.measured: HiddenTexts = hide_for_measuring(held_out, tokenizer, masking, self.opening)
        self.floor: float | None = None
        """The lowest loss possible, where somebody knows it and says so."""

    @property
    def n_texts(self) -> int:
        """How many texts there are to learn from."""
        return len(self._rows)

    def train_batch(self, step: int) -> list[MaskedBatch]:
        """Return the micro-batches of one step: texts of similar length, cut into accumulation_steps parts."""
        texts = [np.asarray(self._ids[begin:end], np.int64) for begin, end in self._rows[self.batches.batch(step)]]
        hidden = self._hide(texts, step)
        parts = np.array_split(np.arange(len(texts)), self._training.accumulation_steps)
        ends = np.cumsum([len(text) for text in texts])[:-1]
        seen, chosen = np.split(hidden.seen, ends), np.split(hidden.is_chosen, ends)
        return [self._batch([(texts[i], seen[i], chosen[i]) for i in part]) for part in parts]

    def n_targets(self, batch: MaskedBatch) -> int:
        """Return N."""
        return len(batch.targets)

    def n_tokens(self, batch: MaskedBatch) -> int:
        """Return how many tokens the texts have, padding left out."""
        return int(batch.is_token.sum())

    def loss(self, model: Encoder, batch: MaskedBatch) -> Tensor:
        """Return the cross-entropy summed over the hidden tokens, in nats, without the logits of any other place.

        Above LOGITS_IN_A_STEP logits it is computed by blocks and never holds all of them.
        """
        tokens, is_token, places, targets = (
            one.to(model.device, non_blocking=True)
            for one in (batch.tokens, batch.is_token, batch.places, batch.targets)
        )
        hidden = model.hidden_states(tokens, is_token=is_token).flatten(0, 1)[places]  # [N, D]
        if targets.numel() * model.vocab_size > LOGITS_IN_A_STEP:
            x = model.transform(hidden)
            # The bias as one more column of the matrix, for an input that is always 1.
            ones, bias = x.new_ones(len(x), 1), model.output_bias[:, None].to(model.output_weight.dtype)
            weight = torch.cat([model.output_weight, bias], dim=1)
            total: Tensor = chunked_cross_entropy(torch.cat([x, ones], dim=1), weight, targets)
            return total
        logits = model.project(hidden)  # [N, V]
        return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), targets, reduction="sum")

    def evaluate(self, model: Encoder) -> dict[str, float]:
        """Return "loss" (nats per hidden token) and "accuracy" on the first validation texts.

        All hidden tokens are behind [MASK], the same ones each time, whatever stands for them in training.
        """
        found = score_hidden(model, self.measured)
        return {"loss": found.loss, "accuracy": found.accuracy}

    def sample(self, model: Encoder, step: int) -> str:
        """Return a few validation texts with what would be filled in: [right], or [wrong, not right]."""
        if self._training.evaluation.sample_tokens == 0:
            return ""
        shown = self.measured
        shown = HiddenTexts(shown.texts[:SAMPLED_TEXTS], shown.is_hidden[:SAMPLED_TEXTS], shown.mask_id)
        texts = {}
        for which, logits, _ in predict_hidden(model, shown):
            said = iter(logits.argmax(-1).tolist())
            for i in which:
                texts[i] = self._spelled(shown.texts[i], shown.is_hidden[i], said)
        return "\n\n".join(texts[i] for i in sorted(texts))

    def describe(self, batch: MaskedBatch) -> str:
        """Return the text of each row as the model sees it, a line each: quoted as in JSON."""
        rows = [row[real].tolist() for row, real in zip(batch.tokens, batch.is_token, strict=True)]
        width = len(str(len(rows)))
        texts = (json.dumps(self.tokenizer.decode(row), ensure_ascii=False)[:DESCRIBED_CHARACTERS] for row in rows)
        return "\n".join(f"row {i:>{width}}  {text}" for i, text in enumerate(texts, 1))

    def _hide(self, texts: Sequence[Ids], step: int) -> Hidden:
        words = None
        if self._masking.whole_words:
            words = [word_numbers(self.tokenizer, text.tolist()) for text in texts]
        key = derive_key(self._training.seed, step)
        return hide_tokens(texts, self._masking, key=key, mask_id=self._mask_id, ordinary=self._ordinary, words=words)

    def _batch(self, rows: Sequence[tuple[Ids, Ids, npt.NDArray[np.bool_]]]) -> MaskedBatch:
        tokens, is_token = pad_rows([[*self.opening, *seen.tolist()] for _, seen, _ in rows], self._mask_id)
        before = [False] * len(self.opening)
        is_chosen, _ = pad_rows([[*before, *chosen.tolist()] for _, _, chosen in rows], 0)
        targets = np.concatenate([text[chosen] for text, _, chosen in rows])
        places = np.flatnonzero(is_chosen)
        return MaskedBatch(*map(torch.from_numpy, (tokens, is_token, places, targets)))

    def _spelled(self, text: Ids, is_hidden: npt.NDArray[np.bool_], said: Iterator[int]) -> str:
        """Return a text in which what is said for each hidden token stands in brackets."""
        parts, open_ids = [], []
        pairs = list(zip(text.tolist(), is_hidden.tolist(), strict=True))[len(self.opening) :]
        for token, hidden in pairs:
            if not hidden:
                open_ids.append(token)
                continue
            parts.append(self.tokenizer.decode(open_ids))
            open_ids, (guess, true) = [], (self.tokenizer.decode([one]) for one in (next(said), token))
            space = " " if true.startswith(" ") else ""
            wrong = "" if guess == true else f", not {true.strip()}"
            parts.append(f"{space}[{guess.strip()}{wrong}]")
        return "".join([*parts, self.tokenizer.decode(open_ids)])


def _first(ids: Ids, rows: npt.NDArray[np.int64], max_tokens: int) -> list[Ids]:
    """Return the first texts, as many as `max_tokens` hold, and at least one."""
    lengths = rows[:, 1] - rows[:, 0]
    n = max(1, int(np.searchsorted(lengths.cumsum(), max_tokens, side="right")))
    return [np.asarray(ids[begin:end], np.int64) for begin, end in rows[:n]]
