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
from groundup.training.compute import settle
from groundup.training.preparation import build_model, build_task, prepare_data
from groundup.training.run_folder import Run
from groundup.training.step import Stepper

RECIPE = "shakespeare-char-fast"
PEER = "nanoGPT, eager float32"
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
        """Return what the output projection gets: [B, T] -> [B, T, D]."""
        parts = self.model.transformer
        x = parts.wte(tokens) + parts.wpe(torch.arange(tokens.shape[1]))
        for block in parts.h:
            x = block(x)
        return parts.ln_f(x)

    def project(self, hidden):
        """Return the logits."""
        return self.model.lm_head(hidden)


def measured(config, prepared, folder, seed, their_steps, max_tokens):
    """Train both from one seed; return {name: (seconds, validation loss)}."""
    config = replace(config, training=replace(config.training, seed=seed))
    runs = {RECIPE: ours(config, prepared)}
    if folder is not None:
        runs[PEER] = theirs(folder, prepared, seed, their_steps)
    models, seconds = in_turns(list(runs.values()))
    found = {}
    for name, model, taken in zip(runs, models, seconds, strict=True):
        length = 64 if name == PEER else config.model.context_length
        scored = Theirs(model) if name == PEER else model
        spelled = byte_lengths_of(prepared.tokenizer)
        loss = evaluate_tokens(scored, prepared.validation.ids, context_length=length, byte_lengths=spelled,
                               max_tokens=max_tokens, batch_size=256).loss  # fmt: skip
        found[name] = (taken, loss)
    return found


def run(tiny):
    folder = os.environ.get("NANOGPT")
    if folder is None or not (Path(folder) / "model.py").exists():
        print("nanoGPT is left out: set NANOGPT to the folder with its model.py")
        folder = None
    config = recipe(RECIPE)
    repeats, their_steps, max_tokens = (1, 20, 2_000) if tiny else (3, 2_000, None)
    steps = 10 if tiny else config.training.steps
    config = replace(config, training=replace(config.training, steps=steps))
    with tempfile.TemporaryDirectory() as place:
        prepared = prepare_data(Run.create(Path(place) / "run", config), config.data)
        model, task = build_model(config.model, prepared.tokenizer, seed=0), build_task(config, prepared)
        config = replace(
            config, training=settle(config.training, model, task, device=torch.device("cpu"), report=print)
        )
        found = [measured(config, prepared, folder, seed, their_steps, max_tokens) for seed in range(repeats)]
    rows = []
    for name in found[0]:
        seconds, losses = [each[name][0] for each in found], [each[name][1] for each in found]
        median = statistics.median(seconds)
        peer = statistics.median(each[PEER][0] for each in found) if folder else None
        rows.append({"run": name, "steps": f"{their_steps if name == PEER else steps:,}", "median s": f"{median:.1f}",
                     "fastest – slowest s": f"{min(seconds):.1f} – {max(seconds):.1f}",
                     "validation loss, each seed": ", ".join(f"{loss:.4f}" for loss in losses),
                     f"all ≤ {GOAL}": "yes" if max(losses) <= GOAL else "no",
                     "time / nanoGPT": "–" if peer is None else f"1 / {peer / median:.1f}"})  # fmt: skip
    how = f"{torch.get_num_threads()} thread(s), ours in {config.training.precision}"
    what = (f"Seconds of training, evaluation left out, and loss on the whole validation text; {repeats} seeds, both "
            f"in turns of a tenth; {how}.")  # fmt: skip
    return {"what": what, "rows": rows}
