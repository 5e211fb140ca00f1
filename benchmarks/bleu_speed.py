"""BLEU of 100,000 pairs of sentences, no two alike: by hand and by sacrebleu, from raw lines to the score.

Each sentence is half a caption of Multi30k and half another; a system's text is the same with words lost, moved and
replaced. Both start without anything remembered: their stores of tokenized words and lines are emptied before each run.
"""

import gzip
import os
import random
from pathlib import Path

from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

from benchmarks import alternate
from groundup.data.tales import generate
from groundup.evaluation import bleu_tokenizers
from groundup.evaluation.bleu import Bleu

REPEATS = 3


def lines(tiny):
    """Return captions in German and English, or tales where there are none, and what they are."""
    folder = Path(os.environ.get("GROUNDUP_DATA", "shared/data")) / "multi30k"
    if tiny or not folder.exists():
        return list(generate(0, 300)), "tales"
    found = []
    for file in sorted(folder.glob("train.*.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as text:
            found += [line.strip() for line in text if line.strip()]
    return found, "captions of Multi30k"


def pairs(known, n, draw):
    """Return n texts of a system and their references."""
    halves = [line.split() for line in known]
    texts, references = [], []
    for _ in range(n):
        one, other = draw.choice(halves), draw.choice(halves)
        words = one[: len(one) // 2] + other[len(other) // 2 :]
        references.append(" ".join(words))
        for _ in range(3):
            i = draw.randrange(len(words))
            kind = draw.randrange(3)
            if kind == 0 and len(words) > 1:
                del words[i]
            elif kind == 1:
                words.insert(draw.randrange(len(words)), words.pop(i))
            else:
                words[i] = draw.choice(draw.choice(halves))
        texts.append(" ".join(words))
    return texts, references


def run(tiny):
    known, source = lines(tiny)
    n, repeats = (500, 2) if tiny else (100_000, REPEATS)
    texts, references = pairs(known, n, random.Random(0))
    found = {}

    def ours():
        bleu_tokenizers._cut_word.cache_clear()
        found["groundup"] = Bleu().corpus(texts, [references])

    def theirs():
        Tokenizer13a.__call__.cache_clear()
        TokenizerRegexp.__call__.cache_clear()
        found["sacrebleu"] = BLEU().corpus_score(texts, [references])

    times = alternate({"groundup": ours, "sacrebleu": theirs}, repeats)
    if str(found["groundup"]) != str(found["sacrebleu"]) or found["groundup"].score != found["sacrebleu"].score:
        raise SystemExit("the scores differ")
    rows = []
    for who, taken in times.items():
        ratios = [mine / other for mine, other in zip(taken.wall, times["sacrebleu"].wall, strict=True)]
        rows.append({"who": who, **taken.columns(), "pairs/s": f"{n / taken.median:,.0f}",
                     "time / sacrebleu": f"{sorted(ratios)[len(ratios) // 2]:.2f}",
                     "fastest – slowest": f"{min(ratios):.2f} – {max(ratios):.2f}"})  # fmt: skip
    what = (
        f"{n:,} pairs of sentences ({source}), one reference, 13a, {found['groundup'].length:,} tokens, "
        f"{len(set(texts)):,} texts that differ; BLEU {found['groundup'].score:.4f} in both, to the last bit; "
        f"{repeats} runs each, in turn."
    )
    return {"what": what, "rows": rows}
