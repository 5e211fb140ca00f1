"""What a teacher says of a text is computed once, whoever asks first, and read with as much past as the student has."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.tasks.distilling import END, LETTERS, V, model, text, tokens

from groundup.configs.distillation import DistillConfig, SoftTargetConfig
from groundup.configs.model import GPTConfig
from groundup.data.teacher_logits import TeacherLogits
from groundup.errors import InputError
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training import teaching
from groundup.training.preparation import Prepared
from groundup.training.run_lock import locked
from groundup.training.teaching import Teacher, soft_targets
from groundup.weights.pretrained import Pretrained

CPU = torch.device("cpu")
TOKENS = tokens(text())


def said(folder: Path | None, *, student_context: int = 6) -> TeacherLogits:
    tokenizer = CharacterTokenizer(LETTERS)
    prepared = Prepared(tokenizer=tokenizer, train=TOKENS, validation=TOKENS, floor=None, end_id=END)
    gpt = GPTConfig(vocab_size=V, context_length=student_context, d_model=8, n_layers=1, n_heads=2)
    soft = SoftTargetConfig(folder=None if folder is None else str(folder))
    teacher = Teacher(opened=Pretrained(model=model(24, seed=1), tokenizer=tokenizer, source="here"), fingerprint="f")
    config = DistillConfig(teacher="t", model=gpt, soft=soft)
    return soft_targets(config, teacher, prepared, CPU, lambda line: None, top_k=4)


def test_it_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = said(tmp_path)
    monkeypatch.setattr(teaching, "read_by_teacher", lambda *args, **named: pytest.fail("read again"))
    again = said(tmp_path)
    assert again.arrays == first.arrays
    assert replace(again.key, temperature=2.0).name != again.key.name  # which would be read anew


def test_the_teacher_sees_twice_what_the_student_does_or_all_it_can(tmp_path: Path):
    assert said(tmp_path, student_context=6).key.context_length == 12
    assert said(tmp_path, student_context=12).key.context_length == 16  # the teacher's own


def test_one_process_at_a_time_writes(tmp_path: Path):
    with locked(tmp_path), pytest.raises(InputError, match=r"^expected .* to be free"):
        said(tmp_path)


def test_groundups_cache_folder_is_the_usual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path))
    assert said(None).arrays.folder.parent == tmp_path / "teacher-logits"
