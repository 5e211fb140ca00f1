"""`groundup quantize MODEL --to int8|int4`: a smaller and faster model, with what it lost measured."""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least, between
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError

if TYPE_CHECKING:  # torch: not for --help
    from groundup.reports.quantization_report import QuantizationReport


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName)
@dataclass(frozen=True, kw_only=True)
class Quantize:
    """Store the weights of a model in 8 or 4 bits, and measure what that saves and what it costs."""

    model: tyro.conf.Positional[str]
    """A name that groundup models lists, a run, a folder or .gguf file, or OWNER/NAME on the hub."""
    config: Annotated[QuantizationConfig, tyro.conf.arg(name="")] = field(default_factory=QuantizationConfig)
    """How."""
    calibrate: str | None = None
    """Text to quantize or search by: a corpus, file or folder; all but its last tenth. None: as --evaluate."""
    evaluate: str | None = None
    """Text to measure on: its last tenth. None: what a run held out, else TinyShakespeare if it is here, else tales."""
    max_tokens: int = 8_192
    """Tokens to measure on."""
    most_perplexity_increase: float | None = None
    """Part by which perplexity may rise: 0.03 is 3 %. Beyond it nothing is kept, and the exit code is 1."""
    search: bool = False
    """Give more bits to the layers that cost most, as many as it takes for --most-perplexity-increase on the text
    behind the one that is measured on."""
    speed: bool = True
    """Measure tokens a second, too."""
    out: Path | None = None
    """Folder to write, new or empty. None: runs/MODEL-int4 or runs/MODEL-int8."""

    def __post_init__(self) -> None:
        """Refuse impossible values, and options that would do nothing, with one InputError."""
        at_least(self, "max_tokens", 1)
        if self.most_perplexity_increase is not None:
            between(self, "most_perplexity_increase", 0.0, 100.0)
        if self.search and self.most_perplexity_increase is None:
            raise InputError("expected --most-perplexity-increase with --search, found none: 0.03 allows 3 %")
        if self.calibrate is not None and not (self.search or self.config.needs_text):
            raise InputError(
                "expected a method that reads a text with --calibrate, found none: leave it out, or give "
                "--method gptq, --activation-aware, --activations static or --search"
            )


def command(arguments: list[str]) -> int:
    """Parse, quantize, show; the exit code is 1 if more was lost than allowed."""
    chosen = parse(Quantize, arguments, program="groundup quantize")
    folder = _default_folder(chosen) if chosen.out is None else chosen.out
    from rich.console import Console

    from groundup.quantize import quantize
    from groundup.reports.quantization_page import terminal_text

    with Console(stderr=True).status("quantizing …") as status:  # nothing where there is no terminal
        found = quantize(
            chosen.model,
            chosen.config,
            folder,
            evaluate=chosen.evaluate,
            calibrate=chosen.calibrate,
            n_tokens=chosen.max_tokens,
            most_increase=chosen.most_perplexity_increase,
            search=chosen.search,
            speed=chosen.speed,
            report=status.update,
        )
    # In a file or a pipe each row is one line.
    print(terminal_text(found.report, shutil.get_terminal_size().columns if sys.stdout.isatty() else None), flush=True)
    if found.folder is None:
        print(f"\ngroundup: {_too_much(found.report, chosen)}", file=sys.stderr)
        return 1
    print(f"\nwrote {folder}, with report.html and report.md")
    print(f"next: groundup {'chat' if found.converses else 'generate'} {folder}")
    return 0


def _default_folder(chosen: Quantize) -> Path:
    name = Path(chosen.model).name.removesuffix(".gguf") or "model"
    return Path("runs") / f"{name}-{chosen.config.to}"


def _too_much(found: "QuantizationReport", chosen: Quantize) -> str:
    """Return in a line what was lost, and what to try that loses less."""
    config = chosen.config
    if config.to == "int8":
        advice = ["--granularity group"] if config.shared_by != "group" and config.symmetric else []
        advice += ["--activations none"] if config.activations != "none" else []
    else:
        advice = ["--method gptq"] if config.method != "gptq" else []
        advice += ["--group-size 32"] if config.group_size > 32 else []
        advice += ["--to int8"]
    advice = [f"--max-tokens {2 * chosen.max_tokens}" if chosen.search else "--search", *advice]
    return (
        f"expected perplexity to rise by at most {chosen.most_perplexity_increase:.2%}, found "
        f"{found.degradation.increase:.2%}: nothing was kept; try {' or '.join(advice)}"
    )
