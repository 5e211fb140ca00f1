"""`groundup verify-resume RECIPE`: proves on this machine that a killed run ends in the same bits."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro

from groundup.cli.parse import parse
from groundup.cli.recipe_list import asks_for_list, recipe_list, recipe_or_run
from groundup.configs.run import Configured
from groundup.errors import InputError

C = TypeVar("C", bound=Configured)


@dataclass(frozen=True, kw_only=True)
class VerifyResume(Generic[C]):
    """Train the beginning of a recipe twice, once at one go and once killed three times, and compare the weights."""

    steps: int = 24
    """Steps to train, in place of training.steps."""
    seed: int = 0
    """Decides where the second run is killed."""
    config: Annotated[C, tyro.conf.arg(name="")]
    """The recipe; evaluations and checkpoints are set closer, and only the beginning of the text is read."""


def command(arguments: list[str]) -> int:
    """Parse, train twice, compare; 1 if anything differs."""
    if asks_for_list(arguments):
        print(recipe_list("verify-resume", "RECIPE|RUN"))
        return 0
    name = arguments[0]
    default = VerifyResume(config=recipe_or_run(name))
    kind: Any = VerifyResume
    chosen = parse(kind[type(default.config)], arguments[1:], program=f"groundup verify-resume {name}", default=default)
    if chosen.config.training.steps != default.config.training.steps:
        raise InputError("expected --steps N, which takes the place of training.steps here, found --training.steps")
    from groundup.training.verify_resume import format_verdict, shorten, verify_resume

    with tempfile.TemporaryDirectory(prefix="groundup-verify-resume-") as folder:
        config = shorten(chosen.config, chosen.steps)
        verdict = verify_resume(config, Path(folder), seed=chosen.seed, report=lambda line: print(line, flush=True))
    print(f"\n{format_verdict(verdict)}")
    return 0 if verdict.is_same else 1
