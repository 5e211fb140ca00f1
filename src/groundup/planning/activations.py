"""How much memory the tensors of a forward pass take: those that the backward pass needs, and those of an evaluation.

Read off the layers: what each operation saves for its gradient (the tests count the same with autograd's hooks).
Shapes: B batch, T positions, D width, F inner width of the feed-forward layer, H heads, V vocabulary.
"""

from dataclasses import dataclass, field

from groundup.configs.model import GPTConfig
from groundup.planning.parameters import vocabulary

FLOAT = 4
"""Bytes of a float32: weights, gradients, moments, the residual stream, norms and the loss."""
LONGEST_BLOCKED = 512
"""Longest context at which bfloat16 training on a CPU attends by blocks, as `layers.attention` decides it."""
BLOCK = 64
"""Queries of a block there."""
LOGITS_IN_A_STEP, LOGITS_AT_ONCE = 1 << 23, 1 << 24
"""Logits above which the language modelling task computes the loss by blocks, and how many a block then has."""
LARGE = 32 << 20
"""Bytes above which a tensor goes back to the system when it is freed (glibc's largest mmap threshold)."""


@dataclass
class Load:
    """Tensors that are there at one time, by what becomes of their memory when they are freed."""

    small: int = 0
    """Bytes that stay with the process, to be used again."""
    large: int = 0
    """Bytes that go back to the system."""
    parts: dict[str, int] = field(default_factory=dict)
    """Bytes by name."""

    @property
    def total(self) -> int:
        """All bytes."""
        return self.small + self.large

    def __add__(self, other: "Load") -> "Load":
        """Return the tensors of both."""
        names = self.parts.keys() | other.parts.keys()
        parts = {name: self.parts.get(name, 0) + other.parts.get(name, 0) for name in sorted(names)}
        return Load(self.small + other.small, self.large + other.large, parts)

    def add(self, name: str, count: float, n_bytes: float) -> None:
        """Add `count` tensors of `n_bytes` each."""
        size = int(count * n_bytes)
        self.parts[name] = self.parts.get(name, 0) + size
        if n_bytes > LARGE:
            self.large += size
        else:
            self.small += size


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One forward pass of a micro-batch."""

    model: GPTConfig
    """What it passes through."""
    batch: int
    """Sequences B."""
    is_bfloat16: bool = False
    """Whether matrix products are computed in bfloat16."""
    is_masked: bool = False
    """Whether documents are hidden from each other: a mask [B, 1, T, T] in every layer."""

    @property
    def tokens(self) -> int:
        """B * T."""
        return self.batch * self.model.context_length

    @property
    def product(self) -> int:
        """Bytes of a number that comes out of a matrix product."""
        return 2 if self.is_bfloat16 else FLOAT

    @property
    def key_width(self) -> int:
        """Width of all key heads side by side."""
        return self.model.d_head * self.model.kv_heads


def saved_for_backward(work: Pass) -> Load:
    """Return what autograd keeps between the forward pass and the backward pass, without the loss."""
    config, N = work.model, work.tokens
    D, L = N * config.d_model, config.n_layers  # numbers in a [B, T, D]
    load, product = Load(), work.product
    inputs_of_norms = 2 * (2 if config.norm == "rms" else 1)  # rms keeps the normalized vector beside its input
    load.add("norms", L * inputs_of_norms, D * FLOAT)
    load.add("norms", L * (2 if config.norm == "rms" else 4), N * FLOAT)
    if work.is_bfloat16:  # each linear layer keeps a copy of its input in its own precision
        load.add("norms", L * (2 if config.activation == "swiglu" else 1), D * product)
    else:
        load.add("norms", L, D * product)
    _attention_saved(load, work)
    inner = {"swiglu": 4, "relu": 1}.get(config.activation, 2)
    load.add("feed-forward", L * inner, N * config.feed_forward_width * product)
    if config.dropout:
        load.add("dropout", 2 * L + 1, D)  # a byte of each entry: whether it was kept
    if config.norm_order == "pre":
        load.add("final norm", 2 if config.norm == "rms" else 1, D * FLOAT)
    load.add("final norm", 1, D * product)
    if work.is_bfloat16:
        load.add("weights in bfloat16", 6 * L, product_weights(config) * product / (6 * L))
    return load


def _attention_saved(load: Load, work: Pass) -> None:
    config, N, L = work.model, work.tokens, work.model.n_layers
    D, product = N * config.d_model, work.product
    keys = N * work.key_width
    load.add("attention", L * (3 if work.is_bfloat16 else 1), D * product)  # input of the three projections
    if config.qk_norm:
        load.add("attention", 2 * L, (D + keys) * FLOAT)
        load.add("attention", L, N * (config.n_heads + config.kv_heads) * FLOAT)
    if work.is_bfloat16 and (T := config.context_length) <= LONGEST_BLOCKED:
        load.add(
            "attention", 4 * L, D * product
        )  # queries, keys and values by head; the output with heads side by side
        weights = sum((min(a + BLOCK, T) - a) * min(a + BLOCK, T) for a in range(0, T, BLOCK)) * N // T * config.n_heads
        load.add("attention weights", L, weights * (product + (1 if config.dropout else 0)))
        return
    if config.dropout:  # the written-out kernel: weights after softmax, the noise, and their product, in float32
        load.add("attention", 3 * L, D * FLOAT)
        load.add("attention weights", 3 * L, N * config.n_heads * config.context_length * FLOAT)
        load.add("attention", L, D * product)
        return
    load.add("attention", 2 * L, D * product)  # queries and the output
    load.add("attention", 2 * L, keys * product)
    load.add("attention", L, N * config.n_heads * FLOAT)
    # The output is the input of the last projection, but for a copy: with some positions set to
    # zero, or with heads side by side, when queries lay in memory head by head.
    is_copied = work.is_masked or config.qk_norm
    if is_copied:
        load.add("attention", L, D * product)
    if work.is_masked:
        load.add("attention mask", L, N * config.context_length * product)


def product_weights(config: GPTConfig, *, head: bool = True) -> int:
    """Return how many weights the matrices of linear layers have; `head` includes the output projection."""
    D, F = config.d_model, config.feed_forward_width
    d_kv = config.d_head * config.kv_heads
    matrices = 3 if config.activation == "swiglu" else 2
    return config.n_layers * (2 * D * D + 2 * D * d_kv + matrices * D * F) + (vocabulary(config) * D if head else 0)


def loss_and_logits(work: Pass) -> Load:
    """Return what the loss takes at its peak: logits as probabilities, and two gradients of their size on the way back.

    With a large vocabulary, logits of a block of rows only, and the gradient of what they are made of.

    Example:
        >>> loss_and_logits(Pass(model=GPTConfig(vocab_size=100, context_length=10), batch=2)).total  # 3 * 20 * 100 * 4
        24000
    """
    load, N, V = Load(), work.tokens, vocabulary(work.model)
    if N * V <= LOGITS_IN_A_STEP:
        load.add("logits and loss", 3, N * V * FLOAT)
        return load
    rows = -(-N // max(1, min(N, -(-N * V // LOGITS_AT_ONCE))))  # of a block; see layers.chunked_cross_entropy
    load.add("logits and loss", 1, rows * V * FLOAT)
    if work.is_bfloat16:
        load.add("logits and loss", 1, rows * V * work.product)
        load.add("logits and loss", 2, V * work.model.d_model * work.product)  # a product, before it is added up
    load.add("logits and loss", 1, N * work.model.d_model * FLOAT)
    return load


def backward_workspace(work: Pass) -> Load:
    """Return the gradients of activations that are there at once in the backward pass of a feed-forward layer."""
    config, load = work.model, Load()
    load.add("backward", 2, work.tokens * config.feed_forward_width * work.product)
    load.add("backward", 3, work.tokens * config.d_model * FLOAT)
    return load


def evaluation(work: Pass) -> list[Load]:
    """Return the phases of a forward pass without gradient that scores the last half of every window.

    They are attention, feed-forward and logits: each frees what it took before the next begins.
    """
    config, N, product = work.model, work.tokens, work.product
    D = N * config.d_model
    block = Load()
    block.add("hidden states", 2, D * FLOAT)
    block.add("feed-forward", 3 if config.activation == "swiglu" else 2, N * config.feed_forward_width * product)
    attending = Load()
    attending.add("hidden states", 2, D * FLOAT)
    n_copies = 4 + int(config.position == "rotary") + int(work.is_masked)  # queries, keys, values, output, and copies
    attending.add("attention", n_copies, D * product)
    if work.is_masked:  # as booleans twice, then as numbers
        attending.add("attention mask", 2, N * config.context_length)
        attending.add("attention mask", 1, N * config.context_length * product)
    scoring = Load()
    scoring.add("hidden states", 1, D * product)
    scoring.add("logits", 2, N // 2 * vocabulary(config) * FLOAT)
    if work.is_bfloat16:
        scoring.add("logits", 1, N // 2 * vocabulary(config) * product)
    return [attending, block, scoring]
