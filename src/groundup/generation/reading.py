"""How the model reads a batch of growing texts: prefill, decode step, and a cache kept in step with its rows.

Shapes: B rows, T tokens of the longest row, D width.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from groundup.configs.generation import CacheKind
from groundup.generation.prefix import Prefix
from groundup.layers.cache import Cache
from groundup.models.writer import Writer


@contextmanager
def evaluation_mode(model: nn.Module | Writer) -> Iterator[None]:
    """Put the model into evaluation mode, and what was training back into training at the end."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def prefill(model: Writer, windows: Sequence[Tensor], cache: Cache | None = None) -> Tensor:
    """Read whole windows at once, of any lengths above 0; return the hidden state of each one's last token [B, D].

    Windows are padded on the right: a causal model never looks there from an earlier token. A cache must hold equally
    many tokens in each row, perhaps none; the windows come behind them.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> cache = model.new_cache(2)
        >>> prefill(model, [torch.tensor([1, 2, 3]), torch.tensor([4])], cache).shape, cache.lengths.tolist()
        (torch.Size([2, 16]), [3, 1])
    """
    held = 0 if cache is None else cache.longest
    lengths = [len(window) for window in windows]
    tokens = pad_sequence(list(windows), batch_first=True)  # [B, T]
    last = torch.tensor(lengths, device=tokens.device) - 1
    hidden = model.hidden_states(tokens, cache=cache, only=last)  # [B, 1, D]
    if cache is not None:
        cache.truncate([held + length for length in lengths])
    return hidden[:, 0]


def decode_step(model: Writer, tokens: Tensor, cache: Cache) -> Tensor:
    """Read one more token [B] in each row of `cache`; return its hidden state [B, D]."""
    return model.hidden_states(tokens[:, None], cache=cache)[:, 0]


def reread_rows(model: Writer, cache: Cache, places: Sequence[int], windows: Sequence[Tensor]) -> None:
    """Replace what the rows at `places` hold by other `windows`, none longer than what they held.

    A window that slid begins at another token, and with it every position and every key changes: it is read anew.
    """
    filled = [(place, window) for place, window in zip(places, windows, strict=True) if len(window)]
    lengths: list[int] = cache.lengths.tolist()
    for place, window in zip(places, windows, strict=True):
        lengths[place] = len(window)
    cache.truncate(lengths)
    if not filled:
        return
    rows = [place for place, _ in filled]
    fresh = cache.like(rows, max(len(window) for _, window in filled))
    prefill(model, [window for _, window in filled], fresh)
    cache.write(rows, fresh)


def next_logits(model: Writer, hidden: Tensor, n_tokens: int) -> Tensor:
    """Return the logits of the token after each hidden state, of ids below `n_tokens`: [B, D] -> [B, n_tokens].

    In float32 at least: what follows compares and adds up probabilities.
    """
    logits = model.project(hidden)[:, :n_tokens]
    return logits if logits.dtype == torch.float64 else logits.float()


class Reader:
    """The hidden state of each row's last token, with a cache or, by reading everything again, without.

    Args:
        model: what reads.
        windows: the tokens each row begins with.
        capacity: most tokens a row will hold. None: no cache.
        prefix: holds what may be a beginning of the windows. A single row reads on in it, several copy from it.
        kind: of the cache, as the prefix's is.
    """

    def __init__(
        self,
        model: Writer,
        windows: Sequence[Tensor],
        *,
        capacity: int | None,
        prefix: Prefix | None = None,
        kind: CacheKind = "float",
    ) -> None:
        self._model = model
        self._prefix = prefix if len(windows) == 1 else None
        if self._prefix is not None:
            self.last_hidden = self._prefix.read(windows[0])  # [B, D]
            return
        self._cache = None if capacity is None else model.new_cache(len(windows), capacity, kind=kind)
        n_shared = 0
        if prefix is not None and self._cache is not None:
            prefix.share(windows, self._cache)
            n_shared = self._cache.longest
        self.last_hidden = prefill(model, [window[n_shared:] for window in windows], self._cache)

    def read(self, windows: Sequence[Tensor], *, kept: Sequence[int], slid: Sequence[int]) -> None:
        """Read on to the end of `windows`, each one token longer than before.

        Args:
            windows: what each row's model may see now.
            kept: places of the rows among the previous ones; the others have ended.
            slid: places, among `windows`, of those that begin later than before.
        """
        if self._prefix is not None:  # it finds by itself what it has read of the window
            self.last_hidden = self._prefix.read(windows[0])
            return
        if self._cache is None:
            if len(kept) < len(self.last_hidden):
                self._model = self._model.select_rows(kept)
            self.last_hidden = prefill(self._model, windows)
            return
        if len(kept) < self._cache.batch_size:
            self._cache = self._cache.select_rows(kept)
        if slid:
            reread_rows(self._model, self._cache, slid, [windows[place][:-1] for place in slid])
        self.last_hidden = decode_step(self._model, torch.stack([window[-1] for window in windows]), self._cache)
