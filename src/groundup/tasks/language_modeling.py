"""Next-token prediction: batches of windows, their cross-entropy, validation in bits per byte, samples.

Shapes: B batch, T positions, V vocabulary.
"""

import json
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.generation import GenerationConfig
from groundup.configs.training import TrainConfig
from groundup.data.tokens import TokenFile
from groundup.data.windows import Windows
from groundup.errors import InputError
from groundup.evaluation.perplexity import byte_lengths_of, count_bytes, evaluate_tokens
from groundup.generation import decode, opening
from groundup.layers.chunked_cross_entropy import chunked_cross_entropy
from groundup.layers.masks import document_mask
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer

LOGITS_IN_A_STEP = 1 << 23
"""Above this many logits (32 MB in float32) a micro-batch's loss is computed by blocks: smaller, and on one thread 1.4
to 2.1 times as fast. Below, where memory matters little, the whole stays one F.linear and one F.cross_entropy, which
oneDNN or torch.compile may take over; for characters (0.2 MB) that is also the faster, by a fourth."""
LOGITS_AT_ONCE = 1 << 25
"""Numbers that evaluation may hold as logits: 128 MB in float32."""
EPOCHS_IN_A_STEP = 1_000
"""Most times that one step may see the whole text: a larger batch is a slip, and dealing it would take for ever."""
DESCRIBED_ROWS, DESCRIBED_CHARACTERS = 64, 4_000
"""How much of a micro-batch `describe` spells out: all of it at the usual sizes."""


@dataclass(frozen=True)
class TokenBatch:
    """Windows of a text, and the same windows one token further."""

    inputs: Tensor
    """Tokens, int64 [B, T]."""
    targets: Tensor
    """The token that follows each input, int64 [B, T]."""


class LanguageModeling:
    """Learn to predict the next token of a text.

    Args:
        train: tokens to learn from.
        validation: tokens to measure on.
        tokenizer: what made them; for bytes, prompts and samples.
        context_length: T, tokens that the model reads at once.
        training: batch sizes, seed, and what to evaluate.
        floor: entropy of the text in bits per byte, where it is known.
        end_id: the token before each document, across which nothing is attended to. None: one text.

    Raises:
        InputError: too few tokens for one window, far too many windows for one step, or a sample prompt that the
            tokenizer cannot spell.
    """

    def __init__(
        self,
        *,
        train: TokenFile,
        validation: TokenFile,
        tokenizer: Tokenizer,
        context_length: int,
        training: TrainConfig,
        floor: float | None = None,
        end_id: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.windows = Windows(train.ids, context_length, training.seed)
        if training.sequences_per_step > (most := EPOCHS_IN_A_STEP * self.windows.n_windows):
            raise InputError(
                f"expected batch_size * accumulation_steps to be at most {most:,}, which is {EPOCHS_IN_A_STEP:,} times "
                f"the text, found {training.sequences_per_step:,}: lower them"
            )
        if len(validation.ids) < 2:
            raise InputError(
                f"expected at least 2 validation tokens, found {len(validation.ids)}: "
                "take a longer text or a larger validation_fraction"
            )
        self._validation = validation.ids[: training.evaluation.max_tokens + 1]
        self._training, self._end_id = training, end_id
        self._byte_lengths = byte_lengths_of(tokenizer)
        prompt = training.evaluation.sample_prompt
        self._prompt = tokenizer.encode(prompt) if prompt else opening(tokenizer, int(train.ids[0]))
        if len(self._prompt) > context_length:
            raise InputError(
                f"expected a sample_prompt of at most {context_length} tokens (context_length), "
                f"found {len(self._prompt)}: shorten it"
            )
        self._floor = None if floor is None else self._nats_per_token(floor)

    @property
    def floor(self) -> float | None:
        """The entropy of the text, in nats per validation token."""
        return self._floor

    def train_batch(self, step: int) -> list[TokenBatch]:
        """Return the micro-batches of one step: its global batch, cut into accumulation_steps parts.

        What a step learns from depends on batch_size * accumulation_steps only, not on how it is cut.
        """
        inputs, targets = self.windows.batch(step, self._training.sequences_per_step)
        parts = self._training.accumulation_steps
        pairs = zip(torch.from_numpy(inputs).chunk(parts), torch.from_numpy(targets).chunk(parts), strict=True)
        return [TokenBatch(x, y) for x, y in pairs]

    def n_targets(self, batch: TokenBatch) -> int:
        """Return B * T."""
        return batch.targets.numel()

    def n_tokens(self, batch: TokenBatch) -> int:
        """Return B * T."""
        return batch.inputs.numel()

    def loss(self, model: GPT, batch: TokenBatch) -> Tensor:
        """Return the cross-entropy summed over all targets, in nats, computed in float32 or better."""
        device = model.device
        inputs = batch.inputs.to(device, non_blocking=True)
        mask = None if self._end_id is None else document_mask(inputs, self._end_id)
        targets = batch.targets.to(device, non_blocking=True).flatten()  # [B * T]
        if targets.numel() * model.vocab_size > LOGITS_IN_A_STEP:
            hidden = model.hidden_states(inputs, mask=mask).flatten(0, 1)  # [B * T, D]
            total: Tensor = chunked_cross_entropy(hidden, model.output_weight, targets)
            return total
        logits = model(inputs, mask=mask).flatten(0, 1)  # [B * T, V]
        return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), targets, reduction="sum")

    def evaluate(self, model: GPT) -> dict[str, float]:
        """Return "loss" (nats per token), "perplexity" and "bits_per_byte" on the first validation tokens."""
        context_length = self.windows.context_length
        logits_per_window = context_length * model.vocab_size
        found = evaluate_tokens(
            model,
            self._validation,
            context_length=context_length,
            byte_lengths=self._byte_lengths,
            batch_size=max(1, min(64, LOGITS_AT_ONCE // logits_per_window)),
            end_id=self._end_id,
        )
        return {"loss": found.loss, "perplexity": found.perplexity, "bits_per_byte": found.bits_per_byte}

    def sample(self, model: GPT, step: int) -> str:
        """Return text drawn from the model, its prompt included; the same draw at each step, so changes are learned."""
        n_tokens = self._training.evaluation.sample_tokens
        if n_tokens == 0:
            return ""
        config = GenerationConfig(max_new_tokens=n_tokens, seed=self._training.seed)
        end_id = self.tokenizer.end_id
        # A model may have more ids than the tokenizer (a padded vocabulary): those spell nothing and are not drawn.
        n_ids = self.tokenizer.vocab_size
        steps = decode(model, [self._prompt], config, end_id=end_id, vocab_size=n_ids)
        drawn = [one.token for step in steps for one in step]
        return self.tokenizer.decode([token for token in [*self._prompt, *drawn] if token != end_id])

    def describe(self, batch: TokenBatch) -> str:
        """Return the text of each window, its last target included, a line each: quoted as in JSON."""
        n_rows = len(batch.inputs)
        windows = torch.cat([batch.inputs, batch.targets[:, -1:]], dim=1)[:DESCRIBED_ROWS].tolist()  # [B, T + 1]
        texts = [json.dumps(self.tokenizer.decode(ids), ensure_ascii=False) for ids in windows]
        width = len(str(len(texts)))
        lines = [f"row {i:>{width}}  {text[:DESCRIBED_CHARACTERS]}" for i, text in enumerate(texts, 1)]
        return "\n".join([*lines, *([f"… {n_rows - len(lines)} more rows"] if n_rows > len(lines) else [])])

    def _nats_per_token(self, bits_per_byte: float) -> float:
        targets = self._validation[1:]
        return bits_per_byte * math.log(2) * count_bytes(targets, self._byte_lengths) / len(targets)
