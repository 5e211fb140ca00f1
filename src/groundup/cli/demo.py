"""`groundup demo`: a GPT trained, measured and heard in about two minutes."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from groundup.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Train a small GPT on generated stories, about two minutes on two cores, then let it write."""

    out: Path | None = None
    """Folder of the run. None: the first free one of runs/demo, runs/demo-2, …"""
    quick: bool = False
    """Twenty steps only: to see that everything works."""


def command(arguments: list[str]) -> int:
    """Run the demo and print what it measured, three of its tales, and what to try next."""
    chosen = parse(Demo, arguments, program="groundup demo")
    from groundup.demo import free_folder, run_demo

    result = run_demo(chosen.out or free_folder(Path("runs"), "demo"), quick=chosen.quick)
    print("\nThree of the tales it wrote, unchosen:\n")
    for tale in result.tales[:3]:
        print(textwrap.fill(tale, width=88, initial_indent="  ", subsequent_indent="  ") + "\n")
    run = result.run
    print(f"""\
valid tales      {result.n_valid} of {len(result.tales)} (by the grammar: every name, pronoun, place and consequence)
new tales        {result.n_new} of {len(result.tales)} (not in the corpus it learned from)
loss             {result.bits_per_byte:.4f} bits per byte on validation text
exact entropy    {result.floor:.4f} bits per byte: no model can be better; this one is {result.excess:.1%} above
loss curve       {run}/loss.png
weights          {run}/checkpoints

next: groundup generate {run}
      groundup train shakespeare-char
      groundup verify""")
    return 0
