"""`groundup compare BASE RUN`: a tuned model beside its base, in texts and in figures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least
from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError

if TYPE_CHECKING:  # torch: not for --help
    from groundup.reports.comparison import Comparison
    from groundup.training.run_folder import Run
    from groundup.weights.pretrained import Pretrained


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class Compare:
    """Let a model and what it was tuned to write after the same prompts, and measure what was learned and forgotten."""

    base: tyro.conf.Positional[str]
    """The model before: a name that groundup models lists, a run, a folder or .gguf file, or OWNER/NAME on the hub."""
    run: tyro.conf.Positional[str]
    """The model after: a run of groundup finetune, or any other model."""
    prompts: Path
    """A text file with a prompt in each line."""
    chat: bool = False
    """Prompts are what a person says: each is laid out by the model's chat template."""
    domain: str | None = None
    """Text of the kind that was learned: a corpus by name, a file or folder. None: what the run held out."""
    general: str | None = None
    """Other text, to measure what was forgotten: a corpus by name, a file or folder. None: tales."""
    max_bytes: int = 65_536
    """Bytes of each text that are read."""
    context_length: int | None = None
    """Tokens of a window in which texts are read. None: as the run was validated, else at most 512."""
    out: Path | None = None
    """Write the comparison here as a page: HTML in one file."""
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(default_factory=GenerationConfig)
    """How tokens are drawn."""

    def __post_init__(self) -> None:
        """Refuse impossible values, and options that would do nothing, with one InputError."""
        at_least(self, "max_bytes", 2)
        if self.context_length is not None:
            at_least(self, "context_length", 1)
        if self.config.n_top or self.config.beam.n_best > 1:
            raise InputError("expected one text for each prompt, found --n-top or --beam.n-best: leave it out")


def command(arguments: list[str]) -> int:
    """Parse, open both models, compare, show."""
    chosen = parse(Compare, arguments, program="groundup compare")
    prompts = _prompts(chosen.prompts)
    from rich.console import Console

    from groundup.reports.comparison_page import html_of
    from groundup.reports.comparison_terminal import show
    from groundup.reports.pages import check_place, write_page
    from groundup.resolve import find_model
    from groundup.training.run_folder import Run

    place = None if chosen.out is None else check_place(chosen.out, "html")
    places = [find_model(name) for name in (chosen.base, chosen.run)]  # a slip is known before anything is loaded
    run = Run.open(places[1].path) if places[1].kind == "run" and places[1].path is not None else None
    with Console(stderr=True).status("opening the models …") as status:  # nothing where there is no terminal
        found = _compare(chosen, prompts, run, status.update)
    show(found, Console(highlight=False))
    if place is not None:
        write_page(place, html_of(found))
        print(f"\nwrote {place}")
    return 0


def _compare(chosen: Compare, prompts: list[str], run: "Run | None", report: Callable[[str], None]) -> "Comparison":
    from groundup.chat.prompt import as_message
    from groundup.reports.comparison import compare
    from groundup.reports.texts import given_text, held_out_text, unseen_tales, window_of
    from groundup.weights.pretrained import Pretrained

    # What was asked for is found before models are opened; a run's own text needs its tokenizer.
    size = chosen.max_bytes
    domain, general = (None if name is None else given_text(name, size) for name in (chosen.domain, chosen.general))
    base, tuned = _open(chosen.base), _open(chosen.run)
    if domain is None and run is not None:
        domain = held_out_text(run, tuned.tokenizer, size)
    if general is None:
        general = unseen_tales(size, run=run, tokenizers=(base.tokenizer, tuned.tokenizer))
    length = window_of(run) if chosen.context_length is None and run is not None else chosen.context_length
    return compare(
        base,
        tuned,
        prompts,
        domain=domain,
        general=general,
        generation=chosen.config,
        context_length=length,
        encode=as_message if chosen.chat else Pretrained.encode,
        names=_names(chosen.base, chosen.run),
        report=report,
    )


def _open(name: str) -> "Pretrained":
    from groundup.resolve import open_model
    from groundup.training.devices import choose_device

    found = open_model(name)
    found.model.to(choose_device())
    return found


def _names(base: str, run: str) -> tuple[str, str]:
    """Return what to call both models: the last part of a path, where that tells them apart."""
    short = Path(base).name or base, Path(run).name or run
    return short if short[0] != short[1] else (_tail(base), _tail(run))


def _tail(name: str, longest: int = 32) -> str:
    """Return the end of a path that is long: a table has no room for more."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def _prompts(path: Path) -> list[str]:
    from groundup.data.text_files import read_pieces
    from groundup.download import local_path

    prompts = [line for line in "".join(read_pieces(local_path(str(path)))).splitlines() if line.strip()]
    if not prompts:
        raise InputError(f"expected a prompt in each line of {path}, found none: write some")
    return prompts
