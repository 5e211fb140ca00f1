"""Shows GPT-2 and SmolLM2 loaded: configuration, parameters, a PAD token, resized embeddings, a padded batch."""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

import groundup
from groundup.data.padding import pad_rows
from groundup.errors import InputError
from groundup.models.resize import resize_token_embeddings
from groundup.planning.parameters import count_parameters
from groundup.tokenization.added import with_special_tokens
from groundup.tokenization.pretrained import gpt2_tokenizer
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/10_pretrained_generation_demo")
PARTS = ("embeddings", "attention", "feed_forward", "norms")
TEXTS = ("The miller's daughter found a key", "Good night", "It was the silver key of the old mill.")


def save_gpt2(folder: Path) -> GPT2LMHeadModel:
    """Write what `openai-community/gpt2` on the hub is, but for the weights, which are random here."""
    torch.manual_seed(0)
    (theirs := GPT2LMHeadModel(GPT2Config()).eval()).save_pretrained(folder)
    gpt2_tokenizer().save(folder / "tokenizer.json")
    return theirs


@torch.inference_mode()
def main(out: Path = OUT) -> None:
    if installed_smollm2() is None:
        raise InputError("expected SmolLM2 on this machine, found none: make model installs it")
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as place:
        theirs = save_gpt2(Path(place))
        loaded = {"gpt2, random weights": groundup.load(place), "smollm2": groundup.load("smollm2")}
    counts = {}
    for name, (model, tokenizer) in loaded.items():
        config, counts[name] = model.config, count_parameters(model.config)
        print(f"{name}: {model.n_parameters():,} parameters")
        print(f"  {config.n_layers} layers, {config.d_model} wide, {config.n_heads} heads of {config.d_head},", end=" ")
        print(
            f"{config.kv_heads} of keys and values, {config.feed_forward_width} inside, context {config.context_length}"
        )
        print(f"  {config.position} positions, {config.norm} norm, {config.activation}, tied {config.tie_embeddings}")
        print("  " + ", ".join(f"{part} {getattr(counts[name], part):,}" for part in PARTS))
        print(f"  {tokenizer.vocab_size:,} ids, a text ends with {tokenizer.decode([tokenizer.end_id])!r}")

    model, tokenizer = loaded["gpt2, random weights"]
    ids = torch.tensor([tokenizer.encode(TEXTS[0])])
    print(f"\nLogits here and in transformers differ by at most {(model(ids) - theirs(ids).logits).abs().max():.0e}.")
    padding = with_special_tokens(tokenizer, ["<|pad|>"])
    pad_id = padding.special_tokens["<|pad|>"]
    wider = resize_token_embeddings(model, padding.vocab_size)
    print(f"<|pad|> is id {pad_id}: {model.n_parameters():,} parameters become {wider.n_parameters():,}", end="; ")
    print(f"the logits of all ids before it stay: {torch.equal(wider(ids)[..., :pad_id], model(ids))}.")
    print(f"Its row is the mean of all: {(wider(ids)[0, -1] > wider(ids)[0, -1, pad_id]).sum():,} ids are more likely.")

    rows = [padding.encode(text) for text in TEXTS]
    tokens, is_token = pad_rows(rows, pad_id)  # [B, T] both
    batch = wider(torch.from_numpy(tokens))  # [B, T, V]
    apart = max((wider(torch.tensor([a]))[0] - b[: len(a)]).abs().max() for a, b in zip(rows, batch, strict=True))
    print(f"A batch of {len(rows)} texts is {list(tokens.shape)}, {(~is_token).sum()} of it padding;", end=" ")
    print(f"next to it or alone, logits differ by at most {apart:.0e}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 5))
    for i, part in enumerate(PARTS[:-1]):  # norms are too few to be seen
        sizes = [getattr(count, part) / 1e6 for count in counts.values()]
        left = [sum(getattr(count, before) for before in PARTS[:i]) / 1e6 for count in counts.values()]
        bars = top.barh(list(counts), sizes, 0.6, left, label=part.replace("_", " "))
        top.bar_label(bars, fmt="%.1f", label_type="center", color="white")
    top.set(title="Where the parameters are", xlabel="million parameters")
    top.invert_yaxis()
    top.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 0.98))
    for (row, column), token in np.ndenumerate(tokens):
        bottom.barh(row, 0.96, 0.8, column, color=f"C{row}" if is_token[row, column] else "#BBBBBB", alpha=0.35)
        bottom.text(column + 0.48, row, padding.decode([int(token)]).replace(" ", "␣"), ha="center", va="center")
    bottom.set(title="Three texts as one batch", xlim=(0, tokens.shape[1]), xticks=[])
    bottom.set_yticks(range(len(rows)), [f"{len(row)} tokens" for row in rows])
    bottom.invert_yaxis()
    bottom.spines[:].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "loading.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except InputError as error:  # no model; or no vocabulary of GPT-2, and no network
        print(error, file=sys.stderr)
        sys.exit(2)
