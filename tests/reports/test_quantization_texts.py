"""Which text is read: never the same to quantize and to measure, a run's own, and only so much of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from groundup.configs.model import GPTConfig
from groundup.data.corpora import find_corpus
from groundup.data.tokens import prepare_tokens
from groundup.models.gpt import GPT
from groundup.reports import quantization_texts
from groundup.reports.quantization_texts import default_corpus, read_text
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.training.run_folder import Run
from groundup.weights.pretrained import Pretrained

FOUND = Pretrained(
    model=GPT(GPTConfig(vocab_size=256, context_length=8, d_model=8, n_layers=1, n_heads=1)),
    tokenizer=ByteBPE(merges=[]),
    source="mine",
    bos=(7,),
)


def test_the_sides_share_no_text(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("a" * 90 + "b" * 10)
    path = str(tmp_path / "notes.txt")
    train, validation = (read_text(FOUND, side, n_tokens=1_000, corpus=path) for side in ("train", "validation"))
    assert train.ids.tolist() == [7, *FOUND.tokenizer.encode("a" * 90)]
    assert validation.ids.tolist() == [7, *FOUND.tokenizer.encode("b" * 10)]
    assert (train.name, validation.name) == ("the first nine tenths of notes.txt", "the last tenth of notes.txt")


def test_no_more_is_read_than_asked_for(tmp_path: Path):
    for i in range(40):
        (tmp_path / f"{i:02}.txt").write_text("word " * 10)
    read = read_text(FOUND, "train", n_tokens=120, corpus=str(tmp_path))
    assert len(read.ids) == 121
    assert "\n\n" in FOUND.tokenizer.decode(read.ids[1:].tolist())  # between documents


def test_without_the_plays_it_is_tales(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quantization_texts, "look_for", lambda file: None)
    assert default_corpus() == "tales"
    monkeypatch.setattr(quantization_texts, "look_for", lambda file: Path("somewhere"))
    assert default_corpus() == "shakespeare"


@pytest.mark.parametrize("folder", [False, True])
def test_of_a_run_it_is_what_it_learned_and_held_out(tmp_path: Path, folder: bool):
    tokenizer = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])
    found = replace(FOUND, tokenizer=tokenizer)
    path = tmp_path / "texts"
    path.mkdir()
    for i in range(10):
        (path / f"{i}.txt").write_text(f"{i}" * 20)
    run = Run(tmp_path / "my-run", {})
    corpus = find_corpus(str(path if folder else path / "3.txt"))
    prepare_tokens(corpus, tokenizer, run.tokens, validation_fraction=0.1)
    read = read_text(found, "validation", n_tokens=5, run=run)
    assert read.name == "what my-run held out"
    if folder:
        assert read.ids.tolist() == [tokenizer.end_id, *tokenizer.encode("99999")]
        assert read.end_id == tokenizer.end_id
    else:
        assert (read.ids.tolist(), read.end_id) == (tokenizer.encode("33"), None)
    assert read_text(found, "train", n_tokens=5, run=run).name == "what my-run learned"
    assert read_text(found, "train", n_tokens=5, run=run, corpus="tales").name == "the first nine tenths of tales"
