import json

import pytest
import tokenizers

from groundup.errors import InputError
from groundup.tokenization import END_OF_TEXT, ByteBPE, fingerprint
from groundup.tokenization.bpe_files import why_not

TEXT = f"The fox's 12 kites — über狐!\n\n  there{END_OF_TEXT}"


def same(one, other):
    return (one.merges, one.vocabulary, one.special_tokens) == (other.merges, other.vocabulary, other.special_tokens)


def test_tokenizer_json_comes_back(trained, tmp_path):
    trained.save(tmp_path / "tokenizer.json")
    again = ByteBPE.from_tokenizer_json(tmp_path / "tokenizer.json")
    assert same(again, trained)
    assert fingerprint(again) == fingerprint(trained)


def test_gpt2_files_come_back_and_the_library_reads_them(trained, tmp_path):
    files = tmp_path / "vocab.json", tmp_path / "merges.txt"
    trained.save_gpt2_files(*files)
    assert same(ByteBPE.from_gpt2_files(*files), trained)
    library = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(*map(str, files)))
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert library.encode("the foxes there").ids == trained.encode("the foxes there")


def test_gpt2s_own_files_come_back_byte_for_byte_in_merges(gpt2, gpt2_folder, tmp_path):
    gpt2.save_gpt2_files(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert (tmp_path / "merges.txt").read_bytes() == (gpt2_folder / "vocab.bpe").read_bytes()
    assert json.loads((tmp_path / "vocab.json").read_text()) == json.loads((gpt2_folder / "encoder.json").read_text())


def test_gpt2_files_cannot_hold_other_special_tokens(tmp_path):
    with pytest.raises(InputError, match=r"found '<\|user\|>': use save"):
        ByteBPE([], ["<|user|>"]).save_gpt2_files(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert not list(tmp_path.iterdir())


def test_special_tokens_are_added_tokens_of_the_file(tmp_path):
    ours = ByteBPE([(b"t", b"h")], ["<|user|>", END_OF_TEXT, "<|ü ber|>"])
    ours.save(tmp_path / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = f"th{END_OF_TEXT}<|user|> <|ü ber|>th"
    assert library.encode(text).ids == ours.encode(text, allow_special=True)
    assert library.decode(library.encode(text).ids, skip_special_tokens=False) == text
    assert library.decode(library.encode(text).ids) == "th th"
    assert ByteBPE.from_tokenizer_json(tmp_path / "tokenizer.json").special_tokens == ours.special_tokens


def test_merges_written_as_one_text_are_read(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    document = json.loads(path.read_text())
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    path.write_text(json.dumps(document))
    assert same(ByteBPE.from_tokenizer_json(path), trained)


def test_a_vocabulary_numbered_otherwise_is_read(trained, tmp_path):
    """As the `tokenizers` trainer numbers: special tokens first."""
    path = tmp_path / "tokenizer.json"
    vocabulary = {(token + 1) % trained.vocab_size: spelled for token, spelled in trained.vocabulary.items()}
    shifted = ByteBPE(trained.merges, [END_OF_TEXT], vocabulary=vocabulary)
    assert shifted.end_id == 0
    shifted.save(path)
    assert same(ByteBPE.from_tokenizer_json(path), shifted)
    assert shifted.encode(TEXT) == [token + 1 for token in trained.encode(TEXT)]
    library = tokenizers.Tokenizer.from_file(str(path))
    assert library.encode(TEXT).ids == shifted.encode(TEXT, allow_special=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"normalizer": {"type": "NFC"}}, "a normalizer"),
        ({"decoder": None}, "a decoder"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "type Whitespace"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "a space added"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}}, "pre-tokenizer"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "WordPiece"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": [], "unk_token": "?"}}, "model.unk_token"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": [], "ignore_merges": True}}, "model.ignore_merges"),
        ({"added_tokens": [{"id": 0, "content": "x", "special": False}]}, "'x' with rules of its own"),
    ],
)
def test_other_kinds_are_refused_with_the_reason(trained, tmp_path, change, reason):
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    document = json.loads(path.read_text())
    assert why_not(document) == ""
    path.write_text(json.dumps(document | change))
    with pytest.raises(InputError, match=reason):
        ByteBPE.from_tokenizer_json(path)


@pytest.mark.parametrize(
    ("vocabulary", "merges", "found"),
    [
        ("[]", "", "found other JSON"),
        ('{"a": "0"}', "", "found other JSON"),
        ('{"a b": 0}', "", "byte alphabet"),
        ('{"a": 0}', "a b c", "byte alphabet"),
        ('{"a": 0}', "", "for each of the 256 bytes"),
        ('{"a": 0', "", "found a damaged file"),
    ],
)
def test_damaged_gpt2_files_are_refused(tmp_path, vocabulary, merges, found):
    (tmp_path / "vocab.json").write_text(vocabulary)
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + merges + "\n")
    with pytest.raises(InputError, match=found):
        ByteBPE.from_gpt2_files(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_files_of_two_vocabularies_are_refused(trained, tmp_path):
    trained.save_gpt2_files(tmp_path / "vocab.json", tmp_path / "merges.txt")
    ByteBPE(trained.merges[:50]).save_gpt2_files(tmp_path / "other.json", tmp_path / "other.txt")
    with pytest.raises(InputError, match="one and the same tokenizer"):
        ByteBPE.from_gpt2_files(tmp_path / "vocab.json", tmp_path / "other.txt")
    with pytest.raises(InputError, match="one and the same tokenizer"):
        ByteBPE.from_gpt2_files(tmp_path / "other.json", tmp_path / "merges.txt")
