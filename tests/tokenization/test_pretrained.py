import pytest

from groundup.download import sha256_of
from groundup.errors import InputError
from groundup.tokenization import (
    ByteBPE,
    CharacterTokenizer,
    FastTokenizer,
    gpt2_tokenizer,
    load_tokenizer,
    pretrained,
)
from groundup.tokenization.pretrained import find_gpt2_files
from groundup.tokenization.published import PublishedTokenizer


def test_load_tokenizer_gives_the_class_that_fits(trained, tmp_path):
    trained.save(tmp_path / "bpe" / "tokenizer.json")
    CharacterTokenizer("abc").save(tmp_path / "characters" / "tokenizer.json")
    unreachable = ByteBPE([(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")])  # tiktoken would give other ids: see test_fast
    unreachable.save(tmp_path / "odd" / "tokenizer.json")
    assert isinstance(load_tokenizer(tmp_path / "bpe"), FastTokenizer)
    assert isinstance(load_tokenizer(tmp_path / "bpe" / "tokenizer.json"), FastTokenizer)
    assert isinstance(load_tokenizer(str(tmp_path / "characters")), CharacterTokenizer)
    odd = load_tokenizer(tmp_path / "odd")
    assert isinstance(odd, PublishedTokenizer)
    assert odd.encode("abc") == unreachable.encode("abc")


@pytest.mark.parametrize("names", [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")])
def test_folders_with_gpt2s_pair_of_files_are_read(trained, tmp_path, names):
    trained.save_gpt2_files(tmp_path / names[0], tmp_path / names[1])
    assert load_tokenizer(tmp_path).encode("the fox") == trained.encode("the fox")
    assert gpt2_tokenizer(tmp_path).encode("the fox") == trained.encode("the fox")


def test_nothing_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected a tokenizer file at .*tokenizer.json, found nothing"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="found nothing"):
        load_tokenizer(tmp_path / "absent")
    with pytest.raises(InputError, match="did not find both"):
        gpt2_tokenizer(tmp_path)


def write_gpt2_files(tokenizer, folder, monkeypatch):
    """Write a vocabulary where GPT-2's is looked for, and let it pass for the published one."""
    tokenizer.save_gpt2_files(folder / "gpt2" / "encoder.json", folder / "gpt2" / "vocab.bpe")
    published = {name: sha256_of(folder / "gpt2" / name) for name in ("encoder.json", "vocab.bpe")}
    monkeypatch.setattr(pretrained, "_GPT2_FILES", published)


def test_gpt2_is_found_in_groundup_data_then_in_the_cache(trained, tmp_path, monkeypatch):
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setenv("GROUNDUP_DATA", str(data))
    monkeypatch.setenv("GROUNDUP_CACHE", str(cache))
    assert find_gpt2_files() is None
    write_gpt2_files(trained, cache, monkeypatch)
    assert find_gpt2_files() == (cache / "gpt2/encoder.json", cache / "gpt2/vocab.bpe")
    assert gpt2_tokenizer().vocab_size == trained.vocab_size
    write_gpt2_files(trained, data, monkeypatch)
    assert find_gpt2_files() == (data / "gpt2/encoder.json", data / "gpt2/vocab.bpe")


def test_a_vocabulary_that_is_not_gpt2s_is_never_used(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path))
    trained.save_gpt2_files(tmp_path / "gpt2" / "encoder.json", tmp_path / "gpt2" / "vocab.bpe")
    with pytest.raises(InputError, match=r"expected .*encoder.json to have SHA-256 1961"):
        gpt2_tokenizer()


def test_without_network_one_line_says_what_to_put_where(tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise ConnectionError("no route")

    monkeypatch.delenv("GROUNDUP_DATA", raising=False)
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path))
    monkeypatch.setattr("pooch.retrieve", no_network)
    with pytest.raises(InputError, match=r"put encoder.json at \$GROUNDUP_DATA/gpt2/encoder.json") as caught:
        gpt2_tokenizer()
    assert "\n" not in str(caught.value)


def test_the_real_gpt2_vocabulary(gpt2_folder):
    tokenizer = gpt2_tokenizer(gpt2_folder)
    assert (tokenizer.vocab_size, tokenizer.end_id) == (50257, 50256)
    assert tokenizer.decode(tokenizer.encode("Hello, world")) == "Hello, world"
