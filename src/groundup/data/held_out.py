"""Which of many things are held out for validation: drawn by a seed, and copies stay together."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from groundup.data.permutation import derive_key, permute
from groundup.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Sides(Generic[T]):
    """Things to learn from, and things that are only measured; both in the order in which they were given."""

    train: tuple[T, ...]
    """To learn from."""
    validation: tuple[T, ...]
    """Never learned."""
    n_copies: int
    """How many of all have a key that came before: each is on the side of the first with that key."""


def hold_out(things: Sequence[T], keys: Sequence[Hashable], fraction: float, seed: int, *, name: str) -> Sides[T]:
    """Return `things` in two parts, of which the second has about `fraction` of them, and at least one.

    What was learned must not be measured: things with the same key come to the same side. Keys are drawn one after
    another until the validation side is full.

    Args:
        things: of any kind.
        keys: one for each; equal keys belong together.
        fraction: of the things, for validation.
        seed: decides which.
        name: what they are called in an error.

    Raises:
        InputError: fewer than two different keys, so that one side would be empty.

    Example:
        >>> sides = hold_out("abcadefghi", "abcadefghi", 0.2, seed=0, name="letters")
        >>> sides.train, sides.validation, sides.n_copies
        (('a', 'b', 'c', 'a', 'd', 'e', 'f', 'h'), ('g', 'i'), 1)
    """
    groups: dict[Hashable, int] = {}
    for key in keys:
        groups[key] = groups.get(key, 0) + 1
    if len(groups) < 2:
        raise InputError(
            f"expected at least 2 different {name}, one to learn from and one to hold out, found {len(groups)}: "
            "give a longer file"
        )
    different, held, n_held = list(groups), set(), 0
    for i in permute(np.arange(len(groups)), len(groups), derive_key(seed)).tolist()[:-1]:
        if n_held and n_held + groups[different[i]] > fraction * len(things) + 0.5:
            break
        held.add(different[i])
        n_held += groups[different[i]]
    return Sides(
        train=tuple(thing for thing, key in zip(things, keys, strict=True) if key not in held),
        validation=tuple(thing for thing, key in zip(things, keys, strict=True) if key in held),
        n_copies=len(things) - len(groups),
    )
