"""What the encoder-decoder recipes reach on texts they never saw: strings reversed, dates read, captions in German.

Each run is the one that `groundup train RECIPE` leaves; it writes the test part of its corpus (strings of exactly 20
letters; Multi30k's 1,000 captions of 2016) greedily and, captions, by 4 beams as `groundup translate` does. BLEU is
cased, of detokenized text. Runs are kept in a folder (TRANSLATION, or runs/translation) and made if they are not there:
an hour of two cores.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPES = {"reverse": ("greedy",), "dates": ("greedy",), "multi30k-en-de": ("greedy", "beam")}
TINY = "--data.max-pairs 400 --training.steps 2 --training.batch-size 8"
BEAM = "4 beams"


def run(tiny):
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if tiny else Path(os.environ.get("TRANSLATION", "runs/translation"))
        for recipe in list(RECIPES)[: 1 if tiny else None]:
            place = folder / recipe
            if not place.exists():
                command = ["train", recipe, *(TINY.split() if tiny else ()), "--out", str(place)]
                subprocess.run([sys.executable, "-m", "groundup", *command], check=True, stdout=sys.stderr)
            rows += rows_of(place, recipe, tiny)
    what = "Texts never seen, in percent; intervals 95 %, 1,000 resamples of the texts; seconds are those of training."
    return {"what": what, "rows": rows}


def rows_of(place, recipe, tiny):
    """Return a row for each way in which a run writes its test texts."""
    from groundup.configs.generation import GenerationConfig
    from groundup.data.pairs import Pairs, load_test_pairs
    from groundup.evaluation.significance import compare_systems, score_interval
    from groundup.evaluation.text_scores import chosen_metrics
    from groundup.generation.translate import translate
    from groundup.training.translation import load_translator

    loaded = load_translator(place)
    pairs = load_test_pairs(loaded.config.data)
    pairs = Pairs(source=pairs.source[:4], target=pairs.target[:4]) if tiny else pairs
    bleu, exact = chosen_metrics(["bleu", "exact"])
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    rows, first = [], None
    for way in RECIPES[recipe]:
        said = translate(loaded.translator, pairs.source, GenerationConfig(strategy=way, max_new_tokens=128)).texts
        counts, exacts = (metric.counts(said, [pairs.target]) for metric in (bleu, exact))
        first = counts if first is None else first
        rows.append({
            "recipe": recipe,
            "steps": f"{loaded.step:,}",
            "seconds": f"{max(line.get('seconds', 0) for line in lines):,.0f}",
            "parameters": f"{loaded.translator.model.n_parameters():,}",
            "texts": f"{len(pairs):,}",
            "written": BEAM if way == "beam" else way,
            "exactly right": percent(exact, exacts, score_interval),
            "BLEU": percent(bleu, counts, score_interval),
            "beside greedy": "-" if first is counts else beside(compare_systems(bleu, counts, first)),
        })  # fmt: skip
    return rows


def percent(metric, counts, interval):
    low, high = interval(metric, counts)
    return f"{metric.score(counts.sum(0)):.2f} ({low:.1f} – {high:.1f})"


def beside(found):
    low, high = found.interval
    return f"{found.score - found.baseline:+.2f} ({low:+.1f} – {high:+.1f}), p {found.p_value:.3f}"
