"""A classifier's adapter in a folder with its head: transformers and `peft` read both where they have such a head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from groundup.configs.finetune_runs import HeadConfig, Pooling
from groundup.errors import InputError
from groundup.finetuning.adapter_folder import OURS, read_adapter
from groundup.finetuning.peft_files import OWN, load_adapter, save_adapter
from groundup.finetuning.prompt_files import load_prompt, save_prompt
from groundup.models.classifier import Classifier
from groundup.models.gpt import GPT


def save_classifier(classifier: Classifier, folder: Path, *, base: str, labels: Sequence[str]) -> None:
    """Write the adapter, or the learned vectors, of a classifier with its head; the base is not written.

    With pooling last the head is what transformers' AutoModelForSequenceClassification calls score, so `peft` puts the
    folder on one of as many labels, in their order. Other heads none of those models has: `load_classifier` reads them,
    and to `peft` the folder is the adapter alone.

    Args:
        classifier: with an adapter of `apply_lora`, or a prompt or prefix.
        folder: new, or empty.
        base: what the base is called where it can be opened again.
        labels: names of its labels, in their order.

    Raises:
        InputError: neither adapter nor vectors, a folder in use, a place that cannot be written.

    Example:
        >>> import tempfile
        >>> from groundup.configs.finetuning import PromptConfig
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.finetuning.prompt_tuning import apply_prompt
        >>> gpt = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> apply_prompt(gpt, PromptConfig(n_vectors=2), kind="prefix")
        >>> folder = Path(tempfile.mkdtemp()) / "adapter"
        >>> save_classifier(Classifier(gpt, 2, HeadConfig()), folder, base="tiny", labels=("ham", "spam"))
        >>> gpt.prefix = None
        >>> load_classifier(gpt, folder)[1]
        ('ham', 'spam')
    """
    save = save_adapter if classifier.gpt.prefix is None else save_prompt
    told = {"head": {"pooling": classifier.pooling, "labels": list(labels)}}
    save(classifier.gpt, folder, base=base, extra=_head_of(classifier), told=told)


def load_classifier(gpt: GPT, folder: Path) -> tuple[Classifier, tuple[str, ...]]:
    """Return a classifier on `gpt` with what `save_classifier` or `peft` wrote, and the names of its labels.

    The labels of a folder that `peft` wrote have no names: they are LABEL_0, LABEL_1, ... as in transformers.

    Raises:
        InputError: no head there, a damaged one, or what `load_adapter` and `load_prompt` refuse.

    Example: see `save_classifier`.
    """
    folder = Path(folder)
    found = read_adapter(folder)
    is_lora = found.config.get("peft_type") == "LORA"
    extra = load_adapter(gpt, folder).extra if is_lora else load_prompt(gpt, folder)
    pooling, labels = _told(found.ours.get("head"), extra, folder)
    classifier = Classifier(gpt, len(labels), HeadConfig(pooling=pooling))
    wanted = _head_of(classifier)
    shapes = {name: tuple(tensor.shape) for name, tensor in extra.items()}
    if shapes != (needed := {name: tuple(tensor.shape) for name, tensor in wanted.items()}):
        raise InputError(f"expected a head of {needed} in {folder}, found {shapes or 'none'}: copy it again")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(extra[name])
    return classifier.eval(), labels


def _head_of(classifier: Classifier) -> dict[str, Tensor]:
    """Return the tensors of the head by their names in files."""
    if classifier.pooling == "last":
        return {"score.weight": classifier.head.weight}
    tensors = {"weight": classifier.head.weight, "bias": classifier.head.bias, "query": classifier.pooling_query}
    return {f"{OWN}{name}": tensor for name, tensor in tensors.items() if tensor is not None}


def _told(head: Any, extra: dict[str, Tensor], folder: Path) -> tuple[Pooling, tuple[str, ...]]:  # noqa: ANN401 - JSON
    if head is None and "score.weight" in extra:
        return "last", tuple(f"LABEL_{i}" for i in range(len(extra["score.weight"])))
    try:
        pooling, labels = head["pooling"], tuple(map(str, head["labels"]))
    except (TypeError, KeyError):
        raise InputError(f"expected a classifier's head in {folder}, found none: save it with its adapter") from None
    if pooling not in get_args(Pooling):
        raise InputError(f"expected pooling {', '.join(get_args(Pooling))} in {folder / OURS}, found {pooling!r:.40}")
    return pooling, labels
