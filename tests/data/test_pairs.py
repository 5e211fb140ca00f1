"""Pairs: line-aligned files, what is left out and counted, marks of languages, and corpora by name."""

import gzip
from pathlib import Path

import pytest

from groundup.configs.translation import PairsConfig
from groundup.data.pair_corpora import PAIRS, TEST, TRAIN, VALIDATION, made_pairs
from groundup.data.pairs import Pairs, load_pairs, load_test_pairs, read_lines, read_pairs
from groundup.errors import InputError


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def yours(folder: Path, **fields: object) -> PairsConfig:
    return PairsConfig(corpus=str(folder / "train"), source="en", target="de", **fields)


def test_lines_end_where_they_end_and_nowhere_else(tmp_path: Path):
    path = tmp_path / "text.en"
    path.write_bytes("\ufeffone\r\n two\u2028three \n\nlast".encode())
    assert read_lines(path) == ["one", "two\u2028three", "", "last"]


def test_packed_and_plain_files_go_together(tmp_path: Path):
    write(tmp_path, "train.en", "a dog", "a cat")
    write(tmp_path, "train.de.gz", "ein Hund", "eine Katze")
    assert list(read_pairs(str(tmp_path / "train"), "de", "en")) == [("ein Hund", "a dog"), ("eine Katze", "a cat")]


def test_a_pair_with_an_empty_side_is_left_out_and_counted(tmp_path: Path):
    write(tmp_path, "train.en", "a", "", "c", "d", "e", " ")
    write(tmp_path, "train.de", "A", "B", "C", "", "E", "")
    splits = load_pairs(yours(tmp_path, validation_fraction=0.3))
    assert sorted([*splits.train, *splits.validation]) == [("a", "A"), ("c", "C"), ("e", "E")]
    assert splits.notes == ("3 of 6 pairs left out: a side is empty",)


def test_copies_of_a_source_are_on_one_side(tmp_path: Path):
    sources = [f"source {i % 7}" for i in range(40)]
    write(tmp_path, "train.en", *sources)
    write(tmp_path, "train.de", *(f"target {i}" for i in range(40)))
    splits = load_pairs(yours(tmp_path, validation_fraction=0.2))
    assert not set(splits.train.source) & set(splits.validation.source)
    assert len(splits.train) + len(splits.validation) == 40


def test_what_is_learned_is_not_measured(tmp_path: Path):
    write(tmp_path, "train.en", "a", "b", "c")
    write(tmp_path, "train.de", "A", "B", "C")
    write(tmp_path, "val.en", "b", "x")
    write(tmp_path, "val.de", "B", "X")
    splits = load_pairs(yours(tmp_path, validation=str(tmp_path / "val"), max_pairs=2))
    assert list(splits.train) == [("a", "A"), ("b", "B")]
    assert list(splits.validation) == [("x", "X")]
    assert splits.notes == (
        "the first 2 of 3 pairs taken",
        "1 of 2 validation pairs left out: their sources are learned",
    )


@pytest.mark.parametrize(
    ("lines", "fields", "found"),
    [
        ((2, 3), {}, "train.en as in {0}/train.de, found 2 and 3: line by line, one translates the other"),
        ((3, 3), {"target": "fr"}, "train.fr.gz, found neither; of {0}/train there is de, en: check the mark"),
        ((3, 3), {"source": None}, "or two files and the marks their names end in, found '{0}/train' with source None"),
        ((3, 3), {"validation_fraction": 0.0}, "PairsConfig.validation_fraction 0 and no PairsConfig.validation"),
        ((1, 1), {}, "expected at least 2 pairs with two sides in {0}/train, found 1"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, lines: tuple[int, int], fields: dict[str, object], found: str):
    for mark, n in zip(("en", "de"), lines, strict=True):
        write(tmp_path, f"train.{mark}", *(f"{mark} {i}" for i in range(n)))
    config = PairsConfig(**{"corpus": str(tmp_path / "train"), "source": "en", "target": "de", **fields})
    with pytest.raises(InputError) as error:
        load_pairs(config)
    assert found.format(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_one_line(tmp_path: Path):
    whole = write(tmp_path, "train.en.gz", "a dog", "a cat")
    whole.write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"lines of text that can be read, found .*train.en.gz"):
        read_lines(whole)
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match=r"expected UTF-8 .* iconv"):
        read_lines(tmp_path / "latin")


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"corpus": "multi30k", "target": "klingon"}, "a language of multi30k, en or de, found 'klingon'"),
        ({"corpus": "dates", "source": "iso", "target": "human"}, "expected dates from human to iso, found iso to"),
        ({"corpus": "no-such-corpus"}, "expected a known corpus (dates, reverse, sort, multi30k), or two files"),
    ],
)
def test_an_unknown_corpus_or_language_is_one_line(config: dict[str, str], found: str):
    with pytest.raises(InputError) as error:
        load_pairs(PairsConfig(**config))
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_only_yours_have_no_test_part(tmp_path: Path):
    with pytest.raises(InputError, match="expected a corpus with a test part"):
        load_test_pairs(yours(tmp_path))


@pytest.mark.parametrize("name", ["dates", "reverse", "sort"])
def test_made_parts_are_the_same_each_time_and_differ(name: str):
    parts = [made_pairs(PAIRS[name], part, seed=4, n=50)[:50] for part in (TRAIN, VALIDATION, TEST)]
    assert parts == [made_pairs(PAIRS[name], part, seed=4, n=50)[:50] for part in (TRAIN, VALIDATION, TEST)]
    # Strings of one letter meet by chance, 26 of them; longer ones do not.
    assert all(len(set(one) & set(other)) < 6 for one, other in [parts[:2], parts[1:], parts[::2]])
    assert made_pairs(PAIRS[name], TRAIN, seed=5, n=50) != parts[0]
    assert made_pairs(PAIRS[name], TRAIN, seed=4, n=9) == parts[0][:9]  # more pairs change none


def test_sides_of_different_length_are_no_pairs():
    with pytest.raises(ValueError, match="found 1 for 2"):
        Pairs(source=("a", "b"), target=("a",))
