"""`groundup export MODEL --to hf|gguf|onnx --out PATH`: a model in a format that other programs read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from groundup.cli.parse import parse
from groundup.errors import InputError

if TYPE_CHECKING:
    from groundup.weights.pretrained import Pretrained


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model as a folder that transformers loads, a file for llama.cpp or one for onnxruntime; then compare."""

    model: tyro.conf.Positional[str]
    """A run, a folder or .gguf file, a short name (groundup models), or OWNER/NAME on the hub."""
    out: Path
    """Folder (hf: new, or empty) or file (gguf, onnx: new) to write."""
    to: Literal["hf", "gguf", "onnx"] = "hf"
    """Format. hf: Hugging Face (config.json, model.safetensors, tokenizer.json). gguf: llama.cpp, with tokenizer and
    chat template. onnx: tokens to logits, without tokenizer."""
    type: Literal["auto", "f32", "f16", "q8_0", "q4_0", "q4_1"] = "auto"
    """gguf only: how the matrices are stored. auto: as the model keeps them, f16 if it keeps floats."""


def command(arguments: list[str]) -> int:
    """Parse, load, write, read back, and print the largest difference."""
    chosen = parse(Export, arguments, program="groundup export")
    if chosen.type != "auto" and chosen.to != "gguf":
        raise InputError(f"expected --type with --to gguf, found it with --to {chosen.to}: leave it out")
    from groundup.resolve import open_model

    found = open_model(chosen.model, packed=chosen.to == "gguf")
    _WRITERS[chosen.to](found, chosen)
    return 0


def _hf(found: "Pretrained", chosen: Export) -> None:
    from groundup.weights.families import ARCHITECTURES, family_of
    from groundup.weights.huggingface import load_huggingface
    from groundup.weights.huggingface_export import largest_logit_difference, save_huggingface

    family = family_of(found.model.config)
    save_huggingface(
        found.model,
        found.tokenizer,
        chosen.out,
        chat_template=found.chat_template,
        template_tokens=found.template_tokens,
        licence=found.licence,
    )
    _say_what_was_written(found, chosen.out, ARCHITECTURES[family])
    _say_difference(largest_logit_difference(found.model, load_huggingface(chosen.out).model))
    print(f'next: transformers.AutoModelForCausalLM.from_pretrained("{chosen.out}")')
    print(f"      groundup generate {chosen.out} PROMPT")


def _gguf(found: "Pretrained", chosen: Export) -> None:
    from groundup.weights.gguf_export import natural_type, save_gguf
    from groundup.weights.gguf_keys import architecture_of
    from groundup.weights.gguf_model import load_gguf
    from groundup.weights.huggingface_export import largest_logit_difference

    kind = natural_type(found.model) if chosen.type == "auto" else chosen.type
    save_gguf(found, chosen.out, type=kind)
    _say_what_was_written(found, chosen.out, f"{architecture_of(found.model.config)} in {kind}")
    _say_difference(largest_logit_difference(found.model, load_gguf(chosen.out).model))
    print(f"next: llama-cli --model {chosen.out}")
    print(f"      groundup generate {chosen.out} PROMPT")


def _onnx(found: "Pretrained", chosen: Export) -> None:
    from groundup.weights.onnx_export import largest_onnx_difference, save_onnx

    save_onnx(found, chosen.out)
    _say_what_was_written(found, chosen.out, "tokens [B, T] to logits [B, T, V]")
    _say_difference(largest_onnx_difference(found.model, chosen.out))
    print(f'next: onnxruntime.InferenceSession("{chosen.out}").run(None, {{"tokens": tokens}})')


_WRITERS = {"hf": _hf, "gguf": _gguf, "onnx": _onnx}


def _say_what_was_written(found: "Pretrained", out: Path, kind: str) -> None:
    written = out.iterdir() if out.is_dir() else out.parent.glob(f"{out.name}*")
    size = sum(path.stat().st_size for path in written)
    print(f"wrote {out}: {kind}, {found.model.n_parameters():,} parameters, {size / 1e6:,.1f} MB")


def _say_difference(difference: float | None) -> None:
    if difference is None:
        print("not read back: that needs onnxruntime (pip install 'groundup[onnx]')")
    else:
        print(f"read back: largest difference of a logit {difference:.1e}")
