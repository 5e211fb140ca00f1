"""Proofs of data/: the exact entropy of tales against drawn ones, its parser against its generator, the windows."""

import math
from collections.abc import Callable
from itertools import islice
from statistics import fmean, stdev

import numpy as np

from groundup.data import tales
from groundup.data.windows import Windows
from groundup.proofs.table import Proof

N_TALES = 2_000


def _entropy() -> float:
    """Return how many standard errors the mean surprise of drawn tales is from the exact entropy."""
    surprise = [-tales.log_probability(tale) for tale in tales.generate(7, N_TALES)]
    return abs(fmean(surprise) - tales.entropy_per_tale()) / (stdev(surprise) / math.sqrt(N_TALES))


def _length() -> float:
    """Return how many standard errors the mean length of drawn tales is from the exact one."""
    lengths = [len(tale.encode()) for tale in tales.generate(8, N_TALES)]
    return abs(fmean(lengths) - tales.expected_bytes()) / (stdev(lengths) / math.sqrt(N_TALES))


def _accepted() -> float:
    """Return how many drawn tales the parser rejects."""
    return sum(not tales.is_valid(tale) for tale in tales.generate(9, N_TALES))


def _rejected() -> float:
    """Return how many of 500 tales with the ending of another tale the parser accepts; twins do not count."""
    drawn = list(islice(tales.generate(10, 1_000), 1_000))
    mixed = [a[: len(a) // 2] + b[len(b) // 2 :] for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    return sum(tales.is_valid(tale) for tale in mixed)


def _windows() -> float:
    """Return how many windows of an epoch are not seen exactly once."""
    ids = np.arange(10_007, dtype=np.uint16)
    windows = Windows(ids, 64, seed=3)
    n = windows.n_windows
    starts = [int(windows.batch(k, 1)[0][0, 0]) for k in range(n)]
    return n - len({start // 64 for start in starts})


def _proof(part: str, reference: str, difference: Callable[[], float], bound: float, why: str) -> Proof:
    return Proof(room="data", part=part, reference=reference, bound=bound, why=why, difference=difference)


_ERRORS = "in standard errors: 4.5 is passed by chance once in 150,000"
PROOFS = (
    _proof("entropy of a tale, in closed form", f"mean of {N_TALES:,} drawn tales", _entropy, 4.5, _ERRORS),
    _proof("expected length of a tale", f"mean of {N_TALES:,} drawn tales", _length, 4.5, _ERRORS),
    _proof("drawn tales that the parser rejects", "none", _accepted, 0.0, "tales are counted"),
    _proof("halves of two tales that it accepts", "none", _rejected, 0.0, "tales are counted"),
    _proof("windows of an epoch not seen once", "none", _windows, 0.0, "windows are counted"),
)
