"""How well a run translates the test part of its corpus: by the metrics of the field."""

from pathlib import Path

from groundup.configs.generation import GenerationConfig
from groundup.data.pairs import load_test_pairs
from groundup.evaluation.bleu import Bleu
from groundup.evaluation.chrf import Chrf
from groundup.evaluation.exact_match import ExactMatch
from groundup.evaluation.text_metric import corpus_score
from groundup.generation.translate import translate
from groundup.training.translation import load_translator


def evaluate_translation_run(folder: Path) -> dict[str, float | int]:
    """Let a run's best weights translate its corpus' test pairs greedily, and compare with what they should say.

    Args:
        folder: the run.

    Returns:
        step, pairs, and BLEU (13a, cased), chrF and exact match in percent.

    Raises:
        InputError: as `load_translator`; a corpus without a test part.
    """
    loaded = load_translator(folder)
    pairs = load_test_pairs(loaded.config.data)
    longest = GenerationConfig(strategy="greedy", max_new_tokens=loaded.translator.model.context_length)
    said = translate(loaded.translator, pairs.source, longest).texts
    scores = {
        name: corpus_score(metric, said, [pairs.target])
        for name, metric in (("bleu", Bleu()), ("chrf", Chrf()), ("exact_match", ExactMatch()))
    }
    return {"step": loaded.step, "pairs": len(pairs), **scores}
