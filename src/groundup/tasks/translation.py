"""Translation: teacher forcing on padded pairs, smoothed cross-entropy; validation by loss and by what is written.

Shapes: B pairs, S source positions, T target positions, N target tokens of all pairs, D width, V target vocabulary.
"""

import json
import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.generation import GenerationConfig
from groundup.configs.training import TrainConfig
from groundup.data.encoded_pairs import EncodedPairs, encode_pairs
from groundup.data.pairs import Pairs
from groundup.data.token_batches import TokenBatches
from groundup.errors import InputError
from groundup.evaluation.bleu import Bleu
from groundup.generation.reading import evaluation_mode
from groundup.generation.translate import Translator, translate
from groundup.layers.chunked_cross_entropy import chunked_cross_entropy
from groundup.models.seq2seq import Seq2Seq
from groundup.tasks.language_modeling import LOGITS_IN_A_STEP
from groundup.tasks.translation_batch import TranslationBatch, lay_out_pairs

EPOCHS_IN_A_STEP = 1_000
"""Most times that one step may see each pair: a larger batch is a slip, and dealing it would take for ever."""
TOKENS_AT_ONCE = 4_096
"""Tokens of both sides that are read in one pass outside training, padding included."""
SHOWN_PAIRS, SHOWN_CHARACTERS, DESCRIBED_CHARACTERS = 6, 200, 2_000
"""How many pairs `sample` shows, and how much of a text it and `describe` spell out."""
TOKENS_BEYOND = 8
"""What evaluation writes of a translation: as many tokens as the longest reference has, and these."""


class Translation:
    r"""Learn to write the target of each source.

    The loss of a token is F.cross_entropy's with its `label_smoothing`, summed over the tokens of all targets, their
    end tokens too.

    Args:
        train: pairs to learn from.
        validation: pairs to measure on.
        translator: the model that learns, and what spells its two languages.
        max_tokens: a pair with a longer side is left out, and counted.
        batch_tokens: most tokens of a step, padding included. None: training.sequences_per_step pairs.
        label_smoothing: part of each target that is spread over all tokens.
        decoded_pairs: validation pairs that `evaluate` translates greedily.
        training: batch sizes, seed, and what to evaluate.

    Raises:
        InputError: no pair that is short enough to learn from or to measure on, or far too many in one step.

    Example:
        >>> from groundup.configs.seq2seq import Seq2SeqConfig
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> spells = ByteBPE(merges=[], special_tokens=["<|endoftext|>"])
        >>> sizes = dict(source_vocab_size=257, target_vocab_size=257, d_model=16, n_heads=2, context_length=8)
        >>> model = Seq2Seq(Seq2SeqConfig(**sizes, n_encoder_layers=1, n_decoder_layers=1))
        >>> pairs = Pairs(source=("ab", "cde", "much too long"), target=("ba", "edc", "gnol oot hcum"))
        >>> task = Translation(
        ...     train=pairs, validation=pairs, max_tokens=8, training=TrainConfig(batch_size=2),
        ...     translator=Translator(model=model, source_tokenizer=spells, target_tokenizer=spells),
        ... )
        >>> [batch.inputs.shape for batch in task.train_batch(0)], task.train.n_too_long
        ([torch.Size([2, 4])], 1)
    """

    def __init__(
        self,
        *,
        train: Pairs,
        validation: Pairs,
        translator: Translator,
        max_tokens: int,
        batch_tokens: int | None = None,
        label_smoothing: float = 0.0,
        decoded_pairs: int = 0,
        training: TrainConfig,
    ) -> None:
        self.train, self.validation = (
            encode_pairs(pairs, translator.encode_source, translator.encode_target, max_tokens=max_tokens)
            for pairs in (train, validation)
        )
        for side, what in ((self.train, "to learn from"), (self.validation, "to measure on")):
            if not side.source:
                raise InputError(
                    f"expected pairs {what} of at most {max_tokens} tokens on a side, found {side.n_too_long:,} longer "
                    "ones: raise max_tokens and the model's context_length"
                )
        n_pairs = len(self.train.source)
        if training.sequences_per_step > (most := EPOCHS_IN_A_STEP * n_pairs):
            raise InputError(
                f"expected batch_size * accumulation_steps to be at most {most:,}, which is {EPOCHS_IN_A_STEP:,} times "
                f"the pairs, found {training.sequences_per_step:,}: lower them"
            )
        self.batches = TokenBatches(
            self.train.lengths, most_pairs=training.sequences_per_step, budget=batch_tokens, seed=training.seed
        )
        self._translator, self._training, self._smoothing = translator, training, label_smoothing
        self._measured = _fitting(self.validation, training.evaluation.max_tokens)
        self._decoded = Pairs(source=validation.source[:decoded_pairs], target=validation.target[:decoded_pairs])

    @property
    def floor(self) -> None:
        """None: how many translations a text has is not known."""
        return None

    def train_batch(self, step: int) -> list[TranslationBatch]:
        """Return the micro-batches of one step: pairs of similar length, cut into accumulation_steps parts.

        What a step learns from does not depend on how it is cut. A batch of fewer pairs than parts has fewer parts.
        """
        pairs = self.batches.batch(step)
        parts = np.array_split(pairs, min(len(pairs), self._training.accumulation_steps))
        return [lay_out_pairs(self.train, part, self._translator.begin_id) for part in parts]

    def n_targets(self, batch: TranslationBatch) -> int:
        """Return N."""
        return len(batch.targets)

    def n_tokens(self, batch: TranslationBatch) -> int:
        """Return how many tokens both sides have, padding left out."""
        return batch.n_read

    def loss(self, model: Seq2Seq, batch: TranslationBatch) -> Tensor:
        """Return the smoothed cross-entropy summed over all target tokens, in nats, in float32 or better."""
        hidden = predicted_from(model, batch)  # [N, D]
        targets = batch.targets.to(model.device, non_blocking=True)
        if targets.numel() * model.target_vocab_size > LOGITS_IN_A_STEP and model.output_bias is None:
            total: Tensor = chunked_cross_entropy(hidden, model.output_weight, targets, label_smoothing=self._smoothing)
            return total
        logits = precise(model.project(hidden))  # [N, V]
        return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=self._smoothing)

    def evaluate(self, model: Seq2Seq) -> dict[str, float]:
        """Return "loss" (nats per target token, not smoothed), "token_accuracy", and figures of translated pairs.

        Those are "exact_match", the part that comes out letter for letter, and where targets have words "bleu".
        """
        figures = measure_pairs(model, self._measured, self._translator.begin_id)
        if not self._decoded.source or not math.isfinite(figures["loss"]):
            return figures
        said = self._translate(model, self._decoded)
        same = [one == other for one, other in zip(said, self._decoded.target, strict=True)]
        figures["exact_match"] = sum(same) / len(same)
        if any(" " in text for text in self._decoded.target):
            figures["bleu"] = Bleu().corpus(said, [self._decoded.target]).score
        return figures

    def sample(self, model: Seq2Seq, step: int) -> str:
        """Return a few validation pairs with what the model writes, one below the other."""
        if self._training.evaluation.sample_tokens == 0:
            return ""
        source, target = self.validation.pairs.source[:SHOWN_PAIRS], self.validation.pairs.target[:SHOWN_PAIRS]
        rows = zip(source, target, self._translate(model, Pairs(source=source, target=target)), strict=True)
        return "\n\n".join(
            f"source  {_short(text)}\ntarget  {_short(wanted)}\n"
            f"{'right' if said == wanted else 'said '}   {_short(said)}"
            for text, wanted, said in rows
        )

    def describe(self, batch: TranslationBatch) -> str:
        """Return source and target of each row, a line each: quoted as in JSON."""
        width, pairs = len(str(len(batch.pairs))), self.train.pairs
        return "\n".join(
            f"row {i:>{width}}  {_quoted(pairs.source[pair])} -> {_quoted(pairs.target[pair])}"
            for i, pair in enumerate(batch.pairs.tolist(), 1)
        )

    def _translate(self, model: Seq2Seq, pairs: Pairs) -> tuple[str, ...]:
        """Return what a model writes about the sources, greedily."""
        longest = max(len(self._translator.encode_target(text)) for text in pairs.target)
        config = GenerationConfig(strategy="greedy", max_new_tokens=longest + TOKENS_BEYOND)
        return translate(replace(self._translator, model=model), pairs.source, config).texts


def predicted_from(model: Seq2Seq, batch: TranslationBatch) -> Tensor:
    """Return the hidden states that the target tokens of a batch are predicted from: [N, D]."""
    device = model.device
    mask = None if batch.source_is_token is None else batch.source_is_token.to(device, non_blocking=True)
    encoded = model.encode(batch.source.to(device, non_blocking=True), mask)
    hidden = model.hidden_states(encoded, batch.inputs.to(device, non_blocking=True)).flatten(0, 1)  # [B * T, D]
    return hidden.index_select(0, batch.places.to(device, non_blocking=True))


def measure_pairs(model: Seq2Seq, pairs: EncodedPairs, begin_id: int) -> dict[str, float]:
    """Return the mean cross-entropy of all target tokens in nats, and the part of them that is the likeliest."""
    batches = TokenBatches(pairs.lengths, most_pairs=len(pairs.source), budget=TOKENS_AT_ONCE, seed=0)
    total, n_right, n = 0.0, 0, 0
    with evaluation_mode(model), torch.inference_mode():
        for i in range(batches.n_batches(0)):
            batch = lay_out_pairs(pairs, batches.batch(i), begin_id)
            logits = precise(model.project(predicted_from(model, batch)))  # [N, V]
            targets = batch.targets.to(model.device)
            total += F.cross_entropy(logits.double(), targets, reduction="sum").item()
            n_right += int((logits.argmax(dim=1) == targets).sum())
            n += len(targets)
    return {"loss": total / n, "token_accuracy": n_right / n}


def precise(logits: Tensor) -> Tensor:
    """Return logits in float32 or better."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _fitting(encoded: EncodedPairs, max_tokens: int) -> EncodedPairs:
    """Return the first pairs whose targets have at most `max_tokens` tokens together, at least one."""
    targets: npt.NDArray[np.int64] = encoded.lengths[:, 1].cumsum()
    n = max(1, int(np.searchsorted(targets, max_tokens, side="right")))
    pairs = Pairs(source=encoded.pairs.source[:n], target=encoded.pairs.target[:n])
    return EncodedPairs(
        source=encoded.source[:n], target=encoded.target[:n], pairs=pairs, n_too_long=encoded.n_too_long
    )


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _quoted(text: str) -> str:
    return json.dumps(text[:DESCRIBED_CHARACTERS], ensure_ascii=False)
