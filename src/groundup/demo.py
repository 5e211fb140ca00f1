"""The demo: train on tales, hold the loss against the exact entropy, let the model write, check what it wrote."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from groundup.configs.generation import GenerationConfig
from groundup.configs.run import RunConfig
from groundup.data.corpora import find_corpus
from groundup.data.tales import bits_per_byte, is_valid
from groundup.errors import InputError
from groundup.generation import generate
from groundup.recipes import language
from groundup.training.launch import start
from groundup.training.trained import LoadedRun, evaluate_run, load_run

N_TALES = 200
BATCH = 50
"""Tales written side by side."""
TEMPERATURE = 0.6
"""One wrong word spoils a tale of 90, so the model draws from the safer part of its distribution."""
MEASURED_TOKENS = 100_000
"""Validation tokens for the final figure: about a thousand tales, whose mean surprise is known to half a percent."""


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo measured."""

    run: Path
    """Folder of the run."""
    bits_per_byte: float
    """Validation loss of the trained model."""
    floor: float
    """Exact entropy of the corpus, in bits per byte: no model can do better."""
    tales: list[str]
    """What the model wrote, each from nothing but the end-of-text token."""
    n_valid: int
    """How many of them the grammar accepts, in every agreement and back reference."""
    n_new: int
    """How many of them are not in the corpus, word for word."""

    @property
    def excess(self) -> float:
        """How far the loss is above the entropy, as a fraction of it."""
        return self.bits_per_byte / self.floor - 1


def demo_config(*, quick: bool = False) -> RunConfig:
    """Return the `tales` recipe; with `quick`, twenty steps of it, to see that everything works."""
    config = language.tales()
    if not quick:
        return config
    training = config.training
    return replace(
        config,
        data=replace(config.data, max_bytes=500_000),
        training=replace(training, steps=20, evaluation=replace(training.evaluation, every_steps=20, max_tokens=4_096)),
    )


def run_demo(folder: Path, *, quick: bool = False, say: Callable[[str], None] = print) -> DemoResult:
    """Train in `folder`, then write and check tales.

    Raises:
        InputError: when `folder` exists.
        KeyboardInterrupt: when the training was stopped; it has said how to go on.
    """
    if start(demo_config(quick=quick), folder).interrupted:
        raise KeyboardInterrupt
    return measure_demo(folder, n_tales=20 if quick else N_TALES, say=say)


def measure_demo(folder: Path, *, n_tales: int = N_TALES, say: Callable[[str], None] = print) -> DemoResult:
    """Hold the trained run in `folder` against the exact entropy, and what it writes against the grammar.

    Raises:
        InputError: no run there, or a damaged one.
    """
    say("measuring on validation text …")
    measured = evaluate_run(folder, max_tokens=MEASURED_TOKENS)
    say(f"writing {n_tales} tales at temperature {TEMPERATURE} and checking each against the grammar …")
    loaded = load_run(folder)
    tales, data = list(write_tales(loaded, n_tales)), loaded.config.data
    documents = find_corpus(data.corpus, max_bytes=data.max_bytes).documents()
    known = {"".join(document.pieces) for document in documents}
    return DemoResult(
        run=folder,
        bits_per_byte=measured["bits_per_byte"],
        floor=bits_per_byte(),
        tales=tales,
        n_valid=sum(is_valid(tale) for tale in tales),
        n_new=sum(tale not in known for tale in tales),
    )


def write_tales(loaded: LoadedRun, n: int) -> Iterator[str]:
    """Draw `n` tales, each after an end-of-text token alone."""
    end = loaded.tokenizer.end_id
    if end is None:
        raise InputError("tales are separated by an end-of-text token; this run's tokenizer has none")
    config = GenerationConfig(max_new_tokens=loaded.model.config.context_length - 1, temperature=TEMPERATURE)
    for first in range(0, n, BATCH):
        rows = min(BATCH, n - first)
        for ids in generate(loaded.model, [[end]] * rows, replace(config, seed=first), end_id=end):
            yield loaded.tokenizer.decode(ids).strip()


def free_folder(parent: Path, name: str) -> Path:
    """Return `parent`/`name`, or the first of `name`-2, `name`-3, … that does not exist: a demo never overwrites."""
    folder, k = parent / name, 2
    while folder.exists():
        folder, k = parent / f"{name}-{k}", k + 1
    return folder
