"""Which source tokens each target token was written from: the weights of cross-attention, as a picture.

Shapes: S source tokens, T target tokens.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from groundup.errors import InputError
from groundup.generation.reading import evaluation_mode
from groundup.generation.translate import Translator
from groundup.tokenization.base import Tokenizer

INK, LINE = "#24292f", "#b5bcc4"
END = "⏎"
"""Stands for the token that ends a text."""


@dataclass(frozen=True)
class Alignment:
    """How a target was written from its source."""

    weights: npt.NDArray[np.float64]
    """What each target token took from each source token [T, S]; rows sum to 1."""
    source: tuple[str, ...]
    """Spelling of the source tokens."""
    target: tuple[str, ...]
    """Spelling of the target tokens."""


def align(translator: Translator, source: str, target: str, *, layer: int | None = None) -> Alignment:
    """Return the weights of cross-attention with which a target is predicted from its source.

    Row t belongs to target token t: what the position before it, from which it was predicted, looked at. The mean over
    the heads of a layer. That a token was looked at does not prove that it decided what was written.

    Args:
        translator: model and tokenizers.
        source: what is read.
        target: what was written about it.
        layer: of the decoder, from 0. None: the mean over all layers.

    Raises:
        InputError: a text with more tokens than the model holds, or no such layer.

    Example:
        >>> from groundup.configs.seq2seq import Seq2SeqConfig
        >>> from groundup.models.seq2seq import Seq2Seq
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> spells = ByteBPE(merges=[], special_tokens=["<|endoftext|>"])
        >>> sizes = dict(source_vocab_size=257, target_vocab_size=257, d_model=16, n_heads=2, context_length=8)
        >>> model = Seq2Seq(Seq2SeqConfig(**sizes, n_encoder_layers=1, n_decoder_layers=1))
        >>> found = align(Translator(model=model, source_tokenizer=spells, target_tokenizer=spells), "ab c", "xy")
        >>> found.weights.shape, found.source, found.target
        ((3, 5), ('a', 'b', '␣', 'c', '⏎'), ('x', 'y', '⏎'))
    """
    model = translator.model
    rows = translator.encode_source(source), translator.encode_target(target)
    longest = max(map(len, rows))
    if longest > model.context_length:
        raise InputError(
            f"expected texts of at most {model.context_length} tokens to align, found {longest}: give shorter ones"
        )
    n_layers = model.config.n_decoder_layers
    if layer is not None and not 0 <= layer < n_layers:
        raise InputError(f"expected a layer from 0 to {n_layers - 1}, found {layer}: name one of them")
    inputs = [translator.begin_id, *rows[1][:-1]]
    with evaluation_mode(model), torch.inference_mode():
        found = model.cross_attention(
            torch.tensor([rows[0]], device=model.device), torch.tensor([inputs], device=model.device)
        )[0].double()  # [layers, H, T, S]
    weights = found.mean(dim=(0, 1)) if layer is None else found[layer].mean(dim=0)
    return Alignment(
        weights=weights.cpu().numpy(),
        source=_spelled(rows[0], translator.source_tokenizer),
        target=_spelled(rows[1], translator.target_tokenizer),
    )


def draw_alignment(picture: Path, alignment: Alignment, *, title: str = "") -> None:
    """Draw a heat map into a PNG: source tokens across, target tokens down, darker where more was taken.

    Args:
        picture: the PNG to write; it is whole or not there.
        alignment: what to draw.
        title: above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second to import, and not for --help
    from matplotlib.figure import Figure

    T, S = alignment.weights.shape
    # As large as its words ask for: about a quarter of an inch each, room for the longest beside and above.
    figure = Figure(figsize=(1.6 + 0.3 * S, 1.3 + 0.3 * T), layout="constrained")
    FigureCanvasAgg(figure)
    draw_on(figure.add_subplot(), alignment)
    if title:
        figure.suptitle(title, x=0.012, ha="left", color=INK, fontsize=11, parse_math=False)
    partial = picture.with_name(f".{picture.name}.partial")
    figure.savefig(partial, dpi=150, format="png")
    partial.replace(picture)


def draw_on(axes: Any, alignment: Alignment) -> None:  # noqa: ANN401 - matplotlib's Axes
    """Draw the heat map on axes of a figure of one's own."""
    T, S = alignment.weights.shape
    axes.imshow(alignment.weights, cmap="Blues", vmin=0, vmax=max(0.5, float(alignment.weights.max())), aspect="equal")
    axes.set_xticks(range(S), alignment.source, rotation=90 if max(map(len, alignment.source)) > 1 else 0)
    axes.set_yticks(range(T), alignment.target)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=9, colors=INK)
    for texts in (axes.get_xticklabels(), axes.get_yticklabels()):
        for text in texts:
            text.set_parse_math(False)  # a token may be a $
    axes.set_xticks(np.arange(S - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(T - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_color(LINE)


def _spelled(ids: list[int], tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return what each token spells; a space that is one is shown, and so is the end."""
    return tuple(
        END
        if token == tokenizer.end_id
        else (tokenizer.token_bytes(token).decode("utf-8", errors="replace").replace("\n", "⏎").strip() or "␣")
        for token in ids
    )
