"""`groundup generate RUN [PROMPT]`: text from a trained run, streamed as it is drawn."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from groundup.cli.parse import parse
from groundup.configs.generation import GenerationConfig


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Write text with a trained run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    prompt: tyro.conf.Positional[str] = ""
    """How the text begins. Empty: as the run's own samples do."""
    samples: int = 1
    """Texts to draw; text k uses seed + k."""
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(default_factory=GenerationConfig)
    """How tokens are drawn."""


def command(arguments: list[str]) -> int:
    """Parse, load, and print tokens as they come."""
    chosen = parse(Generate, arguments, program="groundup generate")
    from groundup.generation import stream
    from groundup.training.launch import load_run

    loaded = load_run(chosen.run)
    # With nothing to go on, a model begins after an end-of-text token, or a line break where there is none.
    unprompted = loaded.config.training.evaluation.sample_prompt or (
        "" if loaded.tokenizer.end_id is not None else "\n"
    )
    prompt = chosen.prompt or unprompted
    for k in range(chosen.samples):
        if chosen.samples > 1:
            print(f"--- {k + 1} of {chosen.samples}")
        sys.stdout.write(chosen.prompt)
        config = replace(chosen.config, seed=chosen.config.seed + k)
        for step in stream(loaded.model, loaded.tokenizer, prompt, config):
            sys.stdout.write(step.text)
            sys.stdout.flush()
        print()
    return 0
