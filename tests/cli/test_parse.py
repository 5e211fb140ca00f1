"""What tyro draws in a coloured box for a terminal becomes one plain line."""

from groundup.cli.parse import _one_line

BOX = """\x1b[31m╭─\x1b[0m\x1b[31m \x1b[0m\x1b[1;31mUnrecognized options\x1b[0m \x1b[31m──────╮\x1b[0m
\x1b[31m│\x1b[0m Unrecognized options: --foo, 1 \x1b[31m│\x1b[0m
\x1b[31m│\x1b[0m \x1b[31m──────────────────────────────\x1b[0m \x1b[31m│\x1b[0m
\x1b[31m│\x1b[0m For full helptext, run \x1b[1mgroundup models --help\x1b[0m \x1b[31m│\x1b[0m
\x1b[31m╰────────────────────────────────╯\x1b[0m"""


def test_colours_and_the_box_of_a_terminal_are_taken_off():
    assert _one_line(BOX, "groundup models") == "Unrecognized options: --foo, 1 (see: groundup models --help)"
