"""One vector for each text, from an encoder's hidden states, and how alike two texts are by them.

Shapes: N texts, T tokens, D width.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.data.padding import pad_rows
from groundup.data.reading_batches import read_together
from groundup.errors import InputError
from groundup.weights.text_encoder import TextEncoder

TextPooling = Literal["mean", "cls"]
"""The mean over all tokens of a text, or the state of what stands before it."""


@torch.inference_mode()
def embed_texts(encoder: TextEncoder, texts: Sequence[str], pooling: TextPooling = "mean") -> Tensor:
    """Return one vector for each text, in their order: float32 [N, D] on the CPU.

    mean: over all tokens, those around the text included (Reimers and Gurevych 2019, section 3). cls: the state of the
    first one, which stands before every text; only a model that learned something there has anything to say in it, so
    of one that learned nothing but hidden tokens, take the mean.

    Args:
        encoder: what reads.
        texts: any number of them.
        pooling: mean or cls.

    Raises:
        InputError: a text without tokens or longer than the model can read; cls where nothing stands before a text.

    Example:
        >>> from groundup.configs.encoder import EncoderConfig
        >>> from groundup.models.encoder import Encoder
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> model = Encoder(EncoderConfig(vocab_size=256, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> encoder = TextEncoder(model=model, tokenizer=ByteBPE([]), source="a model")
        >>> embed_texts(encoder, ["to be", "or not"]).shape
        torch.Size([2, 16])
    """
    if pooling == "cls" and not encoder.opening:
        raise InputError(f"expected a token before every text to read, found none in {encoder.source}: take mean")
    rows = [encoder.framed(encoder.tokenizer.encode(text)) for text in texts]
    if not all(rows):
        raise InputError("expected texts of at least one token, found an empty one: leave it out")
    model = encoder.model
    found = torch.zeros(len(rows), model.config.d_model)
    for which in read_together([len(row) for row in rows]):
        tokens, is_token = (torch.from_numpy(one).to(model.device) for one in pad_rows([rows[i] for i in which], 0))
        hidden = model.hidden_states(tokens, is_token=is_token).float()  # [B, T, D]
        weights = is_token.float() / is_token.sum(1, keepdim=True)
        pooled = hidden[:, 0] if pooling == "cls" else (weights[:, None] @ hidden)[:, 0]
        found[torch.from_numpy(which)] = pooled.cpu()
    return found


def cosine_similarity(ones: Tensor, others: Tensor) -> Tensor:
    """Return the cosine of the angle between each of `ones` [N, D] and each of `others` [M, D]: [N, M], -1 to 1.

    Example:
        >>> cosine_similarity(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])).tolist()
        [[1.0, 0.0, -1.0]]
    """
    return F.normalize(ones, dim=-1) @ F.normalize(others, dim=-1).T
