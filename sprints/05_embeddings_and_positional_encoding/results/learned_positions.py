"""Shows learned positions: what training makes of a table of them, and which of its rows nobody has taught.

A place can have a vector as a word has one: a row of a table, random at first, learned with everything else (Gehring et
al. 2017; GPT-2, BERT). Nothing is prescribed, so the table becomes what the text asks for; that is its weakness too. A
row learns only from texts that are long enough to reach it, no row knows anything of its neighbours, and a place beyond
the table has no row at all. Here a small GPT with 64 rows reads texts of 48 characters: the last 16 rows stay random.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup.configs import DataConfig, GPTConfig, RunConfig, ScheduleConfig, TrainConfig
from groundup.configs.model import GPT2_PRESETS
from groundup.errors import InputError
from groundup.evaluation.sentence_embeddings import cosine_similarity
from groundup.interpret.positions import loss_by_position, similarity_by_distance
from groundup.layers.positions import sinusoidal_table
from groundup.models.gpt import GPT
from groundup.training.preparation import build_model, build_task, prepare_data
from groundup.training.run_folder import Run
from groundup.training.step import Stepper

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
C, T, D, STEPS = 64, 48, 64, 500
SHORT = GPTConfig(context_length=T, d_model=D, n_layers=2, n_heads=4, position="learned")
DATA = DataConfig(corpus="tales", tokenizer="characters", max_bytes=1_000_000)
SCHEDULE = ScheduleConfig(warmup_steps=20, final_fraction=0.05)
TRAINING = TrainConfig(steps=STEPS, batch_size=16, learning_rate=6e-3, schedule=SCHEDULE)


def main(out: Path = OUT) -> None:
    print("Learned positions      rows x width   parameters   share of the model")
    for gpt2, config in GPT2_PRESETS.items():
        with torch.device("meta"):  # shapes only, no memory
            share = (n := config.context_length * config.d_model) / GPT(config).n_parameters()
        print(f"  {gpt2:<20}{f'{config.context_length:,} x {config.d_model:,}':>13}{n:>13,}{share:>20.2%}")

    config = RunConfig(data=DATA, model=SHORT, training=TRAINING)
    with tempfile.TemporaryDirectory() as place:
        prepared = prepare_data(Run.create(Path(place) / "run", config), config.data)
        model = build_model(replace(SHORT, context_length=C), prepared.tokenizer, seed=0)
        table = model.position_embedding.weight.detach()  # [C, D], and the parameter itself
        tables = {"before": table.clone(), "after": table}
        stepper = Stepper(model, build_task(config, prepared), TRAINING, torch.device("cpu"))
        for step in range(STEPS):
            stepper.gradient(step)
            stepper.update(step)
        ids = torch.from_numpy(prepared.validation.ids[: 200 * (C + 1)].astype("int64")).view(-1, C + 1)
    moved = (table - tables["before"]).norm(dim=-1)  # [C]
    print(f"\nA table of {C} rows after {STEPS} steps on texts of {T} characters: how far rows have moved")
    print(f"  rows 0 … {T - 1}    {moved[:T].min():.3f} to {moved[:T].max():.3f}")
    print(f"  rows {T} … {C - 1}   {moved[T:].min():.3f} to {moved[T:].max():.3f}: no text reached them")
    by_distance = {f"{when} training": similarity_by_distance(one[:T]) for when, one in tables.items()}
    by_distance["sinusoidal"] = similarity_by_distance(sinusoidal_table(D, T))
    shown = (1, 2, 4, 8, 16, 32)
    print("\nHow alike (cosine) at distance" + "".join(f"{k:>7}" for k in shown))
    for name, curve in by_distance.items():
        print(f"  {name:<28}" + "".join(f"{curve[k]:>7.2f}" for k in shown))

    losses = loss_by_position(model, ids)  # [C]
    print(f"\nLoss at positions 16 … {T - 1}: {losses[16:T].mean():.2f}; at {T} … {C - 1}: {losses[T:].mean():.2f}")
    try:
        model(ids.new_zeros(1, C + 1))
    except InputError as error:
        print(f"A text of {C + 1}: {error}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 2, figsize=(11, 8.6))
    figure.suptitle(f"A learned table of {C} positions, trained on texts of {T}")
    for panel, (when, one) in zip(panels[0], tables.items(), strict=True):
        drawn = panel.imshow(cosine_similarity(one, one).numpy(), vmin=-1, vmax=1, cmap="PuOr")
        panel.set(title=f"How alike two positions are, {when} training", xlabel="position", ylabel="position")
        figure.colorbar(drawn, ax=panel, ticks=[-1, 0, 1])
    for name, curve in by_distance.items():
        panels[1, 0].plot(curve[: T - 8], linewidth=1.5, label=name)
    panels[1, 0].set(title="The same by distance", xlabel="distance", ylabel="cosine")
    panels[1, 0].legend()
    panels[1, 1].plot(losses, color="C1")
    panels[1, 1].axvline(T - 0.5, color="#888888", linestyle=":", linewidth=1.5)
    panels[1, 1].text(T - 1.5, losses.max(), "trained up to here", ha="right", va="top", fontsize=9, color="#555555")
    panels[1, 1].set(title="Loss of the character after each position", xlabel="position", ylabel="nats")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "learned_positions.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
