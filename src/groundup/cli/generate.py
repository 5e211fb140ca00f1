"""`groundup generate MODEL [PROMPT]`: text from any model, streamed as it is drawn, or as JSON lines."""

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
    from groundup.weights.pretrained import Pretrained


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Write text with a model."""

    model: tyro.conf.Positional[str]
    """A short name, a run, a folder or .gguf file, or a repository OWNER/NAME on the hub: groundup models."""
    prompt: tyro.conf.Positional[str] = ""
    """How the text begins; - reads it from standard input. Empty: as a run's own samples do, or a new document."""
    file: Path | None = None
    """Read the prompt from this file instead."""
    each_line: bool = False
    """Every line of the file or of standard input is a prompt of its own."""
    chat: bool = False
    """The prompt is what a person says: it is laid out by the model's chat template, and not repeated."""
    samples: int = 1
    """Texts to draw for each prompt; text k uses seed + k."""
    json: bool = False
    """Print one JSON object for each text: prompt, text, tokens, why it ended, log-probability; with config.n_top also
    every step with its alternatives."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the matrices. auto: a half-width one where this processor reads it faster, for models too large
    for its cache; else float32. See generation/prepared.py."""
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(default_factory=GenerationConfig)
    """How tokens are drawn."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "samples", 1)
        if self.file is not None and self.prompt:
            raise InputError("expected a prompt or --file, found both: leave one out")
        if self.each_line and self.file is None and self.prompt != "-":
            raise InputError("expected --file FILE, or - for standard input, with --each-line, found neither")


def command(arguments: list[str]) -> int:
    """Parse, load, and print tokens as they come."""
    chosen = parse(Generate, arguments, program="groundup generate")
    prompts = _prompts(chosen)
    from groundup.generation import prepare_for_inference, suggest_precision
    from groundup.generation.json_lines import json_lines
    from groundup.resolve import open_model
    from groundup.training.devices import choose_device

    found = open_model(chosen.model)
    model = found.model.to(choose_device())
    precision = suggest_precision(model) if chosen.precision == "auto" else chosen.precision
    found = replace(found, model=prepare_for_inference(model, precision))
    for prompt in prompts:
        ids = _ids(found, prompt, is_chat=chosen.chat)
        if not chosen.json:
            _write(found, ids, prompt, chosen)
            continue
        for line in json_lines(
            found.model, found.tokenizer, ids, chosen.config, prompt=prompt, n_samples=chosen.samples
        ):
            print(line, flush=True)
    return 0


def _ids(found: "Pretrained", prompt: str, *, is_chat: bool) -> list[int]:
    """Return the ids that the text begins with."""
    if not is_chat:
        return found.tokenizer.encode(prompt) if prompt else found.opening()
    from groundup.chat import ChatTemplate, Message, encode_chat

    if found.chat_template is None:
        raise InputError(
            f"expected a model taught to converse, found one that was not, {found.source}: leave out --chat"
        )
    template = ChatTemplate(found.chat_template, found.template_tokens)
    return encode_chat(found.tokenizer, template, [Message(role="user", content=prompt)])


def _write(found: "Pretrained", ids: list[int], prompt: str, chosen: Generate) -> None:
    """Print the texts drawn after one prompt as they come."""
    from groundup.generation import Prefix, stream

    tokenizer = found.tokenizer
    shown = prompt or tokenizer.decode(token for token in ids if token != tokenizer.end_id).lstrip("\n")
    prefix = Prefix(found.model)  # the prompt is read once for all samples
    for k in range(chosen.samples):
        config = replace(chosen.config, seed=chosen.config.seed + k)
        steps = stream(
            found.model, tokenizer, ids, config, prefix=prefix
        )  # refuses what it must before anything is printed
        if chosen.samples > 1:
            print(f"--- {k + 1} of {chosen.samples}")
        if not chosen.chat:
            sys.stdout.write(shown)
        for step in steps:
            sys.stdout.write(step.text)
            sys.stdout.flush()
        print()


def _prompts(chosen: Generate) -> list[str]:
    if chosen.file is not None:
        try:
            text = chosen.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"expected a UTF-8 text file, found {chosen.file}: {error}") from None
    elif chosen.prompt == "-":
        text = sys.stdin.read()
    else:
        return [chosen.prompt]
    prompts = [line for line in text.splitlines() if line.strip()] if chosen.each_line else [text.removesuffix("\n")]
    if not any(prompts):
        raise InputError(f"expected a prompt, found an empty {chosen.file or 'standard input'}")
    return prompts
