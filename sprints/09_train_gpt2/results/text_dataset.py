"""Shows the dataset of input/target pairs: windows one token apart, each once an epoch, cut elsewhere in the next."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.data.corpora import find_corpus, preview
from groundup.data.windows import Windows
from groundup.errors import InputError
from groundup.tokenization.characters import CharacterTokenizer

OUT = Path("runs/sprints/09_train_gpt2")
T, B = 8, 4  # context, batch
N_DRAWN, N_EPOCHS = 120, 5  # tokens and epochs of the picture


def learned_at(windows: Windows, n_tokens: int, epoch: int) -> np.ndarray:
    """Return, for each token, at which window of an epoch it was a target; NaN where it was none."""
    when = np.full(n_tokens, np.nan)
    for i in range(windows.n_windows):
        inputs, _ = windows.batch(epoch * windows.n_windows + i, 1)  # the tokens are numbers 0, 1, 2, …
        when[inputs[0] + 1] = i
    return when


def main(out: Path = OUT) -> None:
    try:
        corpus = find_corpus("shakespeare")
    except InputError as error:  # not here and no network: it says what to put where
        print(f"{error}\nGoing on with tales.")
        corpus = find_corpus("tales")
    text = preview(corpus, 20_000)
    tokenizer = CharacterTokenizer.from_text([text])
    ids = np.array(tokenizer.encode(text))
    windows = Windows(ids, context_length=T, seed=1)
    inputs, targets = windows.batch(step=0, batch_size=B)  # [B, T] each
    print(f"{corpus.name}, {len(ids):,} characters, T = {T}, B = {B}: inputs {list(inputs.shape)}, targets the same")
    for x, y in zip(inputs, targets, strict=True):
        print(f"  {tokenizer.decode(x)!r:<14} -> {tokenizer.decode(y)!r}")
    print("The first window is", T, "predictions:")
    for t in range(T):
        print(f"  {tokenizer.decode(inputs[0, : t + 1])!r:<14} -> {tokenizer.decode(targets[0, t : t + 1])!r}")

    print(f"\nTargets are the inputs one token further: {np.array_equal(inputs[:, 1:], targets[:, :-1])}.", end=" ")
    print(f"{windows.n_windows:,} windows, {windows.steps_per_epoch(B):,} steps an epoch.")
    again = Windows(ids, context_length=T, seed=1).batch(step=12_345, batch_size=B)
    same = all(map(np.array_equal, again, windows.batch(step=12_345, batch_size=B)))
    print(f"Step 12,345 asked for at once, without the steps before it: equal {same}.", end=" ")
    other = Windows(ids, context_length=T, seed=2).batch(step=0, batch_size=B)[0]
    print(f"Another seed gives another batch: {not np.array_equal(other, inputs)}.")

    numbers = Windows(np.arange(len(ids)), context_length=T, seed=1)
    print("epoch   first target   targets   learned once   left out at the ends")
    for epoch in range(N_EPOCHS):
        taught = np.concatenate([numbers.batch(epoch * numbers.n_windows + i, 1)[1] for i in range(numbers.n_windows)])
        times = np.bincount(taught.flatten(), minlength=len(ids))
        print(f"{epoch:>5}{taught.min():>15}{taught.size:>10,}{(times == 1).sum():>15,}{(times == 0).sum():>23}")

    small = Windows(np.arange(N_DRAWN), context_length=T, seed=1)
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9.5, 6.4), height_ratios=(1, 1))
    figure.suptitle(f"Which window of an epoch teaches which token (context {T})")
    image = top.imshow(np.stack([learned_at(small, N_DRAWN, e) for e in range(N_EPOCHS)]), aspect="auto")
    top.set(title=f"A text of {N_DRAWN} tokens: the cuts move with every epoch", xlabel="token", ylabel="epoch")
    top.set_yticks(range(N_EPOCHS))
    top.spines[:].set_visible(False)
    figure.colorbar(image, ax=top, label="window of the epoch", pad=0.01)
    n_dealt = 3 * numbers.n_windows
    starts = numbers.batch(0, n_dealt)[0][:, 0]
    for epoch in range(3):
        part = slice(epoch * numbers.n_windows, (epoch + 1) * numbers.n_windows, 5)
        bottom.plot(np.arange(n_dealt)[part], starts[part], ".", markersize=2.5)
        middle = (epoch + 0.5) * numbers.n_windows
        bottom.text(middle, len(ids) * 1.07, f"epoch {epoch}", color=f"C{epoch}", ha="center", va="center")
    bottom.set(title=f"{len(ids):,} tokens: every epoch deals in another order", xlim=(0, n_dealt))
    bottom.set(xlabel="windows dealt", ylabel="begins at token", ylim=(0, len(ids) * 1.12))
    bottom.xaxis.set_major_formatter("{x:,.0f}")
    bottom.yaxis.set_major_formatter("{x:,.0f}")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "text_dataset.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
