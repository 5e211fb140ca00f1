import json

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from groundup.errors import InputError
from groundup.tokenization import IncrementalDecoder, PublishedTokenizer, load_tokenizer

TEXTS = ["the fox jumps over the lazy owl", "the owl's kite is café red", "foxes, owls and kites!"] * 5


def wordpiece():
    library = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(lowercase=True)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece()
    library.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=["[UNK]"], show_progress=False)
    )
    return library


def sentencepiece():
    library = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()])
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "<|endoftext|>"], show_progress=False)
    library.train_from_iterator(TEXTS, trainer)
    document = json.loads(library.to_str())
    for name in byte_tokens:
        document["model"]["vocab"].setdefault(name, len(document["model"]["vocab"]))
    return tokenizers.Tokenizer.from_str(json.dumps(document))


def byte_level_with_normalizer():
    library = tokenizers.Tokenizer(models.BPE())
    library.normalizer = normalizers.NFC()
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    library.train_from_iterator(TEXTS, trainer)
    return library


@pytest.mark.parametrize("make", [wordpiece, sentencepiece, byte_level_with_normalizer])
def test_ids_and_text_are_the_librarys(make, tmp_path):
    library = make()
    library.enable_truncation(2)  # what a file says about training batches is not for us
    library.save(str(tmp_path / "tokenizer.json"))
    library.no_truncation()
    ours = load_tokenizer(tmp_path)
    assert isinstance(ours, PublishedTokenizer)
    assert ours.vocab_size == library.get_vocab_size()
    text = "the fox's kite, over the café"
    ids = library.encode(text, add_special_tokens=False).ids
    assert ours.encode(text) == list(ours.encode_iterable([text[:7], text[7:]])) == ids
    assert ours.decode(ids) == library.decode(ids, skip_special_tokens=False)
    ours.save(tmp_path / "again.json")
    assert load_tokenizer(tmp_path / "again.json").encode(text) == ids
    with pytest.raises(InputError, match="expected token ids"):
        ours.decode([ours.vocab_size])
    with pytest.raises(InputError, match="expected token ids"):
        ours.token_bytes(-1)


@pytest.mark.parametrize("make", [wordpiece, sentencepiece, byte_level_with_normalizer])
def test_streamed_text_is_the_text_with_the_space_before_its_first_word(make, tmp_path):
    make().save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    ids = ours.encode("the fox jumps over the lazy owl")
    decoder = IncrementalDecoder(ours)
    assert ("".join(map(decoder.push, ids)) + decoder.flush()).lstrip(" ") == ours.decode(ids)


def test_bytes_of_a_character_that_no_token_covers(tmp_path):
    sentencepiece().save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    ids = ours.encode("the €")
    assert b"".join(map(ours.token_bytes, ids)).endswith("€".encode())
    assert ours.decode(ids) == "the €"


def test_special_tokens_are_ordinary_text_unless_allowed(tmp_path):
    byte_level_with_normalizer().save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert ours.special_tokens == {"<|endoftext|>": 0}
    assert ours.end_id == 0
    assert ours.token_bytes(0) == b"<|endoftext|>"
    assert 0 not in ours.encode("a<|endoftext|>")
    assert ours.encode("a<|endoftext|>", allow_special=True)[-1] == 0
    assert 0 not in ours.encode("a<|endoftext|>")


def test_other_vocabularies_without_an_end_token(tmp_path):
    wordpiece().save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).end_id is None
