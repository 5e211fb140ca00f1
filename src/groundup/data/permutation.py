"""A pseudo-random order of 0 … n-1 that is computed, not stored: element i of the order without the others."""

import math

import numpy as np
import numpy.typing as npt

# Rounds of shuffling. 4 already make a Feistel network of random functions a pseudo-random permutation
# (Luby and Rackoff 1988); 6, because our functions are quick hashes and not random.
_ROUNDS = 6
_WORD = 2**64 - 1


def permute(positions: npt.NDArray[np.int64], n: int, key: int) -> npt.NDArray[np.int64]:
    """Return where `positions` [P] (each in 0 … n-1) stand in the order of 0 … n-1 named by `key`: [P].

    A Feistel network over Z_a × Z_b with a·b just above n, where results outside 0 … n-1 are sent through again
    (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). Whatever the key, this is
    a bijection. Chosen over a stored `Generator.permutation`, which takes 8 bytes for each element, seconds for
    hundreds of millions, and may change with the version of NumPy: then a resumed run would see other data.

    It does not hide the order from anyone: it is for shuffling, not for secrets.

    Raises:
        ValueError: a position outside 0 … n-1.

    Example:
        >>> permute(np.arange(10), n=10, key=7).tolist()
        [7, 5, 0, 3, 6, 8, 4, 2, 9, 1]
        >>> permute(np.array([4]), n=10, key=7).tolist()
        [6]
    """
    if positions.size and (positions.min() < 0 or positions.max() >= n):
        raise ValueError(f"positions must be in 0 … {n - 1}, found {positions.min()} … {positions.max()}")
    a = math.isqrt(n - 1) + 1  # the smallest a with a·a >= n
    b = -(-n // a)  # so a·b - n < a: about one result in sqrt(n) has to walk on
    keys = _mix(np.arange(_ROUNDS, dtype=np.uint64) + np.uint64(derive_key(key)))  # [_ROUNDS]
    found = _shuffle(positions.astype(np.uint64), a, b, keys)  # [P]
    while (outside := found >= n).any():
        found[outside] = _shuffle(found[outside], a, b, keys)
    return found.astype(np.int64)


def derive_key(*parts: int) -> int:
    """Return 64 bits that depend on every bit of the integers `parts`, and on their order.

    Example:
        >>> derive_key(1, 2) == derive_key(2, 1)
        False
    """
    state = np.zeros(1, dtype=np.uint64)  # an array: NumPy warns about overflow of single numbers only
    for part in parts:
        state = _mix(state + np.uint64(part & _WORD))
    return int(state[0])


def _shuffle(x: npt.NDArray[np.uint64], a: int, b: int, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Send `x` through the network once: a bijection of 0 … a·b - 1."""
    left, right = np.divmod(x, np.uint64(b))  # left in Z_a, right in Z_b
    for even, odd in keys.reshape(-1, 2):
        left = (left + _mix(right + even) % a) % a
        right = (right + _mix(left + odd) % b) % b
    return left * np.uint64(b) + right


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Hash each of `x` with the finalizer of SplitMix64 (Steele, Lea and Flood 2014): each bit depends on all bits."""
    x = x + np.uint64(0x9E3779B97F4A7C15)  # so that 0 does not stay 0
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
