import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from groundup.data.corpora import Corpus, find_corpus
from groundup.data.tokens import open_tokens, prepare_tokens
from groundup.data.windows import Windows
from groundup.errors import InputError
from groundup.tokenization.base import END_OF_TEXT, fingerprint
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.bpe_training import train_bpe
from groundup.tokenization.characters import CharacterTokenizer

BYTES = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])  # one token a byte


def text_file(folder: Path, text: str) -> Corpus:
    path = folder / "text.txt"
    path.write_bytes(text.encode())
    return find_corpus(str(path))


def text_folder(folder: Path, texts: Iterable[str]) -> Corpus:
    (folder / "texts").mkdir()
    for i, text in enumerate(texts):
        (folder / "texts" / f"{i:04}.txt").write_bytes(text.encode())
    return find_corpus(str(folder / "texts"))


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A folder of tokens: 90 characters "ab…" to learn and 10 "z" held out."""
    corpus = text_file(tmp_path, "ab" * 45 + "z" * 10)
    prepare_tokens(corpus, CharacterTokenizer("abz"), tmp_path / "tokens", validation_fraction=0.1)
    return tmp_path / "tokens"


def test_tokens_are_the_encoded_text(tmp_path: Path):
    text = "the cat, the hat, the naïve 🙂 " * 400
    corpus = text_file(tmp_path, text)
    bpe = train_bpe([text], 300)
    prepare_tokens(corpus, bpe, tmp_path / "tokens", validation_fraction=0.25)
    train, validation = (open_tokens(tmp_path / "tokens", side, tokenizer=bpe) for side in ("train", "validation"))
    assert bpe.decode(train.ids.tolist()) + bpe.decode(validation.ids.tolist()) == text
    assert train.ids.tolist() == bpe.encode(bpe.decode(train.ids.tolist()))
    assert train.n_bytes + validation.n_bytes == len(text.encode()) == corpus.n_bytes
    assert (train.n_tokens, train.vocab_size) == (len(train.ids), bpe.vocab_size)
    assert train.ids.dtype == np.uint16
    train.verify()
    validation.verify()


def test_documents_begin_with_the_end_token(tmp_path: Path):
    corpus = text_folder(tmp_path, ["one", "two", "six", "ten"])
    prepare_tokens(corpus, BYTES, tmp_path / "tokens", validation_fraction=0.5)
    end = BYTES.end_id
    for side, texts in (("train", ["one", "two"]), ("validation", ["six", "ten"])):
        tokens = open_tokens(tmp_path / "tokens", side)
        assert tokens.ids.tolist() == [token for text in texts for token in [end, *BYTES.encode(text)]]
        assert tokens.n_bytes == 6  # the end tokens spell nothing


def test_the_held_out_rest_of_a_document_does_not_begin_one(tmp_path: Path):
    prepare_tokens(text_folder(tmp_path, ["0123456789"]), BYTES, tmp_path / "tokens", validation_fraction=0.2)
    assert open_tokens(tmp_path / "tokens", "train").ids[0] == BYTES.end_id
    assert BYTES.decode(open_tokens(tmp_path / "tokens", "validation").ids.tolist()) == "89"


def test_without_an_end_token_a_blank_line_separates_documents(tmp_path: Path):
    corpus = text_folder(tmp_path, ["one", "two", "six", "ten"])
    tokenizer = CharacterTokenizer.from_text(corpus.text())
    prepare_tokens(corpus, tokenizer, tmp_path / "tokens", validation_fraction=0.5)
    for side, text in (("train", "one\n\ntwo"), ("validation", "six\n\nten")):
        tokens = open_tokens(tmp_path / "tokens", side)
        assert tokenizer.decode(tokens.ids.tolist()) == text
        assert tokens.n_bytes == len(text)


def test_a_single_text_has_no_end_tokens(tmp_path: Path):
    prepare_tokens(text_file(tmp_path, "abcd"), BYTES, tmp_path / "tokens", validation_fraction=0.5)
    assert open_tokens(tmp_path / "tokens", "train").ids.tolist() == BYTES.encode("ab")


def test_no_training_window_holds_a_validation_token(tmp_path: Path):
    # Held-out characters occur nowhere else, so one of them in a training batch would be seen.
    corpus = text_file(tmp_path, "abcdefgh" * 100 + "XYZ" * 30)
    tokenizer = CharacterTokenizer.from_text(corpus.text())
    prepare_tokens(corpus, tokenizer, tmp_path / "tokens", validation_fraction=90 / 890)
    windows = Windows(open_tokens(tmp_path / "tokens", "train").ids, context_length=7, seed=0)
    seen: set[str] = set()
    for step in range(20 * windows.n_windows):  # 20 epochs: every offset
        for tokens in windows.batch(step, 1):
            seen.update(tokenizer.decode(tokens[0].tolist()))
    assert seen == set("abcdefgh")
    assert set(tokenizer.decode(open_tokens(tmp_path / "tokens", "validation").ids.tolist())) == set("XYZ")


def test_no_token_spans_both_sides(tmp_path: Path):
    bpe = train_bpe(["abab" * 100], 260)
    prepare_tokens(text_file(tmp_path, "ab" * 11), bpe, tmp_path / "tokens", validation_fraction=0.5)
    train, validation = (open_tokens(tmp_path / "tokens", side) for side in ("train", "validation"))
    assert (bpe.decode(train.ids.tolist()), bpe.decode(validation.ids.tolist())) == ("ab" * 5 + "a", "b" + "ab" * 5)


class Numbers:
    """A tokenizer of `vocab_size` ids in which every character is its code point."""

    end_id = None

    def __init__(self, vocab_size: int) -> None:
        self.special_tokens: dict[str, int] = {}
        self.vocab_size = vocab_size

    def encode_iterable(self, pieces: Iterable[str]) -> Iterator[int]:
        return (ord(character) for piece in pieces for character in piece)

    def token_bytes(self, token: int) -> bytes:
        return b"?"


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_the_width_follows_the_vocabulary(tmp_path: Path, vocab_size: int, dtype: type):
    text = chr(vocab_size - 1) * 4
    prepare_tokens(text_file(tmp_path, text), Numbers(vocab_size), tmp_path / "tokens", validation_fraction=0.5)
    tokens = open_tokens(tmp_path / "tokens", "train")
    assert (tokens.ids.dtype, tokens.ids.tolist()) == (dtype, [vocab_size - 1] * 2)


def test_the_description_names_everything(prepared: Path):
    told = json.loads((prepared / "tokens.json").read_text())
    assert told["tokenizer"] == fingerprint(CharacterTokenizer("abz"))
    assert (told["format_version"], told["dtype"], told["vocab_size"]) == (1, "uint16", 3)
    assert told["corpus"]["source"] == str(prepared.parent / "text.txt")
    assert {side: (s["n_tokens"], s["n_bytes"]) for side, s in told["splits"].items()} == {
        "train": (90, 90),
        "validation": (10, 10),
    }
    assert sorted(path.name for path in prepared.iterdir()) == ["tokens.json", "train.bin", "validation.bin"]


def test_the_same_text_gives_the_same_files(tmp_path: Path, prepared: Path):
    prepare_tokens(
        find_corpus(str(tmp_path / "text.txt")), CharacterTokenizer("abz"), tmp_path / "again", validation_fraction=0.1
    )
    for path in prepared.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_tokens_cannot_be_written_to(prepared: Path):
    ids = open_tokens(prepared, "train").ids
    assert isinstance(ids, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 1


def test_a_folder_in_use_is_never_overwritten(tmp_path: Path, prepared: Path):
    before = {path.name: path.read_bytes() for path in prepared.iterdir()}
    (tmp_path / "file").write_text("mine")
    corpus = text_file(tmp_path, "other text")
    for taken in (prepared, tmp_path / "file"):
        with pytest.raises(InputError, match=f"expected a new folder for tokens, found {taken} in use"):
            prepare_tokens(corpus, CharacterTokenizer.from_text(corpus.text()), taken, validation_fraction=0.5)
    assert before == {path.name: path.read_bytes() for path in prepared.iterdir()}
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path):
    (tmp_path / "tokens").mkdir()
    prepare_tokens(text_file(tmp_path, "abab"), CharacterTokenizer("ab"), tmp_path / "tokens", validation_fraction=0.5)
    assert open_tokens(tmp_path / "tokens", "train").n_tokens == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"aaaaaaaaaaaa\xff", "expected UTF-8 text .* at offset 12"),
        (b"aaaaaaaaaaaaaab", "'b'"),  # outside the vocabulary, on the held-out side
        (b"a", "expected tokens for train, found none .*1 bytes"),
    ],
)
def test_a_failure_leaves_nothing_behind(tmp_path: Path, raw: bytes, message: str):
    (tmp_path / "text.txt").write_bytes(raw)
    corpus = find_corpus(str(tmp_path / "text.txt"))
    with pytest.raises(InputError, match=message) as caught:
        prepare_tokens(corpus, CharacterTokenizer("a"), tmp_path / "tokens", validation_fraction=0.1)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_a_limit_below_the_first_tale(tmp_path: Path):
    with pytest.raises(InputError, match="expected tokens for train, found none in tales"):
        prepare_tokens(find_corpus("tales", max_bytes=9), BYTES, tmp_path / "tokens", validation_fraction=0.1)


def test_a_place_that_cannot_be_written(tmp_path: Path):
    corpus = text_file(tmp_path, "abab")
    with pytest.raises(InputError, match=r"expected room to write tokens at .*text.txt.*: Not a directory"):
        prepare_tokens(corpus, CharacterTokenizer("ab"), tmp_path / "text.txt" / "tokens", validation_fraction=0.5)


def test_tokens_of_another_tokenizer_are_refused(prepared: Path):
    assert open_tokens(prepared, "train", tokenizer=CharacterTokenizer("abz")).n_tokens == 90
    with pytest.raises(InputError, match="expected tokens made by this tokenizer, found another's"):
        open_tokens(prepared, "train", tokenizer=CharacterTokenizer("zab"))


def test_a_file_cut_short_is_named(prepared: Path):
    with (prepared / "train.bin").open("r+b") as file:
        file.truncate(179)
    with pytest.raises(InputError, match=r"train.bin as prepare_tokens wrote it, found 179 bytes instead of 180"):
        open_tokens(prepared, "train")
    assert open_tokens(prepared, "validation").n_tokens == 10


def test_a_flipped_bit_is_found_by_verify(prepared: Path):
    raw = bytearray((prepared / "train.bin").read_bytes())
    raw[7] ^= 1
    (prepared / "train.bin").write_bytes(raw)
    tokens = open_tokens(prepared, "train")
    with pytest.raises(InputError, match=r"expected .*train.bin to have SHA-256 .* damaged; .* prepare it again"):
        tokens.verify()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[]", "format_version None"),
        ('{"format_version": 2}', "format_version 2 instead of 1"),
        ('{"format_version": 1}', "no complete description of train"),
        ('{"format_version": 1, "splits": 7}', "no complete description of train"),
    ],
)
def test_a_foreign_description_is_refused(prepared: Path, content: str, message: str):
    (prepared / "tokens.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_tokens(prepared, "train")


@pytest.mark.parametrize(("field", "value"), [("dtype", "float32"), ("vocab_size", "many"), ("dtype", [])])
def test_a_description_with_a_wrong_field_is_refused(prepared: Path, field: str, value: object):
    told = json.loads((prepared / "tokens.json").read_text()) | {field: value}
    (prepared / "tokens.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="no complete description of train"):
        open_tokens(prepared, "train")


def test_missing_files(tmp_path: Path, prepared: Path):
    with pytest.raises(InputError, match=r"described by .*nowhere/tokens.json, found: No such file"):
        open_tokens(tmp_path / "nowhere", "train")
    (prepared / "train.bin").unlink()
    with pytest.raises(InputError, match=r"train.bin .*found no file instead of 180 bytes"):
        open_tokens(prepared, "train")


def test_preparing_takes_the_same_memory_for_any_size(tmp_path: Path):
    path = tmp_path / "text.txt"
    line = "all the world's a stage, and all the men and women merely players\n"
    path.write_text(line * (20_000_000 // len(line)))
    tokenizer = CharacterTokenizer.from_text([line])
    tracemalloc.start()
    try:
        prepare_tokens(find_corpus(str(path)), tokenizer, tmp_path / "tokens", validation_fraction=0.1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # One piece of 1 MB: its bytes, its text, and its ids as a list of 8-byte references, twice while that list grows.
    # The text is 20 MB, its tokens 40 MB, so holding either whole would break the bound.
    assert peak < 20_000_000


_PREPARE = """
import sys
from pathlib import Path
from groundup.data.corpora import find_corpus
from groundup.data.tokens import prepare_tokens
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.bpe_training import train_bpe
from groundup.tokenization.fast import FastTokenizer

corpus = find_corpus(sys.argv[1])
bpe = train_bpe([next(next(corpus.documents()).pieces)], 1024)
prepare_tokens(corpus, FastTokenizer(bpe), Path(sys.argv[2]), validation_fraction=0.1)
status = Path("/proc/self/status").read_text()  # the highest resident memory of this process alone, in kB
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_100_megabytes_take_the_memory_of_5(tmp_path: Path):
    words = np.random.default_rng(0).integers(0, 30_000, 500_000)
    block = " ".join(f"w{word:x}" for word in words) + "\n"
    peaks = []
    for size in (5_000_000, 100_000_000):
        path = tmp_path / f"{size}.txt"
        with path.open("w") as file:
            for _ in range(-(-size // len(block))):
                file.write(block)
        command = [sys.executable, "-c", _PREPARE, str(path), str(tmp_path / f"tokens{size}")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        peaks.append(int(done.stdout) * 1024)
    # 20 times the text may take 10 MB more, for an allocator that does not give everything back.
    assert peaks[1] < peaks[0] + 10_000_000
