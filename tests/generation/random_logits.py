"""What the laws of processors are tried on: random logits, with ties, and random texts of different lengths."""

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

LAW = settings(max_examples=40, derandomize=True)


@st.composite
def logits(draw: st.DrawFn, *, with_ties: bool = True) -> Tensor:
    """Random [B, V] logits; with ties, half of the time rounded."""
    rows, width, seed = draw(st.integers(1, 4)), draw(st.integers(1, 50)), draw(st.integers(0, 2**31))
    values = 4 * torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    return values.round() if with_ties and draw(st.booleans()) else values


@st.composite
def logits_and_texts(draw: st.DrawFn, *, most_tokens: int = 4) -> tuple[Tensor, list[list[int]]]:
    """Random [B, V] logits and a text for each row: few different tokens, so that runs of them come again."""
    width = draw(st.integers(1, most_tokens))
    texts = draw(st.lists(st.lists(st.integers(0, width - 1), max_size=20), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn(len(texts), width, generator=generator), texts


def padded(texts: list[list[int]], *, room: int = 0) -> Tensor:
    """The texts as ids [B, S], padded on the right by -1, with `room` more columns than the longest needs."""
    ids = torch.full((len(texts), max(map(len, texts)) + room), -1, dtype=torch.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
    return ids


def row_by_row(processor, values: Tensor, texts: list[list[int]]) -> Tensor:
    """A processor of transformers on each row alone: it knows no padding on the right."""
    rows = [
        processor(torch.tensor([text], dtype=torch.int64), row[None]) for row, text in zip(values, texts, strict=True)
    ]
    return torch.cat(rows)
