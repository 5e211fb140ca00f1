"""From the config of a fine-tuning run to its model and task: the base with what learns in it, and what it learns."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch

from groundup.configs.finetune_runs import ClassifyConfig, TextConfig
from groundup.configs.finetuning import TuningConfig
from groundup.data.corpora import find_corpus
from groundup.data.labelled import LabelledSplits, load_labelled
from groundup.data.tokens import TokenFile, open_tokens, prepare_tokens
from groundup.errors import InputError
from groundup.finetuning.methods import apply_method
from groundup.models.classifier import Classifier
from groundup.models.gpt import GPT
from groundup.tasks.classification import Classification, TextBatch
from groundup.tasks.language_modeling import LanguageModeling, TokenBatch
from groundup.training.learned import n_learned
from groundup.training.lifecycle import Ready
from groundup.training.run_folder import Run, write_atomically
from groundup.weights.pretrained import Pretrained

Report = Callable[[str], None]
"""Is told in lines what takes a while."""


def prepare_classification(
    run: Run, config: ClassifyConfig, base: Pretrained, report: Report
) -> Ready[Classifier, TextBatch]:
    """Split the labelled texts, put a head on the base, and let the method's part of it learn.

    Raises:
        InputError: texts that cannot be used, or that are not those the run began with.
    """
    splits = load_labelled(config.data)
    _same_data(run, splits)
    classifier = build_classifier(config, base, len(splits.names))
    if config.data.max_tokens > base.model.config.context_length:
        raise InputError(
            f"expected LabelledConfig.max_tokens to be at most {base.model.config.context_length}, what {config.base} "
            f"can read, found {config.data.max_tokens}: lower it"
        )
    task = Classification(
        train=splits.train,
        validation=splits.validation,
        encode=base.encode,
        head=config.head,
        training=config.training,
        max_tokens=config.data.max_tokens,
        pad_id=pad_id(base),
    )
    counts = ", ".join(f"{len(part.texts):,} {name}" for name, part in _parts(splits))
    n_steps = config.training.steps * config.training.sequences_per_step
    page = [
        f"run         {run.path}",
        f"texts       {config.data.file}: {counts}; labels {', '.join(splits.names)}",
        *(f"            {note}" for note in (*splits.notes, *_cut(task, config.data.max_tokens))),
        *_model_page(config.base, config.tuning, classifier),
        f"training    {config.training.steps:,} steps of {config.training.sequences_per_step} texts "
        f"({n_steps / len(splits.train.texts):.2g} epochs)",
    ]
    return Ready(model=classifier, task=task, page=page)


def prepare_text(run: Run, config: TextConfig, base: Pretrained, report: Report) -> Ready[GPT, TokenBatch]:
    """Make the tokens of the text, in the base's own vocabulary, and let the method's part of the base learn.

    Raises:
        InputError: a corpus that cannot be found or used, or a context that the base has not.
    """
    if config.context_length > base.model.config.context_length:
        raise InputError(
            f"expected TextConfig.context_length to be at most {base.model.config.context_length}, what {config.base} "
            f"can read, found {config.context_length}: lower it"
        )
    train, validation = domain_tokens(run, config, base, report)
    tune(base, config.tuning, seed=config.training.seed)
    task = LanguageModeling(
        train=train,
        validation=validation,
        tokenizer=base.tokenizer,
        context_length=config.context_length,
        training=config.training,
    )
    tokens_per_step = config.training.sequences_per_step * config.context_length
    page = [
        f"run         {run.path}",
        f"text        {config.data.corpus}: {train.n_tokens:,} tokens to learn, {validation.n_tokens:,} held out",
        *_model_page(config.base, config.tuning, base.model),
        f"training    {config.training.steps:,} steps of {tokens_per_step:,} tokens "
        f"({config.training.steps * tokens_per_step / train.n_tokens:.2g} epochs)",
    ]
    return Ready(model=base.model, task=task, page=page)


def build_classifier(config: ClassifyConfig, base: Pretrained, n_labels: int) -> Classifier:
    """Return the base with a head on it, in which what `config.tuning` says learns; drawn by the run's seed."""
    tune(base, config.tuning, seed=config.training.seed)
    if base.model.output is not None:
        base.model.output.requires_grad_(False)  # a classifier has its own head
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return Classifier(base.model, n_labels, config.head)


def pad_id(base: Pretrained) -> int:
    """Return the token that fills rows of texts for this base; what it is changes nothing."""
    return base.tokenizer.end_id or 0


def tune(base: Pretrained, config: TuningConfig, *, seed: int) -> None:
    """Let what `config` says of the base learn, and nothing else: see `methods.apply_method`."""
    apply_method(base.model, config, encode=base.tokenizer.encode, seed=seed)


def domain_tokens(run: Run, config: TextConfig, base: Pretrained, report: Report) -> tuple[TokenFile, TokenFile]:
    """Return the tokens to learn and those held out; made once for a run, then opened.

    Raises:
        InputError: a corpus that cannot be found, or damaged files.
    """
    if not run.tokens.exists():
        corpus = find_corpus(config.data.corpus, max_bytes=config.data.max_bytes)
        report(f"encoding {corpus.name} …")
        prepare_tokens(corpus, base.tokenizer, run.tokens, validation_fraction=config.data.validation_fraction)
    train = open_tokens(run.tokens, "train", tokenizer=base.tokenizer)
    validation = open_tokens(run.tokens, "validation", tokenizer=base.tokenizer)
    for tokens in (train, validation):
        tokens.verify()
    return train, validation


def _model_page(base: str, tuning: TuningConfig, model: torch.nn.Module) -> list[str]:
    learned, everything = n_learned(model), sum(p.numel() for p in model.parameters())
    return [
        f"base        {base}: {everything:,} parameters with what is new",
        f"method      {_describe(tuning)}: {learned:,} learn, {learned / everything:.2%}",
    ]


def _describe(tuning: TuningConfig) -> str:
    if tuning.method == "lora":
        kind = "DoRA" if tuning.lora.dora else "LoRA"
        return f"{kind} of rank {tuning.lora.rank} on {', '.join(tuning.lora.targets)}"
    if tuning.method == "last":
        return f"the last {tuning.freezing.last_blocks} blocks"
    if tuning.method == "full":
        return "every weight"
    where = "before the text" if tuning.method == "prompt" else "before the text, in every layer"
    return f"{tuning.prompt.n_vectors} vectors {where}"


def _cut(task: Classification, max_tokens: int) -> list[str]:
    n_cut = task.n_cut + task.n_cut_validation
    return [f"{n_cut:,} texts longer than {max_tokens} tokens are cut there"] if n_cut else []


def _parts(splits: LabelledSplits) -> list[tuple[str, Any]]:
    return [("to learn", splits.train), ("for validation", splits.validation), ("for the test", splits.test)]


def _same_data(run: Run, splits: LabelledSplits) -> None:
    """Write down which texts the run learns from, by their hash; later, refuse others."""
    path = run.path / "data.json"
    everything = [[part.texts, part.labels] for _, part in _parts(splits)]
    digest = hashlib.sha256(json.dumps(everything, ensure_ascii=False).encode()).hexdigest()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["sha256"]
    except FileNotFoundError:
        counts = {name: len(part.texts) for name, part in _parts(splits)}
        document = {"sha256": digest, "labels": splits.names, "texts": counts, "notes": splits.notes}
        write_atomically(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"expected {path} as it was written, found something else: restore it from a copy") from None
    if told != digest:
        raise InputError(
            f"expected the texts that {run.path} began with, found others: put the file back as it was, or start anew"
        )
