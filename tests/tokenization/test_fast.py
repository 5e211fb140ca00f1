import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.proofs.tokenization import gpt2_in_tiktoken, gpt2_in_tokenizers
from groundup.tokenization import END_OF_TEXT, ByteBPE, FastTokenizer

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
WORDS = st.text(st.sampled_from("the fox's RIVER wAn19!?ßé狐🦊\n\t \xa0\u0558<|>"), max_size=80)


@pytest.fixture(scope="module")
def fast(trained):
    return FastTokenizer(trained)


@pytest.fixture(scope="module")
def gpt2_fast(gpt2):
    return FastTokenizer(gpt2)


@pytest.fixture(scope="module")
def gpt2_library(gpt2_folder):
    """The `tokenizers` library's own reading of the published files."""
    return gpt2_in_tokenizers(gpt2_folder / "encoder.json", gpt2_folder / "vocab.bpe")


@pytest.fixture(scope="module")
def gpt2_tiktoken(gpt2_folder):
    """tiktoken's own reading of the published files."""
    return gpt2_in_tiktoken(gpt2_folder / "encoder.json", gpt2_folder / "vocab.bpe")


@settings(max_examples=500)
@given(ANY | WORDS)
def test_gpt2_ids_by_hand_fast_tiktoken_and_tokenizers_are_identical(
    gpt2, gpt2_fast, gpt2_library, gpt2_tiktoken, text
):
    ids = gpt2.encode(text)
    assert ids == gpt2_fast.encode(text) == gpt2_library.encode(text).ids == gpt2_tiktoken.encode_ordinary(text)
    assert text == gpt2.decode(ids) == gpt2_fast.decode(ids) == gpt2_library.decode(ids)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 50256), max_size=40))
def test_any_gpt2_ids_decode_to_the_same_text(gpt2, gpt2_fast, gpt2_library, gpt2_tiktoken, ids):
    text = gpt2.decode(ids)
    assert text == gpt2_fast.decode(ids) == gpt2_tiktoken.decode(ids)
    ordinary = [token for token in ids if token != 50256]
    assert gpt2.decode(ordinary) == gpt2_library.decode(ordinary)


def test_gpt2_known_ids(gpt2_fast):
    """The examples of tiktoken's own documentation."""
    assert gpt2_fast.vocab_size == 50257
    assert gpt2_fast.end_id == 50256
    assert gpt2_fast.encode("hello world") == [31373, 995]
    assert gpt2_fast.encode("<|endoftext|>", allow_special=True) == [50256]
    assert gpt2_fast.encode("<|endoftext|>") == [27, 91, 437, 1659, 5239, 91, 29]


@settings(max_examples=200)
@given(ANY | WORDS)
def test_ids_of_a_trained_vocabulary_are_those_by_hand(trained, fast, text):
    assert fast.encode(text) == trained.encode(text)
    assert fast.decode(fast.encode(text)) == text
    assert list(fast.encode_iterable(text)) == trained.encode(text)


@pytest.mark.parametrize("text", [" " * 1_200_000 + "x", "a" * 600_000, "the fox!\n" * 60_000, "狐，" * 200_000 + "\n"])
def test_long_texts_and_endless_words(trained, fast, text):
    """A million spaces in a row make tiktoken's own pattern panic."""
    assert fast.encode(text) == trained.encode(text)


def test_special_tokens_count_only_if_allowed(trained, fast):
    text = f"fox{END_OF_TEXT}fox"
    assert fast.encode(text, allow_special=True) == trained.encode(text, allow_special=True)
    assert fast.encode(text) == trained.encode(text)
    overlapping = ByteBPE([], ["<a>", "<a><b>"])
    assert FastTokenizer(overlapping).encode("<a><b><a>", allow_special=True) == [257, 256]


def test_saved_file_is_read_back(fast, tmp_path):
    fast.save(tmp_path / "tokenizer.json")
    again = FastTokenizer.from_file(tmp_path / "tokenizer.json")
    assert again.encode("the fox") == fast.encode("the fox")
    assert again.special_tokens == fast.special_tokens


@pytest.mark.parametrize("token", [-1, 400, 2**40])
def test_ids_outside_the_vocabulary_are_refused(fast, token):
    with pytest.raises(InputError, match=f"expected token ids 0 … 399, found {token}"):
        fast.decode([1, token])
    with pytest.raises(InputError):
        fast.token_bytes(token)


def test_invalid_utf8_becomes_the_replacement_character(fast):
    euro = fast.encode("€")
    assert fast.decode(euro[:-1]) == "\ufffd"


def test_vocabularies_that_tiktoken_would_read_otherwise_are_refused():
    # abc is made of a and bc; but ab comes first, so the merges never make it. tiktoken would, from ab and c.
    unreachable = ByteBPE([(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")])
    assert not unreachable.spells_every_token()
    with pytest.raises(InputError, match="load_tokenizer"):
        FastTokenizer(unreachable)
    numbers = dict(ByteBPE([(b"a", b"b"), (b"c", b"d")]).vocabulary)
    numbers[256], numbers[257] = numbers[257], numbers[256]
    with pytest.raises(InputError, match="order of their ids"):
        FastTokenizer(ByteBPE([(b"a", b"b"), (b"c", b"d")], vocabulary=numbers))
