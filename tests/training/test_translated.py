"""What evaluating a translation run gives: the figures of what the model says of the test pairs."""

from pathlib import Path

import pytest
import sacrebleu
from tests.training.small_translation import config

from groundup.configs.generation import GenerationConfig
from groundup.data.pairs import Pairs
from groundup.generation.translate import translate
from groundup.training import translated
from groundup.training.kinds import start
from groundup.training.translation import load_translator

PAIRS = Pairs(source=("3 May 1962", "1.2.1999", "the first of June 2001"), target=("1962-05-03", "1999-02-01", "x"))


def test_figures_are_those_of_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start(config(), tmp_path / "run", open_model=lambda name: pytest.fail("needs no other model"))
    loaded = load_translator(tmp_path / "run")
    said = translate(loaded.translator, PAIRS.source, GenerationConfig(strategy="greedy", max_new_tokens=64)).texts
    right = Pairs(source=PAIRS.source, target=tuple(text or "nothing" for text in said))
    for pairs in (right, PAIRS):
        monkeypatch.setattr(translated, "load_test_pairs", lambda _, pairs=pairs: pairs)
        found = translated.evaluate_translation_run(tmp_path / "run")
        assert found == {
            "step": loaded.step,
            "pairs": 3,
            "bleu": pytest.approx(sacrebleu.corpus_bleu(said, [pairs.target]).score, abs=1e-9),  # the same sums
            "chrf": pytest.approx(sacrebleu.corpus_chrf(said, [pairs.target]).score, abs=1e-9),
            "exact_match": pytest.approx(100 * sum(a == b for a, b in zip(said, pairs.target, strict=True)) / 3),
        }
    assert found["chrf"] < 100, "the model has learned nothing of these dates"
