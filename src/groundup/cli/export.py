"""`groundup export MODEL --to hf --out FOLDER`: a model in a format that other libraries read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from groundup.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model as a folder that transformers loads, and read it back to compare."""

    model: tyro.conf.Positional[str]
    """A run, a folder or .gguf file, a short name (groundup models), or OWNER/NAME on the hub."""
    out: Path
    """Folder to write; new, or empty."""
    to: Literal["hf"] = "hf"
    """Format. hf: Hugging Face (config.json, model.safetensors, tokenizer.json)."""


def command(arguments: list[str]) -> int:
    """Parse, load, write, read back, and print the largest difference."""
    chosen = parse(Export, arguments, program="groundup export")
    from groundup.resolve import open_model
    from groundup.weights.families import ARCHITECTURES, family_of
    from groundup.weights.huggingface import load_huggingface
    from groundup.weights.huggingface_export import largest_logit_difference, save_huggingface

    found = open_model(chosen.model)
    family = family_of(found.model.config)
    save_huggingface(
        found.model,
        found.tokenizer,
        chosen.out,
        chat_template=found.chat_template,
        template_tokens=found.template_tokens,
        licence=found.licence,
    )
    difference = largest_logit_difference(found.model, load_huggingface(chosen.out).model)
    size = sum(path.stat().st_size for path in chosen.out.iterdir())
    print(
        f"wrote {chosen.out}: {ARCHITECTURES[family]}, {found.model.n_parameters():,} parameters, {size / 1e6:,.1f} MB"
    )
    print(f"read back: largest difference of a logit {difference:.1e}")
    print(f'next: transformers.AutoModelForCausalLM.from_pretrained("{chosen.out}")')
    print(f"      groundup generate {chosen.out} PROMPT")
    return 0
