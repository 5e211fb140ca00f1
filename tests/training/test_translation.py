"""Runs that learn to translate: killed and resumed they end in the same bits; vocabularies; what is refused."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import outcome
from tests.training.small_translation import STEPS, config, write_pairs

from groundup.configs.generation import GenerationConfig
from groundup.configs.translation import TranslationConfig
from groundup.errors import InputError
from groundup.generation.translate import translate
from groundup.training import killed, kinds, session, verify_resume
from groundup.training.run_folder import Run
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker
from groundup.training.translation import SOURCE_TOKENIZER, load_translator

QUIET = Console(quiet=True)


class Death(BaseException):
    """Stands for SIGKILL: nothing in between may catch it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return kinds.start(config(), tmp_path_factory.mktemp("translation") / "run", console=QUIET).run


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_run_is_the_same_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def die() -> None:
        raise Death

    monkeypatch.setattr(killed, "die", die)
    monkeypatch.setattr("os.fsync", lambda file: None)
    other = Run.create(tmp_path / "run", config())
    for moment, step in (("step", 3), ("save", 6), ("evaluation", 8)):
        with monkeypatch.context() as patch:
            for owner, name in ((Stepper, "update"), (session, "save_state"), (Tracker, "record_evaluation")):
                patch.setattr(owner, name, getattr(owner, name))  # put back afterwards
            patch.setattr("os.fsync", lambda file: None)
            killed.die_at(moment, step)
            with pytest.raises(Death):
                kinds.resume(other.path, console=QUIET)
    kinds.resume(other.path, console=QUIET)
    assert outcome(other, STEPS) == outcome(run, STEPS)


def test_any_run_can_be_shortened_for_the_proof():
    short = verify_resume.shorten(config(max_pairs=None), 24)
    assert short.data.max_pairs == 2_000
    assert short.training.steps == 24


def test_the_best_weights_are_opened(run: Run):
    loaded = load_translator(run.path, device="cpu")
    assert not loaded.translator.model.training
    assert run.best is not None
    assert (loaded.step, loaded.metrics) == (run.best.step, run.best.metrics)
    assert len(translate(loaded.translator, ["abc", "d"], GenerationConfig(strategy="greedy")).texts) == 2


def test_pairs_that_changed_are_refused(tmp_path: Path):
    corpus = write_pairs(tmp_path)
    made = config(corpus=corpus, source="en", target="de")
    run = kinds.start(replace(made, training=replace(made.training, steps=2)), tmp_path / "run", console=QUIET).run
    assert json.loads((run.path / "data.json").read_text())["languages"] == ["en", "de"]
    (tmp_path / "train.de").write_text((tmp_path / "train.de").read_text().replace("3", "4"))
    with pytest.raises(InputError, match=r"expected the data that .* began with, found others"):
        kinds.resume(run.path, console=QUIET)


def test_a_vocabulary_each(tmp_path: Path):
    made = config(shared_vocabulary=False, tokenizer="bpe", bpe_vocab_size=270)
    model = replace(made.model, share_embeddings="target")
    made = replace(made, model=model, training=replace(made.training, steps=1))
    run = kinds.start(made, tmp_path / "run", console=QUIET).run
    assert (run.path / SOURCE_TOKENIZER).is_file()
    translator = load_translator(run.path, device="cpu").translator
    ids = [spell.encode("abcdefghijklm") for spell in (translator.source_tokenizer, translator.target_tokenizer)]
    assert ids[0] != ids[1]  # of strings and of strings backwards, other pairs are frequent


def test_long_pairs_are_counted_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = config(max_tokens=9)
    console = Console(width=200)
    kinds.start(replace(made, training=replace(made.training, steps=1)), tmp_path / "run", console=console)
    said = capsys.readouterr().out
    assert "of 40 pairs left out: a side has more than 9 tokens" in said
    assert "validation pairs left out: a side has more than 9 tokens" in said


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"data": {"max_tokens": 23}}, "PairsConfig.max_tokens to be at most 22, the model's context_length, found 23"),
        ({"data": {"max_tokens": 2}}, "expected pairs to learn from of at most 2 tokens on a side"),
        ({"data": {"tokenizer": "words"}}, "expected a tokenizer: bpe, bytes or the path of a tokenizer.json"),
        (
            {"data": {"shared_vocabulary": False}},
            "share_embeddings target or none for languages with a vocabulary each",
        ),
        ({"model": {"target_vocab_size": 9}}, "Seq2SeqConfig.target_vocab_size to be at least the tokenizer's 257"),
        ({"training": {"batch_size": 10**6}}, "which is 1,000 times the pairs"),
    ],
)
def test_a_run_that_cannot_begin_is_one_line_and_leaves_nothing(
    tmp_path: Path, change: dict[str, dict[str, object]], found: str
):
    made: TranslationConfig = config(max_pairs=20)
    made = replace(made, **{name: replace(getattr(made, name), **fields) for name, fields in change.items()})
    with pytest.raises(InputError) as error:
        kinds.start(made, tmp_path / "run", console=QUIET)
    assert found in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
