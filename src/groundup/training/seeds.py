"""Seeds: randomness as a pure function of (seed, step), so that a checkpoint holds no random state."""

import hashlib

import torch


def step_seed(seed: int, step: int) -> int:
    """Return the seed of one step's dropout, 64 bits in which no pattern of `seed` or `step` is left.

    Seeds such as seed + step would give step 1 of seed 1 the dropout of step 0 of seed 2.

    Example:
        >>> step_seed(1337, 0)
        12138981545565494942
    """
    return int.from_bytes(hashlib.blake2b(b"%d %d" % (seed, step), digest_size=8).digest(), "little")


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Make what torch draws next on the CPU and on `device` depend on (seed, step) alone.

    torch.manual_seed would do, but writes down a stack trace for CUDA even where there is none: 250 µs, not 2.

    Example:
        >>> seed_step(1, 5, torch.device("cpu"))
        >>> first = torch.rand(3)
        >>> seed_step(1, 5, torch.device("cpu"))
        >>> torch.equal(first, torch.rand(3))
        True
    """
    number = step_seed(seed, step)
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)
