"""Training steps: ours, transformers' GPT-2 and nanoGPT's model.py, eager in float32, and compiled in bfloat16.

On a processor without bfloat16 what is compiled computes in float32.

NANOGPT names the folder that holds nanoGPT's model.py. A step is forward, backward, clipping and AdamW. nanoGPT takes
its own configure_optimizers (not fused on a CPU) and, compiled, autocast to bfloat16, which its train.py keeps for
GPUs; transformers takes torch's fused AdamW, as its Trainer does. Ours is what `groundup train` runs: the stepper, with
the precision, threads and matrix kernels that `compute.settle` measures and chooses.
"""

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks import alternate, has_bfloat16
from groundup.configs.model import GPTConfig
from groundup.configs.training import ComputeConfig, TrainConfig
from groundup.data.tokens import TokenFile
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import LanguageModeling
from groundup.training.compute import cpu_threads, settle
from groundup.training.step import Stepper

CPU = torch.device("cpu")
ROUNDS = 5
FAST = "bfloat16" if has_bfloat16() else "float32"
SIZES = {  # vocabulary, context, batch, layers, width, heads, steps a turn
    "baby": (65, 64, 12, 4, 128, 4, 10),
    "char": (65, 256, 16, 6, 384, 6, 1),
    "gpt2-124M": (50_257, 256, 2, 12, 768, 12, 1),
}


class Numbers:
    """A tokenizer that spells nothing: the tokens of this benchmark are random."""

    end_id, special_tokens = None, {}

    def __init__(self, vocab_size):
        self.vocab_size = vocab_size

    def encode(self, text, *, allow_special=False):
        """Return one id for any text."""
        return [0]

    def token_bytes(self, token):
        """Return one byte for any id."""
        return b"x"


def token_file(vocab_size, n_tokens):
    ids = np.random.default_rng(0).integers(0, vocab_size, n_tokens, dtype=np.uint16)
    return TokenFile(path=Path(), ids=ids, n_tokens=n_tokens, n_bytes=n_tokens, vocab_size=vocab_size, tokenizer="",
                     sha256="")  # fmt: skip


def ours(size, *, settled, compiled=False):
    vocab, context, batch, layers, width, heads, steps = size
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=vocab, context_length=context, n_layers=layers, d_model=width, n_heads=heads))
    config = TrainConfig(batch_size=batch, precision="auto" if settled else "float32",
                         compute=ComputeConfig(linear="auto" if settled else "default"))  # fmt: skip
    task = LanguageModeling(train=token_file(vocab, 40 * batch * context), validation=token_file(vocab, 100),
                            tokenizer=Numbers(vocab), context_length=context, training=config)  # fmt: skip
    if settled:
        config = settle(config, model, task, device=CPU)
    config = replace(config, compute=replace(config.compute, compile=compiled))
    stepper, done = Stepper(model.train(), task, config, CPU), [0]

    def turn():
        with cpu_threads(config.compute.threads):
            for _ in range(steps):
                found = stepper.gradient(done[0])
                found.loss.item()
                stepper.update(done[0])
                done[0] += 1
            stepper.optimizer.zero_grad(set_to_none=True)

    kernels = "" if config.compute.linear == "default" else ", oneDNN linears"
    return f"groundup{' settled:' if settled else ''} {config.precision}{kernels}{', compile' * compiled}", turn


def peer(model, loss_of, optimizer, size, *, fast):
    vocab, context, batch, _, _, _, steps = size
    run = torch.compile(loss_of) if fast else loss_of
    ids = torch.from_numpy(token_file(vocab, 40 * batch * context).ids.astype(np.int64))
    generator = torch.Generator().manual_seed(0)

    def turn():
        for _ in range(steps):
            starts = torch.randint(len(ids) - context, (batch,), generator=generator)
            x, y = (torch.stack([ids[i + shift : i + shift + context] for i in starts]) for shift in (0, 1))
            with torch.autocast("cpu", torch.bfloat16) if fast and FAST == "bfloat16" else nullcontext():
                loss = run(x, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item()

    return turn


def transformers_turn(size, *, fast):
    vocab, context, _, layers, width, heads, _ = size
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=vocab, n_positions=context, n_layer=layers, n_embd=width,
                                       n_head=heads, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=None,
                                       eos_token_id=None, use_cache=False, attn_implementation="sdpa"))  # fmt: skip

    def loss_of(x, y):
        return F.cross_entropy(model(x).logits.float().flatten(0, 1), y.flatten())

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    return peer(model.train(), loss_of, optimizer, size, fast=fast)


def nanogpt_turn(folder, size, *, fast):
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import model as nano

    vocab, context, _, layers, width, heads, _ = size
    torch.manual_seed(0)
    model = nano.GPT(nano.GPTConfig(block_size=context, vocab_size=vocab, n_layer=layers, n_head=heads, n_embd=width,
                                    dropout=0.0, bias=True))  # fmt: skip
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu")
    return peer(model.train(), lambda x, y: model(x, y)[1], optimizer, size, fast=fast)


def contenders(size, folder, with_compile):
    found = dict([ours(size, settled=False), ours(size, settled=True)])
    found["transformers float32"] = transformers_turn(size, fast=False)
    if folder:
        found["nanoGPT float32"] = nanogpt_turn(folder, size, fast=False)
    if with_compile:
        found |= dict([ours(size, settled=True, compiled=True)])
        found[f"transformers {FAST}, compile"] = transformers_turn(size, fast=True)
        if folder:
            found[f"nanoGPT {FAST}, compile"] = nanogpt_turn(folder, size, fast=True)
    return found


def run(tiny):
    folder = os.environ.get("NANOGPT", "")
    if folder and not (Path(folder) / "model.py").is_file():
        raise SystemExit(f"expected NANOGPT to be a folder with nanoGPT's model.py, found {folder}")
    rows, rounds = [], 1 if tiny else ROUNDS
    sizes = {"tiny": (65, 16, 2, 1, 32, 2, 1)} if tiny else SIZES
    for label, size in sizes.items():
        runs = contenders(size, folder, with_compile=not tiny)
        alternate(runs, 2)  # compile, allocate; not counted
        times = alternate(runs, rounds)
        eager, fast = (times.get(f"nanoGPT {kind}") for kind in ("float32", f"{FAST}, compile"))
        tokens = size[1] * size[2] * size[6]
        for name, taken in times.items():
            rows.append({"size": label, "who": name, **taken.columns(), "tokens/s": f"{tokens / taken.median:,.0f}",
                         "x nanoGPT float32": ratio(eager, taken), f"x nanoGPT {FAST}, compile": ratio(fast, taken),
                         "x transformers float32": ratio(times["transformers float32"], taken)})  # fmt: skip
    absent = "" if folder else " Without nanoGPT: set NANOGPT to a folder with its model.py."
    what = (
        f"{torch.get_num_threads()} threads, dropout 0; {rounds} turns each, in turn, after two that are not counted; "
        f"a turn of baby is {SIZES['baby'][-1]} steps, else one.{absent}"
    )
    return {"what": what, "rows": rows}


def ratio(other, taken):
    return "-" if other is None else f"{other.median / taken.median:.2f}"
