"""One vector a text: what the encoder makes of it alone, whatever stands beside it in a batch; cosines by torch's."""

import pytest
import torch
from torch.nn import functional as F

from groundup.configs.encoder import EncoderConfig
from groundup.errors import InputError
from groundup.evaluation.sentence_embeddings import cosine_similarity, embed_texts
from groundup.models.encoder import Encoder
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.weights.text_encoder import TextEncoder

TOKENIZER = ByteBPE([], [END_OF_TEXT])
TEXTS = ["a cat", "a much longer text about a cat", "x", "a dog sat"]


def encoder(opening: tuple[int, ...] = (256,)) -> TextEncoder:
    torch.manual_seed(0)
    model = Encoder(EncoderConfig(vocab_size=257, context_length=40, d_model=16, n_layers=2, n_heads=2)).eval()
    return TextEncoder(model=model, tokenizer=TOKENIZER, source="a model", opening=opening)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@torch.no_grad()
def test_each_text_has_the_vector_that_it_has_alone(pooling: str):
    found = embed_texts(encoder(), TEXTS, pooling)  # type: ignore[arg-type]
    for vector, text in zip(found, TEXTS, strict=True):
        hidden = encoder().model.hidden_states(torch.tensor([[256, *TOKENIZER.encode(text)]]))[0]
        expected = hidden.mean(0) if pooling == "mean" else hidden[0]
        torch.testing.assert_close(vector, expected, rtol=0, atol=1e-5)  # float32, padded in a batch


def test_cosines_are_torchs_and_a_text_is_most_like_itself():
    found = embed_texts(encoder(), TEXTS)
    cosines = cosine_similarity(found, found)
    torch.testing.assert_close(cosines[1], F.cosine_similarity(found[1:2], found))
    assert cosines.argmax(1).tolist() == [0, 1, 2, 3]
    assert cosine_similarity(torch.zeros(1, 3), torch.ones(2, 3)).tolist() == [[0.0, 0.0]]


def test_what_cannot_be_read_is_one_line():
    with pytest.raises(
        InputError, match="expected a token before every text to read, found none in a model: take mean"
    ):
        embed_texts(encoder(opening=()), TEXTS, "cls")
    with pytest.raises(InputError, match="at least one token, found an empty one"):
        embed_texts(encoder(opening=()), ["a", ""])
    with pytest.raises(InputError, match="at most 39 tokens, which a model can read, found 60"):
        embed_texts(encoder(), ["a" * 60])
