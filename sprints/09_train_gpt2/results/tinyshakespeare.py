"""Shows TinyShakespeare found and checked, split by position, and cut into characters, BPE and GPT-2 tokens."""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from groundup.configs.run import DataConfig
from groundup.data.corpora import CORPORA, SEPARATOR, find_corpus
from groundup.data.tokens import open_tokens, prepare_tokens
from groundup.errors import InputError
from groundup.tokenization.base import END_OF_TEXT, Tokenizer
from groundup.tokenization.pretrained import find_gpt2_files
from groundup.training.preparation import make_tokenizer

OUT = Path("runs/sprints/09_train_gpt2")
SHOWN = 44  # characters in the picture


def draw_tokens(panel: Axes, tokenizer: Tokenizer, text: str, row: int, colour: str) -> None:
    """Write `text` into one row, a box around each token."""
    left = 0
    for i, token in enumerate(tokenizer.encode(text)):
        letters = tokenizer.token_bytes(token).decode().replace("\n", "¶")
        panel.barh(row, len(letters), 0.62, left, color=colour, alpha=(0.45, 0.2)[i % 2], edgecolor="white")
        for k, letter in enumerate(letters):
            panel.text(left + k + 0.5, row, letter, ha="center", va="center", family="monospace", fontsize=11)
        left += len(letters)


def unseparated(text: str) -> str:
    """Return a text without what stands between documents."""
    return text.replace(END_OF_TEXT, "").replace(SEPARATOR, "")


def main(out: Path = OUT) -> None:
    name, info = "shakespeare", CORPORA["shakespeare"]
    print(f"{info.description}; {info.licence}\nfrom {info.source}\nSHA-256 {info.sha256}")
    try:
        corpus = find_corpus(name)  # here already, or downloaded
    except InputError as error:  # neither: it says what to put where
        name = "tales"
        corpus = find_corpus(name, max_bytes=1_000_000)
        print(f"{error}\nGoing on with {name}.")
    text = "".join(corpus.text())
    print(f"{corpus.n_bytes:,} bytes, {len(text):,} characters, {len(set(text))} different ones\n")

    vocabularies = {"characters": 257, "bpe": 1_024} | ({"gpt2": 257} if find_gpt2_files() else {})
    tokenizers: dict[str, Tokenizer] = {}
    counts = {}
    print("tokenizer    vocabulary   train tokens   validation   bytes a token   dtype    never seen   text comes back")
    for kind, size in vocabularies.items():
        data = DataConfig(corpus=name, max_bytes=corpus.n_bytes, tokenizer=kind, bpe_vocab_size=size)
        tokenizer = tokenizers[kind] = make_tokenizer(data)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "tokens"
            prepare_tokens(corpus, tokenizer, folder, validation_fraction=data.validation_fraction)
            train, held_out = open_tokens(folder, "train"), open_tokens(folder, "validation")
            counts[kind] = np.bincount(train.ids, minlength=tokenizer.vocab_size)
            back = tokenizer.decode(train.ids.tolist()) + tokenizer.decode(held_out.ids.tolist())
            print(f"{kind:<11}{tokenizer.vocab_size:>12,}{train.n_tokens:>15,}{held_out.n_tokens:>13,}", end="")
            print(f"{train.n_bytes / train.n_tokens:>16.2f}   {train.ids.dtype!s:<9}", end="")
            print(f"{(counts[kind] == 0).mean():>10.0%}   {unseparated(back) == unseparated(text)}")
    share = held_out.n_bytes / (train.n_bytes + held_out.n_bytes)
    print(
        f"Validation is the last {share:.1%} of the text: it begins {tokenizer.decode(held_out.ids[:12].tolist())!r}."
    )

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9.5, 7), height_ratios=(2, 3))
    figure.suptitle(f"{corpus.name.capitalize()} in tokens")
    for row, (kind, tokenizer) in enumerate(tokenizers.items()):
        draw_tokens(top, tokenizer, text[:SHOWN], row, f"C{row}")
        ranked = np.sort(counts[kind])[::-1]
        bottom.plot(np.arange(1, len(ranked) + 1), np.where(ranked, ranked, np.nan), label=kind)
    top.set(title="How it begins: a box a token", xlim=(0, SHOWN), xticks=[])
    top.set_yticks(range(len(tokenizers)), tokenizers)
    top.invert_yaxis()
    top.spines[:].set_visible(False)
    top.tick_params(length=0)
    bottom.set(title="How often each token comes", xlabel="rank", ylabel="times in train", xscale="log", yscale="log")
    bottom.grid(axis="y")
    bottom.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tinyshakespeare.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
