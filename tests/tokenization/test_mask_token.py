"""[MASK] in any of our vocabularies, in the file too, and in what a person wrote."""

from pathlib import Path

import pytest

from groundup.errors import InputError
from groundup.tokenization.base import END_OF_TEXT, Tokenizer
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer
from groundup.tokenization.fast import FastTokenizer
from groundup.tokenization.mask_token import MASK, encode_with_gaps, mask_id, with_mask
from groundup.tokenization.pretrained import load_tokenizer

MERGES = [(b"t", b"h"), (b"th", b"e"), (b" ", b"s"), (b" s", b"a"), (b" sa", b"t"), (b" ", b"c")]
BPE = ByteBPE(MERGES, [END_OF_TEXT])
TOKENIZERS: dict[str, Tokenizer] = {
    "by hand": BPE, "fast": FastTokenizer(BPE), "characters": CharacterTokenizer(" acehst[]MASK"),
}  # fmt: skip


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_it_is_added_behind_and_survives_the_file(tokenizer: Tokenizer, tmp_path: Path):
    added = with_mask(tokenizer)
    assert mask_id(added) == tokenizer.vocab_size
    assert added.encode("the cat") == tokenizer.encode("the cat")
    assert added.end_id == tokenizer.end_id
    added.save(tmp_path / "tokenizer.json")
    read = load_tokenizer(tmp_path / "tokenizer.json")
    assert mask_id(read) == mask_id(added)
    for text in ("the [MASK] sat", "[MASK]", "a[MASK][MASK]"):
        assert encode_with_gaps(read, text) == encode_with_gaps(added, text)
    assert mask_id(with_mask(added)) == mask_id(added)


def spelled(text: str, tokenizer: Tokenizer = BPE) -> list[str]:
    added = with_mask(tokenizer)
    return [added.token_bytes(token).decode() for token in encode_with_gaps(added, text)]


def test_the_space_before_a_gap_is_the_hidden_tokens_where_tokens_hold_spaces():
    assert spelled("the [MASK] sat") == ["the", MASK, " sat"]
    assert spelled("the[MASK] sat") == ["the", MASK, " sat"]
    assert spelled("the  [MASK]") == ["the", " ", MASK]
    assert spelled("[MASK] [MASK] sat") == [MASK, MASK, " sat"]
    assert spelled("a [MASK]t", TOKENIZERS["characters"]) == ["a", " ", MASK, "t"]


def test_nothing_else_that_a_person_types_is_a_marker():
    assert END_OF_TEXT not in spelled(f"the{END_OF_TEXT}[MASK]")


def test_what_cannot_be_filled_is_one_line():
    with pytest.raises(InputError, match=r"with the special token \[MASK\], found <\|endoftext\|>: name a model"):
        encode_with_gaps(BPE, "the [MASK] sat")
    with pytest.raises(InputError, match=r"found none: name a model"):
        mask_id(TOKENIZERS["characters"])
    with pytest.raises(InputError, match=r"expected a text with \[MASK\] where a token is to be filled in, found none"):
        encode_with_gaps(with_mask(BPE), "the cat sat")
    with pytest.raises(InputError, match=r"expected (only the 13 characters|text that .* can spell)"):
        encode_with_gaps(with_mask(TOKENIZERS["characters"]), "the [MASK] ß")
