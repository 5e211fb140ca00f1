"""Shows BLEU worked out on two sentences, and how much six kinds of errors cost in BLEU, chrF, ROUGE-L and edits."""

import math
import random
import sys
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt

from groundup.data.tales import generate
from groundup.evaluation.bleu import Bleu
from groundup.evaluation.chrf import Chrf
from groundup.evaluation.edit_distance import ErrorRate
from groundup.evaluation.n_grams import clipped_matches, n_grams
from groundup.evaluation.rouge import Rouge
from groundup.evaluation.text_metric import corpus_score

OUT = Path("runs/sprints/16_decoding_and_metrics")
TEXTS = ("the cat sat down on the the mat", "the cat sat down on mat")
REFERENCE = "the cat sat down on the old mat"
METRICS = (Bleu(), Chrf(), Rouge(kind="L"), ErrorRate(), ErrorRate(unit="characters"))
N_TALES = 100


def work_out(text: str) -> tuple[list[float], float, float]:
    """Print how BLEU comes about; return its precisions, its penalty and itself."""
    ours, theirs = text.split(), REFERENCE.split()
    print(f"\n{text!r}, {len(ours)} words; reference {REFERENCE!r}, {len(theirs)} words")
    precisions = []
    for n in (1, 2, 3, 4):
        known, matched = Counter(n_grams(theirs, n)), clipped_matches(ours, [theirs], n)
        total = len(ours) - n + 1
        found = [" ".join(gram) for gram, count in Counter(n_grams(ours, n)).items() if known[gram] >= count]
        clipped = [" ".join(gram) for gram, count in Counter(n_grams(ours, n)).items() if 0 < known[gram] < count]
        precisions.append(matched / total)
        print(
            f"  {n}-grams: {matched} of {total}   {', '.join(found)}{''.join(f', {one} (clipped)' for one in clipped)}"
        )
    penalty = min(1.0, math.exp(1 - len(theirs) / len(ours)))
    score, shown = penalty * math.prod(precisions) ** (1 / 4), " · ".join(f"{one:.3f}" for one in precisions)
    ours_says = Bleu(smoothing="none", tokenizer="none").sentence(text, [REFERENCE]).score
    print(f"  BLEU = {penalty:.3f} · ({shown})^(1/4) = {100 * score:.2f}; Bleu says {ours_says:.2f}")
    return precisions, penalty, score


def spoilt(tale: str, kind: str, draw: random.Random) -> str:
    """Return a tale with one word in eight changed in one way."""
    words = tale.split()
    for i in draw.sample(range(1, len(words)), max(1, len(words) // 8)):
        word = words[i]
        if kind == "neighbours swapped":
            words[i - 1], words[i] = words[i], words[i - 1]
        else:
            words[i] = {
                "word lost": "", "word doubled": f"{word} {word}", "ending changed": f"{word[:-1]}en",
                "capitals": word.upper(), "another word": draw.choice(words),
            }[kind]  # fmt: skip
    return " ".join(" ".join(words).split())


def main(out: Path = OUT) -> None:
    worked = {text: work_out(text) for text in TEXTS}
    tales = list(generate(0, N_TALES))
    kinds = ("capitals", "ending changed", "another word", "word lost", "word doubled", "neighbours swapped")
    print(f"\n{N_TALES} tales with one word in eight changed; of the last two metrics less is better")
    print(f"{'':<20}" + "".join(f"{metric.name:>9}" for metric in METRICS))
    table = {}
    for kind in kinds:
        draw = random.Random(1)
        texts = [spoilt(tale, kind, draw) for tale in tales]
        table[kind] = [corpus_score(metric, texts, [tales]) for metric in METRICS]
        print(f"{kind:<20}" + "".join(f"{score:>9.1f}" for score in table[kind]))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=(1, 1.35))
    figure.suptitle("What BLEU counts, and what it sees of errors")
    for i, (text, (precisions, penalty, score)) in enumerate(worked.items()):
        heights = [*(100 * precision for precision in precisions), 100 * penalty, 100 * score]
        bars = left.bar([k + 0.4 * i - 0.2 for k in range(6)], heights, 0.38, label=f"“{text}”")
        left.bar_label(bars, [f"{height:.0f}" for height in heights], padding=2, fontsize=8)
    left.set_xticks(range(6), ["1-grams", "2-grams", "3-grams", "4-grams", "brevity", "BLEU"])
    left.set(title=f"Two sentences against “{REFERENCE}”", ylabel="percent", ylim=(0, 132))
    left.legend(loc="upper right")
    for j, metric in enumerate(METRICS):
        losses = [row[j] if metric.lower_is_better else 100 - row[j] for row in table.values()]
        right.plot(losses, range(len(kinds)), "o", markersize=8, label=metric.name)
    right.set_yticks(range(len(kinds)), kinds)
    right.invert_yaxis()
    right.grid(axis="x")
    right.set(title="One word in eight changed", xlabel="points below 100, or errors in %", xlim=(-1, 40))
    right.legend(loc="upper right")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "bleu_by_hand.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
