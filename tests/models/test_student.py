"""A student's blocks are heard without being changed, and its GPT is found again without what it learned beside."""

import pytest
import torch

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.models.student import Student, block_outputs, matching_block, without_projections

TOKENS = torch.tensor([[1, 2, 3], [4, 5, 6]])


def gpt(n_layers: int = 3) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=n_layers, n_heads=2))


def test_blocks_hand_on_what_transformers_style_stacking_gives():
    model = gpt()
    with block_outputs(model, (1, 3)) as found:
        hidden = model.hidden_states(TOKENS)
    x, _ = model.enter(model.token_embedding(TOKENS))
    assert sorted(found) == [1, 3]
    assert torch.equal(found[1], model.blocks[0](x, mask=None, is_causal=True, rotation=None, cache=None, only=None))
    assert torch.equal(model.final_norm(found[3]), hidden)
    assert torch.equal(model.hidden_states(TOKENS), hidden)
    assert all(not block._forward_hooks for block in model.blocks)  # nobody listens any more


def test_a_student_computes_what_its_gpt_does_and_turns_what_its_blocks_hand_on():
    model = gpt()
    student = Student(model, blocks=(2, 3), teacher_width=7)
    hidden, turned = student(TOKENS)
    assert torch.equal(hidden, model.hidden_states(TOKENS))
    with block_outputs(model, (2,)) as found:
        model.hidden_states(TOKENS)
    assert torch.equal(turned[0], found[2] @ student.projections["2"].weight.T)
    assert [tuple(one.shape) for one in turned] == [(2, 3, 7)] * 2


def test_of_a_students_tensors_its_gpts_are_left():
    model = gpt()
    student = Student(model, blocks=(1,), teacher_width=7)
    left = without_projections(student.state_dict())
    assert left.keys() == model.state_dict().keys()
    assert all(torch.equal(left[name], tensor) for name, tensor in model.state_dict().items())


def test_the_last_block_matches_the_last_and_order_is_kept():
    for n_layers in range(1, 8):
        for n_teacher in range(1, 13):
            found = [matching_block(block, n_layers, n_teacher) for block in range(1, n_layers + 1)]
            assert found[-1] == n_teacher
            assert found == sorted(found)
            assert found[0] >= 1


@pytest.mark.parametrize("blocks", [(0,), (4,), (1, 1)])
def test_blocks_that_it_has_not_are_refused(blocks: tuple[int, ...]):
    with pytest.raises(InputError, match=r"different ones of 1 … 3, found "):
        Student(gpt(), blocks=blocks, teacher_width=7)
