import pytest

from groundup.errors import InputError
from groundup.tokenization import ByteBPE, CharacterTokenizer, FastTokenizer, gpt2_tokenizer, load_tokenizer
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


def test_gpt2_is_found_in_groundup_data_then_in_the_cache(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "cache"))
    assert find_gpt2_files() is None
    trained.save_gpt2_files(tmp_path / "cache" / "gpt2" / "encoder.json", tmp_path / "cache" / "gpt2" / "vocab.bpe")
    assert find_gpt2_files() == (tmp_path / "cache/gpt2/encoder.json", tmp_path / "cache/gpt2/vocab.bpe")
    assert gpt2_tokenizer().vocab_size == trained.vocab_size
    trained.save_gpt2_files(tmp_path / "data" / "gpt2" / "encoder.json", tmp_path / "data" / "gpt2" / "vocab.bpe")
    assert find_gpt2_files() == (tmp_path / "data/gpt2/encoder.json", tmp_path / "data/gpt2/vocab.bpe")


def test_without_network_one_line_says_what_to_put_where(tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise ConnectionError("no route")

    monkeypatch.delenv("GROUNDUP_DATA", raising=False)
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path))
    monkeypatch.setattr("pooch.retrieve", no_network)
    with pytest.raises(InputError, match=r"encoder.json and vocab.bpe in .*gpt2 or at https.*put both files") as caught:
        gpt2_tokenizer()
    assert "\n" not in str(caught.value)


def test_downloaded_files_are_checked_by_their_sha256(tmp_path, monkeypatch):
    asked = []
    monkeypatch.delenv("GROUNDUP_DATA", raising=False)
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path))

    def retrieve(url, known_hash, fname, path, **_options):
        asked.append((url.rpartition("/")[2], known_hash[:4], fname, path))
        raise ValueError("SHA256 hash of downloaded file does not match the known hash")

    monkeypatch.setattr("pooch.retrieve", retrieve)
    with pytest.raises(InputError, match="ValueError"):
        gpt2_tokenizer()
    assert asked == [("encoder.json", "1961", "encoder.json", tmp_path / "gpt2")]


def test_the_real_gpt2_vocabulary(gpt2_folder):
    tokenizer = gpt2_tokenizer(gpt2_folder)
    assert (tokenizer.vocab_size, tokenizer.end_id) == (50257, 50256)
    assert tokenizer.decode(tokenizer.encode("Hello, world")) == "Hello, world"
