"""What a fine-tuning run leaves at its end: its test, its predictions, its adapter alone, and what it cost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from groundup.configs.finetune_runs import ClassifyConfig, TextConfig
from groundup.data.labelled import Labelled, load_labelled
from groundup.evaluation.classification_plots import draw_classification
from groundup.evaluation.classification_report import measure_classification
from groundup.evaluation.classification_text import classification_text
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.evaluation.predictions import write_predictions
from groundup.finetuning.peft_files import save_adapter
from groundup.finetuning.preparation_texts import domain_tokens
from groundup.finetuning.prompt_files import save_prompt
from groundup.finetuning.tuned import Tuned, label_texts, open_tuned
from groundup.training.devices import choose_device
from groundup.training.learned import n_learned
from groundup.training.loop import Outcome
from groundup.training.peak_memory import peak_memory
from groundup.training.progress import say
from groundup.training.run_folder import write_atomically
from groundup.weights.pretrained import Pretrained


def write_results(outcome: Outcome, *, open_base: Callable[[str], Pretrained], console: Console) -> None:
    """Measure the best weights of a run that has ended; write and show what was found.

    test.json, predictions.tsv and test.png for a classifier, test.json for a text, adapter/ in PEFT's format for
    adapters and learned vectors, resources.json for all.
    """
    peak = (
        peak_memory(choose_device(outcome.run.config["training"]["device"])) or 0
    )  # before a second model is opened to measure the first
    tuned = open_tuned(outcome.run.path, open_base=open_base)
    folder = outcome.run.path
    _write_resources(tuned, outcome, peak)
    method = tuned.config.tuning.method
    if method in ("lora", "prompt", "prefix") and not (folder / "adapter").exists():
        save = save_adapter if method == "lora" else save_prompt
        save(tuned.base.model, folder / "adapter", base=tuned.config.base)
    if isinstance(tuned.config, ClassifyConfig):
        test_classifier(tuned, load_labelled(tuned.config.data).test, folder, console=console)
    elif isinstance(tuned.config, TextConfig):
        _test_text(tuned, tuned.config, open_base, console)


def test_classifier(tuned: Tuned, test: Labelled, folder: Path | None, *, console: Console) -> None:
    """Measure a classifier on labelled texts: write test.json, predictions.tsv and test.png, and show the table.

    Args:
        tuned: of task classify.
        test: texts that it never saw.
        folder: where to write. None: nowhere.
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
        title = f"{tuned.run.path.resolve().name}: {report.n:,} texts never learned"
        draw_classification(folder / "test.png", labels, probabilities, names=test.names, title=title)
    say(console, f"\n{classification_text(report)}\n")


def _test_text(tuned: Tuned, config: TextConfig, open_base: Callable[[str], Pretrained], console: Console) -> None:
    """Measure a tuned writer and its base on the text that was held out."""
    _, validation = domain_tokens(tuned.run, config, tuned.base, lambda line: None)
    ids = validation.ids[: config.training.evaluation.max_tokens + 1]

    def measured(model: Any) -> Any:  # noqa: ANN401 - both are GPTs
        lengths = byte_lengths_of(tuned.base.tokenizer)
        return evaluate_tokens(model.eval(), ids, context_length=config.context_length, byte_lengths=lengths)

    after = measured(tuned.model)
    before = measured(open_base(config.base).model)
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
        "parameters": sum(p.numel() for p in tuned.model.parameters()),
        "peak_bytes": max(peak, earlier),
        "seconds": round(outcome.seconds, 3),
        "tokens": tuned.found.tokens,
        "checkpoint_bytes": sum(file.stat().st_size for file in files if file.name == "model.safetensors"),
    }
    write_atomically(path, json.dumps(document, indent=2) + "\n")
