"""The demo: train on tales, hold the loss against the exact entropy, let the model write, check what it wrote."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from groundup.configs.generation import GenerationConfig
from groundup.configs.run import RunConfig
from groundup.data.tales import bits_per_byte, is_valid
from groundup.errors import InputError
from groundup.generation import generate
from groundup.recipes import recipe
from groundup.training.launch import LoadedRun, load_run, start

N_TALES = 200
BATCH = 50  # tales written side by side


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

    @property
    def excess(self) -> float:
        """How far the loss is above the entropy, as a fraction of it."""
        return self.bits_per_byte / self.floor - 1


def demo_config(*, quick: bool = False) -> RunConfig:
    """Return the `tales` recipe; with `quick`, twenty steps of it, to see that everything works."""
    config = recipe("tales")
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
    """
    start(demo_config(quick=quick), folder)
    loaded = load_run(folder)
    n_tales = 20 if quick else N_TALES
    say(f"writing {n_tales} tales and checking each against the grammar …")
    tales = list(write_tales(loaded, n_tales))
    return DemoResult(
        run=folder,
        bits_per_byte=loaded.bits_per_byte,
        floor=bits_per_byte(),
        tales=tales,
        n_valid=sum(is_valid(tale) for tale in tales),
    )


def write_tales(loaded: LoadedRun, n: int) -> Iterator[str]:
    """Draw `n` tales at temperature 1, the model's own distribution, each after an end-of-text token alone."""
    end = loaded.tokenizer.end_id
    if end is None:
        raise InputError("tales are separated by an end-of-text token; this run's tokenizer has none")
    config = GenerationConfig(max_new_tokens=loaded.model.config.context_length - 1)
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
