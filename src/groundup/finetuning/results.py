"""What a fine-tuning run leaves at its end: its test, its predictions, its adapter alone, and what it cost."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from groundup.configs.finetune_runs import ClassifyConfig, TextConfig
from groundup.data.labelled import Labelled
from groundup.errors import InputError
from groundup.evaluation.classification_plots import draw_classification
from groundup.evaluation.classification_report import measure_classification
from groundup.evaluation.classification_text import classification_text
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.evaluation.predictions import write_predictions
from groundup.finetuning.classifier_files import save_classifier
from groundup.finetuning.peft_files import save_adapter
from groundup.finetuning.preparation import labelled_splits
from groundup.finetuning.preparation_texts import domain_tokens
from groundup.finetuning.prompt_files import save_prompt
from groundup.finetuning.tuned import Tuned, label_texts, open_tuned
from groundup.models.classifier import Classifier
from groundup.training.devices import choose_device
from groundup.training.learned import n_learned, n_numbers
from groundup.training.loop import Outcome
from groundup.training.peak_memory import peak_memory
from groundup.training.progress import say
from groundup.training.run_folder import write_atomically
from groundup.weights.catalog import PUBLISHED
from groundup.weights.pretrained import Pretrained


def write_results(outcome: Outcome, *, open_base: Callable[[str], Pretrained], console: Console) -> None:
    """Measure the best weights of a run that has ended; write and show what was found.

    test.json, predictions.tsv and test.png for a classifier, test.json for a text, adapter/ in PEFT's format for
    adapters and learned vectors, resources.json for all: last, so that with it all the others are there. What an
    earlier end of the same run left is replaced.

    Raises:
        InputError: labelled texts that are not those the run began with, or a place that cannot be written.
    """
    device = choose_device(outcome.run.config["training"]["device"])
    peak = peak_memory(device) or 0  # before a second model is opened to measure the first
    tuned = open_tuned(outcome.run.path, open_base=open_base)
    tuned.model.to(device)
    folder = outcome.run.path
    method = tuned.config.tuning.method
    if method in ("lora", "prompt", "prefix"):
        shutil.rmtree(folder / "adapter", ignore_errors=True)
        name = tuned.config.base
        hub_id = PUBLISHED[name].hub_id if name in PUBLISHED else name  # what `peft` can find
        if isinstance(tuned.model, Classifier):
            save_classifier(tuned.model, folder / "adapter", base=hub_id, labels=tuned.labels)
        else:
            save = save_adapter if method == "lora" else save_prompt
            save(tuned.base.model, folder / "adapter", base=hub_id)
    if isinstance(tuned.config, ClassifyConfig):
        test = labelled_splits(tuned.run, tuned.config.data).test
        title = f"{folder.resolve().name}: {len(test.texts):,} texts never learned"
        test_classifier(tuned, test, folder, title=title, console=console)
    elif isinstance(tuned.config, TextConfig):
        _test_text(tuned, tuned.config, open_base, console)
    _write_resources(tuned, outcome, peak)


def is_measured(outcome: Outcome) -> bool:
    """Tell whether `write_results` has done its work for the steps that a run has taken now."""
    try:
        steps = json.loads((outcome.run.path / "resources.json").read_text(encoding="utf-8"))["steps"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(steps == outcome.step)


def test_classifier(tuned: Tuned, test: Labelled, folder: Path | None, *, title: str, console: Console) -> None:
    """Measure a classifier on labelled texts: write test.json, predictions.tsv and test.png, and show the table.

    Args:
        tuned: of task classify.
        test: the texts.
        folder: where to write. None: nowhere.
        title: of the picture.
        console: where to show.
    """
    if not test.texts:
        return
    probabilities = label_texts(tuned, test.texts).probabilities
    labels = np.asarray(test.labels)
    report = measure_classification(labels, probabilities, test.names)
    if folder is not None:
        _write_test(folder, report.n, report.metrics, report.intervals)
        write_predictions(folder / "predictions.tsv", labels, probabilities, names=test.names, texts=test.texts)
        draw_classification(folder / "test.png", labels, probabilities, names=test.names, title=title)
    say(console, f"\n{classification_text(report)}\n")


def seen_before(tuned: Tuned, texts: Sequence[str]) -> list[str]:
    """Say how many of `texts` a classifier learned, or was chosen by: what it makes of those proves little.

    Nothing where there are none. Where the run's own texts cannot be read any more, that nobody knows.
    """
    assert isinstance(tuned.config, ClassifyConfig)
    try:
        splits = labelled_splits(tuned.run, tuned.config.data)
    except InputError as error:
        return [f"whether the run learned some of these texts is not known: {error}"]
    learned, chosen_by = (sum(text in known for text in texts) for known in
                          (set(splits.train.texts), set(splits.validation.texts)))  # fmt: skip
    if not learned and not chosen_by:
        return []
    return [
        f"of these {len(texts):,} texts the run learned {learned:,}, and chose its best weights by {chosen_by:,}: "
        "figures of such texts prove little"
    ]


def _test_text(tuned: Tuned, config: TextConfig, open_base: Callable[[str], Pretrained], console: Console) -> None:
    """Measure a tuned writer and its base on the text that was held out."""
    _, validation, end_id = domain_tokens(tuned.run, config, tuned.base, lambda line: None)
    ids = validation.ids[: config.training.evaluation.max_tokens + 1]

    def measured(model: Any) -> Any:  # noqa: ANN401 - both are GPTs
        lengths = byte_lengths_of(tuned.base.tokenizer)
        return evaluate_tokens(
            model.eval(), ids, context_length=config.context_length, byte_lengths=lengths, end_id=end_id
        )

    after = measured(tuned.model)
    device = tuned.base.model.device
    before = measured(open_base(config.base).model.to(device))
    metrics = {
        "loss": after.loss,
        "perplexity": after.perplexity,
        "bits_per_byte": after.bits_per_byte,
        "base_loss": before.loss,
        "base_perplexity": before.perplexity,
        "base_bits_per_byte": before.bits_per_byte,
    }
    _write_test(tuned.run.path, after.n_tokens, metrics, {})
    change = after.perplexity / before.perplexity - 1
    say(
        console,
        f"held-out text: perplexity {after.perplexity:.2f}, of {config.base} {before.perplexity:.2f} ({change:+.1%}), "
        f"on {after.n_tokens:,} tokens",
    )


def _write_test(folder: Path, n: int, metrics: dict[str, float], intervals: dict[str, tuple[float, float]]) -> None:
    told = {name: (value if np.isfinite(value) else None) for name, value in metrics.items()}
    document = {"n": n, "metrics": told, "intervals": {name: list(pair) for name, pair in intervals.items()}}
    write_atomically(folder / "test.json", json.dumps(document, indent=2) + "\n")


def _write_resources(tuned: Tuned, outcome: Outcome, peak: int) -> None:
    """Write what the run cost; a run in several sessions keeps the highest peak of those that ended."""
    path = outcome.run.path / "resources.json"
    try:
        earlier = int(json.loads(path.read_text(encoding="utf-8"))["peak_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        earlier = 0
    files = tuned.found.folder.glob("*")
    document = {
        "base": tuned.config.base,
        "method": tuned.config.tuning.method,
        "trainable": n_learned(tuned.model),
        "parameters": n_numbers(tuned.model),
        "peak_bytes": max(peak, earlier),
        "seconds": round(outcome.seconds, 3),
        "tokens": outcome.tokens,
        "steps": outcome.step,
        "checkpoint_bytes": sum(file.stat().st_size for file in files if file.name == "model.safetensors"),
    }
    write_atomically(path, json.dumps(document, indent=2) + "\n")
