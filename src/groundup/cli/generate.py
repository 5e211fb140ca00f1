"""`groundup generate RUN [PROMPT]`: text from a trained run, streamed as it is drawn."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least
from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError

if TYPE_CHECKING:  # torch: not for --help
    from groundup.training.trained import LoadedRun


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Write text with a trained run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    prompt: tyro.conf.Positional[str] = ""
    """How the text begins. Empty: as the run's own samples do."""
    samples: int = 1
    """Texts to draw; text k uses seed + k."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the matrices. auto: bfloat16 for models too large for the processor's cache, where it has
    instructions for it; else float32. float16: the fastest for one text. See generation/prepared.py."""
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(default_factory=GenerationConfig)
    """How tokens are drawn."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "samples", 1)


def command(arguments: list[str]) -> int:
    """Parse, load, and print tokens as they come."""
    chosen = parse(Generate, arguments, program="groundup generate")
    from groundup.generation import prepare_for_inference, stream, suggest_precision
    from groundup.training.trained import load_run

    loaded = load_run(chosen.run)
    prompt = chosen.prompt or loaded.config.training.evaluation.sample_prompt
    ids = loaded.tokenizer.encode(prompt) if prompt else _opening(loaded)
    precision = suggest_precision(loaded.model) if chosen.precision == "auto" else chosen.precision
    model = prepare_for_inference(loaded.model, precision)
    shown = loaded.tokenizer.decode(token for token in ids if token != loaded.tokenizer.end_id).lstrip("\n")
    for k in range(chosen.samples):
        config = replace(chosen.config, seed=chosen.config.seed + k)
        steps = stream(model, loaded.tokenizer, ids, config)  # refuses what it must before anything is printed
        if chosen.samples > 1:
            print(f"--- {k + 1} of {chosen.samples}")
        sys.stdout.write(chosen.prompt or shown)
        for step in steps:
            sys.stdout.write(step.text)
            sys.stdout.flush()
        print()
    return 0


def _opening(loaded: "LoadedRun") -> list[int]:
    """Return the ids that the run's samples begin with where nothing is said about how."""
    from groundup.data.tokens import open_tokens
    from groundup.generation import opening

    try:
        first = open_tokens(loaded.run.tokens, "train").ids[0]
    except InputError as error:
        raise InputError(f"{error}, or give a prompt") from None
    return opening(loaded.tokenizer, int(first))
