"""Texts to hold two models against: what a run held out, tales that no run is trained on, or any text given."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from groundup.data.corpora import SEPARATOR, TALES_SEED, find_corpus
from groundup.data.tales import generate
from groundup.data.tokens import open_tokens
from groundup.errors import InputError
from groundup.tokenization.base import Tokenizer
from groundup.training.run_folder import Run

UNSEEN_SEED = TALES_SEED + 1
"""Of tales that the corpus does not hold."""
SHORTEST_TALE = 100
"""Bytes; most have several times as many."""


@dataclass(frozen=True, kw_only=True)
class NamedText:
    """A text to predict."""

    name: str
    """What it is, for people."""
    documents: tuple[str, ...]
    """Its texts, of which none belongs to another; the last may be cut."""

    @property
    def text(self) -> str:
        """All of it, with SEPARATOR between documents."""
        return SEPARATOR.join(self.documents)


def given_text(name: str, max_bytes: int) -> NamedText:
    """Return the first bytes of a corpus by name, or of a file or folder.

    Raises:
        InputError: there is none, or it is not UTF-8.
    """
    documents = find_corpus(name, max_bytes=max_bytes).documents()
    return NamedText(name=Path(name).name or name, documents=tuple("".join(one.pieces) for one in documents))


def held_out_text(run: Run, tokenizer: Tokenizer, max_bytes: int) -> NamedText | None:
    """Return the first bytes of the text that a run was validated with; None: it learned no text as such.

    Args:
        run: of groundup train or groundup finetune text.
        tokenizer: the run's.
        max_bytes: a character that they cut apart is left out.

    Raises:
        InputError: token files that are damaged or another tokenizer's.
    """
    if not run.tokens.exists():
        return None
    tokens = open_tokens(run.tokens, "validation", tokenizer=tokenizer)
    tokens.verify()
    documents = itertools.groupby(tokens.ids.tolist(), key=lambda token: token == tokenizer.end_id)
    texts = _first((tokenizer.decode(ids) for is_end, ids in documents if not is_end), max_bytes)
    return NamedText(name=f"held-out {Path(_corpus(run) or run.path).name}", documents=texts)


def unseen_tales(max_bytes: int, *, run: Run | None, tokenizers: Iterable[Tokenizer]) -> NamedText | None:
    """Return tales of another seed than the corpus's, or None where they would not do.

    Args:
        max_bytes: about how long.
        run: what was tuned; if it learned tales, they are no other text.
        tokenizers: all must be able to spell them.

    Example:
        >>> found = unseen_tales(10_000, run=None, tokenizers=[])
        >>> 9_000 < len(found.text) <= 10_000
        True
    """
    if run is not None and _corpus(run) == "tales":
        return None
    n_enough = 1 + max_bytes // SHORTEST_TALE
    found = NamedText(name="unseen tales", documents=_first(generate(UNSEEN_SEED, n_enough), max_bytes))
    try:
        for tokenizer in tokenizers:
            tokenizer.encode(found.text)
    except InputError:  # nobody asked for tales
        return None
    return found


def window_of(run: Run) -> int | None:
    """Return the tokens of a window with which a run was validated, or None where its config does not say."""
    model = run.config.get("model")
    length = run.config.get("context_length", model.get("context_length") if isinstance(model, dict) else None)
    return length if isinstance(length, int) else None


def _corpus(run: Run) -> str | None:
    data = run.config.get("data")
    corpus = data.get("corpus") if isinstance(data, dict) else None
    return corpus if isinstance(corpus, str) and corpus else None


def _first(documents: Iterable[str], n_bytes: int) -> tuple[str, ...]:
    """Return the documents that `n_bytes` hold with SEPARATOR between them, the last one cut."""
    found: list[str] = []
    for document in documents:
        if n_bytes <= 0:
            break
        found.append(document.encode()[:n_bytes].decode(errors="ignore"))
        n_bytes -= len(document.encode()) + len(SEPARATOR)
    return tuple(found)
