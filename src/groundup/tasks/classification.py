"""Labels of texts: batches of similar length, their cross-entropy, validation by accuracy, F1 and AUC.

Shapes: B texts of a batch, T tokens, N texts of the validation, C labels.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.finetune_runs import HeadConfig
from groundup.configs.training import TrainConfig
from groundup.data.labelled import Labelled
from groundup.data.length_batches import LengthBatches
from groundup.data.padding import pad_rows
from groundup.data.permutation import permute
from groundup.errors import InputError
from groundup.evaluation.classification import classification_metrics
from groundup.models.classifier import Classifier
from groundup.tasks.labelling import EncodedTexts, encode_texts, label_logits

EPOCHS_IN_A_STEP = 1_000
"""Most times that one step may see each text: a larger batch is a slip, and dealing it would take for ever."""
SAMPLED_TEXTS, SHOWN_TEXTS = 64, 8
"""Validation texts that `sample` looks at, and how many of them it shows."""
SAMPLED_CHARACTERS, DESCRIBED_CHARACTERS = 160, 4_000
"""How much of a text `sample` and `describe` spell out."""


@dataclass(frozen=True)
class TextBatch:
    """Texts with their labels, padded on the right."""

    tokens: Tensor
    """Ids, int64 [B, T]."""
    is_token: Tensor
    """Which of them are real, bool [B, T]."""
    labels: Tensor
    """Number of each text's label, int64 [B]."""
    texts: Tensor
    """Which of the training texts these are, int64 [B]."""


class Classification:
    r"""Learn to label texts.

    The loss of a text is F.cross_entropy's, with its `weight` and `label_smoothing`. A step's loss is their sum over
    the step's texts divided by the number of texts. Balanced weights n / (C · n_c) have mean 1 over the training set,
    so over an epoch this is F.cross_entropy's weighted mean. Over a batch it is not, and better so: divided by its
    own sum of weights, what a text counts would depend on which texts it met, and on how the step is cut.

    Args:
        train: texts to learn from.
        validation: texts to measure on.
        encode: text to tokens; called once for each text.
        head: class weights and label smoothing.
        training: batch sizes, seed, and what to evaluate.
        max_tokens: longer texts are cut to their first tokens, and counted.
        pad_id: fills rows; what it is changes nothing. It stands for a text that encodes to no token.

    Raises:
        InputError: no text to learn from or to measure on, balanced weights for a label without a training text, or far
            too many texts in one step.

    Example:
        >>> texts = Labelled(texts=("good", "bad", "fine"), labels=(1, 0, 1), names=("no", "yes"))
        >>> task = Classification(
        ...     train=texts, validation=texts, encode=lambda text: list(text.encode()), head=HeadConfig(),
        ...     training=TrainConfig(batch_size=2, accumulation_steps=2), max_tokens=8, pad_id=0,
        ... )
        >>> [batch.tokens.shape for batch in task.train_batch(0)]
        [torch.Size([2, 4]), torch.Size([2, 4])]
    """

    def __init__(
        self,
        *,
        train: Labelled,
        validation: Labelled,
        encode: Callable[[str], list[int]],
        head: HeadConfig,
        training: TrainConfig,
        max_tokens: int,
        pad_id: int,
    ) -> None:
        if not train.texts or not validation.texts:
            raise InputError(
                f"expected texts to learn from and to measure on, found {len(train.texts)} and "
                f"{len(validation.texts)}: give more texts, or a larger validation_fraction"
            )
        if training.sequences_per_step > (most := EPOCHS_IN_A_STEP * len(train.texts)):
            raise InputError(
                f"expected batch_size * accumulation_steps to be at most {most:,}, which is {EPOCHS_IN_A_STEP:,} times "
                f"the texts, found {training.sequences_per_step:,}: lower them"
            )
        encoded, held_out = (
            encode_texts(side.texts, encode, max_tokens=max_tokens, pad_id=pad_id) for side in (train, validation)
        )
        self.names = train.names
        self.n_cut = encoded.n_cut
        self.n_cut_validation = held_out.n_cut
        self.batches = LengthBatches(encoded.lengths, training.sequences_per_step, training.seed)
        self._train, self._training, self._head, self._pad_id = train, training, head, pad_id
        self._rows, self._labels = encoded.rows, np.asarray(train.labels, np.int64)
        self._weights = balanced_weights(train) if head.class_weights == "balanced" else None
        measured = _by_chance(held_out, training.evaluation.max_tokens)
        self._measured_rows = [held_out.rows[i] for i in measured]
        self._measured_labels = np.asarray(validation.labels, np.int64)[measured]
        self._measured_texts = [validation.texts[i] for i in measured]

    @property
    def floor(self) -> None:
        """None: how well texts can be told apart is not known."""
        return None

    def train_batch(self, step: int) -> list[TextBatch]:
        """Return the micro-batches of one step: texts of similar length, cut into accumulation_steps parts.

        What a step learns from depends on batch_size * accumulation_steps only, not on how it is cut.
        """
        return [self._batch(part) for part in np.split(self.batches.batch(step), self._training.accumulation_steps)]

    def n_targets(self, batch: TextBatch) -> int:
        """Return B."""
        return len(batch.labels)

    def n_tokens(self, batch: TextBatch) -> int:
        """Return how many tokens the texts have, padding left out."""
        return sum(len(self._rows[i]) for i in batch.texts.tolist())

    def loss(self, model: Classifier, batch: TextBatch) -> Tensor:
        """Return the cross-entropy summed over the texts, in nats, weighted and smoothed as `head` says."""
        device = model.head.weight.device
        logits = model(batch.tokens.to(device, non_blocking=True), batch.is_token.to(device, non_blocking=True))
        labels = batch.labels.to(device, non_blocking=True)
        weights = None if self._weights is None else self._weights.to(logits)
        smoothing = self._head.label_smoothing
        return F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=smoothing)

    def evaluate(self, model: Classifier) -> dict[str, float]:
        """Return "loss", and accuracy, macro_f1, auc and calibration_error where the validation texts tell them.

        The loss is weighted as in training, and not smoothed: F.cross_entropy's mean over all of them. Of more than
        evaluation.max_tokens, the same texts are taken each time, drawn by chance.
        """
        logits = label_logits(model, self._measured_rows, self._pad_id)  # [N, C]
        weights = None if self._weights is None else self._weights.to(logits)
        loss = F.cross_entropy(logits, torch.from_numpy(self._measured_labels), weights).item()
        if not math.isfinite(loss):
            return {"loss": loss}  # the loop says what broke
        figures = classification_metrics(self._measured_labels, logits.softmax(dim=1).numpy())
        return {"loss": loss, **{name: figure for name, figure in figures.items() if name != "log_loss"}}

    def sample(self, model: Classifier, step: int) -> str:
        """Return a few validation texts with what they are and were taken for: the surest mistakes, then doubts."""
        if self._training.evaluation.sample_tokens == 0:
            return ""
        labels = self._measured_labels[:SAMPLED_TEXTS]
        logits = label_logits(model, self._measured_rows[:SAMPLED_TEXTS], self._pad_id)
        probabilities = logits.softmax(dim=1).numpy()
        said, of_label = probabilities.argmax(axis=1), probabilities[np.arange(len(labels)), labels]
        shown = np.lexsort((of_label, said == labels))[:SHOWN_TEXTS]
        return "\n".join(
            f"{'right' if said[i] == labels[i] else 'WRONG'}  {self.names[labels[i]]}, "
            f"said {self.names[said[i]]} ({probabilities[i, said[i]]:.0%})  "
            f"{_quoted(self._measured_texts[i], SAMPLED_CHARACTERS)}"
            for i in shown
        )

    def describe(self, batch: TextBatch) -> str:
        """Return the label and the text of each row, a line each: quoted as in JSON."""
        width, wide = len(str(len(batch.labels))), max(map(len, self.names))
        return "\n".join(
            f"row {i:>{width}}  {self.names[label]:<{wide}}  {_quoted(self._train.texts[text], DESCRIBED_CHARACTERS)}"
            for i, (label, text) in enumerate(zip(batch.labels.tolist(), batch.texts.tolist(), strict=True), 1)
        )

    def _batch(self, texts: npt.NDArray[np.int64]) -> TextBatch:
        tokens, is_token = pad_rows([self._rows[i] for i in texts], self._pad_id)
        labels = torch.from_numpy(self._labels[texts])
        return TextBatch(torch.from_numpy(tokens), torch.from_numpy(is_token), labels, torch.from_numpy(texts))


def balanced_weights(train: Labelled) -> Tensor:
    """Return what a text of each label counts, so that every label counts the same in all: n / (C · n_c), float64 [C].

    Raises:
        InputError: a label that no text has.

    Example:
        >>> balanced_weights(Labelled(texts=tuple("abcd"), labels=(0, 0, 0, 1), names=("ham", "spam"))).tolist()
        [0.6666666666666666, 2.0]
    """
    if not all(train.counts):
        name = train.names[train.counts.index(0)]
        raise InputError(
            f"expected training texts of every label to balance them, found none of {name!r}: give some, or take "
            "class_weights none"
        )
    return len(train.texts) / (len(train.names) * torch.tensor(train.counts, dtype=torch.float64))


def _by_chance(encoded: EncodedTexts, max_tokens: int) -> npt.NDArray[np.int64]:
    """Return which texts to measure on, in an order by chance that is always the same: as many as max_tokens hold."""
    order = permute(np.arange(len(encoded.rows)), len(encoded.rows), key=0)
    fitting = int(np.searchsorted(encoded.lengths[order].cumsum(), max_tokens, side="right"))
    return order[: max(1, fitting)]


def _quoted(text: str, most: int) -> str:
    return json.dumps(text if len(text) <= most else text[: most - 1] + "…", ensure_ascii=False)
