"""A small teacher, a smaller student and a text, for tests of distillation."""

from pathlib import Path

import numpy as np
import torch

from groundup.configs.distillation import HiddenMatchConfig, SoftTargetConfig
from groundup.configs.model import GPTConfig
from groundup.configs.training import EvaluationConfig, TrainConfig
from groundup.data.teacher_logits import TeacherLogits, TeacherLogitsKey, open_teacher_logits, write_teacher_logits
from groundup.data.tokens import TokenFile
from groundup.models.gpt import GPT
from groundup.models.student import Student
from groundup.tasks.distillation import Distillation
from groundup.tasks.language_modeling import LanguageModeling
from groundup.tasks.teacher_reading import read_by_teacher
from groundup.tokenization.characters import CharacterTokenizer

LETTERS = "abcdefghijk"
V = len(LETTERS)
END = 0
"""Stands for an end-of-text token in the text."""
TRAINING = TrainConfig(
    steps=4, batch_size=4, accumulation_steps=2, evaluation=EvaluationConfig(max_tokens=40, sample_tokens=4)
)


def model(d_model: int, *, seed: int, n_layers: int = 2, context_length: int = 16, scale: float = 8.0) -> GPT:
    """Return a GPT with weights large enough to have opinions."""
    torch.manual_seed(seed)
    gpt = GPT(
        GPTConfig(
            vocab_size=V,
            context_length=context_length,
            d_model=d_model,
            n_layers=n_layers,
            n_heads=2,
            position="rotary",
        )
    )
    with torch.no_grad():
        for parameter in gpt.parameters():
            if parameter.ndim == 2:
                parameter.mul_(scale)
    return gpt.eval()


def text(n_tokens: int = 200) -> np.ndarray:
    """Return tokens with an END now and then."""
    return np.random.default_rng(0).integers(0, V, n_tokens).astype("<u2")


def tokens(ids: np.ndarray) -> TokenFile:
    """Return ids as a token file."""
    return TokenFile(
        path=Path("none"), ids=ids, n_tokens=len(ids), n_bytes=len(ids), vocab_size=V, tokenizer="", sha256="x"
    )


def language(ids: np.ndarray, *, context_length: int = 8, end_id: int | None = END) -> LanguageModeling:
    """Return the task of learning a text."""
    return LanguageModeling(
        train=tokens(ids),
        validation=tokens(ids[:50]),
        tokenizer=CharacterTokenizer(LETTERS),
        context_length=context_length,
        training=TRAINING,
        end_id=end_id,
    )


def key_of(ids: np.ndarray, **given: object) -> TeacherLogitsKey:
    """Return what is to be kept of a text: everything, in float32, read 16 tokens at a time, unless said otherwise."""
    usual = {"top_k": V, "temperature": 1.0, "precision": "float32", "end_id": END, "context_length": 16}
    fields = {**usual, **given}
    return TeacherLogitsKey(teacher="t", tokens="x", n_tokens=len(ids), vocab_size=V, **fields)  # type: ignore[arg-type]


def said_by(teacher: GPT, ids: np.ndarray, folder: Path, **given: object) -> TeacherLogits:
    """Return what a teacher says of a text, from disk."""
    key = key_of(ids, **given)
    write_teacher_logits(folder, key, lambda first: read_by_teacher(teacher, ids, key, first=first))
    said = open_teacher_logits(folder, key)
    assert said is not None
    return said


def distillation(
    folder: Path,
    *,
    weight: float = 1.0,
    temperature: float = 1.0,
    hidden: float = 0.0,
    blocks: tuple[int, ...] = (1, 2),
    **given: object,
) -> tuple[Distillation, Student, GPT]:
    """Return a task, the student that learns it, and the teacher."""
    ids, teacher, gpt = text(), model(24, seed=1, n_layers=4), model(8, seed=2)
    task = Distillation(
        language(ids),
        soft=SoftTargetConfig(weight=weight, temperature=temperature),
        hidden=HiddenMatchConfig(weight=hidden),
        said=said_by(teacher, ids, folder, temperature=temperature, **given) if weight else None,
        teacher=teacher if hidden else None,
        end_id=END,
    )
    torch.manual_seed(3)
    return task, Student(gpt, blocks=blocks if hidden else (), teacher_width=24), teacher
