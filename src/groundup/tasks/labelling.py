"""What a classifier says about texts: encoded once, read in batches of similar length, probabilities in their order.

Shapes: N texts, B texts of a batch, T tokens, C labels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from groundup.data.padding import pad_rows
from groundup.models.classifier import Classifier

Row = npt.NDArray[np.int32]
"""The tokens of one text [T]."""

TOKENS_AT_ONCE = 1_024
"""Tokens that are read in one pass outside training, padding included. With 4,096, SmolLM2 on two cores is slower."""


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as tokens."""

    rows: tuple[Row, ...]
    """Of each text, at least one."""
    n_cut: int
    """Texts that were longer than allowed, of which the first tokens are kept."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many tokens each text has: [N]."""
        return np.fromiter(map(len, self.rows), np.int64, count=len(self.rows))


@dataclass(frozen=True)
class Predictions:
    """What a classifier says about texts."""

    probabilities: npt.NDArray[np.float64]
    """Of each label: [N, C]; rows sum to 1."""
    n_cut: int
    """Texts of which only the first tokens were read."""


def encode_texts(
    texts: Sequence[str], encode: Callable[[str], list[int]], *, max_tokens: int, pad_id: int
) -> EncodedTexts:
    """Return the first `max_tokens` tokens of each text; of one that has none, `pad_id`.

    Example:
        >>> found = encode_texts(["abc", "", "a"], lambda text: [ord(c) for c in text], max_tokens=2, pad_id=0)
        >>> [row.tolist() for row in found.rows], found.n_cut
        ([[97, 98], [0], [97]], 1)
    """
    rows, n_cut = [], 0
    for text in texts:
        ids = encode(text) or [pad_id]
        n_cut += len(ids) > max_tokens
        rows.append(np.asarray(ids[:max_tokens], np.int32))
    return EncodedTexts(tuple(rows), n_cut)


def label_logits(model: Classifier, rows: Sequence[Row], pad_id: int) -> Tensor:
    """Return the logits of the labels for each text, in their order: float64 [N, C] on the CPU.

    Dropout is off, and the model's mode is left as it was. Texts of similar length are read together, the longest
    first, so that a machine with too little memory says so at once.

    Raises:
        InputError: a text longer than the model's context_length.
    """
    device = model.head.weight.device
    logits = torch.zeros(len(rows), model.n_labels, dtype=torch.float64)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for which in _by_length(rows):
                tokens, is_token = pad_rows([rows[i] for i in which], pad_id)
                found = model(torch.from_numpy(tokens).to(device), torch.from_numpy(is_token).to(device))
                logits[which] = found.cpu().double()
    finally:
        model.train(was_training)
    return logits


def predict(
    model: Classifier,
    texts: Sequence[str],
    *,
    encode: Callable[[str], list[int]],
    max_tokens: int,
    pad_id: int,
) -> Predictions:
    """Return the probability of each label for each of `texts`, in their order.

    Args:
        model: what labels.
        texts: any number of them.
        encode: text to tokens, as in training.
        max_tokens: longer texts are cut to their first tokens, and counted; as in training.
        pad_id: a token to fill rows with; what it is does not matter.

    Example:
        >>> from groundup.configs.finetune_runs import HeadConfig
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> gpt = GPT(GPTConfig(vocab_size=128, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> model = Classifier(gpt, 2, HeadConfig())
        >>> found = predict(model, ["yes", "it is"], encode=lambda s: list(s.encode()), max_tokens=4, pad_id=0)
        >>> found.probabilities.shape, found.n_cut
        ((2, 2), 1)
    """
    encoded = encode_texts(texts, encode, max_tokens=max_tokens, pad_id=pad_id)
    logits = label_logits(model, encoded.rows, pad_id)
    return Predictions(logits.softmax(dim=1).numpy(), encoded.n_cut)


def _by_length(rows: Sequence[Row]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield indices of texts to be read together, the longest first: as many as TOKENS_AT_ONCE allow."""
    lengths = np.array([len(row) for row in rows], np.int64)
    order, first = np.argsort(-lengths, kind="stable"), 0
    while first < len(order):
        count = max(1, TOKENS_AT_ONCE // int(lengths[order[first]]))
        yield order[first : first + count]
        first += count
