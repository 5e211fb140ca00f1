"""`groundup classify RUN [TEXT…]`: labels of texts, from a run of `groundup finetune classify`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from groundup.cli.parse import parse
from groundup.errors import InputError

if TYPE_CHECKING:  # torch: not for --help
    from groundup.finetuning.tuned import Tuned


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class Classify:
    """Label texts: those given, each line of standard input, or a file. A file with labels is measured, too."""

    run: tyro.conf.Positional[Path]
    """Folder of a run that groundup finetune classify made."""
    text: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts; - reads one from each line of standard input."""
    file: str | None = None
    """A labelled .csv, .tsv or .jsonl file: its test figures are shown, and its predictions written with --out."""
    text_column: str = "text"
    """Column of the texts in the file."""
    label_column: str = "label"
    """Column of the labels in the file."""
    out: Path | None = None
    """With --file: a new folder for test.json, predictions.tsv and test.png."""
    json: bool = False
    """Print one JSON object for each text, with the probability of every label."""


def command(arguments: list[str]) -> int:
    """Parse, label, print."""
    chosen = parse(Classify, arguments, program="groundup classify")
    if (chosen.file is None) == (not chosen.text):
        found = "neither" if chosen.file is None else "both"
        raise InputError(f"expected texts or --file FILE, found {found} (- reads lines of standard input)")
    if chosen.out is not None and chosen.file is None:
        raise InputError("expected --file FILE with --out, found texts: their labels are printed")
    from groundup.finetuning.tuned import open_classifier
    from groundup.resolve import open_model

    tuned = open_classifier(chosen.run, open_base=open_model)
    if chosen.file is not None:
        return _measure(tuned, chosen)
    texts = [line.rstrip("\n") for line in sys.stdin] if chosen.text == ("-",) else list(chosen.text)
    _label(tuned, texts, as_json=chosen.json)
    return 0


def _label(tuned: "Tuned", texts: list[str], *, as_json: bool) -> None:
    """Print the label of each text, in their order."""
    from groundup.finetuning.tuned import label_texts

    texts = [text.strip() for text in texts]  # as what was learned
    if empty := sum(not text.strip() for text in texts):
        raise InputError(f"expected texts to label, found {empty} empty: leave them out")
    found = label_texts(tuned, texts)
    width = max(map(len, tuned.labels))
    for text, row in zip(texts, found.probabilities, strict=True):
        best = int(row.argmax())
        if as_json:
            chances = {name: round(float(p), 6) for name, p in zip(tuned.labels, row, strict=True)}
            print(json.dumps({"label": tuned.labels[best], "probabilities": chances, "text": text}, ensure_ascii=False))
        else:
            print(f"{tuned.labels[best]:<{width}}  {row[best]:>4.0%}  {text}")
    if found.n_cut:
        print(f"{found.n_cut} texts were longer than in training, and cut", file=sys.stderr)


def _measure(tuned: "Tuned", chosen: Classify) -> int:
    """Print what the classifier makes of a labelled file."""
    from rich.console import Console

    from groundup.configs.finetune_runs import LabelledConfig
    from groundup.data.labelled import read_more
    from groundup.finetuning.results import seen_before, test_classifier

    assert chosen.file is not None
    told = LabelledConfig(file=chosen.file, text_column=chosen.text_column, label_column=chosen.label_column)
    test, notes = read_more(told, tuned.labels)
    for note in (*notes, *seen_before(tuned, test.texts)):
        print(note, file=sys.stderr)
    if chosen.out is not None:
        try:
            chosen.out.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"expected a new folder for --out, found {chosen.out}: {error.strerror}") from None
    title = f"{chosen.run.resolve().name}: {len(test.texts):,} texts of {chosen.file}"
    test_classifier(tuned, test, chosen.out, title=title, console=Console())
    return 0
