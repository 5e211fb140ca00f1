"""What PEFT calls the layers that adapters sit on, and how an adapter of our `GPT` becomes one of its models, and back.

Shapes: I inputs, O outputs, r rank.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.weights.families import family_of
from groundup.weights.names import name_in_family, stored_tensors

_OURS = ("attention.query", "attention.key", "attention.value", "attention.output")


@dataclass(frozen=True, kw_only=True)
class Factors:
    """One layer's adapter: W becomes W + s · B A, with s = alpha / r, or alpha / √r where ranks are stabilized."""

    A: Tensor
    """[r, I]."""
    B: Tensor
    """[O, r]."""
    alpha: float
    """Numerator of the scale."""
    magnitude: Tensor | None = None
    """DoRA: the length of each row of the matrix, [O]."""

    @property
    def rank(self) -> int:
        """Rows of A."""
        return len(self.A)


def peft_modules(config: GPTConfig) -> dict[str, tuple[str, ...]]:
    """Return the linear layers inside the blocks of the published model: its name for each, to ours.

    Several of ours lie side by side in one of theirs where it computes them in one product. A model of no published
    family has the names that it has here, under which `peft` finds them in the `GPT` itself.

    Example:
        >>> config = GPTConfig(vocab_size=10, d_model=4, n_layers=1, n_heads=1)
        >>> peft_modules(config)["transformer.h.0.attn.c_attn"]
        ('blocks.0.attention.query', 'blocks.0.attention.key', 'blocks.0.attention.value')
    """
    try:
        family = family_of(config)
    except InputError:
        inside = ("gate", "up", "down") if config.activation == "swiglu" else ("up", "down")
        parts = (*_OURS, *(f"feed_forward.{part}" for part in inside))
        return {name: (name,) for i in range(config.n_layers) for name in (f"blocks.{i}.{part}" for part in parts)}
    return {
        stored.name.removesuffix(".weight"): tuple(name.removesuffix(".weight") for name in stored.ours)
        for stored in stored_tensors(family, config)
        if len(stored.shape) == 2 and stored.ours[0].startswith("blocks.")
    }


def peft_module(name: str, config: GPTConfig) -> str:
    """Return the name that `peft_modules` has for what a file calls `name`: those of bare models leave the start out.

    Example:
        >>> peft_module("h.0.attn.c_attn", GPTConfig(vocab_size=10, d_model=4, n_layers=1, n_heads=1))
        'transformer.h.0.attn.c_attn'
    """
    known = peft_modules(config)
    if name in known or next(iter(known)).startswith("blocks."):
        return name
    return name_in_family(name, family_of(config))


def from_peft(theirs: Mapping[str, Factors], config: GPTConfig) -> dict[str, Factors]:
    """Return our layers' adapters, by name, for those of a published model: the same update of every weight.

    Where one of their layers is several of ours, each gets all of A and its own rows of B.

    Raises:
        InputError: a layer that the model of `config` does not have, or of another size.

    Example:
        >>> config = GPTConfig(vocab_size=10, d_model=4, n_layers=1, n_heads=1)
        >>> theirs = {"transformer.h.0.attn.c_attn": Factors(A=torch.ones(2, 4), B=torch.ones(12, 2), alpha=4.0)}
        >>> {name: tuple(factors.B.shape) for name, factors in from_peft(theirs, config).items()}
        {'blocks.0.attention.query': (4, 2), 'blocks.0.attention.key': (4, 2), 'blocks.0.attention.value': (4, 2)}
    """
    modules = peft_modules(config)
    ours: dict[str, Factors] = {}
    for module, whole in theirs.items():
        if module not in modules:
            raise InputError(
                f"expected an adapter for the layers of this model, found {module}: open the model it is for"
            )
        names = modules[module]
        if len(whole.B) % len(names):
            raise InputError(f"expected B of {module} to have {len(names)} parts alike, found {len(whole.B)} rows")
        lengths: Iterable[Tensor | None] = [None] * len(names)
        if whole.magnitude is not None:
            lengths = whole.magnitude.chunk(len(names))
        for name, B, magnitude in zip(names, whole.B.chunk(len(names)), lengths, strict=True):
            ours[name] = replace(whole, B=B, magnitude=magnitude)
    return ours


def take_apart(whole: Factors, names: Sequence[str], parts: Sequence[str], alpha: float) -> dict[str, Factors] | None:
    """Return the adapters that `to_peft` stacked into one, with the ranks that they had.

    Args:
        whole: the one.
        names: our layers that are one of theirs, side by side.
        parts: those of them that had an adapter.
        alpha: of each of them.

    Returns:
        By our names; None if `whole` is not made of them: B is not zero outside their blocks.

    Example:
        >>> whole = Factors(A=torch.ones(2, 4), B=torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]), alpha=2.0)
        >>> {name: one.B.tolist() for name, one in take_apart(whole, "qkv", "qv", 1.0).items()}
        {'q': [[1.0]], 'v': [[2.0]]}
    """
    if not parts or not set(parts) <= set(names) or whole.rank % len(parts):
        return None
    rank, rows = whole.rank // len(parts), whole.B.chunk(len(names))
    lengths = None if whole.magnitude is None else whole.magnitude.chunk(len(names))
    found: dict[str, Factors] = {}
    for i, name in enumerate(parts):
        place, own = names.index(name), slice(rank * i, rank * (i + 1))
        magnitude = None if lengths is None else lengths[place]
        found[name] = Factors(A=whole.A[own], B=rows[place][:, own], alpha=alpha, magnitude=magnitude)
    inside = sum(int(one.B.count_nonzero()) for one in found.values())
    return found if inside == int(whole.B.count_nonzero()) else None


def to_peft(
    ours: Mapping[str, Factors],
    config: GPTConfig,
    *,
    rank_stabilized: bool,
    lengths: Callable[[str], Tensor],
) -> dict[str, Factors]:
    """Return the adapters of a published model's layers, by their names, for ours: the same update of every weight.

    Where several of our layers are one of theirs, the A's are stacked to a higher rank and the B's stand on the
    diagonal of a block matrix, zero for those without an adapter; alpha grows so that the scale stays. If all A's are
    equal, as `from_peft` makes them, the rank stays, too.

    Args:
        ours: by name, of one rank and alpha where several become one.
        config: of the model.
        rank_stabilized: which scale alpha stands for.
        lengths: returns the lengths [O] of a base's rows by our name: the magnitudes of a layer without an adapter.

    Example:
        >>> config = GPTConfig(vocab_size=10, d_model=4, n_layers=1, n_heads=1)
        >>> names = ("blocks.0.attention.query", "blocks.0.attention.value")
        >>> ours = {name: Factors(A=torch.randn(2, 4), B=torch.randn(4, 2), alpha=2.0) for name in names}
        >>> theirs = to_peft(ours, config, rank_stabilized=False, lengths=lambda name: torch.ones(4))
        >>> {name: (tuple(one.A.shape), tuple(one.B.shape), one.alpha) for name, one in theirs.items()}
        {'transformer.h.0.attn.c_attn': ((4, 4), (12, 4), 4.0)}
    """
    found: dict[str, Factors] = {}
    for module, names in peft_modules(config).items():
        parts = {name: ours[name] for name in names if name in ours}
        if len(names) == 1 and parts:
            found[module] = parts[names[0]]
        elif parts:
            found[module] = _joined(parts, names, rank_stabilized=rank_stabilized, lengths=lengths)
    return found


def _joined(
    parts: Mapping[str, Factors], names: tuple[str, ...], *, rank_stabilized: bool, lengths: Callable[[str], Tensor]
) -> Factors:
    first = next(iter(parts.values()))
    if any((part.rank, part.alpha) != (first.rank, first.alpha) for part in parts.values()):
        raise ValueError(f"one rank and alpha are needed for {', '.join(parts)}: PEFT has them in one layer")
    magnitude = None
    if first.magnitude is not None:
        own = {name: part.magnitude for name, part in parts.items() if part.magnitude is not None}
        magnitude = torch.cat([own[name] if name in own else lengths(name) for name in names])
    if len(parts) == len(names) and all(torch.equal(part.A, first.A) for part in parts.values()):
        return replace(first, B=torch.cat([part.B for part in parts.values()]), magnitude=magnitude)
    height = len(first.B)  # of one family in which layers are joined, GPT-2's, all three are [D, D]
    A, B = (
        torch.cat([part.A for part in parts.values()]),
        first.B.new_zeros(height * len(names), first.rank * len(parts)),
    )
    for i, (name, part) in enumerate(parts.items()):
        top, left = height * names.index(name), first.rank * i
        B[top : top + height, left : left + first.rank] = part.B
    grown = math.sqrt(len(parts)) if rank_stabilized else len(parts)
    return Factors(A=A, B=B, alpha=first.alpha * grown, magnitude=magnitude)


def short_names(modules: Iterable[str], config: GPTConfig) -> list[str]:
    """Return the shortest target_modules for these layers: q_proj where each block's is one of them, else whole names.

    Example:
        >>> config = GPTConfig(vocab_size=10, d_model=4, n_layers=2, n_heads=1)
        >>> chosen = ["transformer.h.0.attn.c_proj", "transformer.h.1.attn.c_proj", "transformer.h.1.mlp.c_fc"]
        >>> short_names(chosen, config)
        ['attn.c_proj', 'transformer.h.1.mlp.c_fc']
    """
    return list(dict.fromkeys(_shortened(set(modules), config)))


def patterns(values: Mapping[str, float], config: GPTConfig) -> tuple[float, dict[str, float]]:
    """Return what most layers have, and PEFT's rank_pattern or alpha_pattern for the others.

    Example:
        >>> config = GPTConfig(vocab_size=10, d_model=4, n_layers=1, n_heads=1)
        >>> patterns({"transformer.h.0.attn.c_attn": 24, "transformer.h.0.attn.c_proj": 8}, config)
        (24, {'attn.c_proj': 8})
    """
    counted = list(values.values())
    usual = max(dict.fromkeys(counted), key=counted.count)
    others = {value for value in counted if value != usual}
    found: dict[str, float] = {}
    for other in sorted(others):
        alike = {module for module, value in values.items() if value == other}
        found |= dict.fromkeys(_shortened(alike, config), other)
    return usual, found


def _shortened(modules: set[str], config: GPTConfig) -> Iterator[str]:
    known = list(peft_modules(config))
    for module in (name for name in known if name in modules):
        parts = module.split(".")
        # GPT-2's attention and feed-forward part both have a c_proj, and a GPT of ours may have an output outside the
        # blocks: there the part is named, too.
        parents = {name.split(".")[-2] for name in known if name.endswith(f".{parts[-1]}")}
        is_one_kind = len(parents) == 1 and parts[0] != "blocks"
        short = parts[-1] if is_one_kind else ".".join(parts[-2:])
        yield short if all(name in modules for name in known if name.endswith(f".{short}")) else module
