"""Gaps in a text filled by an encoder: the likeliest tokens for each [MASK], and the text with all gaps filled.

Shapes: G gaps, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.tokenization.mask_token import encode_with_gaps, mask_id
from groundup.weights.text_encoder import TextEncoder


@dataclass(frozen=True)
class Fill:
    """A token that could stand in a gap."""

    token: int
    """Its id."""
    text: str
    """What it adds to the text, often with the space before it."""
    probability: float
    """As the model sees it, given all of the text that is there."""


@dataclass(frozen=True)
class Filled:
    """A text with gaps, and what could stand in them."""

    gaps: tuple[tuple[Fill, ...], ...]
    """For each gap, the likeliest tokens; each gap by itself, all others still open."""
    text: str
    """The text with all gaps filled, the surest first, each again read with those before it."""


def fill_gaps(encoder: TextEncoder, text: str, *, top: int = 5) -> Filled:
    """Return the likeliest tokens for each [MASK] in `text`, and the text with all of them filled.

    Special tokens are never filled in. What is likeliest for two gaps each by itself need not go together ("she" in
    one, "his" in the other); in the filled text it does, for its gaps were filled one after another.

    Args:
        encoder: what fills.
        text: with at least one [MASK]; each stands for one token.
        top: fills to return for each gap.

    Raises:
        InputError: no [MASK] in the text or in the vocabulary, or a text longer than the model can read.

    Example:
        >>> from groundup.configs.encoder import EncoderConfig
        >>> from groundup.models.encoder import Encoder
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> from groundup.tokenization.mask_token import MASK
        >>> model = Encoder(EncoderConfig(vocab_size=257, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> encoder = TextEncoder(model=model, tokenizer=ByteBPE([], [MASK]), source="a model")
        >>> filled = fill_gaps(encoder, "[MASK]at", top=2)
        >>> len(filled.gaps), len(filled.gaps[0]), filled.text.endswith("at")
        (1, 2, True)
    """
    gap = mask_id(encoder.tokenizer)
    ids = encoder.framed(encode_with_gaps(encoder.tokenizer, text))
    places = [place for place, token in enumerate(ids) if token == gap]
    chances = _chances(encoder, ids, places)  # [G, V]
    gaps = tuple(tuple(_fill(encoder, *pair) for pair in _likeliest(row, top)) for row in chances)
    while places:
        surest = int(chances.amax(-1).argmax())
        ids[places.pop(surest)] = int(chances[surest].argmax())
        if places:
            chances = _chances(encoder, ids, places)
    inner = ids[len(encoder.opening) : len(ids) - len(encoder.closing)]
    return Filled(gaps, encoder.tokenizer.decode(inner))


@torch.inference_mode()
def _chances(encoder: TextEncoder, ids: list[int], places: list[int]) -> Tensor:
    """Return the probability of each token at each place: [G, V], 0 for special ones and for ids that spell nothing."""
    model, tokenizer = encoder.model, encoder.tokenizer
    hidden = model.hidden_states(torch.tensor([ids], device=model.device))[0, places]  # [G, D]
    logits = model.project(hidden).float().cpu()
    never = [*tokenizer.special_tokens.values(), *range(tokenizer.vocab_size, model.vocab_size)]
    logits[:, never] = -torch.inf
    return logits.softmax(-1)


def _likeliest(chances: Tensor, top: int) -> list[tuple[int, float]]:
    found = chances.topk(min(top, int(chances.count_nonzero())))
    return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def _fill(encoder: TextEncoder, token: int, probability: float) -> Fill:
    return Fill(token, encoder.tokenizer.token_bytes(token).decode(errors="replace"), probability)
