import os
from itertools import pairwise
from pathlib import Path

import pytest

from groundup.data.corpora import CORPORA, TALES_BYTES, find_corpus, list_corpora, preview
from groundup.data.tales import is_valid
from groundup.errors import InputError

HAS_DATA = pytest.mark.skipif(not os.environ.get("GROUNDUP_DATA"), reason="GROUNDUP_DATA is unset: no real texts here")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder and a cache that are empty, and no way out."""
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path))
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    return tmp_path


def contents(corpus) -> list[str]:
    return ["".join(document.pieces) for document in corpus.documents()]


def test_a_file_is_one_document(tmp_path: Path):
    path = tmp_path / "poem.xyz"
    path.write_bytes("Zwei Straßen\r\nim Wald\n".encode())
    corpus = find_corpus(str(path))
    assert contents(corpus) == ["Zwei Straßen\r\nim Wald\n"] == ["".join(corpus.text())]
    assert (corpus.n_bytes, corpus.is_collection, corpus.source) == (path.stat().st_size, False, str(path))
    assert contents(corpus) == contents(corpus)  # it can be read again


def test_a_folder_is_a_collection(tmp_path: Path):
    for name in ("b.txt", "c.md", "a.txt"):
        (tmp_path / name).write_text(f"text {name}")
    corpus = find_corpus(str(tmp_path))
    assert contents(corpus) == ["text a.txt", "text b.txt", "text c.md"]
    assert "".join(corpus.text()) == "text a.txt\n\ntext b.txt\n\ntext c.md"
    assert (corpus.n_bytes, corpus.is_collection) == (3 * 10 - 1, True)


@pytest.mark.parametrize("max_bytes", [1, 9, 10, 11, 20, 28, 29, 1_000])
def test_the_first_bytes_of_a_folder(tmp_path: Path, max_bytes: int):
    for name in ("a.txt", "b.txt", "c.md"):
        (tmp_path / name).write_text(f"text {name}")
    corpus = find_corpus(str(tmp_path), max_bytes=max_bytes)
    assert "".join(contents(corpus)) == "text a.txttext b.txttext c.md"[:max_bytes]
    assert corpus.n_bytes == min(max_bytes, 29) == sum(document.n_bytes for document in corpus.documents())


def test_the_first_bytes_of_a_file_end_with_a_whole_character(tmp_path: Path):
    (tmp_path / "a.txt").write_text("aé€")
    assert [contents(find_corpus(str(tmp_path / "a.txt"), max_bytes=n)) for n in (1, 2, 3, 5, 6, 7)] == [
        ["a"],
        ["a"],
        ["aé"],
        ["aé"],
        ["aé€"],
        ["aé€"],
    ]


def test_tales_are_whole_the_same_ones_and_below_the_limit():
    small, large = (contents(find_corpus("tales", max_bytes=n)) for n in (20_000, 40_000))
    assert large[: len(small)] == small
    assert all(is_valid(tale) for tale in small)
    size = sum(len(tale.encode()) for tale in small)
    assert size <= 20_000 < size + len(large[len(small)].encode())  # the next one would not have fitted
    assert find_corpus("tales").n_bytes == TALES_BYTES == 4_000_000


def test_a_limit_below_the_first_tale_gives_no_document():
    assert contents(find_corpus("tales", max_bytes=10)) == []


@HAS_DATA
def test_shakespeare_is_the_published_file():
    corpus = find_corpus("shakespeare")
    text = "".join(corpus.text())
    assert (len(text), corpus.n_bytes, corpus.is_collection) == (1_115_394, 1_115_394, False)
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")


def test_shakespeare_without_network(offline: Path):
    with pytest.raises(InputError, match=rf"put input.txt at {offline}/tinyshakespeare/input.txt, or .* train tales"):
        find_corpus("shakespeare")


def test_shakespeare_that_was_changed(offline: Path):
    path = offline / "tinyshakespeare" / "input.txt"
    path.parent.mkdir()
    path.write_text("First Citizen:")
    with pytest.raises(InputError, match=f"expected {path} to have SHA-256 86c4e6aa"):
        find_corpus("shakespeare")
    assert find_corpus(str(path)).n_bytes == 14  # by its path it is a text like any other


def test_the_list_says_where_things_are_and_never_fails(offline: Path, monkeypatch: pytest.MonkeyPatch):
    found = {corpus.name: corpus.found for corpus in list_corpora()}
    assert found["shakespeare"].startswith("not here: downloaded when it is asked for")
    assert found["tales"].startswith("here")
    path = offline / "tinyshakespeare" / "input.txt"
    path.parent.mkdir()
    path.write_text("First Citizen:")
    assert CORPORA["shakespeare"].found == f"damaged: {path} has a wrong checksum"
    monkeypatch.setenv("GROUNDUP_DATA", "~nosuchuser/x")
    assert CORPORA["shakespeare"].found.endswith("found '~nosuchuser/x': no such home folder")
    for corpus in list_corpora():
        assert all((corpus.name, corpus.description, corpus.licence, corpus.source))


def test_a_name_comes_before_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tales").mkdir()
    (tmp_path / "tales" / "a.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert find_corpus("tales").licence.startswith("Apache-2.0")
    assert contents(find_corpus("./tales")) == ["mine"]


def test_what_cannot_be_found(tmp_path: Path):
    with pytest.raises(InputError, match=r"known corpus \(shakespeare, tales\) or the path .* found 'shakspeare'"):
        find_corpus("shakspeare")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(InputError, match="found an empty file"):
        find_corpus(str(tmp_path / "empty.txt"))
    with pytest.raises(InputError, match="found none: put some there"):
        find_corpus(str(tmp_path))
    for path, reason in (("~nosuchuser/x", "no such home folder"), ("x" * 300, "File name too long")):
        with pytest.raises(InputError, match=f"expected a path that can be used, found '{path}': {reason}"):
            find_corpus(path)
    with pytest.raises(InputError, match=r"known corpus .* found ''"):
        find_corpus("")
    with pytest.raises(InputError, match="found /dev/null, which is neither"):
        find_corpus("/dev/null")
    for max_bytes in (0, -1):
        with pytest.raises(InputError, match=f"max_bytes to be at least 1, found {max_bytes}"):
            find_corpus("tales", max_bytes=max_bytes)


def test_preview_reads_no_more_than_it_shows(tmp_path: Path):
    (tmp_path / "a.txt").write_text("aé€")
    (tmp_path / "b.txt").write_bytes(b"\xff")  # not UTF-8, and never reached
    corpus = find_corpus(str(tmp_path))
    shown = [preview(corpus, n) for n in range(6)]
    assert shown == ["", "a", "aé", "aé€", "aé€\n", "aé€\n\n"]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(shown))
    with pytest.raises(InputError, match=r"b\.txt"):
        preview(corpus, 6)
