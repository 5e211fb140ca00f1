"""Shows sinusoidal positions: their heat map and wavelengths, how alike two are, and the turn that leads from one on.

Attention compares words with words, whatever their places; without more, "the fox met the owl" and "the owl met the
fox" are the same to it. So each place gets a vector that is added to the word's. Those of Vaswani et al. (2017) work
like clocks: each pair of columns is a hand (its sine and cosine) that turns with the position, the first once in 6.3
positions, each next one slower, the last in tens of thousands. All hands together tell the place, as those of a clock
tell the time. Two things follow. How alike two places are depends on the distance between them only. And k places on,
each hand has turned by a fixed angle: one matrix leads from any place to the one k further, which a layer can learn.
The rotary positions of newer models turn queries and keys by that same matrix.
"""

import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup.evaluation.sentence_embeddings import cosine_similarity
from groundup.interpret.positions import similarity_by_distance
from groundup.layers.positions import RotaryPositions, SinusoidalPositions, position_angles

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
C, D, BASE = 256, 64, 10_000.0


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    module = SinusoidalPositions(D, C, dropout=0.1)
    table, x = module.table, torch.ones(8, C, D)
    both = module(x), module.eval()(x)
    n = sum(parameter.numel() for parameter in module.parameters())
    print(f"A module for {C} positions, {D} wide: {n} parameters, and a buffer that")
    print(f"  moves with the module: to meta, and it is on {SinusoidalPositions(D, C).to('meta').table.device}")
    print(f"  is not saved, for a formula gives it: state_dict holds {list(module.state_dict())}")
    print("It returns dropout(x + table), dropout 0.1; of all entries 0:")
    for name, y in zip(("train()", "eval()"), both, strict=True):
        kept = y != 0
        grown = (y[kept] / (x + table)[kept]).mean()
        print(f"  {name:<8}{(~kept).float().mean():>6.1%}   the others are multiplied by {grown:.3f}")
    print(f"Each vector has length √(D/2) = {math.sqrt(D / 2):.3f}: {table.norm(dim=-1).min():.3f}", end=" … ")
    print(f"{table.norm(dim=-1).max():.3f}")

    waves = 2 * math.pi / position_angles(D, 2, BASE, torch.float64)[1]  # [D/2], positions until a hand is round
    print("\nA hand is round after so many positions: " + ", ".join(f"{waves[i]:,.1f}" for i in (0, 1, 2, 16, 30, 31)))
    print("\nk positions on, by one matrix   entries not 0   largest difference   twice k in two steps, difference")
    turn, identity = RotaryPositions(D, C, pairing="interleaved"), torch.eye(D)
    for k in (1, 5, 50):
        once, twice = (turn(1, steps)(identity[None, None])[0, 0].T for steps in (k, 2 * k))  # [D, D], as of queries
        apart = (table[k:] - table[:-k] @ once).abs().max()  # of all positions
        print(f"{k:>5}{(once != 0).float().mean():>37.1%}{apart:>21.0e}{(once @ once - twice).abs().max():>37.0e}")

    alike, by_distance = cosine_similarity(table, table), similarity_by_distance(table)
    spread = max((alike.diagonal(k) - by_distance[k]).abs().max() for k in range(C))
    formula = position_angles(D, C, BASE).cos().mean(-1)
    print("\nHow alike (cosine) at distance: " + ", ".join(f"{k}: {by_distance[k]:.2f}" for k in (1, 2, 5, 20, 100)))
    print(f"All pairs at one distance are equally alike, to {spread:.0e}; it is the mean of cos(distance · frequency)")
    print(f"over the hands, to {(by_distance - formula).abs().max():.0e}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, ((heat, hands), (map_of, curve)) = plt.subplots(2, 2, figsize=(11.5, 8.4))
    figure.suptitle(f"Sinusoidal positions, {D} wide")
    sorted_entries = SinusoidalPositions(D, C, pairing="halves").table[:128].T  # sines, then cosines: as Marian has it
    drawn = heat.imshow(sorted_entries.numpy(), aspect="auto", cmap="PuOr", vmin=-1, vmax=1)
    heat.set(title="The vector of each position, from top to bottom", xlabel="position")
    heat.set_yticks((D / 4, 3 * D / 4), ("sines", "cosines"), rotation=90, va="center")
    heat.axhline(D / 2 - 0.5, color="white", linewidth=2)
    figure.colorbar(drawn, ax=heat, ticks=[-1, 0, 1])
    for i in (0, 6, 12, 18):
        hands.plot(table[:128, 2 * i], linewidth=1.5, label=f"round in {waves[i]:,.0f}")
    hands.set(title="Four sines, round in so many positions", xlabel="position", ylim=(-1.1, 1.7), yticks=(-1, 0, 1))
    hands.legend(loc="upper center", ncols=4, columnspacing=1.2, handlelength=1.2)
    drawn = map_of.imshow(alike[:128, :128].numpy(), vmin=0, vmax=1)
    map_of.set(title="How alike two positions are (cosine)", xlabel="position", ylabel="position")
    figure.colorbar(drawn, ax=map_of)
    for base in (100.0, BASE, 1_000_000.0):
        of_base = similarity_by_distance(SinusoidalPositions(D, C, base=base).table)
        curve.plot(of_base[:200], linewidth=1.5, label=f"base {base:,.0f}")
    curve.set(title="The same by distance, for three bases", xlabel="distance", ylabel="cosine", ylim=(-0.32, 1.02))
    curve.axhline(0, color="#BBBBBB", linewidth=1, zorder=0)
    curve.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "sinusoidal_positions.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
