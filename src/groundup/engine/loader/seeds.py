"""Randomness that depends on (seed, epoch) and on nothing else: not on worker processes, nor on what was drawn before.

Each purpose has its own number in front, because a seed sequence reads (1, 2) and (1, 2, 0) as the same.
"""

import random
import threading

import numpy as np

from groundup.engine.random import manual_seed

_ORDER, _SAMPLE, _WORKER = 1, 2, 3
_WORD = 2**64 - 1  # NumPy takes no negative seeds


class _Epoch(threading.local):
    """The epoch that this thread is fetching for; that of direct calls is (0, 0)."""

    seed = 0
    number = 0


_epoch = _Epoch()


def enter_epoch(seed: int, epoch: int) -> None:
    """Let `sample_generator` give the numbers of this epoch from here on."""
    _epoch.seed, _epoch.number = seed, epoch


def generator_of_order(seed: int, epoch: int) -> np.random.Generator:
    """Return the numbers that decide the order of an epoch."""
    return np.random.default_rng((_ORDER, seed & _WORD, epoch))


def sample_generator(index: int) -> np.random.Generator:
    """Return the random numbers of sample `index` in this epoch, for use inside `__getitem__`.

    They are a pure function of (seed of the loader, epoch, index): an augmentation drawn from them is the same with
    any number of workers, differs from epoch to epoch, and comes again when the run is repeated. Numbers from
    `np.random` or `random` do not have that: there, what a sample gets depends on the samples fetched before it by the
    same process. An index that a sampler draws twice in an epoch gets the same numbers twice.

    Outside a loader, as in `dataset[3]`, they are those of seed 0 and epoch 0.

    Example:
        >>> sample_generator(3).random() == sample_generator(3).random() != sample_generator(4).random()
        True
    """
    return np.random.default_rng((_SAMPLE, _epoch.seed & _WORD, _epoch.number, index))


def seed_worker(seed: int, epoch: int, worker: int) -> int:
    """Seed the global generators of a worker process (`random`, `np.random`, the engine's), and return that seed.

    Forked workers would otherwise all begin with a copy of the same state, and augment alike.
    """
    word = int(np.random.SeedSequence((_WORKER, seed & _WORD, epoch, worker)).generate_state(1)[0])
    random.seed(word)
    np.random.seed(word)
    manual_seed(word)
    return word
