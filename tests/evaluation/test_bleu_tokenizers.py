"""The five tokenizers against sacrebleu's, token for token, and what an unknown one gets."""

import pytest
from hypothesis import given, settings
from sacrebleu.metrics.bleu import _get_tokenizer
from tests.evaluation.systems import ODD, TEXTS, captions

from groundup.errors import InputError
from groundup.evaluation.bleu_tokenizers import TOKENIZERS, tokenizer_named
from groundup.proofs.tokenization import texts


def theirs(name: str, line: str) -> list[str]:
    return _get_tokenizer(name)()(line.rstrip()).split()  # as sacrebleu calls it, and counts what it returns


@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts_of_many_scripts_are_cut_as_sacrebleu_cuts_them(name: str):
    for text in (*texts(), *ODD, *captions(100)[0], *(f"a{one}5" for one in ODD), *(f"5{one}." for one in ODD)):
        assert tokenizer_named(name)(text) == theirs(name, text)


@pytest.mark.parametrize("name", ["zh", "intl", "char"])
def test_every_character_up_to_ffff_is_cut_as_sacrebleu_cuts_it(name: str):
    ours, reference = tokenizer_named(name), _get_tokenizer(name)()
    blocks = ["".join(f"a{chr(code)}b " for code in range(first, first + 64)) for first in range(0, 0xD800, 64)]
    assert all(ours(block) == reference(block.rstrip()).split() for block in blocks)


@settings(max_examples=25, derandomize=True)
@given(line=TEXTS)
def test_made_up_lines_are_cut_as_sacrebleu_cuts_them(line: str):
    for name in TOKENIZERS:
        assert tokenizer_named(name)(line) == theirs(name, line)


def test_a_number_keeps_its_point_and_a_sentence_loses_it():
    assert tokenizer_named("13a")("It cost $3.50, or 4,000.") == ["It", "cost", "$", "3.50", ",", "or", "4,000", "."]
    assert tokenizer_named("zh")("我有3.5元。") == ["我", "有", "3.5", "元", "。"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("14a", "unknown tokenizer '14a': known are 13a, intl, zh, char, none"),
        ("ja-mecab", "unknown tokenizer 'ja-mecab' .it needs MeCab and a Japanese dictionary.: known are 13a"),
        ("flores200", "unknown tokenizer 'flores200' .it needs a model that is downloaded.: known are 13a"),
    ],
)
def test_a_tokenizer_we_lack_is_refused_with_the_reason(name: str, message: str):
    with pytest.raises(InputError, match=message):
        tokenizer_named(name)
