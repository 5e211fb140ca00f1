"""Proofs of the metrics of generated text against sacrebleu, rouge-score and nltk, on spoilt tales and odd strings."""

import random
from collections.abc import Callable, Sequence
from functools import cache

from groundup.data.tales import generate
from groundup.evaluation.bleu import Bleu, Smoothing
from groundup.evaluation.bleu_tokenizers import TOKENIZERS
from groundup.evaluation.chrf import Chrf
from groundup.evaluation.edit_distance import edit_distance
from groundup.evaluation.rouge import KINDS, Rouge
from groundup.evaluation.self_bleu import self_bleu
from groundup.evaluation.significance import compare_systems
from groundup.evaluation.text_metric import corpus_score, text_score
from groundup.proofs.compare import largest
from groundup.proofs.table import Proof
from groundup.proofs.tokenization import texts

_SMOOTHINGS: tuple[Smoothing, ...] = ("none", "floor", "add-k", "exp")


@cache
def _corpus() -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return texts with two references each: tales with words lost, doubled and moved, and strings of all scripts."""
    draw = random.Random(0)
    tales = [*generate(3, 60), *texts()[:60]]
    return tuple(_spoilt(text, draw) for text in tales), (tuple(tales), tuple(_spoilt(text, draw) for text in tales))


def _spoilt(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    for _ in range(draw.randrange(6)):
        i, j = draw.randrange(len(words)), draw.randrange(len(words))
        words[i], words[j] = words[j], draw.choice((words[i], words[i] + ",", words[j]))
    return " ".join(words)


def _tokens() -> float:
    """Return how many texts any tokenizer cuts otherwise than sacrebleu's."""
    from sacrebleu.metrics.bleu import _get_tokenizer

    n_different = 0
    for name, cut in TOKENIZERS.items():
        theirs = _get_tokenizer(name)()
        n_different += sum(cut(text) != theirs(text.rstrip()).split() for text in (*texts(), *_corpus()[0]))
    return n_different


def _bleu() -> float:
    """Return the largest difference of corpus BLEU, over tokenizers, smoothings, case and one or two references."""
    from sacrebleu.metrics import BLEU

    hypotheses, references = _corpus()
    found = []
    for tokenizer in TOKENIZERS:
        for smoothing in _SMOOTHINGS:
            lowercase = smoothing == "floor"
            ours = Bleu(tokenizer=tokenizer, smoothing=smoothing, lowercase=lowercase)
            theirs = BLEU(tokenize=tokenizer, smooth_method=smoothing, lowercase=lowercase)
            n_references = 1 + (smoothing in ("none", "exp"))
            found.append(
                ours.corpus(hypotheses, references[:n_references]).score
                - theirs.corpus_score(hypotheses, references[:n_references]).score
            )
    return largest(map(abs, found))


def _sentence_bleu() -> float:
    from sacrebleu.metrics import BLEU

    found = []
    for smoothing in _SMOOTHINGS:
        ours = Bleu(smoothing=smoothing, effective_order=True)
        theirs = BLEU(smooth_method=smoothing, effective_order=True)
        for text, *own in _rows():
            found.append(ours.sentence(text, own).score - theirs.sentence_score(text, own).score)
    return largest(map(abs, found))


def _chrf() -> float:
    from sacrebleu.metrics import CHRF

    hypotheses, references = _corpus()
    found = []
    for word_order in (0, 2):
        ours, theirs = Chrf(word_order=word_order), CHRF(word_order=word_order)
        found.append(corpus_score(ours, hypotheses, references) - theirs.corpus_score(hypotheses, references).score)
        for text, *own in _rows()[::4]:
            found.append(text_score(ours, text, own) - theirs.sentence_score(text, own).score)
    return largest(map(abs, found))


def _rouge() -> float:
    from rouge_score.rouge_scorer import RougeScorer

    theirs, found = RougeScorer([f"rouge{kind}" for kind in KINDS]), []
    for text, reference, _ in _rows():
        # Sentences of a summary stand on lines of their own.
        text, reference = text.replace(". ", ".\n"), reference.replace(". ", ".\n")
        expected = theirs.score(reference, text)
        for kind in KINDS:
            pairs = zip(Rouge(kind=kind).overlap(text, reference), expected[f"rouge{kind}"], strict=True)
            found += [abs(mine - other) for mine, other in pairs]
    return largest(found)


def _edits() -> float:
    from nltk.metrics.distance import edit_distance as by_table  # type: ignore[import-untyped]

    pairs = [(text.split(), reference.split()) for text, reference, _ in _rows()]
    pairs += [(list(text[:60]), list(reference[:60])) for text, reference, _ in _rows()[::3]]
    return largest(abs(edit_distance(a, b) - by_table(a, b)) for a, b in pairs)


def _self_bleu() -> float:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu  # type: ignore[import-untyped]

    lines: Sequence[str] = _corpus()[0][:40]
    cut = [line.split() for line in lines]
    smoothed = SmoothingFunction().method1
    theirs = [sentence_bleu(cut[:i] + cut[i + 1 :], own, smoothing_function=smoothed) for i, own in enumerate(cut)]
    ours = self_bleu(lines, bleu=Bleu(tokenizer="none", smoothing="floor"))
    return abs((ours or 0.0) - 100 * float(sum(theirs)) / len(theirs))


def _bootstrap() -> float:
    """Return the largest difference of p-value, and of the mean score of resamples, for BLEU and chrF."""
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import PairedTest

    system, (truth, baseline) = _corpus()
    metrics = (Bleu(), Chrf())
    test = PairedTest(
        [("a", baseline), ("b", system)], {"b": BLEU(), "c": CHRF()}, [truth], test_type="bs", n_samples=200
    )
    found = []
    results = test()[1]
    for metric in metrics:
        other, theirs = results[metric.name]
        ours = compare_systems(metric, metric.counts(system, [truth]), metric.counts(baseline, [truth]), resamples=200)
        found += [ours.p_value - theirs.p_value, ours.mean - theirs.mean, ours.baseline_mean - other.mean]
    return largest(map(abs, found))


def _rows() -> list[tuple[str, ...]]:
    hypotheses, references = _corpus()
    return list(zip(hypotheses, *references, strict=True))


def _proof(
    part: str, reference: str, difference: Callable[[], float], bound: float, why: str, needs: tuple[str, ...]
) -> Proof:
    return Proof(
        room="evaluation", part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs
    )


_SAME = "the same numbers in the same order"
_ROUNDING = "float64: percent, rounded in another order"
_BLEU, _ROUGE, _NLTK = ("sacrebleu",), ("rouge_score",), ("nltk",)
PROOFS = (
    _proof("BLEU's 5 tokenizers: texts cut otherwise", "sacrebleu", _tokens, 0.0, "texts are counted", _BLEU),
    _proof("BLEU, 4 smoothings, 1 and 2 references", "sacrebleu", _bleu, 0.0, _SAME, _BLEU),
    _proof("BLEU of sentences, 4 smoothings", "sacrebleu", _sentence_bleu, 0.0, _SAME, _BLEU),
    _proof("chrF and chrF++, corpus and sentences", "sacrebleu", _chrf, 1e-10, _ROUNDING, _BLEU),
    _proof("ROUGE-1 to 4, L and Lsum", "rouge-score", _rouge, 1e-12, _ROUNDING, _ROUGE),
    _proof("edit distance in bits", "nltk's table", _edits, 0.0, "edits are counted", _NLTK),
    _proof("self-BLEU, one pass over n-grams", "nltk, all others as references", _self_bleu, 1e-10, _ROUNDING, _NLTK),
    _proof(
        "paired bootstrap: p and means",
        "sacrebleu, its seed",
        _bootstrap,
        2e-5,
        "it scores resamples in float32",
        _BLEU,
    ),
)
