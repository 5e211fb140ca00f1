"""From a name to the token embeddings of that model, whatever kind of model it is."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from groundup.errors import InputError
from groundup.interpret.token_map import TokenEmbeddings
from groundup.resolve import Place, find_model, open_model
from groundup.tokenization.base import Tokenizer
from groundup.training.run_folder import Run
from groundup.weights.json_files import read_object

Side = Literal["source", "target"]
"""Of a model that translates: what it reads, or what it writes."""


def open_embeddings(name: str, *, side: Side = "target") -> TokenEmbeddings:
    """Load the token embeddings of a model that writes, reads, labels or translates.

    Args:
        name: as `groundup.resolve.open_model` takes it; a run of another kind, or a folder with a BERT, too.
        side: which embeddings of a model that translates and has two.

    Raises:
        InputError: no such model, a damaged one, or one without tokens.
    """
    place = find_model(name)
    embedding, tokenizer = _of_a_run(place, side) or _of_a_bert(place) or _of_a_writer(name)
    table = embedding.dequantized() if hasattr(embedding, "dequantized") else embedding.weight
    vectors = table.detach().float().cpu().numpy()[: tokenizer.vocab_size]  # a table may be wider than it need be
    if not np.isfinite(vectors).all():
        raise InputError(f"expected finite embeddings in {name}, found NaN or infinity: take an earlier checkpoint")
    return TokenEmbeddings(vectors=vectors, tokenizer=tokenizer, source=short_name(name))


def short_name(name: str) -> str:
    """Return what to call a model in a title or a file's name.

    Example:
        >>> short_name("runs/tales/"), short_name("owner/gpt-x"), short_name("a/b.gguf"), short_name("smollm2")
        ('tales', 'gpt-x', 'b', 'smollm2')
    """
    return Path(name).name.removesuffix(".gguf") or "model"


def _of_a_run(place: Place, side: Side) -> tuple[Any, Tokenizer] | None:
    """Return the embedding of a run that does not write, which `open_model` would refuse."""
    if place.kind != "run" or place.path is None:
        return None
    task = Run.open(place.path).config.get("task")
    if task == "mask":
        from groundup.training.masked import load_masked_run

        encoder = load_masked_run(place.path, device="cpu")
        return encoder.model.token_embedding, encoder.tokenizer
    if task == "translate":
        from groundup.training.translation import load_translator

        translator = load_translator(place.path, device="cpu").translator
        if side == "source":
            own = translator.model.source_embedding
            return translator.model.target_embedding if own is None else own, translator.source_tokenizer
        return translator.model.target_embedding, translator.target_tokenizer
    if task == "classify":
        from groundup.finetuning.tuned import open_tuned

        base = open_tuned(place.path, open_base=open_model).base
        return base.model.token_embedding, base.tokenizer
    return None


def _of_a_bert(place: Place) -> tuple[Any, Tokenizer] | None:
    if place.kind != "folder" or place.path is None:
        return None
    if read_object(place.path / "config.json", missing_ok=True).get("model_type") != "bert":
        return None
    from groundup.weights.bert import load_bert

    encoder = load_bert(place.path)
    return encoder.model.token_embedding, encoder.tokenizer


def _of_a_writer(name: str) -> tuple[Any, Tokenizer]:
    pretrained = open_model(name, packed=True)  # of a GGUF file only this table becomes floats
    return pretrained.model.token_embedding, pretrained.tokenizer
