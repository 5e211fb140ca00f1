"""TinyShakespeare by characters: nanoGPT's small CPU setting, and our recipe that reaches its loss soonest.

NANOGPT names the folder that holds nanoGPT's model.py. Both train on this machine's processor with the same number of
threads, in slices that take turns; both losses are those of `evaluate_tokens` on the whole validation text.
"""

import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.recipes import recipe
from groundup.training.preparation import build_model, build_task, prepare_data
from groundup.training.run_folder import Run
from groundup.training.step import Stepper

RECIPE = "shakespeare-char-fast"
GOAL = 1.88  # what nanoGPT's README gives for this setting
SLICES = 10


def theirs(folder, prepared, seed, n_steps):
    """Train as nanoGPT's train.py does: its README's setting for a CPU, in eager float32; yield after each slice."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from model import GPT, GPTConfig

    torch.manual_seed(seed)
    model = GPT(GPTConfig(block_size=64, vocab_size=prepared.tokenizer.vocab_size, n_layer=4, n_head=4, n_embd=128,
                          dropout=0.0, bias=False))  # fmt: skip
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    ids = torch.from_numpy(prepared.train.ids[:].astype("int64"))
    yield model
    for step in range(n_steps):
        warm, progress = (step + 1) / 101, (step - 100) / (n_steps - 100)
        rate = 1e-3 * warm if step < 100 else 1e-4 + 9e-4 * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(ids) - 64, (12,))
        inputs, targets = (torch.stack([ids[i + shift : i + shift + 64] for i in starts]) for shift in (0, 1))
        _, loss = model(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % math.ceil(n_steps / SLICES) == 0:
            yield model


def ours(config, prepared):
    """Train the recipe; yield after each slice."""
    training = config.training
    model = build_model(config.model, prepared.tokenizer, seed=training.seed)
    stepper = Stepper(model, build_task(config, prepared), training, torch.device("cpu"))
    yield model
    for step in range(training.steps):
        stepper.gradient(step)
        stepper.update(step)
        if (step + 1) % math.ceil(training.steps / SLICES) == 0:
            yield model


def in_turns(runs):
    """Run each a slice at a time; return their models and the seconds of each."""
    models, seconds = [next(run) for run in runs], [0.0] * len(runs)
    going = set(range(len(runs)))
    while going:
        for i in sorted(going):
            start = time.perf_counter()
            if next(runs[i], None) is None:
                going.discard(i)
            seconds[i] += time.perf_counter() - start
    return models, seconds


class Theirs(nn.Module):
    """nanoGPT's model with the two methods that `evaluate_tokens` calls."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def hidden_states(self, tokens, mask=None):
        parts = self.model.transformer
        x = parts.wte(tokens) + parts.wpe(torch.arange(tokens.shape[1]))
        for block in parts.h:
            x = block(x)
        return parts.ln_f(x)

    def project(self, hidden):
        return self.model.lm_head(hidden)


def run(tiny):
    folder = os.environ.get("NANOGPT")
    if not folder or not (Path(folder) / "model.py").exists():
        print("nanoGPT is left out: set NANOGPT to the folder with its model.py")
    has_peer = bool(folder) and (Path(folder) / "model.py").exists()
    config = recipe(RECIPE)
    repeats, their_steps = 3, 2_000
    if tiny:
        repeats, their_steps = 1, 20
        config = replace(config, training=replace(config.training, steps=10))
    if config.training.precision == "auto":  # what the measurement at the start of a run finds on a processor with it
        config = replace(config, training=replace(config.training, precision="bfloat16"))
    found = {"nanoGPT": [], "groundup": []}
    with tempfile.TemporaryDirectory() as place:
        prepared = prepare_data(Run.create(Path(place) / "run", config), config.data)
        for seed in range(repeats):
            mine = replace(config, training=replace(config.training, seed=seed))
            runs = {"groundup": ours(mine, prepared)}
            if has_peer:
                runs["nanoGPT"] = theirs(folder, prepared, seed, their_steps)
            models, seconds = in_turns(list(runs.values()))
            for name, model, taken in zip(runs, models, seconds, strict=True):
                length = 64 if name == "nanoGPT" else config.model.context_length
                scored = Theirs(model) if name == "nanoGPT" else model
                loss = evaluate_tokens(
                    scored, prepared.validation.ids, context_length=length, batch_size=64,
                    byte_lengths=byte_lengths_of(prepared.tokenizer), max_tokens=2_000 if tiny else None,
                ).loss  # fmt: skip
                found[name].append((taken, loss))
    steps = {"nanoGPT": their_steps, "groundup": config.training.steps}
    names = {"nanoGPT": "nanoGPT, eager float32", "groundup": RECIPE}
    peer = statistics.median(taken for taken, _ in found["nanoGPT"]) if has_peer else None
    rows = []
    for name, each in found.items():
        if each:
            seconds, losses = [taken for taken, _ in each], [loss for _, loss in each]
            ratio = "–" if peer is None else f"1 / {peer / statistics.median(seconds):.1f}"
            rows.append({"run": names[name], "steps": f"{steps[name]:,}", "median s": f"{statistics.median(seconds):.1f}",
                         "fastest – slowest s": f"{min(seconds):.1f} – {max(seconds):.1f}",
                         "validation loss": ", ".join(f"{loss:.4f}" for loss in losses),
                         f"all ≤ {GOAL}": "yes" if max(losses) <= GOAL else "no", "time / nanoGPT": ratio})  # fmt: skip
    what = (f"Seconds of training (without evaluation) and loss on the whole validation text, {repeats} seeds each in "
            f"turn, {torch.get_num_threads()} thread(s).")  # fmt: skip
    return {"what": what, "rows": rows}
