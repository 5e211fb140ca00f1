"""Each part held against an outside reference, as a table."""

from groundup.proofs import (
    data,
    decoding,
    distillation,
    encoder,
    engine,
    finetuning,
    generation,
    images,
    interpret,
    layers,
    models,
    pretrained,
    quantization,
    seq2seq,
    text_metrics,
    tokenization,
    training,
)
from groundup.proofs.table import Proof as Proof
from groundup.proofs.table import check_all as check_all

PROOFS: tuple[Proof, ...] = (
    *engine.PROOFS,
    *tokenization.PROOFS,
    *data.PROOFS,
    *layers.PROOFS,
    *models.PROOFS,
    *encoder.PROOFS,
    *images.PROOFS,
    *seq2seq.PROOFS,
    *quantization.PROOFS,
    *pretrained.PROOFS,
    *generation.PROOFS,
    *decoding.PROOFS,
    *text_metrics.PROOFS,
    *interpret.PROOFS,
    *training.PROOFS,
    *distillation.PROOFS,
    *finetuning.PROOFS,
)
"""Every proof, in floor order."""
