"""`groundup translate RUN [TEXT…]`: translations from a run that learned to translate."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groundup.cli.parse import parse
from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError

if TYPE_CHECKING:  # torch: not for --help
    from groundup.generation.translate import Translator

LINES_AT_ONCE = 256
"""Lines that are read before the first of them is printed: enough to sort by length, few enough to wait for."""


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class Translate:
    """Translate texts: those given, each line of a file, or each line of standard input. A line for each comes out."""

    run: tyro.conf.Positional[Path]
    """Folder of a run that learned to translate: groundup train dates, or multi30k-en-de."""
    text: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts; - reads one from each line of standard input."""
    file: Path | None = None
    """Translate each line of this file, .gz too."""
    out: Path | None = None
    """A new file for the translations. None: they are printed."""
    alignment: Path | None = None
    """With one text: a PNG that shows which source tokens each token was written from."""
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: GenerationConfig(strategy="beam", max_new_tokens=256)
    )
    """How translations are found. By default the best of 4 beams."""

    def __post_init__(self) -> None:
        """Refuse options that would do nothing, with one InputError."""
        if (self.file is None) == (not self.text):
            found = "neither" if self.file is None else "both"
            raise InputError(f"expected texts or --file FILE, found {found} (- reads lines of standard input)")
        if self.alignment is not None and (len(self.text) != 1 or self.text == ("-",)):
            raise InputError("expected one text with --alignment, found others: give it behind the run")
        if self.alignment is not None and self.alignment.suffix != ".png":
            raise InputError(f"expected --alignment FILE.png, found {self.alignment}: end its name in .png")
        if self.config.n_top:
            raise InputError("expected no --n-top, which nothing shows here, found one: leave it out")
        if not self.config.use_cache:
            raise InputError("expected a cache, without which no source is kept, found --no-use-cache: leave it out")


def command(arguments: list[str]) -> int:
    """Parse, translate, print."""
    chosen = parse(Translate, arguments, program="groundup translate")
    if chosen.out is not None and chosen.out.exists():
        raise InputError(f"expected a new file for --out, found {chosen.out} in use: give another name")
    texts = _texts(chosen)
    from groundup.training.translation import load_translator

    translator = load_translator(chosen.run).translator
    if chosen.config.strategy == "beam" and chosen.config.beam.n_best > 1:
        return _n_best(translator, texts, chosen.config)
    lines = _translated(translator, texts, chosen)
    if chosen.alignment is not None:
        _draw_alignment(translator, texts[0], lines[0], chosen.alignment)
    return 0


def _texts(chosen: Translate) -> list[str]:
    if chosen.file is not None:
        from groundup.data.pairs import read_lines

        texts = read_lines(chosen.file)
    else:
        texts = [line.strip() for line in (sys.stdin if chosen.text == ("-",) else chosen.text)]
    if not any(texts):
        raise InputError(f"expected texts to translate, found none in {chosen.file or 'what was given'}: give some")
    return texts


def _translated(translator: "Translator", texts: list[str], chosen: Translate) -> list[str]:
    """Print or write a line for each text, in their order; say on standard error what was left as it is."""
    from dataclasses import replace

    from groundup.generation.translate import translate

    done: list[str] = []
    n_cut = 0
    try:
        file = None if chosen.out is None else chosen.out.open("x", encoding="utf-8")
    except OSError as error:
        raise InputError(f"expected a new file for --out, found {chosen.out}: {error.strerror}") from None
    try:
        for first in range(0, len(texts), LINES_AT_ONCE):
            config = replace(chosen.config, seed=chosen.config.seed + first)
            found = translate(translator, texts[first : first + LINES_AT_ONCE], config)
            for line in found.texts:
                print(line.replace("\n", " "), file=file or sys.stdout, flush=file is None)
            done, n_cut = [*done, *found.texts], n_cut + found.n_cut
    finally:
        if file is not None:
            file.close()
    if n_empty := sum(not text for text in texts):
        print(f"{n_empty} of {len(texts)} lines are empty, and stay so", file=sys.stderr)
    if n_cut:
        most = translator.model.context_length
        print(
            f"{n_cut} of {len(texts)} texts have more than {most} tokens: what is beyond was not read", file=sys.stderr
        )
    return done


def _n_best(translator: "Translator", texts: list[str], config: GenerationConfig) -> int:
    from groundup.generation.translate import translate_n_best

    for text in texts:
        print(f"--- {text}")
        for one in translate_n_best(translator, text, config) if text else ():
            print(f"{one.score:9.4f}  {one.text}")
    return 0


def _draw_alignment(translator: "Translator", source: str, target: str, picture: Path) -> None:
    from groundup.evaluation.alignment_plot import align, draw_alignment

    try:
        draw_alignment(picture, align(translator, source, target))
    except OSError as error:
        raise InputError(f"expected to write {picture}, found: {error.strerror}: give another place") from None
    print(f"alignment in {picture}", file=sys.stderr)
