"""How well an encoder predicts hidden tokens of texts: each chosen one behind a mask, the same ones every time.

Shapes: B texts, T tokens, D width, V vocabulary, n hidden tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.masked import MaskingConfig
from groundup.data.padding import pad_rows
from groundup.data.reading_batches import read_together
from groundup.data.token_masking import Ids, hide_tokens
from groundup.models.encoder import Encoder
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.mask_token import mask_id
from groundup.tokenization.word_numbers import word_numbers

FIXED_KEY = 0
"""Decides which tokens are hidden where models are measured: the same for all of them."""


@dataclass(frozen=True)
class HiddenTexts:
    """Texts, and which of their tokens are hidden."""

    texts: tuple[npt.NDArray[np.int64], ...]
    """The tokens of each, with what stands before it."""
    is_hidden: tuple[npt.NDArray[np.bool_], ...]
    """Which of them are to be predicted."""
    mask_id: int
    """Stands for them."""

    @property
    def n_hidden(self) -> int:
        """How many tokens are hidden in all."""
        return sum(int(hidden.sum()) for hidden in self.is_hidden)

    def seen(self, text: int) -> npt.NDArray[np.int64]:
        """Return one text as a model sees it: a mask for each hidden token."""
        return np.where(self.is_hidden[text], self.mask_id, self.texts[text])


@dataclass(frozen=True, kw_only=True)
class MaskedScore:
    """What an encoder makes of hidden tokens."""

    loss: float
    """Mean negative log-probability of a hidden token, in nats."""
    accuracy: float
    """Share of them that it would fill in right."""
    n_hidden: int
    """How many there were."""


def hide_for_measuring(
    texts: Sequence[Ids], tokenizer: Tokenizer, masking: MaskingConfig, opening: Sequence[int] = ()
) -> HiddenTexts:
    """Return texts with tokens hidden as `masking` chooses them, all of them behind masks, always the same ones.

    Args:
        texts: their tokens.
        tokenizer: what made them.
        masking: how many; what would stand for them in training does not count.
        opening: stands before each text, and is never hidden.

    Raises:
        InputError: a tokenizer without [MASK].

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> tokenizer = ByteBPE([], ["[MASK]"])
        >>> texts = [np.array(tokenizer.encode("to be or not to be"))]
        >>> hidden = hide_for_measuring(texts, tokenizer, MaskingConfig())
        >>> tokenizer.decode(hidden.seen(0).tolist())
        '[MASK]o[MASK]be or no[MASK] to be'
    """
    gap = mask_id(tokenizer)
    found = hide_tokens(
        texts,
        replace(masking, mask_share=1.0, random_share=0.0),
        key=FIXED_KEY,
        mask_id=gap,
        ordinary=np.array([gap]),
        words=[word_numbers(tokenizer, text.tolist()) for text in texts] if masking.whole_words else None,
    )
    ends = np.cumsum([len(text) for text in texts])[:-1]
    before = np.array(opening, np.int64)
    return HiddenTexts(
        tuple(np.concatenate([before, text]) for text in texts),
        tuple(np.pad(chosen, (len(before), 0)) for chosen in np.split(found.is_chosen, ends)),
        gap,
    )


@torch.no_grad()
def predict_hidden(model: Encoder, hidden: HiddenTexts) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield which texts were read, the logits of their hidden tokens [n, V], and the tokens [n], a batch at a time.

    Within a batch all is in the order of the texts named. Dropout is off; the model's mode is left as it was.

    Raises:
        InputError: a text longer than the model's context_length.
    """
    was_training = model.training
    model.eval()
    try:
        for which in read_together([len(text) for text in hidden.texts]):
            tokens, is_token = pad_rows([hidden.seen(i).tolist() for i in which], hidden.mask_id)
            chosen, _ = pad_rows([hidden.is_hidden[i].tolist() for i in which], 0)
            places = torch.from_numpy(np.flatnonzero(chosen)).to(model.device)
            states = model.hidden_states(
                torch.from_numpy(tokens).to(model.device), is_token=torch.from_numpy(is_token).to(model.device)
            )
            logits = model.project(states.flatten(0, 1)[places])
            targets = np.concatenate([hidden.texts[i][hidden.is_hidden[i]] for i in which])
            precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
            yield which.tolist(), precise, torch.from_numpy(targets).to(model.device)
    finally:
        model.train(was_training)


def score_hidden(model: Encoder, hidden: HiddenTexts) -> MaskedScore:
    """Return loss and accuracy of an encoder on hidden tokens.

    Raises:
        InputError: a text longer than the model's context_length.
    """
    loss, n_right = 0.0, 0
    for _, logits, targets in predict_hidden(model, hidden):
        loss += F.cross_entropy(logits, targets, reduction="sum").double().item()
        n_right += int((logits.argmax(-1) == targets).sum())
    n = hidden.n_hidden
    return MaskedScore(loss=loss / n, accuracy=n_right / n, n_hidden=n)
