"""Texts for quantizing a model: one that is read to quantize it, and another on which it is measured."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundup.data.corpora import CORPORA, SEPARATOR, find_corpus
from groundup.data.splits import Side, split
from groundup.data.tokens import open_tokens
from groundup.download import look_for
from groundup.evaluation.perplexity import Tokens
from groundup.training.run_folder import Run
from groundup.weights.pretrained import Pretrained

HELD_OUT = 0.1
"""The last part of a text, on which is measured; what is read to quantize comes before it."""
CHARACTERS_A_TOKEN = 16
"""More than a token of any text has on average: so many characters are enough."""
TALES_BYTES = 1_000_000
"""Of the tales, which never end."""


@dataclass(frozen=True, kw_only=True)
class ReadText:
    """Tokens of a text, as one model has them."""

    name: str
    """What it is, for people."""
    ids: Tokens
    """Tokens [N]."""
    end_id: int | None
    """The token before each document, across which nothing is attended to. None: one text."""


def read_text(
    found: Pretrained, side: Side, *, n_tokens: int, corpus: str | None = None, run: Run | None = None
) -> ReadText:
    """Return the first tokens of one side of a text.

    Args:
        found: whose tokens.
        side: train, to quantize by; or validation, the last tenth, to measure on: never the same text.
        n_tokens: at most, and one more, which is only read.
        corpus: by name, or a file or folder. None: what `run` learned and held out; else TinyShakespeare if it is on
            this machine, else tales.
        run: the model's, if it is one of ours.

    Raises:
        InputError: no such text, not UTF-8, or characters that the model's tokenizer cannot spell.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> gpt = GPT(GPTConfig(vocab_size=256, context_length=8, d_model=8, n_layers=1, n_heads=1))
        >>> found = Pretrained(model=gpt, tokenizer=ByteBPE(merges=[]), source="mine")
        >>> read = read_text(found, "validation", n_tokens=100, corpus="tales")
        >>> read.name, len(read.ids)
        ('the last tenth of tales', 101)
    """
    if corpus is None and run is not None and run.tokens.exists():
        tokens = open_tokens(run.tokens, side, tokenizer=found.tokenizer)
        tokens.verify()
        has_documents = tokens.n_tokens > 0 and tokens.ids[0] == found.tokenizer.end_id
        name = f"what {run.path.name} {'learned' if side == 'train' else 'held out'}"
        return ReadText(
            name=name, ids=tokens.ids[: n_tokens + 1], end_id=found.tokenizer.end_id if has_documents else None
        )
    chosen = default_corpus() if corpus is None else corpus
    text = _text(chosen, side, n_tokens * CHARACTERS_A_TOKEN)
    ids = np.asarray(found.encode(text)[: n_tokens + 1], dtype=np.int64)
    part = "the first nine tenths of" if side == "train" else "the last tenth of"
    return ReadText(name=f"{part} {Path(chosen).name or chosen}", ids=ids, end_id=None)


def default_corpus() -> str:
    """Return the name of a text that is on this machine: nothing is downloaded where nobody asked for it.

    Example:
        >>> default_corpus() in ("shakespeare", "tales")
        True
    """
    file = CORPORA["shakespeare"].file
    return "shakespeare" if file is not None and look_for(file) is not None else "tales"


def _text(corpus: str, side: Side, n_characters: int) -> str:
    """Return the first characters of a side, with SEPARATOR between documents."""
    found: list[str] = []
    length = 0
    for part in split(find_corpus(corpus, max_bytes=TALES_BYTES if corpus == "tales" else None), HELD_OUT):
        if part.side != side:
            continue
        for piece in [SEPARATOR, *part.pieces] if found else part.pieces:
            found.append(piece)
            length += len(piece)
            if length >= n_characters:
                return "".join(found)[:n_characters]
    return "".join(found)
