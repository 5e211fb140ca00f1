"""Proofs of distillation: its loss against torch's kl_div on whole logits, what is on disk against a teacher."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.distillation import HiddenMatchConfig, SoftTargetConfig
from groundup.configs.model import GPTConfig
from groundup.configs.training import TrainConfig
from groundup.data.teacher_logits import TeacherLogits, TeacherLogitsKey, open_teacher_logits, write_teacher_logits
from groundup.data.tokens import TokenFile
from groundup.layers.soft_cross_entropy import keep_largest, soft_cross_entropy
from groundup.models.gpt import GPT
from groundup.models.student import Student
from groundup.proofs.compare import apart, largest
from groundup.proofs.table import Proof
from groundup.tasks.distillation import Distillation
from groundup.tasks.language_modeling import LanguageModeling
from groundup.tasks.teacher_reading import read_by_teacher
from groundup.tokenization.characters import CharacterTokenizer

V, T = 29, 16
LETTERS = "abcdefghijklmnopqrstuvwxyz .\n"


def _logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(64, V, generator=generator) for _ in range(2))
    return student.requires_grad_(), teacher


def _whole(temperature: float) -> Callable[[], float]:
    """Return a function that compares the loss of all entries with torch's, and its gradient, both relative."""

    def difference() -> float:
        student, teacher = _logits()
        q = (teacher / temperature).softmax(-1)
        mine = soft_cross_entropy(student, keep_largest(teacher, V, temperature=temperature), temperature=temperature)
        theirs = F.kl_div((student / temperature).log_softmax(-1), q, reduction="sum")
        pair = [torch.autograd.grad(loss, student)[0] for loss in (mine, theirs)]
        whole = (theirs + torch.special.entr(q).sum()).detach()
        return largest([apart(mine.detach(), whole) / float(whole), apart(*pair) / float(pair[1].abs().max())])

    return difference


def _coarse() -> float:
    """Return how far 5 of 29 entries are from the divergence of distributions whose other entries were added up."""
    student, teacher = (logits.detach() for logits in _logits())
    mine = soft_cross_entropy(student, keep_largest(teacher, 5))
    q, p = teacher.double().softmax(-1), student.double().softmax(-1)
    order = q.argsort(-1, descending=True)
    q, p = (torch.cat([x.gather(-1, order)[:, :5], x.gather(-1, order)[:, 5:].sum(-1, True)], -1) for x in (q, p))
    expected = F.kl_div(p.log(), q, reduction="sum") + torch.special.entr(q).sum()
    return apart(mine.double(), expected) / float(expected)


@cache
def _models() -> tuple[GPT, GPT]:
    torch.manual_seed(0)
    widths = (48, 16)
    teacher, student = (
        GPT(GPTConfig(vocab_size=V, context_length=T, d_model=D, n_layers=2, n_heads=4)) for D in widths
    )
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(5)
    return teacher.eval(), student


def _text() -> TokenFile:
    ids = np.random.default_rng(0).integers(0, V, 300).astype("<u2")
    return TokenFile(path=Path(), ids=ids, n_tokens=300, n_bytes=300, vocab_size=V, tokenizer="", sha256="")


def _kept(folder: Path, precision: str) -> TeacherLogits:
    text, (teacher, _) = _text(), _models()
    key = TeacherLogitsKey(
        teacher="", tokens="", n_tokens=text.n_tokens, vocab_size=V, end_id=None, context_length=T, top_k=8,
        temperature=1.0, precision=precision,  # type: ignore[arg-type]
    )  # fmt: skip
    write_teacher_logits(folder, key, lambda first: read_by_teacher(teacher, text.ids, key, first=first))
    said = open_teacher_logits(folder, key)
    assert said is not None
    return said


def _from_disk(precision: str) -> Callable[[], float]:
    """Return a function that compares probabilities from disk with those of a teacher that reads one window now."""

    def difference() -> float:
        with tempfile.TemporaryDirectory() as folder:
            ids, logprobs = _kept(Path(folder), precision).at(np.arange(T))
        with torch.no_grad():
            expected = keep_largest(_models()[0](torch.from_numpy(_text().ids[:T].astype(np.int64))[None])[0], 8)
        if ids.tolist() != expected.ids.tolist():
            return float("inf")
        return apart(torch.from_numpy(logprobs).log_softmax(-1).exp(), expected.logprobs.exp())

    return difference


def _without_weight() -> float:
    """Return how many numbers of loss and gradients differ in any bit from language modelling's."""
    text, (_, gpt) = _text(), _models()
    language = LanguageModeling(
        train=text,
        validation=text,
        tokenizer=CharacterTokenizer(LETTERS),
        context_length=T,
        training=TrainConfig(batch_size=4),
    )
    task = Distillation(
        language, soft=SoftTargetConfig(weight=0.0), hidden=HiddenMatchConfig(), said=None, teacher=None
    )
    student = Student(gpt)
    ours, theirs = task.loss(student, task.train_batch(3)[0]), language.loss(gpt, language.train_batch(3)[0])
    parameters = list(gpt.parameters())
    pairs = zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(theirs, parameters), strict=True)
    return float(sum(int((one != other).sum()) for one, other in [*pairs, (ours.detach(), theirs.detach())]))


def _proof(part: str, reference: str, bound: float, why: str, difference: Callable[[], float]) -> Proof:
    return Proof(room="distillation", part=part, reference=reference, bound=bound, why=why, difference=difference)


_SUMS = "float32: the same terms in another order"
PROOFS = (
    _proof("all entries kept: loss, gradient", "torch kl_div + entropy", 1e-5, _SUMS, _whole(1.0)),
    _proof("all entries kept, T = 3", "torch kl_div + entropy", 1e-5, _SUMS, _whole(3.0)),
    _proof("5 of 29 entries and the rest: loss", "torch kl_div, float64", 1e-6, "float32 against float64", _coarse),
    _proof("probabilities from disk, float32", "the teacher now", 1e-6, _SUMS, _from_disk("float32")),
    _proof(
        "probabilities from disk, float16", "the teacher now", 2e-4, "log p to 2⁻¹¹, by p at e⁻¹", _from_disk("float16")
    ),
    _proof("weight 0: bits of loss, gradient", "language modelling", 0.0, "numbers are counted", _without_weight),
)
