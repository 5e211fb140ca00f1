"""Keys and values that stand before a text in every layer, as if tokens that nobody wrote had been read there.

Shapes: L layers, B batch, G key/value heads, P virtual tokens, T tokens of a pass, S tokens of the text, K head width.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

KeysValues = tuple[Tensor, Tensor]
"""Keys, turned by their positions, and values of one layer: [1, G, P, K] each. Every row of a batch has the same."""


class LayerStore(Protocol):
    """Takes the new keys and values of an attention layer and returns all that its queries may look at."""

    def append(self, k: Tensor, v: Tensor) -> KeysValues:
        """Return keys and values [B, G, S, K], the given ones [B, G, T, K] last."""


class VirtualTokens(Protocol):
    """A module that gives the virtual tokens of a model; see `GPT.prefix`."""

    @property
    def n_vectors(self) -> int:
        """How many there are, P."""

    def __call__(self, model: Any, /) -> Sequence[KeysValues]:  # noqa: ANN401 - a GPT, of which layers know nothing
        """Return the keys and values of each layer, with a gradient."""


class LearnedPrefix(nn.Module):
    """Keys and values that are parameters themselves: prefix tuning (Li and Liang 2021, section 4.2).

    Args:
        layers: what they begin as; copied.

    Example:
        >>> prefix = LearnedPrefix([(torch.zeros(1, 2, 5, 4), torch.ones(1, 2, 5, 4))] * 3)
        >>> prefix.n_vectors, len(prefix()), prefix()[0][1].shape
        (5, 3, torch.Size([1, 2, 5, 4]))
    """

    def __init__(self, layers: Sequence[KeysValues]) -> None:
        super().__init__()
        keys, values = (torch.cat([layer[i].detach() for layer in layers]) for i in (0, 1))
        self.keys, self.values = nn.Parameter(keys), nn.Parameter(values)  # [L, G, P, K]

    @property
    def n_vectors(self) -> int:
        """How many tokens it stands for, P."""
        return self.keys.shape[2]

    def forward(self, model: object = None) -> list[KeysValues]:
        """Return the keys and values of each layer; what the model is does not matter."""
        return list(zip(self.keys[:, None], self.values[:, None], strict=True))


class Prefixed:
    """A layer's text with virtual tokens before it; the text itself may be kept in a cache.

    Args:
        before: of the virtual tokens.
        text: keeps what was appended earlier. None: nothing was.

    Example:
        >>> before = torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 2, 1)
        >>> keys, values = Prefixed(before, None).append(torch.ones(3, 1, 1, 1), torch.ones(3, 1, 1, 1))
        >>> keys[2].flatten().tolist()
        [0.0, 0.0, 1.0]
    """

    def __init__(self, before: KeysValues, text: LayerStore | None) -> None:
        self._before, self._text = before, text

    def append(self, k: Tensor, v: Tensor) -> KeysValues:
        """Return [B, G, P + S, K] for new keys and values [B, G, T, K]."""
        if self._text is not None:
            k, v = self._text.append(k, v)
        keys, values = (
            torch.cat((before.to(now.dtype).expand(len(now), -1, -1, -1), now), dim=2)
            for before, now in zip(self._before, (k, v), strict=True)
        )
        return keys, values


class Recorded:
    """Keeps the keys and values that a layer makes in one pass, with their gradient.

    Example:
        >>> recorded = Recorded()
        >>> _ = recorded.append(torch.ones(1, 1, 2, 4), torch.zeros(1, 1, 2, 4))
        >>> recorded.pair[0].shape
        torch.Size([1, 1, 2, 4])
    """

    pair: KeysValues

    def append(self, k: Tensor, v: Tensor) -> KeysValues:
        """Keep and return them."""
        self.pair = k, v
        return k, v
