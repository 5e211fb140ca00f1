"""How the model reads the beams of several prompts: rows that go on from other rows.

Shapes: B rows, S tokens of the longest text, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.configs.generation import CacheKind
from groundup.generation.prefix import Prefix
from groundup.generation.reading import decode_step, next_logits, prefill
from groundup.layers.cache import Cache
from groundup.models.writer import Writer


class BeamReader:
    """The texts of all beams and the logits of what follows each; beam search sees of a model nothing else.

    A prompt is one row to begin with; the first `read` makes beams of it.

    Args:
        model: what reads.
        prompts: ids of each, at least one.
        capacity: most tokens that a text will hold.
        n_tokens: logits of ids below it are given.
        prefix: holds what may be a beginning of the prompts, which is copied from it.
        kind: of the cache. None: without one, whole texts are read anew at each step.
        coverage_penalty: as in BeamConfig; above 0 for a `Conditioned` with a cache.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> reader = BeamReader(model, [[1, 2]], capacity=4, n_tokens=10)
        >>> reader.read([0, 0, 0], [5, 6, 7])
        >>> reader.texts.tolist(), reader.logits.shape
        ([[1, 2, 5], [1, 2, 6], [1, 2, 7]], torch.Size([3, 10]))
    """

    def __init__(
        self,
        model: Writer,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        n_tokens: int,
        prefix: Prefix | None = None,
        kind: CacheKind | None = "float",
        coverage_penalty: float = 0.0,
    ) -> None:
        self._model, self._n_tokens = model, n_tokens
        self._ends = [len(prompt) for prompt in prompts]
        ids = torch.full((len(prompts), capacity), -1)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        self._ids = ids.to(model.device)
        self._cache = None if kind is None else model.new_cache(len(prompts), capacity, kind=kind)
        self._coverage: Tensor | None = None  # [B, S]: how much each source position was attended to
        self._coverage_penalty = coverage_penalty
        if coverage_penalty and self._cache is not None and self._cache.sources is not None:
            self._cache.sources = self._cache.sources.new(keep_attention=True)
        n_shared = 0
        if prefix is not None and kind is not None and self._cache is not None:
            prefix.begin(prompts, kind)
            prefix.share(self._windows(), self._cache)
            n_shared = self._cache.longest
        hidden = prefill(model, [window[n_shared:] for window in self._windows()], self._cache)
        self.logits = next_logits(model, hidden, n_tokens)  # [B, V]
        self._cover()

    @property
    def texts(self) -> Tensor:
        """Ids of every row [B, S], prompt included; shorter ones are padded on the right by -1."""
        return self._ids[:, : max(self._ends)]

    @property
    def coverage(self) -> list[float]:
        """What is added to the score of a text of each row that ends with its next token (Wu et al. 2016, eq. 14)."""
        sources = None if self._cache is None else self._cache.sources
        if self._coverage is None or sources is None:
            return [0.0] * len(self._ends)
        covered = self._coverage.clamp(torch.finfo(torch.float32).tiny, 1.0).log()  # [B, S]
        sums: list[float] = (self._coverage_penalty * covered * sources.whole_mask).sum(dim=1).tolist()
        return sums

    def read(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Let row i be what row parents[i] was, and read tokens[i] behind it. Rows that are no parent are gone."""
        if self._cache is not None:
            if len(parents) == self._cache.batch_size:
                reorder_rows(self._cache, parents, self.texts)
            else:
                self._cache = self._cache.select_rows(parents)
        new = torch.tensor(tokens, device=self._ids.device)
        self._ids = self._ids[list(parents)]
        if self._coverage is not None:
            self._coverage = self._coverage[list(parents)]
        self._ends = [self._ends[parent] for parent in parents]
        self._ids[torch.arange(len(tokens)), torch.tensor(self._ends)] = new
        self._ends = [end + 1 for end in self._ends]
        if self._cache is None:
            self._model = self._model.select_rows(parents)
            hidden = prefill(self._model, self._windows())
        else:
            hidden = decode_step(self._model, new, self._cache)
        self.logits = next_logits(self._model, hidden, self._n_tokens)
        self._cover()

    def _cover(self) -> None:
        """Count what each row's newest token attended to, and so what its next one is made from."""
        last = None if self._cache is None else self._cache.last_attention
        if last is not None:
            self._coverage = last if self._coverage is None else self._coverage + last

    def _windows(self) -> list[Tensor]:
        return [row[:end] for row, end in zip(self._ids, self._ends, strict=True)]


def reorder_rows(cache: Cache, parents: Sequence[int], texts: Tensor) -> None:
    """Let row i of `cache` hold what row parents[i], which is equally long, held; in place.

    Only what differs is copied: rows whose `texts` [B, S] begin alike hold the same there. Beams share all but their
    last tokens, so this is little, however long the prompt.

    Example:
        >>> from groundup.layers.kv_cache import KVCache
        >>> cache = KVCache(n_layers=1, batch_size=2, n_kv_heads=1, capacity=3, d_head=1)
        >>> _ = cache.layer(0).append(torch.tensor([7.0, 1, 7, 2]).view(2, 1, 2, 1), torch.zeros(2, 1, 2, 1))
        >>> cache.advance(2)
        >>> reorder_rows(cache, [1, 1], torch.tensor([[3, 4], [3, 5]]))
        >>> cache.keys.flatten().tolist()
        [7.0, 2.0, 0.0, 7.0, 2.0, 0.0]
    """
    moved = [row for row, parent in enumerate(parents) if row != parent]
    sources = [parents[row] for row in moved]
    differing = (texts[moved] != texts[sources]).any(dim=0).nonzero()
    if len(differing):
        cache.move(moved, sources, int(differing[0, 0]))
