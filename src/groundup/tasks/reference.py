"""Log-probabilities of replies, and those that the model gave before it was tuned, measured once and kept in a file.

Shapes: P pairs, B rows (2 · P: the chosen replies, then the rejected), T positions, N learned positions, D width.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from groundup.chat.examples import Pair
from groundup.data.packing import lay_out
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.token_losses import token_losses
from groundup.tokenization.tokenizer_json import write_text


@dataclass(frozen=True)
class PairBatch:
    """Pairs of replies, each behind its prompt, a row each."""

    inputs: Tensor
    """Tokens, int64 [B, T]: first the P chosen ones, then the P rejected."""
    places: Tensor
    """Positions before a token of the reply, counted through all rows, int64 [N]."""
    targets: Tensor
    """That token, int64 [N]."""
    reference: Tensor
    """What the reference gives the replies, float32 [B]."""
    n_read: int
    """Tokens of conversations; the rest is padding."""


def lay_out_pairs(pairs: Sequence[Pair], reference: Tensor, pad_id: int) -> PairBatch:
    """Return pairs as rows; `reference` [P, 2] is what the chosen and the rejected reply of each got before."""
    found = lay_out([[one.chosen] for one in pairs] + [[one.rejected] for one in pairs], pad_id)
    places = torch.from_numpy(found.is_learned.ravel().nonzero()[0])
    return PairBatch(
        inputs=torch.from_numpy(found.inputs),
        places=places,
        targets=torch.from_numpy(found.targets).flatten()[places],
        reference=reference.T.flatten(),
        n_read=int(found.segments.sum()),
    )


def reply_logprobs(model: GPT, batch: PairBatch) -> Tensor:
    """Return the log-probability of each reply given its prompt, summed over its tokens, in nats: [B]."""
    device = model.device
    hidden = model.hidden_states(batch.inputs.to(device, non_blocking=True)).flatten(0, 1)  # [B · T, D]
    places = batch.places.to(device, non_blocking=True)
    losses = token_losses(model, hidden.index_select(0, places), batch.targets.to(device, non_blocking=True))  # [N]
    B, T = batch.inputs.shape
    return losses.new_zeros(B).index_add(0, places // T, -losses)


@torch.no_grad()
def measure_reference(
    model: GPT,
    pairs: Sequence[Pair],
    *,
    wanted: Iterable[int],
    pad_id: int,
    batch_size: int,
    file: Path | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Return what an untuned model gives the chosen and the rejected reply of each pair, in nats: float32 [P, 2].

    Computed in the model's own number format, without dropout. With `file`, what was measured is written there, and
    not measured again by a run that goes on.

    Args:
        model: not tuned yet.
        pairs: all of them.
        wanted: which to measure; the others are NaN.
        pad_id: what fills rows.
        batch_size: pairs in one forward pass.
        file: JSON, for exactly these pairs. None: measured each time.
        device: where to measure; the model is back where it was at the end. None: where it is.

    Raises:
        InputError: a file of other pairs, or damaged, or one that cannot be written.
    """
    digest = hashlib.sha256()
    for one in pairs:
        for example in one:
            digest.update(example.ids.tobytes() + example.is_learned.tobytes())
    found = _read(file, digest.hexdigest(), len(pairs))
    missing = sorted({i for i in wanted if found[i].isnan().any()}, key=lambda i: len(pairs[i].chosen.ids))
    was_training, home = model.training, model.device
    model.eval()
    try:
        if missing and device is not None:
            model.to(device)
        for first in range(0, len(missing), batch_size):
            here = missing[first : first + batch_size]
            batch = lay_out_pairs([pairs[i] for i in here], found[here], pad_id)
            found[here] = reply_logprobs(model, batch).view(2, -1).T.to("cpu", torch.float32)
    finally:
        model.to(home).train(was_training)
    if file is not None and missing:
        rows = [None if math.isnan(row[0]) else row for row in found.tolist()]
        try:
            write_text(file, json.dumps({"pairs": digest.hexdigest(), "logprobs": rows}) + "\n")
        except OSError as error:
            raise InputError(f"expected to write {file}, found: {error.strerror or error}: make room") from None
    return found


def _read(file: Path | None, digest: str, n_pairs: int) -> Tensor:
    if file is None or not file.exists():
        return torch.full((n_pairs, 2), math.nan)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        rows = [(math.nan, math.nan) if row is None else row for row in document["logprobs"]]
        found = torch.tensor(rows, dtype=torch.float32)
        is_ours = document["pairs"] == digest and found.shape == (n_pairs, 2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"expected log-probabilities in {file}, found a damaged file ({error}): remove it") from None
    if not is_ours:
        raise InputError(f"expected log-probabilities of this run's pairs in {file}, found those of others: remove it")
    return found
