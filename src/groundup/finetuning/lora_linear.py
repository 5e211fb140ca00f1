"""One linear layer with low-rank adapters beside it: LoRA, rsLoRA and DoRA.

Shapes: N rows (any leading axes), I inputs, O outputs, r rank.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.finetuning import LoRAConfig
from groundup.errors import InputError
from groundup.layers.dropout import dropped
from groundup.training.learned import set_rate


class LowRank(nn.Module):
    """What one adapter learns for one layer: A [r, I], B [O, r] and, for DoRA, the magnitudes [O].

    A starts uniform in ±1/√I, B at zero (Hu et al. 2021, section 4.1, with the bounds that `peft` chose), the
    magnitudes at the lengths of the base's rows: the layer begins as the base's.

    Args:
        linear: the layer beside which it learns; DoRA reads its weight.
        config: rank and kind.
    """

    def __init__(self, linear: nn.Module, config: LoRAConfig) -> None:
        super().__init__()
        self.config = config
        n_in, n_out = sizes_of(linear)
        like = _like(linear)
        self.A = nn.Parameter(like.new_empty(config.rank, n_in))
        self.B = nn.Parameter(like.new_zeros(n_out, config.rank))
        self.magnitude: nn.Parameter | None = None
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        if config.b_rate != 1:
            set_rate(self.B, config.b_rate)
        if config.dora:
            self.magnitude = nn.Parameter(row_lengths(self.moved(weight_of(linear))))

    @torch.no_grad()
    def moved(self, weight: Tensor) -> Tensor:
        """Return W + scale · B A for W [O, I], before DoRA rescales its rows."""
        return torch.addmm(weight, self.B.to(weight.dtype), self.A.to(weight.dtype), alpha=self.config.scale)

    @torch.no_grad()
    def merged(self, weight: Tensor) -> Tensor:
        """Return the one matrix [O, I] that does what the base's W and this adapter do together."""
        moved = self.moved(weight)
        return moved if self.magnitude is None else moved.mul_((self.magnitude / row_lengths(moved))[:, None])


class LoRALinear(nn.Module):
    """A linear layer with low-rank adapters beside it, one of which is in use: W x + scale · B A x.

    `linear` is whatever maps [N, I] to [N, O] and has in_features and out_features: nn.Linear, or one whose weights
    are quantized, in which nothing but `merge` and DoRA needs a weight of floating point. It stays as it is.
    Sources: Hu et al. 2021; Kalajdzievski 2023 (rsLoRA); Liu et al. 2024 (DoRA: each output's row is given the learned
    length, and the length it had is a constant to the gradient, section 4.3); Hayou et al. 2024 (LoRA+).

    Args:
        linear: the base's layer.
        config: rank, scale, dropout and kind of the first adapter.
        name: of the first adapter.

    Raises:
        InputError: a rank larger than the layer.

    Example:
        >>> base, x = nn.Linear(6, 4), torch.ones(2, 6)
        >>> layer = LoRALinear(base, LoRAConfig(rank=2, alpha=2.0))
        >>> torch.equal(layer(x), base(x))  # B is zero
        True
        >>> with torch.no_grad():
        ...     _ = layer.adapters["default"].B.fill_(0.5)
        >>> torch.allclose(layer(x), base(x) + 0.5 * (layer.adapters["default"].A @ x[0]).sum())
        True
    """

    def __init__(self, linear: nn.Module, config: LoRAConfig, name: str = "default") -> None:
        super().__init__()
        self.in_features, self.out_features = sizes_of(linear)
        self.linear = linear
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        self._kept: Tensor | None = None  # the base's weight while an adapter is merged into it
        self.add(config, name)

    def add(self, config: LoRAConfig, name: str) -> None:
        """Put one more adapter beside the layer, and use it.

        Raises:
            InputError: a rank larger than the layer; a name that is taken or cannot be one.
        """
        refuse_rank(self.linear, config, "this layer")
        refuse_name(name, self.adapters)
        self.unmerge()
        self.adapters[name] = LowRank(self.linear, config).train(self.training)
        self.active = name

    def use(self, name: str | None) -> None:
        """Let the adapter `name` act from now on; none where the layer has no such one. What was merged is taken out.

        It says nothing about who learns: see `adapters.use_adapter`.
        """
        self.unmerge()
        self.active = name if name is not None and name in self.adapters else None

    @property
    def adapter(self) -> LowRank | None:
        """The adapter in use."""
        if self.active is None:
            return None
        adapter = self.adapters[self.active]
        assert isinstance(adapter, LowRank)
        return adapter

    @property
    def is_merged(self) -> bool:
        """Whether the adapter in use is in the weight now."""
        return self._kept is not None

    @property
    def base_weight(self) -> Tensor:
        """The base's weight [O, I] in floating point, whether or not an adapter is merged into it.

        Raises:
            InputError: the layer keeps its weight in another form.
        """
        return weight_of(self.linear) if self._kept is None else self._kept

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output [..., O] for x [..., I]."""
        adapter = None if self.is_merged else self.adapter
        if adapter is None:
            plain: Tensor = self.linear(x)
            return plain
        rows = x.reshape(-1, self.in_features)  # [N, I]
        config, read = adapter.config, rows
        if self.training and config.dropout:
            read = dropped(rows, config.dropout)
        out: Tensor = self.linear(rows)  # [N, O]
        # Added in place: `out` is nobody else's, and a second matrix of its size would be written and read once more.
        narrow = F.linear(read, adapter.A).to(out.dtype)  # [N, r]
        out = out.addmm_(narrow, adapter.B.t().to(out.dtype), alpha=config.scale)
        if adapter.magnitude is not None:
            out = self._rescale(out, adapter, adapter.magnitude)
        return out.view(*x.shape[:-1], self.out_features)

    def _rescale(self, out: Tensor, adapter: LowRank, magnitude: Tensor) -> Tensor:
        """Give the rows of the matrix behind `out` [N, O] the learned lengths; the bias, which is in it, is left alone.

        In this form an unchanged length, a factor of exactly 1, leaves the bits of `out`.
        """
        factor = (magnitude / row_lengths(adapter.moved(self.base_weight))).to(out.dtype)  # [O]
        bias = getattr(self.linear, "bias", None)
        return out * factor if bias is None else torch.addcmul(bias.to(out.dtype) * (1 - factor), out, factor)

    @torch.no_grad()
    def merge(self) -> None:
        """Write the adapter in use into the layer's weight; nothing, where it is already or there is none.

        Raises:
            InputError: the layer has no weight in floating point.
        """
        adapter = self.adapter
        if adapter is None or self.is_merged:
            return
        weight = weight_of(self.linear)
        kept = weight.detach().clone()
        weight.copy_(adapter.merged(kept))
        self._kept = kept

    @torch.no_grad()
    def unmerge(self) -> None:
        """Restore the bits of the base's weight; nothing, where they are there."""
        if self._kept is not None:
            weight_of(self.linear).copy_(self._kept)
            self._kept = None


def refuse_rank(linear: nn.Module, config: LoRAConfig, name: str) -> None:
    """Raise InputError for a rank larger than the layer: it could not say more than the layer's own weight."""
    n_in, n_out = sizes_of(linear)
    if config.rank > min(n_in, n_out):
        raise InputError(
            f"expected a rank of at most {min(n_in, n_out)} for {name}, which maps {n_in} to {n_out} numbers, "
            f"found {config.rank}"
        )


def refuse_name(name: str, taken: Iterable[str]) -> None:
    """Raise InputError unless `name` can be that of one more adapter: it becomes a part of its parameters' names."""
    if name in set(taken) or not name or "." in name or hasattr(nn.ModuleDict(), name):
        raise InputError(f"expected a new name without dots for an adapter, found {name!r}: name it differently")


def row_lengths(weight: Tensor) -> Tensor:
    """Return the length of each row of W [O, I]: [O], never quite 0, so that a row of zeros can be divided by it.

    Example:
        >>> row_lengths(torch.tensor([[3.0, 4.0]])).item()
        5.0
    """
    lengths: Tensor = torch.linalg.vector_norm(weight.detach(), dim=1)
    return lengths.clamp_min_(torch.finfo(lengths.dtype).tiny)


def sizes_of(linear: nn.Module) -> tuple[int, int]:
    """Return (I, O) of a linear layer."""
    n_in, n_out = linear.in_features, linear.out_features
    assert isinstance(n_in, int)
    assert isinstance(n_out, int)
    return n_in, n_out


def _like(linear: nn.Module) -> Tensor:
    """Return a tensor of the device and the number format that an adapter has: the weight's, or float32."""
    weight = getattr(linear, "weight", None)
    if isinstance(weight, Tensor) and weight.is_floating_point():
        return weight
    device = next((tensor.device for tensor in (*linear.parameters(), *linear.buffers())), None)
    return torch.empty(0, device=device)


def weight_of(linear: nn.Module) -> Tensor:
    """Return the weight [O, I] of a linear layer.

    Raises:
        InputError: the layer keeps its weight in another form than floating point.
    """
    weight = getattr(linear, "weight", None)
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        kind = type(linear).__name__
        raise InputError(f"expected a layer with a weight in floating point, found {kind}: use the model unquantized")
    return weight
