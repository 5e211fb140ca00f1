"""Hidden tokens for measuring: the same for every model, what stands before a text never, all behind masks."""

import math

import numpy as np
import pytest
import torch

from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskingConfig
from groundup.errors import InputError
from groundup.evaluation.masked_prediction import hide_for_measuring, predict_hidden, score_hidden
from groundup.models.encoder import Encoder
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.mask_token import MASK

TOKENIZER = ByteBPE([], [END_OF_TEXT, MASK])
TEXTS = [np.random.default_rng(i).integers(256, size=5 + 7 * i) for i in range(9)]


def model() -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(vocab_size=258, context_length=64, d_model=16, n_layers=1, n_heads=2)
    return Encoder(config)


def test_texts_are_kept_and_what_is_hidden_is_behind_masks():
    hidden = hide_for_measuring(TEXTS, TOKENIZER, MaskingConfig(mask_share=0.1, random_share=0.9), opening=[256])
    for i, text in enumerate(TEXTS):
        assert hidden.texts[i].tolist() == [256, *text]
        assert not hidden.is_hidden[i][0]
        assert (hidden.seen(i)[hidden.is_hidden[i]] == 257).all()
        assert (hidden.seen(i)[~hidden.is_hidden[i]] == hidden.texts[i][~hidden.is_hidden[i]]).all()
    again = hide_for_measuring(TEXTS, TOKENIZER, MaskingConfig(), opening=[256])
    assert all((one == other).all() for one, other in zip(hidden.is_hidden, again.is_hidden, strict=True))
    assert hidden.n_hidden == sum(int((hidden.seen(i) == 257).sum()) for i in range(9))


def test_each_hidden_token_is_predicted_once_in_the_order_of_the_texts_named():
    hidden, encoder = hide_for_measuring(TEXTS, TOKENIZER, MaskingConfig(), opening=[256]), model()
    seen = []
    for which, logits, targets in predict_hidden(encoder, hidden):
        expected = np.concatenate([hidden.texts[i][hidden.is_hidden[i]] for i in which])
        assert targets.tolist() == expected.tolist()
        assert logits.shape == (len(expected), 258)
        seen += which
        encoder.eval()
        with torch.no_grad():
            alone = torch.cat([encoder(torch.from_numpy(hidden.seen(i))[None])[0, hidden.is_hidden[i]] for i in which])
        encoder.train()
        torch.testing.assert_close(logits, alone, rtol=0, atol=1e-5)  # float32, padded in a batch
    assert sorted(seen) == list(range(9))
    assert encoder.training


def test_a_model_that_says_nothing_has_the_loss_of_a_guess():
    encoder = model()
    torch.nn.init.zeros_(encoder.token_embedding.weight)
    found = score_hidden(encoder, hide_for_measuring(TEXTS, TOKENIZER, MaskingConfig()))
    assert found.loss == pytest.approx(math.log(258), rel=1e-5)  # float32
    assert 0 <= found.accuracy < 0.05


def test_a_tokenizer_without_a_mask_is_one_line():
    with pytest.raises(InputError, match=r"special token \[MASK\]"):
        hide_for_measuring(TEXTS, ByteBPE([]), MaskingConfig())
