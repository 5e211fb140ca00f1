"""`groundup similar RUN QUERY TEXT…`: texts in the order of how alike they are to one, by an encoder's embeddings."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least
from groundup.errors import InputError


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class Similar:
    """Order texts by how alike they are to one: by the cosine between what an encoder makes of each."""

    run: tyro.conf.Positional[Path]
    """Folder of a run of groundup train tales-mask, or of a BERT that transformers saved."""
    query: tyro.conf.Positional[str]
    """The text that the others are held against."""
    text: tyro.conf.Positional[tuple[str, ...]] = ()
    """The others."""
    file: Path | None = None
    """Read the others from this file, one from each line."""
    top: int | None = None
    """Show the most similar ones only. None: all."""
    pooling: Literal["mean", "cls"] = "mean"
    """What stands for a text: the mean over its tokens, or the state of what stands before it."""
    json: bool = False
    """Print one JSON object for each text: similarity, text."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if self.top is not None:
            at_least(self, "top", 1)
        if bool(self.text) == (self.file is not None):
            raise InputError(f"expected texts or --file FILE, found {'both' if self.text else 'neither'}")


def command(arguments: list[str]) -> int:
    """Parse, embed, print, the most similar first."""
    chosen = parse(Similar, arguments, program="groundup similar")
    texts = chosen.text if chosen.file is None else _lines(chosen.file)
    from groundup.evaluation.sentence_embeddings import cosine_similarity, embed_texts
    from groundup.training.masked import open_encoder

    found = embed_texts(open_encoder(chosen.run), [chosen.query, *texts], chosen.pooling)
    cosines = cosine_similarity(found[:1], found[1:])[0].tolist()
    for cosine, text in sorted(zip(cosines, texts, strict=True), key=lambda pair: -pair[0])[: chosen.top]:
        if chosen.json:
            print(json.dumps({"similarity": round(cosine, 6), "text": text}, ensure_ascii=False))
        else:
            print(f"{cosine:>7.4f}  {text}")
    return 0


def _lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a file that are not empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or "bytes that are not UTF-8"
        raise InputError(f"expected texts, one a line, in {path}, found: {found}") from None
    if not (texts := tuple(line.strip() for line in lines if line.strip())):
        raise InputError(f"expected texts, one a line, in {path}, found none")
    return texts
