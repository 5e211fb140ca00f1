import json

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.tokenization import CharacterTokenizer, load_tokenizer

TEXT = "Zoë said: “no”.\r\n\t\u2028 𝄞  end\x00"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_text_of_the_alphabet_comes_back(text):
    tokenizer = CharacterTokenizer.from_text([text])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.alphabet == "".join(sorted(set(text)))
    assert list(tokenizer.encode_iterable(text)) == tokenizer.encode(text)


def test_there_are_no_special_tokens():
    tokenizer = CharacterTokenizer("<|endoftx>")
    assert tokenizer.special_tokens == {}
    assert tokenizer.end_id is None
    assert len(tokenizer.encode("<|endoftext|>", allow_special=True)) == len("<|endoftext|>")


def test_unknown_characters_are_named_with_their_place():
    with pytest.raises(InputError, match=r"only the 3 characters of the vocabulary, found 'é', 'x' at character 2"):
        CharacterTokenizer("abc").encode("abéxé")
    with pytest.raises(InputError, match="and 21 more"):
        CharacterTokenizer("z").encode("abcdefghijklmnopqrstuvwxyz1")


@pytest.mark.parametrize("ids", [[3], [-1]])
def test_ids_outside_the_alphabet_are_refused(ids):
    with pytest.raises(InputError, match="expected token ids 0 … 2"):
        CharacterTokenizer("abc").decode(ids)


@pytest.mark.parametrize(
    ("alphabet", "found"), [("", "found none"), ("aba", "found 'a' twice"), ("a\udc00", "surrogate")]
)
def test_impossible_alphabets_are_refused(alphabet, found):
    with pytest.raises(InputError, match=found):
        CharacterTokenizer(alphabet)


def test_bytes_are_refused():
    with pytest.raises(InputError, match="found bytes"):
        CharacterTokenizer("abc").encode(b"abc")


def test_saved_file_gives_the_same_ids_in_the_tokenizers_library(tmp_path):
    ours = CharacterTokenizer.from_text([TEXT])
    ours.save(tmp_path / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert library.encode(TEXT).ids == ours.encode(TEXT)
    assert library.decode(ours.encode(TEXT)) == TEXT
    again = load_tokenizer(tmp_path)
    assert isinstance(again, CharacterTokenizer)
    assert again.alphabet == ours.alphabet


def test_a_damaged_vocabulary_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    CharacterTokenizer("abc").save(path)
    document = json.loads(path.read_text())
    for vocabulary in ({"a": 0, "b": 2}, {"a": 0, "bc": 1}, {"a": "0"}, ["a"], {}):
        path.write_text(json.dumps(document | {"model": {"type": "WordLevel", "vocab": vocabulary}}))
        with pytest.raises(InputError):
            load_tokenizer(path)


def test_another_kind_of_file_is_refused(trained, tmp_path):
    trained.save(tmp_path / "tokenizer.json")
    with pytest.raises(InputError, match="found another kind: use load_tokenizer"):
        CharacterTokenizer.from_file(tmp_path / "tokenizer.json")
