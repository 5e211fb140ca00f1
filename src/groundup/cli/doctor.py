"""`groundup doctor`: what this machine has, and what is missing."""

from dataclasses import dataclass

from groundup.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Look at this machine: processor, memory, packages, corpora, and what to do about what is missing."""


def command(arguments: list[str]) -> int:
    """Print the examination; exit code 1 when something the core needs is missing."""
    parse(Doctor, arguments, program="groundup doctor")
    from rich.console import Console
    from rich.table import Table

    from groundup.doctor import examine

    table = Table(box=None, pad_edge=False, show_header=False)
    findings = examine()
    for finding in findings:
        mark = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "missing": "[red]missing[/]"}[finding.state]
        table.add_row(mark, finding.name, finding.found + (f"\n[dim]{finding.advice}[/]" if finding.advice else ""))
    Console().print(table)
    return 1 if any(finding.state == "missing" for finding in findings) else 0
