"""Texts that a run did not learn from: its own held-out end, and tales of another seed."""

from pathlib import Path

import pytest

from groundup.configs import DataConfig, RunConfig
from groundup.configs.finetune_runs import ClassifyConfig, TextConfig
from groundup.data.corpora import TALES_SEED, find_corpus
from groundup.data.splits import split
from groundup.data.tales import generate, is_valid
from groundup.data.tokens import prepare_tokens
from groundup.errors import InputError
from groundup.reports.texts import UNSEEN_SEED, given_text, held_out_text, unseen_tales, window_of
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.run_folder import Run


def held_out(corpus: str, max_bytes: int | None = None) -> str:
    parts = split(find_corpus(corpus, max_bytes=max_bytes), 0.2)
    return "\n\n".join("".join(part.pieces) for part in list_of_sides(parts))


def list_of_sides(parts):
    for part in parts:
        if part.side == "validation":
            yield part
        else:
            list(part.pieces)


@pytest.mark.parametrize("text", ["abcdefghij" * 5, "naïve ünd €uro " * 9])
def test_of_one_text_it_is_its_end(text: str, tmp_path: Path):
    (tmp_path / "notes.txt").write_text(text, encoding="utf-8")
    corpus, tokenizer = find_corpus(str(tmp_path / "notes.txt")), CharacterTokenizer.from_text([text])
    run = Run.create(tmp_path / "run", TextConfig(data=DataConfig(corpus=corpus.name)))
    prepare_tokens(corpus, tokenizer, run.tokens, validation_fraction=0.2)
    found = held_out_text(run, tokenizer, 1_000)
    assert found is not None
    assert (found.name, found.text) == ("held-out notes.txt", held_out(corpus.name))
    cut = held_out_text(run, tokenizer, 4)
    assert cut is not None
    assert found.text.startswith(cut.text)
    assert 0 < len(cut.text.encode()) <= 4


def test_documents_stand_apart_and_no_marker_is_spelled(tmp_path: Path):
    corpus, tokenizer = find_corpus("tales", max_bytes=5_000), ByteBPE([], special_tokens=["<|endoftext|>"])
    run = Run.create(tmp_path / "run", RunConfig(data=DataConfig(corpus="tales")))
    prepare_tokens(corpus, tokenizer, run.tokens, validation_fraction=0.2)
    found = held_out_text(run, tokenizer, 10_000)
    assert found is not None
    assert found.text == held_out("tales", 5_000)
    assert len(found.documents) > 1
    assert all(map(is_valid, found.documents))


def test_a_run_without_tokens_held_no_text_out(tmp_path: Path):
    run = Run.create(tmp_path / "run", ClassifyConfig())
    assert held_out_text(run, CharacterTokenizer("ab"), 100) is None


def test_tokens_of_another_tokenizer_are_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("abab" * 9)
    run = Run.create(tmp_path / "run", TextConfig())
    prepare_tokens(
        find_corpus(str(tmp_path / "notes.txt")), CharacterTokenizer("ab"), run.tokens, validation_fraction=0.2
    )
    with pytest.raises(InputError):
        held_out_text(run, CharacterTokenizer("ba"), 100)


def test_unseen_tales_are_tales_that_the_corpus_does_not_hold():
    found = unseen_tales(20_000, run=None, tokenizers=[])
    assert found is not None
    assert 19_000 < len(found.text.encode()) <= 20_000
    tales = found.documents[:-1]  # the last one is cut
    assert all(map(is_valid, tales))
    assert UNSEEN_SEED != TALES_SEED
    assert not {*tales} & {*generate(TALES_SEED, 1_000)}


def test_there_are_no_unseen_tales_for_a_run_that_learned_them_or_cannot_spell_them(tmp_path: Path):
    run = Run.create(tmp_path / "run", RunConfig(data=DataConfig(corpus="tales")))
    assert unseen_tales(1_000, run=run, tokenizers=[]) is None
    assert unseen_tales(1_000, run=None, tokenizers=[CharacterTokenizer("ab")]) is None


def test_a_given_text_is_its_first_bytes(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("To be, or not")
    found = given_text(str(tmp_path / "notes.txt"), 5)
    assert (found.name, found.text) == ("notes.txt", "To be")
    with pytest.raises(InputError, match="check its spelling"):
        given_text("nowhere.txt", 5)


def test_the_window_is_the_one_of_the_runs_validation(tmp_path: Path):
    assert window_of(Run(tmp_path, {"context_length": 64, "base": "gpt2"})) == 64
    assert window_of(Run(tmp_path, {"model": {"context_length": 32}})) == 32
    assert window_of(Run(tmp_path, {"task": "classify"})) is None
