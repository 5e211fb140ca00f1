"""What SmolLM2-135M loses in 8 and 4 bits, on the held-out tenth of TinyShakespeare, method by method.

The weights come from a GGUF file of 4 bits with groups of 32 (Q4_1), so rounding to that very form loses nothing of
them. To judge methods, rows marked * are of the same model with its hidden columns in another order: equal logits, but
no group is on the file's steps any more. Calibration reads the first nine tenths. PyTorch's own is torch.ao's.

The last row is of the model as it was, whose past keys and values are kept in 8 bits: each window is read into a cache.
"""

import copy
import time
import warnings
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from groundup.configs.quantization import QuantizationConfig
from groundup.data.corpora import find_corpus
from groundup.evaluation.degradation import compare_logits
from groundup.evaluation.layer_errors import bytes_of
from groundup.evaluation.perplexity import byte_lengths_of
from groundup.quantization.convert import quantize_model
from groundup.weights.gguf_model import load_gguf
from groundup.weights.installed import installed_smollm2

N_TOKENS, CONTEXT = 4_096, 512
INT8, INT4 = QuantizationConfig(to="int8"), QuantizationConfig(to="int4")
FILE = {
    "int8, groups of 32": INT8,
    "int8, rows": replace(INT8, granularity="channel"),
    "int8, rows, affine": replace(INT8, symmetric=False),
    "int8, dynamic": replace(INT8, activations="dynamic"),
    "torch.ao, dynamic int8": None,
    "int4, round: the file's own": INT4,
    "int4, gptq": replace(INT4, method="gptq"),
    "int4, round, embedding as it was": replace(INT4, embeddings=False),
}
MOVED = {
    "int4, round *": INT4,
    "int4, fitted *": replace(INT4, method="fitted"),
    "int4, gptq *": replace(INT4, method="gptq"),
    "int4, gptq, groups of 64 *": replace(INT4, method="gptq", group_size=64),
    "int4, gptq, embedding as it was *": replace(INT4, method="gptq", embeddings=False),
}


def run(tiny):
    path = installed_smollm2()
    if path is None:
        return {"what": "SmolLM2 is not here: make model", "rows": [{"row": "-"}, {"row": "-"}]}
    found = load_gguf(path)
    ids = np.array(found.tokenizer.encode("".join(find_corpus("shakespeare").text())))
    seen, unseen = torch.from_numpy(ids[: int(len(ids) * 0.9)]), ids[int(len(ids) * 0.9) :]
    unseen = unseen[: 65 if tiny else N_TOKENS + 1]  # an interval needs some windows
    reading = {"context_length": 8 if tiny else CONTEXT, "byte_lengths": byte_lengths_of(found.tokenizer)}
    rows = []
    for ways, model in ((FILE, found.model), (MOVED, moved(found.model))):
        for name, way in list(ways.items())[: 1 if tiny else None]:
            began = time.perf_counter()
            after = by_torch(model) if way is None else quantize_model(copy.deepcopy(model), way, seen)
            seconds = time.perf_counter() - began
            lost = compare_logits(model, after, unseen, **reading)
            rows.append(row(name, lost, size(model, after), cached(model, "float"), f"{seconds:.0f}"))
    lost = compare_logits(found.model, reading_from_int8(found.model), unseen, **reading)
    rows.append(row("float32, cache in int8", lost, 1.0, cached(found.model, "int8"), "-"))
    what = (
        f"{len(unseen) - 1:,} tokens, windows of {CONTEXT} that overlap by half; intervals 95 %, by windows; one run."
    )
    return {"what": what, "rows": rows}


def row(name, lost, share, n_cached, seconds):
    low, high = lost.increase_interval
    return {
        "weights": name,
        "bytes / float32": f"{share:.3f}",
        "cache, bytes a token": f"{n_cached:,}",
        "perplexity": f"{lost.before.perplexity:.2f} → {lost.after.perplexity:.2f}",
        "rise": f"{lost.increase:+.2%}",
        "interval": f"{low:+.2%} – {high:+.2%}",
        "KL, nats": f"{lost.kl:.4f}",
        "same first choice": f"{lost.agreement:.1%}",
        "largest logit difference": f"{lost.largest_logit_difference:.2f}",
        "quantized in s": seconds,
    }


def cached(model, kind):
    """Return the bytes that keys and values of a token take."""
    return model.new_cache(1, 1, kind=kind).n_bytes


def reading_from_int8(model):
    """Return the model reading every text into a cache of 8 bits, whose rounded keys and values it attends to."""
    after = copy.copy(model)
    after.hidden_states = lambda tokens, mask=None: model.hidden_states(
        tokens, cache=model.new_cache(*tokens.shape, kind="int8"), mask=mask
    )
    return after


def by_torch(model):
    with warnings.catch_warnings(action="ignore"):  # it says that it will move to torchao
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear}, dtype=torch.qint8)


def size(before, after):
    """Return the bytes of `after` as a share; torch's linear layers, which hide theirs, count a byte a weight."""
    linears = [part for part in before.modules() if isinstance(part, nn.Linear)]
    packed = any(hasattr(part, "_packed_params") for part in after.modules())
    held = bytes_of(before) - 3 * sum(one.weight.numel() for one in linears) if packed else bytes_of(after)
    return held / bytes_of(before)


@torch.no_grad()
def moved(model):
    """Return the same function with hidden, inner and value columns in another order."""
    model, generator = copy.deepcopy(model), torch.Generator().manual_seed(0)
    config = model.config
    hidden, inner, value = (torch.randperm(n, generator=generator)
                            for n in (config.d_model, config.feed_forward_width, config.d_head))  # fmt: skip
    values = (torch.arange(config.kv_heads)[:, None] * config.d_head + value).flatten()
    heads = (torch.arange(config.n_heads)[:, None] * config.d_head + value).flatten()
    order(model.token_embedding, columns=hidden)
    order(model.final_norm, columns=hidden)
    for block in model.blocks:
        attention, feed_forward = block.attention, block.feed_forward
        for part in (block.attention_norm, attention.query, attention.key, attention.value, block.feed_forward_norm):
            order(part, columns=hidden)
        order(attention.value, rows=values)
        order(attention.output, rows=hidden, columns=heads)
        for part in (feed_forward.gate, feed_forward.up):
            order(part, rows=inner, columns=hidden)
        order(feed_forward.down, rows=hidden, columns=inner)
    return model


def order(part, rows=None, columns=None):
    weight = part.weight
    weight.copy_((weight if rows is None else weight[rows])[..., slice(None) if columns is None else columns].clone())
