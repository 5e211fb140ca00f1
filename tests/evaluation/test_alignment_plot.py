"""Alignments: the rows belong to the tokens they are named by, and the picture shows them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.errors import InputError
from groundup.evaluation.alignment_plot import Alignment, align, draw_alignment
from groundup.generation.translate import Translator
from groundup.models.seq2seq import Seq2Seq
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE

BYTES = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])


@pytest.fixture(scope="module")
def translator() -> Translator:
    torch.manual_seed(0)
    sizes = {"source_vocab_size": 257, "target_vocab_size": 257, "d_model": 16, "n_heads": 2, "context_length": 12}
    model = Seq2Seq(Seq2SeqConfig(**sizes, n_encoder_layers=1, n_decoder_layers=2, dropout=0.5))
    return Translator(model=model, source_tokenizer=BYTES, target_tokenizer=BYTES)


def test_a_row_says_what_its_token_was_predicted_from(translator: Translator):
    """A change of a target token changes the rows behind it alone: its own row was there before it was known."""
    one, other = align(translator, "ab c", "xyz"), align(translator, "ab c", "xqz")
    assert one.source == ("a", "b", "␣", "c", "⏎")
    assert one.target == ("x", "y", "z", "⏎")
    np.testing.assert_allclose(one.weights.sum(axis=1), 1.0, atol=1e-6)  # float32
    assert np.array_equal(one.weights[:2], other.weights[:2])
    assert not np.allclose(one.weights[2:], other.weights[2:])
    assert translator.model.training  # the mode is left as it was


def test_the_mean_is_over_layers(translator: Translator):
    layers = [align(translator, "abc", "xy", layer=layer).weights for layer in range(2)]
    np.testing.assert_allclose(align(translator, "abc", "xy").weights, np.mean(layers, axis=0), atol=1e-7)
    with pytest.raises(InputError, match="a layer from 0 to 1, found 2"):
        align(translator, "abc", "xy", layer=2)
    with pytest.raises(InputError, match="at most 12 tokens to align, found 13"):
        align(translator, "a" * 12, "x")


def test_darker_is_more(tmp_path: Path):
    weights = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    path = tmp_path / "alignment.png"
    draw_alignment(path, Alignment(weights, ("$a", "b", "⏎"), ("B", "A")), title="two tokens")
    assert [file.name for file in tmp_path.iterdir()] == ["alignment.png"]
    pixels = imread(path)[..., :3]
    is_dark_blue = (pixels[..., 2] > 0.3) & (pixels[..., 0] < 0.1)
    rows, columns = (is_dark_blue.mean(axis=axis) for axis in (1, 0))
    assert (rows > 0.05).any() and (columns > 0.05).any()  # noqa: PT018 - one claim
