"""A mistake is one plain line with the option in it: what tyro draws in a box, and what a config says of a field."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
import tyro

from groundup.cli.parse import _one_line, parse
from groundup.configs.checks import positive
from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError

BOX = """\x1b[31m╭─\x1b[0m\x1b[31m \x1b[0m\x1b[1;31mUnrecognized options\x1b[0m \x1b[31m──────╮\x1b[0m
\x1b[31m│\x1b[0m Unrecognized options: --foo, 1 \x1b[31m│\x1b[0m
\x1b[31m│\x1b[0m \x1b[31m──────────────────────────────\x1b[0m \x1b[31m│\x1b[0m
\x1b[31m│\x1b[0m For full helptext, run \x1b[1mgroundup models --help\x1b[0m \x1b[31m│\x1b[0m
\x1b[31m╰────────────────────────────────╯\x1b[0m"""


@dataclass(frozen=True, kw_only=True)
class Part:
    weight_decay: float = 1.0

    def __post_init__(self) -> None:
        positive(self, "weight_decay")


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: tyro.conf.Positional[str] = ""
    part: Part | None = field(default_factory=Part)
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(default_factory=GenerationConfig)


@dataclass(frozen=True, kw_only=True)
class Twice:
    left: Part = field(default_factory=Part)
    right: Part = field(default_factory=Part)


def test_colours_and_the_box_of_a_terminal_are_taken_off():
    assert _one_line(BOX, "groundup models") == "Unrecognized options: --foo, 1 (see: groundup models --help)"


@pytest.mark.parametrize(
    ("cls", "options", "said"),
    [
        (Whole, ["--top-p", "7"], "--top-p must be in"),
        (Whole, ["--beam.n-best", "9"], "--beam.n-best must be at most n_beams=4"),
        (Whole, ["part:part", "--part.weight-decay", "0"], "--part.weight-decay must be above 0"),
        (Twice, ["--left.weight-decay", "0"], "Part.weight_decay must be above 0"),  # not known whose it is
    ],
)
def test_a_field_is_named_as_the_option_that_sets_it(cls: type, options: list[str], said: str):
    with pytest.raises(InputError) as caught:
        parse(cls, options, program="groundup something")
    assert str(caught.value).startswith(said)


def test_positional_arguments_have_the_names_of_their_fields(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(Whole, ["--help"], program="groundup something")
    assert "[NAME]" in capsys.readouterr().out
