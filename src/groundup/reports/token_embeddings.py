"""From a name to the token embeddings of that model, whatever kind of model it is."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from groundup.configs.run_tasks import use_of
from groundup.errors import InputError
from groundup.interpret.token_map import TokenEmbeddings
from groundup.resolve import Place, find_model, open_model
from groundup.tokenization.base import Tokenizer
from groundup.training.run_folder import Run
from groundup.weights.json_files import read_object

Side = Literal["source", "target"]
"""Of a model that translates: what it reads, or what it writes."""
Found = tuple[Any, Tokenizer]
"""A module with a row for each token, and what the tokens spell."""


def open_embeddings(name: str, *, side: Side | None = None) -> TokenEmbeddings:
    """Load the token embeddings of a model that writes, reads, labels or translates.

    Args:
        name: as `groundup.resolve.open_model` takes it; a run of another kind, or a folder with a BERT, too.
        side: which embeddings of a model that translates; their `source` says so. None: those of what it writes.

    Raises:
        InputError: no such model, a damaged one, one without tokens, or a side of one that does not translate.
    """
    place = find_model(name)
    task = Run.open(place.path).config.get("task") if place.kind == "run" and place.path is not None else None
    if side is not None and task != "translate":
        raise InputError(f"expected a run that translates with --side {side}, found {name}: leave --side out")
    if task == "images":
        raise InputError(f"expected a model with tokens, found {name}, which sees images: {use_of(task, name)} uses it")
    embedding, tokenizer = _of_a_run(place, task, side) or _of_a_bert(place) or _of_a_writer(name)
    table = embedding.dequantized() if hasattr(embedding, "dequantized") else embedding.weight
    vectors = table.detach().float().cpu().numpy()[: tokenizer.vocab_size]  # a table may be wider than it need be
    if not np.isfinite(vectors).all():
        raise InputError(f"expected finite embeddings in {name}, found NaN or infinity: take an earlier checkpoint")
    source = short_name(name) if side is None else f"{short_name(name)}-{side}"
    return TokenEmbeddings(vectors=vectors, tokenizer=tokenizer, source=source)


def short_name(name: str) -> str:
    """Return what to call a model in a title or a file's name.

    Example:
        >>> short_name("runs/tales/"), short_name("owner/gpt-x"), short_name("a/b.gguf"), short_name("smollm2")
        ('tales', 'gpt-x', 'b', 'smollm2')
    """
    return Path(name).name.removesuffix(".gguf") or "model"


def _of_a_run(place: Place, task: object, side: Side | None) -> Found | None:
    """Return the embeddings of a run that does not write, which `open_model` would refuse."""
    if place.path is None:
        return None
    if task == "mask":
        from groundup.training.masked import load_masked_run

        encoder = load_masked_run(place.path, device="cpu")
        return encoder.model.token_embedding, encoder.tokenizer
    if task == "translate":
        from groundup.training.translation import load_translator

        translator = load_translator(place.path, device="cpu").translator
        model = translator.model
        if side == "source":  # it may have the target's
            return model.source_embedding or model.target_embedding, translator.source_tokenizer
        return model.target_embedding, translator.target_tokenizer
    if task == "classify":
        from groundup.finetuning.tuned import open_tuned

        base = open_tuned(place.path, open_base=open_model).base
        return base.model.token_embedding, base.tokenizer
    return None


def _of_a_bert(place: Place) -> Found | None:
    if place.kind != "folder" or place.path is None:
        return None
    if read_object(place.path / "config.json", missing_ok=True).get("model_type") != "bert":
        return None
    from groundup.weights.bert import load_bert

    encoder = load_bert(place.path)
    return encoder.model.token_embedding, encoder.tokenizer


def _of_a_writer(name: str) -> Found:
    pretrained = open_model(name, packed=True)  # of a GGUF file only this table becomes floats
    return pretrained.model.token_embedding, pretrained.tokenizer
