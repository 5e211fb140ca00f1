"""What tuning SmolLM2-135M reaches on real data: spam, sentiment and Shakespeare, by method.

Ours are the commands that a row names. Beside them, on the same texts: scikit-learn's logistic regression on words.
Hours of work: each row is kept in a folder (QUALITY, or runs/quality) and only made if it is not there. Speed and
memory beside `transformers` and `peft` are in finetune_speed.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SMS = "classify --data sms-spam --balanced"
TUNED = {
    "sms-lora": f"{SMS} --method lora",
    "sms-last": f"{SMS} --method last",
    "sms-full": f"{SMS} --method full",
    "shakespeare-lora": "text --corpus shakespeare --method lora",
    "sst2-lora": "classify --data sst2 --method lora --epochs 1 --training.evaluation.max-tokens 8192",
    "shakespeare-full": "text --corpus shakespeare --method full --training.learning-rate 2e-4 --training.steps 300 "
    "--training.evaluation.every-steps 100 --training.evaluation.max-tokens 8192",
}
"""Ours, by row: what follows `groundup finetune`."""
WORDS = {"sms-words": "sms-spam", "sst2-words": "sst2"}
TINY = "classify --data moods --max-examples 60 --method lora --training.steps 2 --training.evaluation.every-steps 2"


def run(tiny):
    from groundup.weights.installed import installed_smollm2

    if installed_smollm2() is None:
        return {"what": "SmolLM2 is not here: make model", "rows": [{"row": "-"}]}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if tiny else Path(os.environ.get("QUALITY", "runs/quality"))
        makers = {"tiny": lambda: ours(folder / "tiny", TINY)} if tiny else rows_of(folder)
        if tiny:
            makers["words"] = lambda: words("moods")
        folder.mkdir(parents=True, exist_ok=True)
        rows = [{"row": name, **kept(folder / f"{name}.json", make)} for name, make in makers.items()]
    text = (
        "Tests: 20 % of a balanced 747 + 747 SMS; SST-2's own 1,821 sentences. Intervals are 95 % bootstrap intervals "
        "over the test's texts; one seed. SMS: 3 epochs of 16. Shakespeare: 200 steps of 4 x 256 tokens for LoRA, 300 "
        "(one epoch) for every weight; judged on held-out text (60,000 bytes), and by 40,000 bytes of generated tales, "
        "which neither learned: what was forgotten."
    )
    return {"what": text, "rows": rows}


def rows_of(folder):
    made = {name: lambda n=name, a=asked: ours(folder / n, a) for name, asked in TUNED.items()}
    return made | {name: lambda d=data: words(d) for name, data in WORDS.items()}


def kept(path, make):
    """Return what `path` holds, made first if it is not there."""
    if not path.exists():
        print(path.stem, "…", file=sys.stderr, flush=True)
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())


def line(what, quality, general="–", learned="–", peak="–"):
    return {"what": what, "quality": quality, "general text": general, "learn": learned, "peak MB": peak}


def ours(folder, asked):
    """Tune as the command line does, and read what the run's folder says."""
    if not (folder / "test.json").exists():
        goes_on = [str(folder)] if folder.exists() else None
        command = ["resume", *goes_on] if goes_on else ["finetune", *asked.split(), "--out", str(folder)]
        subprocess.run([sys.executable, "-m", "groundup", *command], check=True, stdout=sys.stderr)
    test, cost = (json.loads((folder / f"{name}.json").read_text()) for name in ("test", "resources"))
    learned = f"{cost['trainable']:,} ({cost['trainable'] / cost['parameters']:.2%})"
    peak = f"{cost['peak_bytes'] / 1e6:,.0f}"
    if asked.startswith("classify"):
        return line(f"groundup finetune {asked}", accuracy(test), learned=learned, peak=peak)
    domain, general = readings(folder)
    return line(f"groundup finetune {asked}", change(domain), change(general), learned, peak)


def accuracy(test):
    """Return accuracy with its interval, as a text."""
    low, high = test["intervals"]["accuracy"]
    return f"accuracy {test['metrics']['accuracy']:.1%} ({low:.1%} – {high:.1%}), n = {test['n']:,}"


def change(reading):
    before, after = reading.base.perplexity, reading.tuned.perplexity
    return f"perplexity {before:.1f} → {after:.1f} ({after / before - 1:+.0%})"


def readings(folder):
    """Return what base and tuned model make of held-out Shakespeare and of tales."""
    from groundup.configs.generation import GenerationConfig
    from groundup.reports.comparison import compare
    from groundup.reports.texts import held_out_text, unseen_tales
    from groundup.resolve import open_model
    from groundup.training.run_folder import Run

    base, tuned, of_run = open_model("smollm2"), open_model(str(folder)), Run.open(folder)
    found = compare(base, tuned, ["ROMEO:"], domain=held_out_text(of_run, tuned.tokenizer, 60_000),
                    general=unseen_tales(40_000, run=of_run, tokenizers=[base.tokenizer]),
                    generation=GenerationConfig(max_new_tokens=8), context_length=256)  # fmt: skip
    return found.domain, found.general


def splits_of(data):
    from groundup.configs.finetune_runs import LabelledConfig
    from groundup.data.labelled import load_labelled

    return load_labelled(LabelledConfig(file=data, balanced=data == "sms-spam"))


def measured(predicted, labels):
    """Return accuracy with its bootstrap interval, by the code that judges ours."""
    import numpy as np
    from sklearn.metrics import accuracy_score

    right = np.asarray(predicted) == np.asarray(labels)
    drawn = np.random.default_rng(0).integers(len(right), size=(2000, len(right)))
    low, high = np.quantile(right[drawn].mean(1), [0.025, 0.975])
    return f"accuracy {accuracy_score(labels, predicted):.1%} ({low:.1%} – {high:.1%}), n = {len(right):,}"


def words(data):
    """Return what counting words reaches: one and two words, logistic regression, C by its validation part."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    splits = splits_of(data)
    counter = CountVectorizer(ngram_range=(1, 2), binary=True)
    rows = counter.fit_transform(splits.train.texts)
    fitted = [LogisticRegression(C=c, max_iter=2000).fit(rows, splits.train.labels) for c in (0.1, 1, 10)]
    chosen = splits.validation
    best = max(fitted, key=lambda one: one.score(counter.transform(chosen.texts), chosen.labels))
    found = measured(best.predict(counter.transform(splits.test.texts)), splits.test.labels)
    return line("scikit-learn: logistic regression, one and two words", found, learned=f"{best.coef_.size:,}")
