"""Distillation against torch's kl_div and mse_loss, against language modelling, and against a teacher on the spot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tasks.distilling import END, V, distillation, language, model, said_by, text
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.distillation import HiddenMatchConfig, SoftTargetConfig
from groundup.errors import InputError
from groundup.layers.masks import document_mask
from groundup.layers.soft_cross_entropy import keep_largest
from groundup.models.student import Student, block_outputs
from groundup.tasks import distillation as distillation_module
from groundup.tasks.distillation import Distillation, DistillationBatch
from groundup.tasks.language_modeling import TokenBatch


def gradients(loss: Tensor, student: Student) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(student.parameters()))
    return dict(zip([name for name, _ in student.named_parameters()], found, strict=True))


def logits(student: Student, batch: DistillationBatch) -> Tensor:
    out: Tensor = student.gpt(batch.tokens.inputs, mask=document_mask(batch.tokens.inputs, END)).flatten(0, 1)
    return out


def test_weight_0_is_language_modelling_bit_for_bit(tmp_path: Path):
    task, student, _ = distillation(tmp_path, weight=0.0)
    theirs = language(text())
    for mine, other in zip(task.train_batch(2), theirs.train_batch(2), strict=True):
        assert torch.equal(mine.tokens.inputs, other.inputs)
        one, two = task.loss(student, mine), theirs.loss(student.gpt, other)
        assert torch.equal(one, two)
        expected = gradients(two, student)
        assert all(torch.equal(found, expected[name]) for name, found in gradients(one, student).items())
    assert task.evaluate(student) == theirs.evaluate(student.gpt)
    assert task.sample(student, 3) == theirs.sample(student.gpt, 3)
    batch = task.train_batch(0)[0]
    assert (task.n_targets(batch), task.n_tokens(batch), task.floor) == (32, 32, None)
    assert task.describe(batch) == theirs.describe(batch.tokens)


@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 1.0), (0.3, 1.0), (0.7, 2.5)])
def test_everything_kept_is_hintons_loss_with_its_gradient(tmp_path: Path, weight: float, temperature: float):
    task, student, _ = distillation(tmp_path, weight=weight, temperature=temperature)
    assert task._said is not None
    positions = task.language.windows.positions(1, 8)  # all rows of step 1
    for batch, rows in zip(task.train_batch(1), np.split(positions, 2), strict=True):
        loss = task.loss(student, batch)
        ids, logprobs = task._said.at(rows.ravel())
        q = torch.zeros(rows.size, V).scatter(-1, torch.from_numpy(ids), torch.from_numpy(logprobs)[:, :-1].exp())
        z = logits(student, batch)
        soft = F.kl_div((z / temperature).log_softmax(-1), q, reduction="sum") + torch.special.entr(q).sum()
        hard = F.cross_entropy(z, batch.tokens.targets.flatten(), reduction="sum")
        whole = weight * temperature**2 * soft + (1 - weight) * hard
        torch.testing.assert_close(loss, whole, rtol=2e-6, atol=0)  # a few float32 roundings
        expected = gradients(whole, student)
        for name, found in gradients(loss, student).items():
            # the same terms added in another order, relative to the largest entry
            assert (found - expected[name]).abs().max() <= 1e-5 * expected[name].abs().max(), name


@pytest.mark.parametrize(("precision", "rounding"), [("float32", 2e-6), ("float16", 2e-4)])
def test_the_cache_gives_the_loss_of_a_teacher_on_the_spot(tmp_path: Path, precision: str, rounding: float):
    """The text is one window of the teacher's, so that windows of the student that begin with it see all there is."""
    ids = text()[:16]
    ids[0] = END
    ids[1:][ids[1:] == END] = 1
    task, student, teacher = distillation(tmp_path, precision=precision, top_k=5)
    task._said = said_by(teacher, ids, tmp_path / "other", precision=precision, top_k=5)
    inputs = torch.from_numpy(ids[:-1].astype(np.int64))[None]
    tokens = TokenBatch(inputs, torch.from_numpy(ids[1:].astype(np.int64))[None])
    kept = DistillationBatch(tokens, distillation_module._targets(task._said, np.arange(15)))
    with torch.no_grad():
        spoken = keep_largest(teacher(inputs)[0], 5)
    live = DistillationBatch(tokens, spoken)
    one, two = task.loss(student, kept), task.loss(student, live)
    # float32: rounding of the products. float16: each probability moves by 2e-4 at most, up or down by chance.
    torch.testing.assert_close(one, two, rtol=rounding, atol=0)
    assert precision == "float32" or not torch.equal(one, two)


def test_many_logits_are_made_by_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    task, student, _ = distillation(tmp_path, weight=0.6, top_k=3)
    batch = task.train_batch(0)[0]
    whole = task.loss(student, batch)
    expected = gradients(whole, student)
    monkeypatch.setattr(distillation_module, "LOGITS_IN_A_STEP", 5 * V)  # 32 rows: six blocks of 5 and one of 2
    loss = task.loss(student, batch)
    torch.testing.assert_close(loss, whole, rtol=1e-6, atol=0)  # the sum in another order
    for name, found in gradients(loss, student).items():
        assert (found - expected[name]).abs().max() <= 1e-5 * expected[name].abs().max(), name


def test_hidden_states_add_the_squared_difference_and_teach_the_projection(tmp_path: Path):
    task, student, teacher = distillation(tmp_path / "a", hidden=0.25)
    without, _, _ = distillation(tmp_path / "b")
    batch = task.train_batch(0)[0]
    inputs = batch.tokens.inputs
    mask = document_mask(inputs, END)
    with block_outputs(teacher, (2, 4)) as theirs, torch.no_grad():
        teacher.hidden_states(inputs, mask=mask)
    with block_outputs(student.gpt, (1, 2)) as mine:
        student.gpt.hidden_states(inputs, mask=mask)
    added = torch.zeros(())
    for a, b in ((1, 2), (2, 4)):
        turned = student.projections[str(a)](mine[a])
        for row, column in np.ndindex(*inputs.shape):
            its = theirs[b][row, column]
            added = added + F.mse_loss(turned[row, column], its) / F.mse_loss(torch.zeros(24), its)
    loss = task.loss(student, batch)
    torch.testing.assert_close(loss, without.loss(student, batch) + 0.25 * added, rtol=1e-5, atol=0)  # float32 sums
    assert all(gradient.abs().max() > 0 for gradient in gradients(loss, student).values())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_one_block_may_match_alone(tmp_path: Path):
    task, student, _ = distillation(tmp_path, weight=0.0, hidden=1.0, blocks=(2,))
    batch = task.train_batch(0)[0]
    assert batch.soft is None
    hard = task.language.loss(student.gpt, batch.tokens)
    assert task.loss(student, batch) > hard


def test_a_student_that_reads_more_than_its_teacher_cannot_match_hidden_states():
    with pytest.raises(InputError, match=r"reads at most 4 tokens, as its teacher, .* found 8: lower"):
        Distillation(
            language(text()),
            soft=SoftTargetConfig(weight=0.0),
            hidden=HiddenMatchConfig(weight=1.0),
            said=None,
            teacher=model(24, seed=1, context_length=4),
        )


def test_a_teacher_is_given_where_it_has_a_weight():
    with pytest.raises(ValueError, match="only there"):
        Distillation(language(text()), soft=SoftTargetConfig(), hidden=HiddenMatchConfig(), said=None, teacher=None)
