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
    from groundup.generation import Draft
    from groundup.models.gpt import GPT
    from groundup.weights.pretrained import Pretrained


@tyro.conf.configure(tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class Generate:
    """Write text with a model."""

    model: tyro.conf.Positional[str]
    """A name that groundup models lists, a run, a folder or .gguf file, or a repository OWNER/NAME on the hub."""
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
    """Print one JSON object for each text, with its log-probability and why it ended; --n-top adds every step."""
    draft: str | None = None
    """Guess ahead: a smaller model with the same vocabulary, or lookup (what the text held before)."""
    n_drafted: int = 4
    """Most tokens that --draft guesses at once."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the matrices. auto: the one that this processor reads fastest."""
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(default_factory=GenerationConfig)
    """How tokens are drawn."""

    def __post_init__(self) -> None:
        """Refuse impossible values, and options that would do nothing, with one InputError."""
        at_least(self, "samples", 1)
        at_least(self, "n_drafted", 1)
        strategy = self.config.strategy
        if self.file is not None and self.prompt:
            raise InputError("expected a prompt or --file, found both: leave one out")
        if self.each_line and self.file is None and self.prompt != "-":
            raise InputError("expected --file FILE, or - for standard input, with --each-line, found neither")
        if self.chat and self.file is None and not self.prompt:
            raise InputError("expected what a person says with --chat, found an empty prompt: give one")
        if self.samples > 1 and strategy != "sample":
            n_best = "; for several texts of a search --beam.n-best" if strategy == "beam" else ""
            raise InputError(f"expected --samples 1 with --strategy {strategy}, which has one result{n_best}")
        if self.draft is not None and strategy == "beam":
            raise InputError("expected --strategy sample or greedy with --draft, found beam: leave one out")
        if self.config.n_top and not self.json:
            raise InputError("expected --json with --n-top, which only it shows: add it")


def command(arguments: list[str]) -> int:
    """Parse, load, and print tokens as they come."""
    chosen = parse(Generate, arguments, program="groundup generate")
    prompts = _prompts(chosen)
    found = _open(chosen.model, chosen.precision, packed=chosen.config.strategy != "beam")
    draft = _draft(found, chosen)
    for prompt in prompts:
        ids = _ids(found, prompt, is_chat=chosen.chat)
        if chosen.json:
            _write_json(found, draft, ids, prompt, chosen)
        else:
            _write(found, draft, ids, prompt, chosen)
    return 0


def _open(
    name: str,
    precision: Literal["auto", "float32", "bfloat16", "float16"],
    *,
    packed: bool = True,
    is_main: bool = True,
) -> "Pretrained":
    """Return the model called `name`, ready to draw from; `packed`: in the bits of its file, where one row is fast.

    Of the main one it is said how it would be faster.
    """
    from groundup.generation import prepare_for_inference, suggest_precision
    from groundup.generation.prepared import advice
    from groundup.resolve import open_model
    from groundup.training.devices import choose_device

    device = choose_device()
    found = open_model(name, packed=packed and precision != "float32" and device.type == "cpu")
    model = found.model.to(device)
    if is_main and (told := advice(model)) is not None:
        print(told, file=sys.stderr)
    return replace(
        found, model=prepare_for_inference(model, suggest_precision(model) if precision == "auto" else precision)
    )


def _draft(found: "Pretrained", chosen: Generate) -> "GPT | Draft | None":
    """Return what guesses ahead."""
    if chosen.draft is None:
        return None
    from groundup.generation import PromptLookup
    from groundup.generation.drafts import check_same_vocabulary

    if chosen.draft == "lookup":
        return PromptLookup()
    other = _open(chosen.draft, chosen.precision, is_main=False)
    check_same_vocabulary(found.tokenizer, other.tokenizer)
    return other.model


def _ids(found: "Pretrained", prompt: str, *, is_chat: bool) -> list[int]:
    """Return the ids that the text begins with."""
    if not is_chat:
        return found.encode(prompt) if prompt else found.opening()
    from groundup.chat.prompt import as_message

    return as_message(found, prompt)


def _write_json(
    found: "Pretrained", draft: "GPT | Draft | None", ids: list[int], prompt: str, chosen: Generate
) -> None:
    """Print the texts drawn after one prompt as JSON lines."""
    from groundup.generation.json_lines import json_lines

    for line in json_lines(
        found.model,
        found.tokenizer,
        ids,
        chosen.config,
        prompt=prompt,
        n_samples=chosen.samples,
        draft=draft,
        n_drafted=chosen.n_drafted,
    ):
        print(line, flush=True)


def _write(found: "Pretrained", draft: "GPT | Draft | None", ids: list[int], prompt: str, chosen: Generate) -> None:
    """Print the texts drawn after one prompt as they come."""
    from groundup.generation import Prefix, generate_n_best, stream

    model, tokenizer, config = found.model, found.tokenizer, chosen.config
    shown = prompt or tokenizer.decode(token for token in ids if token != tokenizer.end_id).lstrip("\n")
    shown = "" if chosen.chat else shown
    if config.strategy == "beam" and config.beam.n_best > 1:
        for k, (text, score) in enumerate(generate_n_best(model, tokenizer, ids, config)):
            print(f"--- {k + 1} of {config.beam.n_best}, score {score:.4f}\n{shown}{text}")
        return
    prefix = Prefix(model) if config.use_cache else None  # the prompt is read once for all samples
    for k in range(chosen.samples):
        drawn = replace(config, seed=config.seed + k)
        # It refuses what it must before anything is printed.
        steps = stream(model, tokenizer, ids, drawn, prefix=prefix, draft=draft, n_drafted=chosen.n_drafted)
        if chosen.samples > 1:
            print(f"--- {k + 1} of {chosen.samples}")
        try:
            sys.stdout.write(shown)
            for step in steps:
                sys.stdout.write(step.text)
                sys.stdout.flush()
        finally:  # Ctrl-C too: what is said about it has a line of its own
            print(flush=True)


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
