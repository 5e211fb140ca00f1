"""From the config of a run that learns to label texts to its model and task; and what every task needs of a base."""

from collections.abc import Callable
from typing import Any

import torch

from groundup.configs.finetune_runs import ClassifyConfig, LabelledConfig
from groundup.configs.finetuning import TuningConfig
from groundup.configs.training import TrainConfig
from groundup.data.labelled import LabelledSplits, load_labelled
from groundup.errors import InputError
from groundup.finetuning.methods import apply_method
from groundup.finetuning.runs import FinetuneConfig
from groundup.models.classifier import Classifier
from groundup.tasks.classification import Classification, TextBatch
from groundup.training.learned import is_learned, n_learned, n_numbers, start_of
from groundup.training.lifecycle import Ready
from groundup.training.run_folder import Run
from groundup.training.same_data import same_data
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
    splits = labelled_splits(run, config.data)
    classifier = build_classifier(config, base, len(splits.names))
    check_room(config.data.max_tokens, "LabelledConfig.max_tokens", config, base)
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
        *model_page(config.base, config.tuning, classifier, config.training),
        f"training    {config.training.steps:,} steps of {config.training.sequences_per_step} texts "
        f"({n_steps / len(splits.train.texts):.2g} epochs)",
    ]
    return Ready(model=classifier, task=task, page=page)


def labelled_splits(run: Run, config: LabelledConfig) -> LabelledSplits:
    """Return the labelled texts of a run in their parts, and see that they are those it began with.

    Raises:
        InputError: texts that cannot be used, or others.
    """
    splits = load_labelled(config)
    everything = [[part.texts, part.labels] for _, part in _parts(splits)]
    counts = {name: len(part.texts) for name, part in _parts(splits)}
    same_data(run, everything, labels=splits.names, texts=counts, notes=splits.notes)
    return splits


def build_classifier(config: ClassifyConfig, base: Pretrained, n_labels: int) -> Classifier:
    """Return the base with a head on it, in which what `config.tuning` says learns; drawn by the run's seed."""
    tune(base, config.tuning, seed=config.training.seed)
    if base.model.output is not None:
        base.model.output.requires_grad_(False)  # a classifier has its own head
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return Classifier(base.model, n_labels, config.head)


def check_room(wanted: int, field: str, config: FinetuneConfig, base: Pretrained) -> None:
    """Refuse more tokens than the base can read, behind the learned vectors if there are to be any.

    Raises:
        InputError: naming the field.
    """
    tuning = config.tuning
    n_before = tuning.prompt.n_vectors if tuning.method in ("prompt", "prefix") else 0
    if wanted > (most := base.model.config.context_length - n_before):
        behind = f" behind {n_before} learned vectors" if n_before else ""
        raise InputError(
            f"expected {field} to be at most {most}, what {config.base} can read{behind}, found {wanted}: lower it"
        )


def pad_id(base: Pretrained) -> int:
    """Return the token that fills rows of texts for this base; what it is changes nothing."""
    return base.tokenizer.end_id or 0


def tune(base: Pretrained, config: TuningConfig, *, seed: int) -> None:
    """Let what `config` says of the base learn, and nothing else: see `methods.apply_method`."""
    apply_method(base.model, config, encode=base.tokenizer.encode, seed=seed)


def refuse_idle(gpt: torch.nn.Module) -> None:
    """Raise InputError where nothing of a model learns: without a head of its own, no block is too few."""
    if n_learned(gpt) == 0:
        raise InputError(
            "expected FreezingConfig.last_blocks to be at least 1 where there is no head to learn, found 0: raise it"
        )


def model_page(base: str, tuning: TuningConfig, model: torch.nn.Module, training: TrainConfig) -> list[str]:
    """Return what is tuned, what of it learns, and what of that would not be as asked for: two lines or more."""
    learned, everything = n_learned(model), n_numbers(model)
    notes = []
    starts = {start_of(p) for p in model.parameters() if is_learned(p)}
    if late := [start for start in starts if start >= training.steps]:
        notes.append(
            f"{len(late)} of {len(starts)} layers would begin to learn behind the last step, the first of them at step "
            f"{min(late) + 1:,}: lower unfreeze_every, or take more steps"
        )
    if training.optimizer.name == "muon" and tuning.method in ("lora", "prompt", "prefix"):
        notes.append("Muon turns whole matrices; adapters, vectors and heads learn by AdamW")
    return [
        f"base        {base}: {everything:,} parameters with what is new",
        f"method      {_describe(tuning)}: {learned:,} learn, {learned / everything:.2%}",
        *(f"            {note}" for note in notes),
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
