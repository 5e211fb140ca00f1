"""Translating texts: order kept, each as if it stood alone, chance by the line, and what does not fit counted."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.errors import InputError
from groundup.generation import translate as module
from groundup.generation.translate import Translator, end_of, translate, translate_n_best
from groundup.models.seq2seq import Seq2Seq
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer

BYTES = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=6)
SAMPLED = GenerationConfig(max_new_tokens=6, seed=5)


def build(**fields: object) -> Translator:
    torch.manual_seed(0)
    sizes = {"source_vocab_size": 257, "target_vocab_size": 257, "d_model": 16, "n_heads": 2, "context_length": 12}
    model = Seq2Seq(Seq2SeqConfig(**{**sizes, "n_encoder_layers": 1, "n_decoder_layers": 1, **fields}))
    model.double()  # so that no rounding of a batch's shape can turn a near tie
    return Translator(model=model, source_tokenizer=BYTES, target_tokenizer=BYTES)


TRANSLATOR = build()


@settings(max_examples=10, derandomize=True)
@given(texts=st.lists(st.text("abc ", max_size=9), min_size=1, max_size=7), config=st.sampled_from([GREEDY, SAMPLED]))
def test_each_text_is_translated_as_if_alone(texts: list[str], config: GenerationConfig):
    found = translate(TRANSLATOR, texts, config)
    for i, text in enumerate(texts):
        own = config if config is GREEDY else GenerationConfig(max_new_tokens=6, seed=5 + i)
        assert translate(TRANSLATOR, [text], own).texts[0] == found.texts[i]
        assert text.strip() or found.texts[i] == ""
    assert found.n_cut == 0


@pytest.mark.parametrize("config", [GREEDY, SAMPLED, GenerationConfig(strategy="beam", max_new_tokens=6)])
def test_small_batches_change_nothing(config: GenerationConfig, monkeypatch: pytest.MonkeyPatch):
    texts = ["abc", "", "a", "abcdefg", "ab"]
    whole = translate(TRANSLATOR, texts, config)
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 1)
    assert translate(TRANSLATOR, texts, config) == whole


def test_the_best_beam_is_the_translation():
    config = GenerationConfig(strategy="beam", max_new_tokens=6, beam=BeamConfig(n_beams=3, n_best=3))
    found = translate_n_best(TRANSLATOR, "abc", config)
    assert len(found) == 3
    assert found[0].text == translate(TRANSLATOR, ["abc"], config).texts[0]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    with pytest.raises(InputError, match="found an empty one"):
        translate_n_best(TRANSLATOR, " ", config)


def test_a_long_source_is_cut_and_counted():
    found = translate(TRANSLATOR, ["abcdefghijklmno", "abc"], GREEDY)
    assert found.n_cut == 1
    assert found.texts[0] == translate(TRANSLATOR, ["abcdefghijk"], GREEDY).texts[0]  # 11 bytes and the end: 12


def test_no_more_is_written_than_the_model_holds():
    long = GenerationConfig(strategy="greedy", max_new_tokens=500, stop_at_end=False)
    [text] = translate(TRANSLATOR, ["abc"], long).texts
    assert len(BYTES.encode(text)) <= 3 * 12  # 12 tokens, of which each bad byte is shown as a character of three


def test_the_mode_of_the_model_is_left_as_it_was():
    translator = build(dropout=0.5)
    translator.model.train()
    one, other = (translate(translator, ["abc"], GREEDY) for _ in range(2))
    assert one == other  # without dropout
    assert translator.model.training


def test_a_target_begins_as_the_config_says():
    assert build().begin_id == 256
    assert build(begin_id=7).begin_id == 7
    with pytest.raises(InputError, match="tokenizer with an end-of-text token"):
        end_of(CharacterTokenizer("abc"))
