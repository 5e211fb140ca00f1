"""A decoder with the sources that it writes about: what draws text from an encoder–decoder, as from a GPT.

Shapes: B rows, T new tokens, D width, V vocabulary, S source positions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from groundup.configs.generation import CacheKind
from groundup.layers.cache import Cache
from groundup.layers.int8_kv_cache import Int8KVCache
from groundup.layers.kv_cache import KVCache
from groundup.layers.sources import Sources

if TYPE_CHECKING:  # it makes these
    from groundup.models.seq2seq import Seq2Seq


class Conditioned(nn.Module):
    """Tokens in, logits of the next token out, each row about its own source.

    It has what drawing needs of a `GPT`: row b continues a target of source b. Keys and values of the sources are
    computed once, when it is made (`Seq2Seq.conditioned`), and go with the rows of its caches; weights that change
    afterwards need a new one.

    Args:
        model: what writes; its weights are not copied.
        sources: what the rows read.

    Example:
        >>> from groundup.configs.seq2seq import Seq2SeqConfig
        >>> from groundup.models.seq2seq import Seq2Seq
        >>> sizes = dict(source_vocab_size=10, target_vocab_size=10, d_model=16, n_heads=2, context_length=8)
        >>> model = Seq2Seq(Seq2SeqConfig(**sizes, n_encoder_layers=1, n_decoder_layers=1)).eval()
        >>> source, target = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[0, 7], [0, 8]])
        >>> writer = model.conditioned(model.encode(source))
        >>> torch.allclose(writer(target), model(source, target), atol=1e-6)
        True
    """

    def __init__(self, model: "Seq2Seq", sources: Sources) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        self._sources = sources

    def forward(self, tokens: Tensor, *, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        """Return logits of the token after each of `tokens`: int64 [B, T] -> [B, T, V]; see `hidden_states`."""
        return self.project(self.hidden_states(tokens, cache=cache, mask=mask))

    def hidden_states(
        self,
        tokens: Tensor,
        *,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        only: Tensor | None = None,
    ) -> Tensor:
        """Return what `project` turns into logits: [B, T] -> [B, T, D], or [B, 1, D] with `only`; see `Seq2Seq`.

        Args:
            tokens: of targets; with a cache, those that follow the ones it holds.
            cache: of `new_cache`; its rows know their sources.
            mask: boolean, broadcast to [B, 1, T, all], True = may attend; causality is added to it.
            only: the one position of each row that is wanted, int64 [B].

        Raises:
            InputError: if the tokens held and given are more than context_length.
            ValueError: if there are not as many rows as sources, or the cache has no room.
        """
        sources = self._sources if cache is None else cache.sources
        if sources is None or len(tokens) != sources.batch_size:
            n_sources = "a cache without any" if sources is None else sources.batch_size
            raise ValueError(f"expected as many rows as sources, found {len(tokens)} and {n_sources}")
        watch = None
        seen: list[Tensor] = []
        if sources.keeps_attention:
            watch = {len(self.model.decoder) - 1: seen.append}
        hidden = self.model.hidden_states(sources, tokens, cache=cache, mask=mask, only=only, watch=watch)
        if seen:
            by_row = seen[0].mean(dim=1).reshape(len(tokens), -1, seen[0].shape[-1])  # [B, T, S]
            sources.last_attention = by_row[:, -1]
        return hidden

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits for hidden states: [..., D] -> [..., V]."""
        return self.model.project(hidden)

    def select_rows(self, places: Sequence[int]) -> "Conditioned":
        """Return the same decoder with the sources of the rows at `places`, in that order.

        Example: see `Sources.select`.
        """
        return Conditioned(self.model, self._sources.select(places))

    @property
    def context_length(self) -> int:
        """Most tokens of a target that it sees at once."""
        return self.model.context_length

    @property
    def vocab_size(self) -> int:
        """Tokens that it writes."""
        return self.model.target_vocab_size

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.model.device

    @property
    def n_sources(self) -> int:
        """Rows that it writes."""
        return self._sources.batch_size

    def new_cache(
        self,
        batch_size: int,
        capacity: int | None = None,
        dtype: torch.dtype | None = None,
        *,
        kind: CacheKind = "float",
        keep_attention: bool = False,
    ) -> Cache:
        """Return an empty cache, of which row b is about source b, on the model's device.

        Args:
            batch_size: rows; as many as sources.
            capacity: most tokens of a target that a row can hold. None: context_length.
            dtype: number format of keys and values of the target. None: the model's.
            kind: how they are kept: float, in that format; int8, rounded. Those of the sources stay as they are.
            keep_attention: whether `cache.last_attention` says where each row looked last.

        Raises:
            ValueError: another number of rows.
        """
        if batch_size != self.n_sources:
            raise ValueError(f"expected a cache of {self.n_sources} rows, one for each source, found {batch_size}")
        config, like = self.model.config, self.model.target_embedding.weight
        make = KVCache if kind == "float" else Int8KVCache
        cache = make(
            n_layers=config.n_decoder_layers,
            batch_size=batch_size,
            n_kv_heads=config.n_heads,
            capacity=self.context_length if capacity is None else capacity,
            d_head=config.d_head,
            dtype=like.dtype if dtype is None else dtype,
            device=like.device,
        )
        cache.sources = self._sources.new(keep_attention=keep_attention)
        return cache
