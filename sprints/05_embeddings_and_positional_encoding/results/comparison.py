"""Shows four ways to tell a GPT the order of its text, trained on 64 characters and asked for 256.

Sinusoidal: a fixed vector for each place is added to the word's. Learned: so is one of a table, learned. Rotary: in
each layer, queries and keys are turned by their places, so that what two of them have in common depends on how far
apart they are. None: only that a GPT never looks ahead, and that tells it something: the first place sees one
character, the tenth sees ten. One model is trained with each, on the same texts of 64 characters; then it reads 256.
Beyond 64 all is new: places never met, distances never looked across. In the second picture attention reaches only 64
characters back. Who goes on well there had trouble with the distances; who does not, with the places.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.configs import DataConfig, GPTConfig, RunConfig, ScheduleConfig, TrainConfig
from groundup.interpret.positions import loss_by_position
from groundup.models.gpt import GPT
from groundup.training.preparation import build_task, prepare_data
from groundup.training.run_folder import Run
from groundup.training.step import Stepper

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
WAYS = ("sinusoidal", "learned", "rotary", "none")
T, LONG, STEPS, TEXTS = 64, 256, 1_200, 160
SCHEDULE = ScheduleConfig(warmup_steps=30, final_fraction=0.05)
DATA = DataConfig(corpus="tales", tokenizer="characters", max_bytes=1_000_000)
TRAINING = TrainConfig(steps=STEPS, batch_size=12, learning_rate=6e-3, schedule=SCHEDULE)
PARTS = {"1-64": slice(0, 64), "65-128": slice(64, 128), "129-256": slice(128, 256)}


def build(way: str, V: int, length: int) -> GPT:
    torch.manual_seed(0)
    position = "learned" if way == "none" else way
    model = GPT(GPTConfig(vocab_size=V, context_length=length, d_model=64, n_layers=2, n_heads=4, position=position))
    if way == "none":
        model.position_embedding = None
    return model


def plot(found: dict[str, tuple[Tensor, Tensor]], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True)
    figure.suptitle(f"Trained on {T} characters, asked for {LONG}")
    titles = ("Attention reaches all that came before", f"Attention reaches {T} characters back")
    for k, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        for way, losses in found.items():
            panel.plot(range(3, LONG - 1), losses[k].unfold(0, 5, 1).mean(-1), linewidth=1.5, label=way)
        panel.axvline(T, color="#888888", linestyle=":", linewidth=1.5, zorder=0)
        panel.set(title=title, xlabel="position (mean of five)", xticks=range(0, LONG + 1, 64))
    panels[0].set(ylabel="loss, nats per character")
    panels[0].legend()
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    config = RunConfig(data=DATA, model=GPTConfig(context_length=T), training=TRAINING)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    print(f"Tales, {STEPS:,} steps of {TRAINING.batch_size} x {T} characters; loss in nats, at positions")
    print(f"{'parameters':>24}   {'attention reaches all':<27}{T} characters back")
    print(f"{'for order':>24}" + 2 * "".join(f"{part:>9}" for part in PARTS))
    with tempfile.TemporaryDirectory() as place:
        prepared = prepare_data(Run.create(Path(place) / "run", config), config.data)
        texts = torch.from_numpy(prepared.validation.ids[: TEXTS * (LONG + 1)].astype("int64")).view(-1, LONG + 1)
        for way in WAYS:
            model = build(way, prepared.tokenizer.vocab_size, T)
            stepper = Stepper(model, build_task(config, prepared), TRAINING, torch.device("cpu"))
            for step in range(STEPS):
                stepper.gradient(step)
                stepper.update(step)
            n = 0 if model.position_embedding is None else sum(p.numel() for p in model.position_embedding.parameters())
            longer, weights = build(way, model.vocab_size, LONG), model.state_dict()
            try:
                longer.load_state_dict(weights)
            except RuntimeError as error:  # the learned table
                refused = str(error).splitlines()[-1].strip()
                table = weights.pop("position_embedding.weight")
                longer.load_state_dict(weights, strict=False)
                longer.position_embedding.weight.data[:T] = table  # the other rows are as before any training
            found[way] = loss_by_position(longer, texts), loss_by_position(longer, texts, reach=T)
            print(f"{way:<12}{n:>12,}", end="")
            print("".join(f"{losses[part].mean():>9.3f}" for losses in found[way] for part in PARTS.values()))
    print(f"\nWeights trained at {T} into a model of {LONG}: all fit but the learned table.\n  {refused}")
    print(f"Its rows {T} … {LONG - 1} are here as before any training; nobody has taught them.")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "comparison.png"
    plot(found, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
