"""Training an encoder–decoder: ours and torch.nn.Transformer in the same loop, on the same pairs of Multi30k.

Three layers and three, 256 wide, pre-norm, dropout 0.15 in all its places, learned positions, three vocabulary matrices
of 6,000: the same model twice, with the same number of parameters. The loop is ours: the same batches of pairs of
similar length, the same optimizer. torch's makes logits at every position, as its users do, and leaves padding out of
the loss; ours makes them where there is a token. A third contender is what the recipe multi30k-en-de trains, and a
fourth torch's on batches as they come, with as many pairs. Tokens are those of both sides, without padding.
"""

import os
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import alternate
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.configs.training import ComputeConfig
from groundup.data.pairs import load_pairs
from groundup.data.token_batches import TokenBatches
from groundup.models.seq2seq import Seq2Seq
from groundup.proofs.torch_seq2seq import TorchSeq2Seq
from groundup.recipes import recipe
from groundup.tasks.translation import Translation
from groundup.training.compute import cpu_threads, settle
from groundup.training.step import Stepper
from groundup.training.translation import build_translator, make_tokenizer

CPU = torch.device("cpu")
ROUNDS, STEPS, WARM = 7, 10, 3


class TorchTranslation:
    """The task, as it is learned with torch's modules."""

    def __init__(self, task, smoothing):
        self.task, self.smoothing = task, smoothing
        self.train_batch, self.n_targets, self.n_tokens = task.train_batch, task.n_targets, task.n_tokens

    def loss(self, model, batch):
        """Return the loss at every position of the rectangle, those of padding ignored."""
        labels = torch.full((batch.inputs.numel(),), -100)
        labels[batch.places] = batch.targets
        is_source = batch.source_is_token
        if is_source is None:
            is_source = torch.ones_like(batch.source, dtype=torch.bool)
        logits = model(batch.source, batch.inputs, is_source, (labels != -100).view(batch.inputs.shape))
        return F.cross_entropy(logits.flatten(0, 1), labels, reduction="sum", label_smoothing=self.smoothing)


def torch_model(config):
    model = TorchSeq2Seq(config)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = config.dropout
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = config.dropout
    return model


def prepared(tiny):
    """Return the recipe's config, its pairs and its tokenizer."""
    config = recipe("reverse" if tiny else "multi30k-en-de")
    if tiny:
        config = replace(config, data=replace(config.data, max_pairs=200, batch_tokens=256))
    splits = load_pairs(config.data)
    sides = splits.train.source + splits.train.target
    return config, splits, make_tokenizer(config.data, sides)


def turns(model, task, training, n_steps, *, settled):
    """Return what takes `n_steps` steps, the next ones each time, and what counts their tokens."""
    training = replace(training, compute=ComputeConfig(linear="auto" if settled else "default"))
    training = settle(training, model, task, device=CPU)
    stepper, done, tokens = Stepper(model.train(), task, training, CPU), [0], []

    def turn():
        with cpu_threads(training.compute.threads):
            tokens.append(0)
            for _ in range(n_steps):
                found = stepper.gradient(done[0])
                found.loss.item()
                stepper.update(done[0])
                done[0] += 1
                tokens[-1] += found.n_tokens

    return turn, tokens, training.compute


def run(tiny):
    config, splits, tokenizer = prepared(tiny)
    n_steps, rounds = (1, 2) if tiny else (STEPS, ROUNDS)
    width = tokenizer.vocab_size
    same = Seq2SeqConfig(**{**vars(config.model), "position": "learned", "share_embeddings": "none",
                            "source_vocab_size": width, "target_vocab_size": width, "dropout": 0.15})  # fmt: skip
    translator = build_translator(config.model, tokenizer, tokenizer, seed=0)
    given = {"train": splits.train, "validation": splits.validation, "max_tokens": config.model.context_length,
             "batch_tokens": config.data.batch_tokens, "label_smoothing": config.label_smoothing,
             "training": config.training, "translator": translator}  # fmt: skip
    task, as_they_come = Translation(**given), Translation(**given)
    n_pairs = round(len(task.train.source) / task.batches.n_batches(0))
    as_they_come.batches = TokenBatches(task.train.lengths, most_pairs=n_pairs, budget=None, seed=0, pool=1)
    torch.manual_seed(0)
    made = {
        "groundup": turns(Seq2Seq(same), task, config.training, n_steps, settled=True),
        "groundup, the recipe's model": turns(translator.model, task, config.training, n_steps, settled=True),
        "torch.nn.Transformer": turns(
            torch_model(same), TorchTranslation(task, config.label_smoothing), config.training, n_steps, settled=False
        ),
        "torch.nn.Transformer, batches as they come": turns(
            torch_model(same), TorchTranslation(as_they_come, config.label_smoothing), config.training, n_steps,
            settled=False,
        ),
    }  # fmt: skip
    for turn, tokens, _ in made.values():
        for _ in range(1 if tiny else WARM):
            turn()
        tokens.clear()
    times = alternate({who: turn for who, (turn, _, _) in made.items()}, rounds)
    rates = {who: [n / s for n, s in zip(made[who][1], taken.wall, strict=True)] for who, taken in times.items()}
    rows = [row(who, rates[who], rates["torch.nn.Transformer"], made[who][2], times[who]) for who in made]
    what = (
        f"{config.data.corpus}: {n_steps} steps a turn, {rounds} rounds, {os.cpu_count()} cores; ratios are taken "
        "round by round, and the median is given."
    )
    return {"what": what, "rows": rows}


def row(who, rates, theirs, compute, taken):
    """Return one line of the table."""
    ratios = sorted(mine / other for mine, other in zip(rates, theirs, strict=True))
    return {
        "who": who,
        "tokens/s": f"{sorted(rates)[len(rates) // 2]:,.0f}",
        "/ torch.nn.Transformer": f"{ratios[len(ratios) // 2]:.2f}",
        "lowest – highest": f"{ratios[0]:.2f} – {ratios[-1]:.2f}",
        "linears": compute.linear,
        "threads": compute.threads,
        **taken.columns(),
    }
