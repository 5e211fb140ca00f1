"""`groundup fill RUN "the [MASK] sat"`: what could stand in the gaps of a text, as an encoder sees it."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least

if TYPE_CHECKING:  # torch: not for --help
    from groundup.generation.fill import Filled


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class Fill:
    """Fill the gaps of texts: each [MASK] stands for one token."""

    run: tyro.conf.Positional[Path]
    """Folder of a run of groundup train tales-mask, or of a BERT that transformers saved."""
    text: tyro.conf.Positional[tuple[str, ...]]
    """Texts with [MASK] in them; - reads one from each line of standard input."""
    top: int = 5
    """Fills to show for each gap."""
    json: bool = False
    """Print one JSON object for each text: text, filled, and the fills of each gap with their probabilities."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "top", 1)


def command(arguments: list[str]) -> int:
    """Parse, fill, print."""
    chosen = parse(Fill, arguments, program="groundup fill")
    from groundup.generation.fill import fill_gaps
    from groundup.training.masked import open_encoder

    encoder = open_encoder(chosen.run)
    texts = [line.rstrip("\n") for line in sys.stdin] if chosen.text == ("-",) else chosen.text
    for i, text in enumerate(texts):
        filled = fill_gaps(encoder, text, top=chosen.top)
        if chosen.json:
            gaps = [[asdict(fill) for fill in gap] for gap in filled.gaps]
            print(json.dumps({"text": text, "filled": filled.text, "gaps": gaps}, ensure_ascii=False))
        else:
            print(("\n" if i else "") + _table(filled))
    return 0


def _table(filled: "Filled") -> str:
    """Return the filled text, then a row for each gap: its fills, the likeliest first, in columns."""
    shown = [[(fill.text.strip() or repr(fill.text), fill.probability) for fill in gap] for gap in filled.gaps]
    widths = [max(len(gap[k][0]) for gap in shown) for k in range(len(shown[0]))]
    rows = [
        "   ".join(f"{text:<{width}} {chance:>6.1%}" for (text, chance), width in zip(gap, widths, strict=True))
        for gap in shown
    ]
    return "\n".join([filled.text, *(f"  {number}  {row}" for number, row in enumerate(rows, 1))])
