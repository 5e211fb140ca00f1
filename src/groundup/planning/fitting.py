"""Whether a run fits into memory, the micro-batch that does, and the nearest run that can."""

import math
from dataclasses import replace
from itertools import product

from groundup.configs.model import GPTConfig
from groundup.configs.run import RunConfig
from groundup.errors import InputError
from groundup.planning.machine import available_memory, device_memory
from groundup.planning.memory import PROCESS, Memory, Place, estimate_memory
from groundup.planning.quantities import in_bytes

WIDTHS = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0625, 0.03125, 0.015625)
"""Widths that a smaller model may have, as parts of what was asked for."""
CONTEXTS = (1, 2, 4, 8)
"""What its context may be divided by."""
DEPTHS = 48
"""Depths that a smaller model may have, at most, in equal proportions: all up to 12 layers, a tenth apart at 100."""
MARGIN = 0.9
"""Part of the memory that a suggested run may fill: the estimate holds within a fifth, and other programs move."""


def check(config: RunConfig, *, memory: int | None = None) -> Memory:
    """Refuse a run that cannot fit, before anything is made; arithmetic only, microseconds.

    Args:
        config: the run.
        memory: bytes to fit into. None: what this machine, or its GPU, has free now.

    Returns:
        What it takes.

    Raises:
        InputError: what the run needs, what there is, and the nearest run that fits.

    Example:
        >>> check(RunConfig(model=GPTConfig(vocab_size=65, context_length=8)), memory=10**12).peak < 10**12
        True
    """
    place = place_of(config)
    if memory is None:
        memory = free_memory(place)
    needed = estimate_memory(config, place=place)
    if memory is None or needed.peak <= memory:
        return needed
    raise InputError(
        f"expected a run that fits in {in_bytes(memory)} of {'GPU ' if place == 'cuda' else ''}memory, found one that "
        f"needs about {in_bytes(needed.peak)}: {_advice(config, memory, place)}"
    )


def place_of(config: RunConfig) -> Place:
    """Return whose memory the run takes: the GPU's where it computes on one."""
    if config.training.device not in ("auto", "cuda"):
        return "cpu"  # MPS too: Apple's GPU shares the machine's memory
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def free_memory(place: Place) -> int | None:
    """Return the bytes that are free there now; None where the system does not say."""
    return device_memory() if place == "cuda" else available_memory()


def fitting_micro_batch(config: RunConfig, memory: int, *, place: Place = "cpu") -> RunConfig | None:
    """Return `config` with the largest micro-batch that fits, the sequences of a step unchanged; None if none does.

    A step learns from the same sequences however it is cut, so this changes memory and nothing else. A micro-batch that
    fits as it is stays as it is.

    Args:
        config: the run.
        memory: bytes to fit into.
        place: whose memory.

    Example:
        >>> config = RunConfig(model=GPTConfig(vocab_size=50_257, context_length=256, n_layers=4))
        >>> cut = fitting_micro_batch(config, 1_950_000_000).training
        >>> cut.batch_size, cut.accumulation_steps, config.training.batch_size
        (4, 3, 12)
    """
    if estimate_memory(config, place=place).peak <= memory:
        return config
    sequences = config.training.sequences_per_step
    for batch in range(config.training.batch_size - 1, 0, -1):
        if sequences % batch == 0:
            smaller = _cut(config, batch)
            if estimate_memory(smaller, place=place).peak <= memory:
                return smaller
    return None


def _cut(config: RunConfig, batch: int) -> RunConfig:
    parts = config.training.sequences_per_step // batch
    return replace(config, training=replace(config.training, batch_size=batch, accumulation_steps=parts))


def _advice(config: RunConfig, memory: int, place: Place) -> str:
    room = int(memory * MARGIN)
    cut = fitting_micro_batch(config, room, place=place)
    if cut is not None:
        return f"{flags(config, cut)} learns from the same sequences in {_needs(cut, place)}"
    one = _cut(config, 1)
    for model in _smaller_models(config.model):
        smaller = replace(one, model=model)
        if estimate_memory(smaller, place=place).peak <= room:
            return f"the nearest that fits is {flags(config, smaller)}, in {_needs(smaller, place)}"
    process = in_bytes(PROCESS[place])
    return f"no smaller model of this vocabulary fits either, Python and its libraries alone take {process}: free some"


def _needs(config: RunConfig, place: Place) -> str:
    return in_bytes(estimate_memory(config, place=place).peak)


def _smaller_models(model: GPTConfig) -> list[GPTConfig]:
    """Return smaller models, the nearest first: least changed in depth, context and squared width together."""
    found: list[tuple[float, GPTConfig]] = []
    depths = {round(model.n_layers ** (i / DEPTHS)) for i in range(DEPTHS + 1)}
    for n_layers, width, part in product(depths, WIDTHS, CONTEXTS):
        d_head = int(model.d_head * width) // 2 * 2 if width < 1 else model.d_head  # even: rotary positions need it
        context = model.context_length // part
        if d_head < 2 or context < 8:
            continue
        d_ff = None if model.d_ff is None else max(1, int(model.d_ff * d_head / model.d_head))
        smaller = replace(model, n_layers=n_layers, d_model=d_head * model.n_heads, d_ff=d_ff, context_length=context)
        changes = math.log(model.n_layers / n_layers), 2 * math.log(model.d_head / d_head), math.log(part)
        found.append((math.hypot(*changes), smaller))
    return [smaller for _, smaller in sorted(found, key=lambda pair: pair[0])]


def flags(config: RunConfig, changed: RunConfig) -> str:
    """Return the options that turn `config` into `changed`, as `groundup train` takes them.

    Example:
        >>> config = RunConfig()
        >>> flags(config, replace(config, model=replace(config.model, n_layers=3)))
        '--model.n-layers 3'
    """
    fields = (("training", ("batch_size", "accumulation_steps")),
              ("model", ("n_layers", "context_length", "d_model", "d_ff")))  # fmt: skip
    options = []
    for section, names in fields:
        before, after = getattr(config, section), getattr(changed, section)
        for name in names:
            if getattr(before, name) != getattr(after, name):
                options.append(f"--{section}.{name.replace('_', '-')} {getattr(after, name)}")
    return " ".join(options)
