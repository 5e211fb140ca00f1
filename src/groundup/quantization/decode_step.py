"""One token read by a GPT in one call of compiled code: what `compiled_step` needs, gathered from the model once.

Shapes: D width, L layers, G key/value heads, K head width, C capacity of the cache.
"""

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from groundup.layers.blocks import GPTBlock
from groundup.layers.cache import Cache
from groundup.layers.feedforward import SwiGLU
from groundup.layers.kv_cache import KVCache
from groundup.layers.normalization import LayerNorm, RMSNorm
from groundup.models.gpt import GPT
from groundup.quantization.kernels import Matrix, has_kernels, matrix_of

if TYPE_CHECKING:
    from groundup.quantization.compiled_step import Rooms


class DecodeStep:
    """Reads one token: a function of its embedding and the cache, which it extends.

    It takes pre-norm models whose matrices `matrix_of` knows, in any mixture, on the CPU: `build_decode_step`. Rounded
    inputs (see `row_products`) move logits by about 1e-3 of their deviation; matrices in float32 are exact but for the
    order of sums. The model's memory is used as it is: who changes a weight in place changes the step.
    """

    def __init__(self, model: GPT, matrices: list[Matrix]) -> None:
        from groundup.quantization.compiled_step import Model

        config = model.config
        blocks = [block for block in model.blocks if isinstance(block, GPTBlock)]
        norms = [[_norm(block.attention_norm), _norm(block.feed_forward_norm)] for block in blocks]
        qk_norms = np.zeros((config.n_layers, 3, config.d_head), np.float32)
        for layer, block in enumerate(blocks):
            for place, norm in enumerate((block.attention.query_norm, block.attention.key_norm)):
                if isinstance(norm, RMSNorm):
                    qk_norms[layer, place] = norm.weight.detach().numpy()
        self._matrices = matrices  # they keep the memory alive
        self._model = Model(
            sizes=_sizes(model),
            table=np.array([matrix.row for matrix in matrices], np.int64),
            norms=np.array(norms, np.float32),
            final_norm=np.array(_norm(model.final_norm), np.float32),
            qk_norms=qk_norms,
            epsilon=np.float32(config.norm_epsilon),
        )
        self._position = model.position_embedding
        rotary = model.rotary
        self._turns = None if rotary is None else (rotary.cos.numpy(), rotary.sin.numpy())
        heads = (config.n_heads + 2 * config.kv_heads) * config.d_head
        self._longest = max(config.d_model, config.feed_forward_width, heads)
        self._rooms = _rooms(0, self._longest, 0)
        self._lock = Lock()  # the rooms are one token's

    def __call__(self, x: Tensor, cache: Cache) -> Tensor | None:
        """Return the hidden state after the final norm, [1, 1, D], and write keys and values behind those held.

        Args:
            x: the token's embedding, without its position [1, 1, D]; the result is None for another shape or format.
            cache: of one row, float32, else the result is None; the caller counts the token (`advance`).

        Raises:
            ValueError: if the cache has no room.
        """
        from groundup.quantization.compiled_step import Token, read_token
        from groundup.quantization.team import work

        is_plain = isinstance(cache, KVCache) and cache.keys.dtype == torch.float32
        if x.shape[:2] != (1, 1) or x.dtype != torch.float32 or not is_plain:
            return None
        cache.check_room(1)
        held = cache.longest
        x = x.clone() if self._position is None else self._position(x, held)  # the step overwrites it
        out = torch.empty(x.shape)
        cos, sin = (np.zeros(0, np.float32),) * 2 if self._turns is None else (table[held] for table in self._turns)
        keys, values = (part.numpy()[:, 0] for part in (cache.keys, cache.values))
        with self._lock:
            n = torch.get_num_threads()  # once: the rooms are for so many
            if len(self._rooms.vectors) < n or self._rooms.scores.shape[1] < cache.capacity:
                self._rooms = _rooms(n, self._longest, cache.capacity)
            token = Token(x.detach().view(-1).numpy(), keys, values, held, cos, sin, out.view(-1).numpy())
            model, rooms = self._model, self._rooms
            work(lambda thread, n, counter: read_token(thread, n, counter, model, token, rooms), n=n)
        return out


def build_decode_step(model: GPT) -> DecodeStep | None:
    """Return the compiled step of `model`, or None: numba is missing, or there is a layer that it does not know.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> config = GPTConfig(vocab_size=10, context_length=8, d_model=32, n_layers=1, n_heads=2)
        >>> build_decode_step(GPT(config)) is not None
        True
    """
    config = model.config
    is_known = config.norm_order == "pre" and model.prefix is None and config.d_head % 2 == 0
    is_known = is_known and (model.rotary is None or model.rotary.pairing == "halves")
    if not has_kernels() or not is_known or model.device.type != "cpu":
        return None
    found: list[Matrix] = []
    for block in model.blocks:
        assert isinstance(block, GPTBlock)
        if not all(isinstance(norm, LayerNorm | RMSNorm) for norm in (block.attention_norm, block.feed_forward_norm)):
            return None
        attention, feed_forward = block.attention, block.feed_forward
        gate = feed_forward.gate if isinstance(feed_forward, SwiGLU) else feed_forward.up
        layers = (attention.query, attention.key, attention.value, attention.output)
        for layer in (*layers, gate, feed_forward.up, feed_forward.down):
            matrix = matrix_of(layer)
            if matrix is None:
                return None
            found.append(matrix)
    return DecodeStep(model, found)


def _sizes(model: GPT) -> np.ndarray:
    from groundup.quantization.compiled_step import Size
    from groundup.quantization.vectors import Bend

    config = model.config
    numbers = {
        Size.LAYERS: config.n_layers,
        Size.WIDTH: config.d_model,
        Size.HEADS: config.n_heads,
        Size.KV_HEADS: config.kv_heads,
        Size.HEAD_WIDTH: config.d_head,
        Size.INNER: config.feed_forward_width,
        Size.CENTRED: config.norm == "layer",
        Size.ACTIVATION: Bend.SILU if config.activation == "swiglu" else Bend[config.activation.upper()],
        Size.QK_NORM: config.qk_norm,
        Size.ROTATION: model.rotary is not None,
    }
    return np.array([numbers[size] for size in Size], np.int64)


def _norm(norm: nn.Module) -> list[np.ndarray]:
    """Return scale and shift: [2, D]."""
    assert isinstance(norm, LayerNorm | RMSNorm)
    scale = norm.weight.detach().numpy()
    shift = norm.bias if isinstance(norm, LayerNorm) else None
    return [scale, np.zeros_like(scale) if shift is None else shift.detach().numpy()]


def _rooms(n: int, longest: int, capacity: int) -> "Rooms":
    from groundup.quantization.compiled_step import N_SHARED, N_VECTORS, Rooms

    return Rooms(
        np.zeros((N_SHARED, longest), np.float32),
        np.zeros((n, N_VECTORS, longest), np.float32),
        np.zeros((n, longest), np.int16),
        np.zeros((n, capacity), np.float32),
    )
