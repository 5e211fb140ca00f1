"""Command-line arguments to a dataclass, through tyro; a mistake becomes one line."""

import contextlib
import io
import re
from collections.abc import Sequence
from typing import TypeVar

import tyro

from groundup.errors import InputError

C = TypeVar("C")


def parse(cls: type[C], arguments: Sequence[str], *, program: str, default: C | None = None) -> C:
    """Build a `cls` from `arguments`; `--help` prints and exits with 0.

    Raises:
        InputError: naming the argument, in one line, with the nearest known one.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            if default is None:
                return tyro.cli(cls, args=list(arguments), prog=program)
            return tyro.cli(cls, args=list(arguments), prog=program, default=default)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(_one_line(said.getvalue(), program)) from None


def _one_line(box: str, program: str) -> str:
    """Return tyro's boxed message as one line: the complaint, the suggestion, where to read more."""
    lines = [line.strip("╭╮╰╯│─ \t") for line in box.splitlines()]
    rules = [i for i, line in enumerate(box.splitlines()) if set(line.strip("│ ")) <= set("─")]
    complaint = " ".join(lines[1 : rules[0] if rules else None]).strip()
    complaint = re.sub(r"Error parsing (config\.\S+|config): ", "", complaint).rstrip(".")
    suggested = re.findall(r"--[\w.-]+", " ".join(lines[rules[0] :])) if "Perhaps you meant" in box and rules else []
    suggestion = f"; perhaps {suggested[0]}" if suggested else ""
    return f"{complaint}{suggestion} (see: {program} --help)"
