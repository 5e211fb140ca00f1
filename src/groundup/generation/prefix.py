"""The keys and values of what a model last read, so that a text which begins the same way is read only from there on.

Shapes: T tokens, D width.
"""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from groundup.configs.generation import CacheKind
from groundup.errors import InputError
from groundup.layers.cache import Cache
from groundup.models.writer import Writer


class Prefix:
    """One text that `model` has read, for calls whose prompts begin with it: a conversation, a common instruction.

    Given to `decode`, it keeps what it has in common with the new prompt, reads only the rest, and grows by what is
    drawn, up to the token before the last, which nothing has read yet. So each turn of a conversation costs its own
    tokens, whether the turn before it ended or was closed half-way. Of several prompts it holds the common beginning,
    which is read once.

    The tokens drawn are those drawn without it, as far as rounding lets them be: a rest is multiplied in other shapes
    than a whole, so that sums have another order, and log-probabilities differ by what `use_cache` makes them differ.

    It holds what the model sees: once a window has slid past the context, the window and not the text's beginning,
    so that the next call finds nothing in common and reads its prompt anew. Weights that were stepped on or loaded
    since are noticed when a call begins (all but writes into `weight.data`, which torch does not count), and what was
    held is forgotten.

    Memory: of a cache with one row, in up to twice the room that is needed.

    Example:
        >>> from groundup.configs.generation import GenerationConfig
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> from groundup.generation.decode import decode
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> prefix = Prefix(model)
        >>> for prompt in ([1, 2, 3], [1, 2, 3, 4]):
        ...     _ = list(decode(model, [prompt], GenerationConfig(max_new_tokens=1), prefix=prefix))
        >>> prefix.n_reused, prefix.ids
        (3, [1, 2, 3, 4])
    """

    def __init__(self, model: Writer) -> None:
        self._model = model
        self._kind: CacheKind = "float"
        self.n_reused = 0
        """Tokens of the last call's prompt that were held, and not read again; of several prompts, in each."""
        self.forget()

    @property
    def ids(self) -> list[int]:
        """The tokens that are held."""
        ids: list[int] = self._tokens.tolist()
        return ids

    def forget(self) -> None:
        """Hold nothing."""
        self._weights = _weights(self._model)
        self._cache = self._model.new_cache(1, 0, kind=self._kind)
        self._tokens = torch.zeros(0, dtype=torch.int64, device=self._cache.device)

    def check(self, model: Writer, *, use_cache: bool = True) -> None:
        """Raise InputError unless `model` is the one that this prefix was made for, and may use a cache."""
        if model is not self._model:
            raise InputError("expected the model that this Prefix was made for, found another: make one for each model")
        if not use_cache:
            raise InputError("expected use_cache=True with a prefix, which is a cache, found False: leave one out")

    def begin(self, prompts: Sequence[Sequence[int]], kind: CacheKind = "float") -> None:
        """Make ready for a call with `prompts`: what other weights have read, or kept otherwise, is forgotten."""
        if _weights(self._model) != self._weights or kind != self._kind:
            self._kind = kind
            self.forget()
        self.n_reused = min(_n_common(self._tokens, torch.tensor(p).to(self._tokens), len(p) - 1) for p in prompts)

    def read(self, window: Tensor, n_last: int = 1) -> Tensor:
        """Read `window` [T] from where it differs; return the hidden states of its last `n_last` tokens [n_last, D].

        Interrupted, it holds what it had in common with the window.
        """
        n_held = _n_common(self._tokens, window, len(window) - n_last)
        self._tokens = self._tokens[:n_held]
        self._cache.truncate([n_held])
        if len(window) > self._cache.capacity:  # doubled: the room follows what is read
            room = max(len(window), 2 * self._cache.capacity)
            self._cache.resize(min(room, self._model.context_length))
        rest = window[n_held:]
        only = torch.tensor([len(rest) - 1], device=rest.device) if n_last == 1 < len(rest) else None
        hidden = self._model.hidden_states(rest[None], cache=self._cache, only=only)[0]  # [rest or 1, D]
        self._tokens = window
        return hidden[-n_last:]

    def share(self, windows: Sequence[Tensor], cache: Cache) -> None:
        """Put what all `windows` begin with into every row of `cache`, which is empty; each keeps a token to read."""
        n = min(_n_common(windows[0], window, len(window) - 1) for window in windows)
        if not n:
            return
        if _n_common(self._tokens, windows[0], n) < n:
            self.read(windows[0][:n])
        cache.write(range(cache.batch_size), self._cache, n)


def _n_common(a: Tensor, b: Tensor, most: int) -> int:
    """Length of what `a` and `b` begin with, and at most `most`."""
    n = min(len(a), len(b), most)
    differing = (a[:n] != b[:n]).nonzero()
    return int(differing[0, 0]) if len(differing) else n


def _weights(model: Writer) -> list[tuple[int, int]]:
    """Where each weight lies, and how often torch saw it change; a tensor of inference mode cannot tell."""
    tensors = chain(model.parameters(), model.buffers())
    return [(tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
