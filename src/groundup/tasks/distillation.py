"""Distillation: a student learns the next token from the text and from what a teacher thinks of it.

Shapes: B batch, T positions, N = B · T, D width of the student, E width of the teacher, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from groundup.configs.distillation import HiddenMatchConfig, SoftTargetConfig
from groundup.data.teacher_logits import TeacherLogits
from groundup.errors import InputError
from groundup.layers.masks import document_mask
from groundup.layers.soft_cross_entropy import SoftTargets, soft_cross_entropy
from groundup.models.gpt import GPT
from groundup.models.student import Student, block_outputs, matching_block
from groundup.tasks.language_modeling import LOGITS_IN_A_STEP, LanguageModeling, TokenBatch


@dataclass(frozen=True)
class DistillationBatch:
    """Windows of a text, and what the teacher says of each of their tokens."""

    tokens: TokenBatch
    """The windows."""
    soft: SoftTargets | None
    """What the teacher gives the token after each input, N positions in the order of the rows. None: not learned."""


class Distillation:
    """Learn to predict the next token as a teacher does (Hinton, Vinyals and Dean 2015).

    The loss of a position, with w the weight and T the temperature of the soft targets, and v that of hidden states:

        (1 - w) · -log p(token)  +  w · T² · -Σ q_T log p_T  +  v · Σ over matched blocks of |W h - t|² / |t|²

    q_T and p_T are teacher and student at temperature T; a gradient at T is about 1/T² of that at 1, so T² keeps the
    two parts in proportion when T changes (section 2 there). The last part, with t what the teacher's block hands on,
    is that of Romero et al. 2014 and Jiao et al. 2019 but for |t|²: theirs were networks of normalized layers, while
    what blocks of a GPT hand on grows from one to the next, and by position, so v would mean something else for each.
    Soft targets come from disk; only matching hidden states needs the teacher while training.

    What is measured and sampled is the student as a language model: figures stand beside those of any other run.

    Args:
        language: the text to learn, and the text that is measured.
        soft: weight and temperature of soft targets.
        hidden: weight of hidden states; its blocks are the student's.
        said: what the teacher says of the text. None with soft.weight 0.
        teacher: needed to match hidden states, and moved to where the student is. None with hidden.weight 0.
        end_id: the token before each document, across which nothing is attended to. None: one text.

    Raises:
        InputError: hidden states to match in windows that are longer than what the teacher reads.
    """

    def __init__(
        self,
        language: LanguageModeling,
        *,
        soft: SoftTargetConfig,
        hidden: HiddenMatchConfig,
        said: TeacherLogits | None,
        teacher: GPT | None,
        end_id: int | None = None,
    ) -> None:
        if (soft.weight > 0) != (said is not None) or (hidden.weight > 0) != (teacher is not None):
            raise ValueError("soft targets and a teacher must be given where they have a weight, and only there")
        self.language, self._soft, self._hidden, self._end_id = language, soft, hidden, end_id
        self._said, self._teacher = said, teacher
        if teacher is not None and language.windows.context_length > teacher.context_length:
            raise InputError(
                f"expected a student that reads at most {teacher.context_length} tokens, as its teacher, to match "
                f"hidden states, found {language.windows.context_length}: lower GPTConfig.context_length"
            )

    @property
    def floor(self) -> float | None:
        """The entropy of the text, in nats per validation token, where it is known."""
        return self.language.floor

    def train_batch(self, step: int) -> list[DistillationBatch]:
        """Return the micro-batches of one step: the windows that language modelling has, and what is said of them."""
        parts = self.language.train_batch(step)
        if self._said is None:
            return [DistillationBatch(tokens, None) for tokens in parts]
        positions = self.language.windows.positions(step, sum(len(tokens.inputs) for tokens in parts))  # [B, T]
        cuts = np.cumsum([len(tokens.inputs) for tokens in parts])[:-1]
        return [
            DistillationBatch(tokens, _targets(self._said, rows.ravel()))
            for tokens, rows in zip(parts, np.split(positions, cuts), strict=True)
        ]

    def n_targets(self, batch: DistillationBatch) -> int:
        """Return N."""
        return self.language.n_targets(batch.tokens)

    def n_tokens(self, batch: DistillationBatch) -> int:
        """Return N."""
        return self.language.n_tokens(batch.tokens)

    def loss(self, model: Student, batch: DistillationBatch) -> Tensor:
        """Return the loss summed over all targets, in nats, computed in float32 or better.

        Where neither soft targets nor hidden states have a weight it is language modelling's own, bit for bit.
        """
        if batch.soft is None and self._teacher is None:
            return self.language.loss(model.gpt, batch.tokens)
        device = model.gpt.device
        inputs = batch.tokens.inputs.to(device, non_blocking=True)
        mask = None if self._end_id is None else document_mask(inputs, self._end_id)
        targets = batch.tokens.targets.to(device, non_blocking=True).flatten()  # [N]
        soft = None if batch.soft is None else batch.soft.to(device)
        hidden, turned = model(inputs, mask=mask)  # [B, T, D]
        total = self._of_tokens(model.gpt, hidden.flatten(0, 1), targets, soft)
        if self._teacher is not None:
            handed_on = self._handed_on(self._teacher, model, inputs, mask)
            for mine, its in zip(turned, handed_on, strict=True):  # [B, T, E]
                total = total + self._hidden.weight * _relative_errors(mine.float(), its.float()).sum()
        return total

    def evaluate(self, model: Student) -> dict[str, float]:
        """Return "loss" (nats per token), "perplexity" and "bits_per_byte" of the student on the validation text."""
        return self.language.evaluate(model.gpt)

    def sample(self, model: Student, step: int) -> str:
        """Return text that the student writes."""
        return self.language.sample(model.gpt, step)

    def describe(self, batch: DistillationBatch) -> str:
        """Return the text of each window, a line each."""
        return self.language.describe(batch.tokens)

    def _of_tokens(self, gpt: GPT, hidden: Tensor, targets: Tensor, soft: SoftTargets | None) -> Tensor:
        """Return the loss of next tokens, hard and soft; by blocks of rows where their logits are many."""
        N, V = len(targets), gpt.vocab_size
        R = max(1, min(N, LOGITS_IN_A_STEP // V))
        if R == N:
            return self._mixed(gpt.project(hidden), targets, soft)
        total = hidden.new_zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32))
        for start in range(0, N, R):
            rows = slice(start, start + R)
            here = None if soft is None else SoftTargets(soft.ids[rows], soft.logprobs[rows])

            def block(x: Tensor, y: Tensor = targets[rows], here: SoftTargets | None = here) -> Tensor:
                return self._mixed(gpt.project(x), y, here)

            # Its logits are made once more in the backward pass, and are gone in between.
            total = total + checkpoint(block, hidden[rows], use_reentrant=False, preserve_rng_state=False)
        return total

    def _mixed(self, logits: Tensor, targets: Tensor, soft: SoftTargets | None) -> Tensor:
        """Return (1 - w) · hard + w · T² · soft of logits [N, V]."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if soft is None:
            return F.cross_entropy(logits, targets, reduction="sum")
        w, T = self._soft.weight, self._soft.temperature
        total = w * T**2 * soft_cross_entropy(logits, soft, temperature=T)
        return total if w == 1 else total + (1 - w) * F.cross_entropy(logits, targets, reduction="sum")

    def _handed_on(self, teacher: GPT, student: Student, inputs: Tensor, mask: Tensor | None) -> list[Tensor]:
        """Return what the teacher's blocks hand on, those that lie as deep as the student's matched ones."""
        if teacher.device != inputs.device:
            teacher.to(inputs.device)
        depths = (len(student.gpt.blocks), len(teacher.blocks))
        blocks = [matching_block(block, *depths) for block in student.blocks]
        with torch.no_grad(), block_outputs(teacher, sorted(set(blocks))) as found:
            teacher.hidden_states(inputs, mask=mask)
        return [found[block] for block in blocks]


def _relative_errors(mine: Tensor, its: Tensor) -> Tensor:
    """Return |mine - its|² / |its|² of each position: [B, T, E] -> [B, T]. 1 is what nothing at all would have."""
    return (mine - its).square().sum(-1) / its.square().sum(-1).clamp_min(torch.finfo(its.dtype).tiny)


def _targets(said: TeacherLogits, positions: np.ndarray[tuple[int], np.dtype[np.int64]]) -> SoftTargets:
    """Return what the teacher says at positions [N]; rounded numbers are scaled to sum to one again."""
    ids, logprobs = said.at(positions)
    return SoftTargets(torch.from_numpy(ids), torch.from_numpy(logprobs).log_softmax(-1))
