"""Matrices kept in 8 and 4 bits as the blocks of a GGUF file, where these hold them without another rounding."""

import numpy as np
import torch

from groundup.quantization.int4 import BLOCK, Int4
from groundup.quantization.int8 import Int8
from groundup.weights.gguf_blocks import BLOCKS, Array

_Q4_0, _Q4_1, _Q8_0 = 2, 3, 8


def kept_blocks(kept: Int8 | Int4, kind: int) -> Array | None:
    """Return the blocks [O, I / 32] that stand for exactly the same numbers, or None where the format has none.

    Q4_1 holds any `Int4`, for groups of 64 and 128 are groups of 32 with one scale. Q4_0 holds one whose minimum is
    -8 steps, Q8_0 an `Int8` with zero at q = 0 and scales that are float16, of 32 columns or a multiple.

    Example:
        >>> from groundup.quantization.int4 import quantize_int4
        >>> blocks = kept_blocks(quantize_int4(torch.arange(64.0)[None], group_size=32), 3)
        >>> blocks.shape, blocks["m"].tolist()
        ((1, 2), [[0.0, 32.0]])
    """
    if isinstance(kept, Int8):
        return _q8_0(kept) if kind == _Q8_0 else None
    if kind == _Q4_0 and not torch.equal(kept.minimum.float(), kept.scale.float() * -8):
        return None
    if kind not in (_Q4_0, _Q4_1):
        return None
    n_rows, n_columns = kept.shape
    blocks = np.empty((n_rows, n_columns // BLOCK), BLOCKS[kind].dtype)
    blocks["d"] = kept.scale.repeat_interleave(kept.group_size // BLOCK, 1).numpy()
    blocks["q"] = kept.packed.contiguous().numpy().view("<u8").reshape(*blocks.shape, 2)
    if kind == _Q4_1:
        blocks["m"] = kept.minimum.repeat_interleave(kept.group_size // BLOCK, 1).numpy()
    return blocks


def _q8_0(kept: Int8) -> Array | None:
    n_rows, n_columns = kept.values.shape
    scale = kept.scale.half()
    if kept.zero is not None or scale.ndim != 2 or not torch.equal(scale.float(), kept.scale.float()):
        return None
    group_size = n_columns // scale.shape[1]
    if group_size % BLOCK:
        return None
    blocks = np.empty((n_rows, n_columns // BLOCK), BLOCKS[_Q8_0].dtype)
    blocks["d"] = scale.repeat_interleave(group_size // BLOCK, 1).numpy()
    blocks["q"] = kept.values.numpy().reshape(*blocks.shape, BLOCK)
    return blocks
