"""Soft targets against torch's kl_div over the whole vocabulary, and the laws of what is left out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from groundup.layers.soft_cross_entropy import SoftTargets, entropy, keep_largest, soft_cross_entropy

V = 11


def logits_of(seed: int, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        (scale * torch.randn(5, V, generator=generator)).requires_grad_(),
        scale * torch.randn(5, V, generator=generator),
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_all_entries_kept_is_the_divergence_and_the_entropy_with_its_gradient(temperature: float):
    student, teacher = logits_of(0)
    targets = keep_largest(teacher, V, temperature=temperature)
    mine = soft_cross_entropy(student, targets, temperature=temperature)
    (gradient,) = torch.autograd.grad(mine, student)
    q = (teacher / temperature).softmax(-1)
    theirs = F.kl_div((student / temperature).log_softmax(-1), q, reduction="sum")
    (expected,) = torch.autograd.grad(theirs, student)
    whole = theirs + torch.special.entr(q).sum()
    # float32, 55 terms of size 1: a rounding or two of a sum near 15
    torch.testing.assert_close(mine, whole, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)  # differences of probabilities
    torch.testing.assert_close(entropy(targets), torch.special.entr(q).sum(), rtol=1e-6, atol=0)


@settings(max_examples=25, derandomize=True)
@given(seed=st.integers(0, 1000), top_k=st.integers(1, V - 1), temperature=st.sampled_from([0.5, 1.0, 4.0]))
def test_fewer_entries_are_the_divergence_of_the_distributions_with_the_others_added_up(
    seed: int, top_k: int, temperature: float
):
    student, teacher = logits_of(seed)
    targets = keep_largest(teacher, top_k, temperature=temperature)
    mine = soft_cross_entropy(student, targets, temperature=temperature)
    (gradient,) = torch.autograd.grad(mine, student)

    q, p = (teacher.double() / temperature).softmax(-1), (student.detach().double() / temperature).softmax(-1)
    order = q.argsort(-1, descending=True)
    coarse = [torch.cat([x.gather(-1, order)[:, :top_k], x.gather(-1, order)[:, top_k:].sum(-1, keepdim=True)], -1)
              for x in (q, p)]  # fmt: skip
    expected = -(coarse[0] * coarse[1].log()).sum()
    torch.testing.assert_close(mine.detach().double(), expected, rtol=1e-5, atol=1e-5)  # float32 against float64
    # What is not kept is pulled as a whole: each by its share of what the student gives them.
    kept = torch.zeros_like(p, dtype=torch.bool).scatter(-1, order[:, :top_k], True)
    share = torch.where(kept, q, coarse[0][:, -1:] * p / coarse[1][:, -1:])
    torch.testing.assert_close(gradient.double(), (p - share) / temperature, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("top_k", [1, 4, V])
def test_nothing_pulls_a_student_away_that_is_its_teacher(top_k: int):
    _, teacher = logits_of(3)
    student = teacher.clone().requires_grad_()
    targets = keep_largest(teacher, top_k)
    loss = soft_cross_entropy(student, targets)
    torch.testing.assert_close(loss, entropy(targets), rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(loss, student)
    assert gradient.abs().max() < 1e-6  # float32 rounding of numbers of size 1


def test_a_rest_of_nothing_is_no_nan_and_pulls_at_nobody():
    student = torch.zeros(1, 3, requires_grad=True)
    targets = SoftTargets(torch.tensor([[0]]), torch.tensor([[0.0, -math.inf]]))
    loss = soft_cross_entropy(student, targets)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(3))
    assert student.grad is not None
    assert student.grad.tolist()[0] == pytest.approx([-2 / 3, 1 / 3, 1 / 3])


def test_a_tiny_rest_is_not_lost_to_rounding():
    teacher = torch.tensor([[30.0, 0.0, 0.0]])
    kept = keep_largest(teacher, 1)
    # 1 - p would be 0 in float32; added up it is 2 · e⁻³⁰
    assert kept.logprobs[0, 1].item() == pytest.approx(math.log(2) - 30, rel=1e-6)


def test_logits_in_few_bits_are_computed_in_float32():
    student, teacher = logits_of(5)
    few = student.detach().bfloat16()
    loss = soft_cross_entropy(few, keep_largest(teacher.bfloat16(), 4))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, soft_cross_entropy(few.float(), keep_largest(teacher.bfloat16().float(), 4)))
