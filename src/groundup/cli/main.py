"""The `groundup` command: finds the subcommand, runs it, turns what a person got wrong into one line."""

import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence

from groundup import __version__
from groundup.errors import InputError

COMMANDS: dict[str, str] = {
    "demo": "train a small GPT on stories, about two minutes, and let it write",
    "train": "train a recipe: groundup train shakespeare-char",
    "finetune": "tune a pretrained model on your data: classify, text, chat, prefer",
    "distill": "a small model learns from a large one: groundup distill TEACHER --student RECIPE",
    "classify": "label texts with a run of finetune classify",
    "translate": "translate texts or files with a run of train dates, or multi30k-en-de",
    "fill": "what could stand in the gaps of a text, with a run of train tales-mask",
    "similar": "texts by how alike they are to one, with a run of train tales-mask",
    "compare": "a tuned model beside its base: what was learned, what was forgotten",
    "report": "runs side by side: quality, parameters, memory, time",
    "plan": "what a recipe will need: parameters, compute, memory, time",
    "resume": "go on with a run that was interrupted, or with a finished one: --training.steps",
    "checkpoints": "the checkpoints of a run; mark some to keep",
    "verify-resume": "prove here that a killed run ends in the same bits",
    "profile": "where the time of a training step goes, with a trace",
    "generate": "write text with a model: a run, GPT-2, a small Llama",
    "chat": "talk with a model in the terminal: groundup chat smollm2",
    "studio": "write with a model in the browser",
    "models": "what can be opened by name, and what is here",
    "quantize": "a model in 8 or 4 bits: smaller, faster, and what it lost is measured",
    "export": "a model as a folder that transformers opens, a GGUF file, or ONNX",
    "evaluate": "a run on its validation text; files of texts by BLEU, chrF, ROUGE; any model on lm-eval's tasks",
    "inspect": "what a model's token embeddings look like: a map, neighbours, analogies",
    "replay": "take a step of a run again and look into it",
    "data": "the corpora: what they are and where they were found",
    "doctor": "what this machine has, and what is missing",
    "verify": "prove the parts against outside references",
}
COMPUTING = (
    "demo", "train", "finetune", "distill", "classify", "translate", "fill", "similar", "compare", "plan", "profile",
    "resume", "replay", "evaluate", "generate", "chat", "studio", "quantize", "inspect",
)  # fmt: skip
USAGE = "usage: groundup COMMAND [OPTIONS]     groundup COMMAND --help     --version     --debug (show tracebacks)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 a proof failed, 2 bad input, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot spell a character shows ? for it
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    if debug:
        arguments.remove("--debug")
    try:
        return _dispatch(arguments)
    except InputError as error:
        if debug:
            raise
        print(f"groundup: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if debug:
            raise
        print("groundup: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe (head, less) went away: not an error of anyone's
        sys.stderr.close()
        return 141


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"groundup {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise InputError(f"unknown command {name!r}: known are {', '.join(COMMANDS)} (groundup --help)")
    if name in COMPUTING:
        # OpenMP threads that spin while they wait take the core from the thread they wait for as soon as anything else
        # runs on the machine: a step has been seen to take 20 times as long. Threads that never spin take 1.6 times as
        # long on a quiet machine. About a thousand turns (GNU's OpenMP) cost little in either case: 29 ms a step where
        # default is 26 and passive 45; beside a busy neighbour 64, passive 46;
        # a token of SmolLM2 takes 38 ms with a thousand and 40 by default. Read once, when torch is imported.
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS may add in another order each time
    command: Callable[[list[str]], int] = importlib.import_module(f"groundup.cli.{name.replace('-', '_')}").command
    return command(rest)


def _help() -> str:
    rows = "\n".join(f"  {name:<15}{text}" for name, text in COMMANDS.items())
    return f"groundup {__version__}: GPT from the ground up\n\n{USAGE}\n\n{rows}"
