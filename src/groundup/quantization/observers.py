"""What range a layer's inputs have: observers that see them batch by batch and then choose what 8 bits stand for.

A wide range loses nothing at its ends and rounds all numbers coarsely; a narrow one cuts off what is rare. `MinMax`
keeps everything, `Percentile` all but a given share, `Entropy` what changes the distribution least.

No range serves all tokens where a few are of another size. SmolLM2-135M, 1,536 tokens of TinyShakespeare's last tenth:
perplexity 19.6 becomes 34.8 with one range for each layer, as MinMax finds it, and 20.4 with one for each token
(dynamic). What goes into `feed_forward.down` of block 11 has a median size of 0.06 and a largest of 3,008, in one of
1,536 channels at the first token of a window (once: the second); no other token there exceeds 8, and a step is 12.
Blocks 28 and 29 are alike, 2 and 9 less so (massive activations: Sun et al. 2024, arXiv 2402.17762). With inputs
unrounded in the five layers, of 210, whose largest is farthest from their median perplexity is 22.3; in all 30 called
`down` 20.7; in all outputs of attention, which have no such tokens, 34.9.
"""

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.errors import InputError
from groundup.quantization.int8 import HIGHEST, StaticRange

_PIECE = 1 << 20
"""Numbers counted at once: they are widened to 8 bytes each on the way."""
_N_LEVELS = HIGHEST + 1
"""Magnitudes that 8 bits with a sign tell apart."""
_N_ENDS = 1024
"""Ends that the entropy observer compares."""


class Observer(Protocol):
    """What sees a layer's inputs and chooses their range."""

    def observe(self, x: Tensor) -> None:
        """See inputs of any shape; InputError for those that are not finite."""

    def range(self) -> StaticRange:
        """Return the range chosen from all that was seen; ValueError if nothing was."""


class MinMaxObserver:
    """The range from the least to the largest number seen.

    Example:
        >>> observer = MinMaxObserver()
        >>> observer.observe(torch.tensor([0.0, 1.0]))
        >>> observer.observe(torch.tensor([-1.0, 1.55]))
        >>> observer.range()
        StaticRange(scale=0.009999999776482582, zero=-28)
    """

    def __init__(self) -> None:
        self._ends: tuple[float, float] | None = None

    def observe(self, x: Tensor) -> None:
        """See inputs of any shape.

        Raises:
            InputError: NaN or infinite numbers.
        """
        if x.numel() == 0:
            return
        low, high = _ends_of(x)
        if self._ends is not None:
            low, high = min(low, self._ends[0]), max(high, self._ends[1])
        self._ends = low, high

    def range(self) -> StaticRange:
        """Return the range chosen."""
        return StaticRange.between(*_seen(self._ends))


class PercentileObserver:
    """The range that holds a given share of the numbers seen; as many lie below it as above.

    Args:
        percentile: the share, in percent.

    Example:
        >>> observer = PercentileObserver(98.0)
        >>> observer.observe(torch.arange(-10_000.0, 10_000))
        >>> found = observer.range()
        >>> round(found.low, -2), round(found.high, -2)
        (-9800.0, 9800.0)
    """

    def __init__(self, percentile: float = 99.99) -> None:
        self.percentile = percentile
        self._histogram = Histogram(14)  # a number can be 16,000 times the share's end before the end is lost

    def observe(self, x: Tensor) -> None:
        """See inputs of any shape.

        Raises:
            InputError: NaN or infinite numbers.
        """
        self._histogram.count(x)

    def range(self) -> StaticRange:
        """Return the range chosen."""
        outside = (1 - self.percentile / 100) / 2
        return StaticRange.between(self._histogram.quantile(outside), self._histogram.quantile(1 - outside))


class EntropyObserver:
    """The symmetric range in which the rounded numbers are distributed most as the numbers were (TensorRT's way).

    For many ends T of a histogram of |x|: P is the histogram up to T with all beyond T in its last bin, Q the same
    without them, merged into 128 levels, each spread evenly over those of its bins that are not empty in P. Chosen is
    the T with the least KL(P ‖ Q), what is lost by taking Q for P (Migacz 2017, "8-bit inference with TensorRT"). A
    level that would have nothing where P has something has half a number, else one number could rule an end out.
    TensorRT has 2,048 bins, 128 of which are a sixteenth of the largest number; in a language model a few inputs are
    hundreds of times the others, so here there are 32,768.

    Example:
        >>> observer = EntropyObserver()
        >>> x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
        >>> observer.observe(torch.cat([x, torch.tensor([100.0])]))
        >>> 3 < observer.range().high < 5  # one number of 100 does not decide
        True
    """

    def __init__(self) -> None:
        self._histogram = Histogram(15)

    def observe(self, x: Tensor) -> None:
        """See inputs of any shape.

        Raises:
            InputError: NaN or infinite numbers.
        """
        self._histogram.count(x)

    def range(self) -> StaticRange:
        """Return the range chosen."""
        low, high = _seen(self._histogram.ends)
        limit = max(-low, high)
        counts = self._histogram.magnitudes()
        n_bins = int(counts.nonzero().max()) + 1
        if n_bins <= _N_LEVELS:
            return StaticRange.within(limit)
        # a half percent apart
        ends = torch.logspace(math.log2(_N_LEVELS), math.log2(n_bins), _N_ENDS, 2.0).round().long()
        best = ends[divergences(counts[:n_bins], ends).argmin()].item()
        return StaticRange.within(min(best * self._histogram.width, limit))


class Histogram:
    """How many numbers fell into each of 2 · 2^`bits` equal bins about 0, whose width doubles as numbers grow.

    A width is a power of two, so that two bins become one exactly: what is counted in pieces, in any order, is counted
    as at once, unlike in torch.ao's HistogramObserver, which spreads old bins over new ones.

    Args:
        bits: of the number of bins on either side of 0.

    Example:
        >>> histogram = Histogram(2)
        >>> histogram.count(torch.tensor([0.1, 0.2, 3.9, -0.1]))
        >>> histogram.counts.tolist(), histogram.width
        ([0, 0, 0, 1, 2, 0, 0, 1], 1.0)
        >>> histogram.count(torch.tensor([-5.0]))
        >>> histogram.counts.tolist(), histogram.width
        ([0, 1, 0, 1, 2, 1, 0, 0], 2.0)
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.counts = torch.zeros(2 << bits, dtype=torch.int64)
        self.ends: tuple[float, float] | None = None
        """Least and largest number counted."""
        self._exponent = -149  # of the least number that float32 holds

    @property
    def width(self) -> float:
        """Width of a bin: bin `i` begins at (i - 2^bits) · width."""
        return math.ldexp(1.0, self._exponent)

    def count(self, x: Tensor) -> None:
        """Count numbers of any shape.

        Raises:
            InputError: NaN or infinite numbers.
        """
        if x.numel() == 0:
            return
        x = x.detach().float()
        low, high = _ends_of(x)
        self.ends = (low, high) if self.ends is None else (min(low, self.ends[0]), max(high, self.ends[1]))
        self._widen(math.frexp(max(-low, high))[1] - self.bits)
        for piece in torch.split(x.flatten(), _PIECE):
            places = torch.floor(piece / self.width).long() + (1 << self.bits)
            self.counts += torch.bincount(places, minlength=len(self.counts)).cpu()

    def _widen(self, exponent: int) -> None:
        """Make the bins 2^exponent wide, unless they are wider."""
        if exponent > self._exponent:
            half = 1 << self.bits
            old = torch.arange(-half, half)
            places = (old >> min(exponent - self._exponent, 62)) + half
            self.counts = torch.zeros_like(self.counts).index_add_(0, places, self.counts)
            self._exponent = exponent

    def quantile(self, share: float) -> float:
        """Return the number below which `share` of those counted lie, as if they lay evenly within their bin."""
        low, high = _seen(self.ends)
        below = self.counts.cumsum(0).double()
        wanted = share * below[-1].item()
        place = min(int(torch.searchsorted(below, wanted)), len(below) - 1)
        inside = self.counts[place].item()
        part = (wanted - (below[place].item() - inside)) / inside if inside else 0.0
        return min(max((place - (1 << self.bits) + part) * self.width, low), high)

    def magnitudes(self) -> Tensor:
        """Return the histogram of |x|: int64 [2^bits]."""
        half = 1 << self.bits
        return self.counts[half:] + self.counts[:half].flip(0)


def divergences(counts: Tensor, ends: Tensor) -> Tensor:
    """Return KL(P ‖ Q) of `EntropyObserver` for each of some ends: float64 [E].

    With sums over the levels j, of which each has s_j numbers in m_j bins that are not empty, Q is s_j / m_j there and

        Σ P log(P / Q) = Σ P log P - Σ_j s_j log(s_j / m_j),

    differences of running totals: all ends are compared at once.

    Args:
        counts: of the magnitudes: int64 [N].
        ends: how many bins are kept, from 128 to N: int64 [E].
    """
    c = counts.double()
    total = c.sum()
    numbers, bins, logs = (F.pad(x.cumsum(0), (1, 0)) for x in (c, (c > 0).double(), torch.xlogy(c, c)))  # [N + 1]
    edges = (torch.arange(_N_LEVELS + 1) * ends[:, None] + _N_LEVELS - 1) // _N_LEVELS  # [E, 129]: where levels begin
    s, m = numbers[edges].diff(), bins[edges].diff()  # [E, 128]
    inside, last = numbers[ends], c[ends - 1]
    beyond = total - inside
    m[:, -1] += (last == 0) & (beyond > 0)  # what lies beyond fills the last bin of P
    own = logs[ends] - torch.xlogy(last, last) + torch.xlogy(last + beyond, last + beyond)
    held = torch.where((s == 0) & (m > 0), 0.5, s)
    s[:, -1] += beyond
    found = (own - torch.xlogy(s, held / m.clamp(min=1)).sum(1)) / total + (held.sum(1) / total).log()
    return torch.where(inside > 0, found, torch.inf)


def _ends_of(x: Tensor) -> tuple[float, float]:
    """Return the least and the largest number; InputError for those that are not finite."""
    x = x.detach()
    low, high = (end.item() for end in x.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        n_nan, n_infinite = int(x.isnan().sum()), int(x.isinf().sum())
        raise InputError(
            f"expected finite inputs of a layer, found {n_nan} NaN and {n_infinite} infinite among {x.numel():,}: "
            "the model's own numbers overflow, which no range can hold"
        )
    return low, high


def _seen(ends: tuple[float, float] | None) -> tuple[float, float]:
    if ends is None:
        raise ValueError("an observer needs inputs before it can choose their range, found none")
    return ends
