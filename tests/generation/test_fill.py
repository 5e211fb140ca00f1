"""Gaps filled: what the model's own probabilities say, never a special token, one gap after another."""

import pytest
import torch
from torch import Tensor

from groundup.configs.encoder import EncoderConfig
from groundup.errors import InputError
from groundup.generation.fill import fill_gaps
from groundup.models.encoder import Encoder
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.mask_token import MASK, encode_with_gaps, with_mask
from groundup.weights.text_encoder import TextEncoder

TOKENIZER = with_mask(ByteBPE([(b"t", b"h"), (b"th", b"e"), (b" ", b"c"), (b" ", b"d")], [END_OF_TEXT]))


def text_encoder(vocab_size: int = TOKENIZER.vocab_size, closing: tuple[int, ...] = ()) -> TextEncoder:
    torch.manual_seed(0)
    config = EncoderConfig(vocab_size=vocab_size, context_length=16, d_model=16, n_layers=1, n_heads=2)
    model = Encoder(config).eval()
    torch.nn.init.normal_(model.output_bias)
    end_id = TOKENIZER.end_id
    assert end_id is not None
    return TextEncoder(model=model, tokenizer=TOKENIZER, source="a model", opening=(end_id,), closing=closing)


@pytest.mark.parametrize("closing", [(), (0, 1)])
def test_fills_are_the_models_probabilities_of_ordinary_tokens(closing: tuple[int, ...]):
    encoder = text_encoder(vocab_size=300, closing=closing)  # padded: ids beyond the tokenizer's spell nothing
    filled = fill_gaps(encoder, "the [MASK] sat [MASK]", top=400)
    ids = [*encoder.opening, *encode_with_gaps(TOKENIZER, "the [MASK] sat [MASK]"), *closing]
    with torch.no_grad():
        logits = encoder.model(torch.tensor([ids]))[0]
    for gap, place in zip(filled.gaps, [2, len(ids) - 1 - len(closing)], strict=True):
        expected = logits[place, :260].softmax(-1)  # 260 and 261 are special
        found = list(gap)
        assert len(found) == 260
        assert [fill.probability for fill in found] == pytest.approx(sorted(expected.tolist(), reverse=True), rel=1e-4)
        for fill in found[:20]:
            assert fill.probability == pytest.approx(expected[fill.token].item(), rel=1e-4)
            assert fill.text == TOKENIZER.token_bytes(fill.token).decode(errors="replace")


def test_gaps_are_filled_the_surest_first_and_each_sees_those_before(monkeypatch: pytest.MonkeyPatch):
    encoder = text_encoder()
    cat, dog = TOKENIZER.encode(" c")[0], TOKENIZER.encode(" d")[0]
    calls: list[list[int]] = []

    def chances(_: TextEncoder, ids: list[int], places: list[int]) -> Tensor:
        calls.append(list(ids))
        logits = torch.zeros(len(places), TOKENIZER.vocab_size)
        for row, place in enumerate(places):
            later = place > 4
            other = cat if later and cat in ids else dog  # the first gap decides what the second is
            logits[row, cat if not later else other] = 8.0 - 4 * later
        return logits.softmax(-1)

    monkeypatch.setattr("groundup.generation.fill._chances", chances)
    filled = fill_gaps(encoder, "the [MASK] a [MASK]")
    assert filled.text == "the c a c"
    assert filled.gaps[1][0].text == " d"  # each gap by itself
    assert len(calls) == 2


def test_a_text_in_which_nothing_can_be_filled_is_one_line():
    encoder = text_encoder()
    with pytest.raises(InputError, match=r"expected a text with \[MASK\]"):
        fill_gaps(encoder, "the cat sat")
    # 16 tokens fit, one of them the end of text that stands before.
    fill_gaps(encoder, f"{'a' * 14}{MASK}")
    with pytest.raises(InputError, match=r"at most 15 tokens, which a model can read, found 16: shorten it"):
        fill_gaps(encoder, f"{'a' * 15}{MASK}")
