"""Shows why LoRA works: how much of what full fine-tuning adds to the weights its first ranks hold."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetune_runs import TextConfig
from groundup.configs.finetuning import LoRAConfig, TuningConfig
from groundup.configs.run import DataConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.data.labelled_corpora import moods
from groundup.data.tokens import open_tokens
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.finetuning.launch import finetune
from groundup.finetuning.lora import linear_layers
from groundup.finetuning.tuned import open_writer
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start

OUT = Path("runs/sprints/13_lora")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
PRETRAINED, STEPS, RATES = 300, 80, {"full": 2e-3, "lora": 5e-3}
SHOWN, RANK, RANKS = "blocks.1.attention.value", 4, (0, 1, 2, 4, 8, 16, 32, 64)


def pretrain(folder: Path) -> str:
    """Train a small GPT on tales, and return its folder as the name of a model."""
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    training = replace(config.training, steps=PRETRAINED, batch_size=8, schedule=schedule, **CPU)
    data, model = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=64, context_length=128)
    start(replace(config, data=data, model=model, training=training), folder, console=Console(quiet=True))
    return str(folder)


def main(out: Path = OUT) -> None:
    rows = moods(2_000)
    sad = [text for text, mood in zip(rows.texts, rows.labels, strict=True) if mood == "sad"]
    updates, losses, kept = {}, {}, {}
    with tempfile.TemporaryDirectory() as place:
        name, corpus = pretrain(Path(place) / "tales"), Path(place) / "sad tales"
        corpus.mkdir()
        for n, tale in enumerate(sad):  # a file a tale: documents do not see each other
            (corpus / f"{n:04}.txt").write_text(tale, encoding="utf-8")
        base, data = open_model(name), DataConfig(corpus=str(corpus))
        reading = {"context_length": 128, "byte_lengths": byte_lengths_of(base.tokenizer)}
        before = {path: layer.weight.detach().clone() for path, layer in linear_layers(base.model).items()}
        for method, rate in RATES.items():
            training = replace(finetune_training(method, steps=STEPS, batch_size=8), learning_rate=rate, **CPU)
            tuning = TuningConfig(method=method, lora=LoRAConfig(rank=RANK, targets=("all",)))
            config = TextConfig(base=name, data=data, context_length=128, tuning=tuning, training=training)
            finetune(config, Path(place) / method, open_base=open_model, console=Console(quiet=True))
            tuned = open_writer(Path(place) / method, open_base=open_model)
            unseen = open_tokens(Path(place) / method / "tokens", "validation").ids[:]
            losses[method] = evaluate_tokens(tuned.model, unseen, **reading, end_id=base.tokenizer.end_id).loss
            after = linear_layers(tuned.model)
            updates[method] = {path: after[path].weight.detach() - W for path, W in before.items()}
    full = updates["full"][SHOWN]
    kinds = {"W": before[SHOWN], "W' - W, full": full, "W' - W, LoRA": updates["lora"][SHOWN]}
    kinds["noise of its size"] = torch.randn(full.shape, generator=torch.Generator().manual_seed(0)) * full.std()
    spectra = {kind: torch.linalg.svdvals(matrix) for kind, matrix in kinds.items()}
    print(f"{SHOWN}, {list(full.shape)}: singular values 1 to 5, 8, 16 and 32; share of the squares in 1 to {RANK}")
    for kind, sizes in spectra.items():
        shown = "".join(f"{sizes[k]:>8.3f}" for k in (0, 1, 2, 3, 4, 7, 15, 31))
        print(f"  {kind:<17}{shown}{(sizes[:RANK].norm() / sizes.norm()) ** 2:>8.0%}")
    layers = linear_layers(base.model)
    for rank in RANKS:
        for path, W in before.items():
            U, sizes, Vh = torch.linalg.svd(updates["full"][path], full_matrices=False)
            layers[path].weight.data = W + (U[:, :rank] * sizes[:rank]) @ Vh[:rank]  # the nearest of this rank
        kept[rank] = evaluate_tokens(base.model, unseen, **reading, end_id=base.tokenizer.end_id).loss
    print("\nLoss on unseen sad tales, with the first ranks of every layer's full update:")
    print("  ranks " + "".join(f"{rank:>7}" for rank in RANKS))
    print("  loss  " + "".join(f"{loss:>7.3f}" for loss in kept.values()))
    print(f"With tables and norms, too: {losses['full']:.3f}. LoRA of rank {RANK}: {losses['lora']:.3f}.")
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4))
    for (kind, sizes), style in zip(spectra.items(), (":", "-", "-", "--"), strict=True):
        left.plot(range(1, len(sizes) + 1), sizes / sizes[0], style, label=kind)
    left.set(title=f"Singular values of {SHOWN}; the first is 1", xlabel="number", ylim=(0, 1.05))
    left.legend()
    right.plot(range(len(RANKS)), list(kept.values()), "o-", color="C1", label="first ranks of the full update")
    right.plot(RANKS.index(RANK), losses["lora"], "s", color="C2", markersize=8, label=f"LoRA of rank {RANK}")
    right.set(title="Loss on unseen sad tales; with 0 ranks, the base", xlabel="ranks kept", ylabel="nats per token")
    right.set_xticks(range(len(RANKS)), RANKS)
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(path := out / "theory.png")
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
