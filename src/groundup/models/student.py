"""A GPT that learns from another one, and what its blocks hand on, turned into the width of the other's.

Shapes: B batch, T positions, D width of the student, E width of the teacher.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from groundup.errors import InputError
from groundup.models.gpt import GPT

_GPT = "gpt."


class Student(nn.Module):
    """A GPT and, for each of its blocks that is to hand on what a teacher's does, a learned matrix [E, D].

    Only the GPT is the result. The matrices (the regressor of Romero et al. 2014, section 2.2; W_h of Jiao et al. 2019,
    equation 8) make widths comparable while it learns: checkpoints hold them, because a run that goes on needs them,
    and whoever opens a run leaves them out (`without_projections`). They come from torch's default generator.

    Args:
        gpt: what learns.
        blocks: those of its blocks that match, counted from 1. None of them: only texts and soft targets are learned.
        teacher_width: E.

    Raises:
        InputError: a block that it has not, or one twice.

    Example:
        >>> import torch
        >>> from groundup.configs.model import GPTConfig
        >>> gpt = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4))
        >>> student = Student(gpt, blocks=(2,), teacher_width=64)
        >>> hidden, turned = student(torch.tensor([[1, 2, 3]]))
        >>> hidden.shape, [one.shape for one in turned]
        (torch.Size([1, 3, 16]), [torch.Size([1, 3, 64])])
    """

    def __init__(self, gpt: GPT, *, blocks: Sequence[int] = (), teacher_width: int = 0) -> None:
        super().__init__()
        if len(set(blocks)) < len(blocks) or not set(blocks) <= set(range(1, len(gpt.blocks) + 1)):
            raise InputError(
                f"expected blocks of the student, different ones of 1 … {len(gpt.blocks)}, found "
                f"{', '.join(map(str, blocks))}: leave them out to match all"
            )
        self.gpt = gpt
        self.blocks = tuple(blocks)
        self.projections = nn.ModuleDict(
            {str(block): nn.Linear(gpt.config.d_model, teacher_width, bias=False) for block in blocks}
        )

    def forward(self, tokens: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return what `gpt.project` reads [B, T, D], and what each matched block handed on, turned: [B, T, E] each."""
        with block_outputs(self.gpt, self.blocks) as found:
            hidden = self.gpt.hidden_states(tokens, mask=mask)
        return hidden, [self.projections[str(block)](found[block]) for block in self.blocks]


@contextmanager
def block_outputs(gpt: GPT, blocks: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """While the block runs, keep what each of `blocks` (counted from 1) hands on: [B, T, D] by its number.

    Example:
        >>> import torch
        >>> from groundup.configs.model import GPTConfig
        >>> gpt = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4))
        >>> with block_outputs(gpt, (1, 2)) as found:
        ...     hidden = gpt.hidden_states(torch.tensor([[1, 2, 3]]))
        >>> found[1].shape, torch.equal(gpt.final_norm(found[2]), hidden)
        (torch.Size([1, 3, 16]), True)
    """
    found: dict[int, Tensor] = {}

    def keep(number: int, handed_on: Tensor) -> None:
        found[number] = handed_on

    hooks = [
        gpt.blocks[number - 1].register_forward_hook(lambda _module, _read, out, number=number: keep(number, out))
        for number in blocks
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def matching_block(block: int, n_layers: int, n_teacher_layers: int) -> int:
    """Return the teacher's block that lies as deep as the student's `block`, both counted from 1.

    TinyBERT's uniform rule g(m) = m · M / N (Jiao et al. 2019, section 4.1), rounded up where it is no whole number: so
    the last always matches the last.

    Example:
        >>> [matching_block(block, 2, 6) for block in (1, 2)], [matching_block(block, 3, 4) for block in (1, 2, 3)]
        ([3, 6], [2, 3, 4])
    """
    return -(-block * n_teacher_layers // n_layers)


def without_projections(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return, of the tensors of a `Student`, those of its GPT under the names that they have there.

    Example:
        >>> import torch
        >>> without_projections({"gpt.output.weight": torch.ones(1), "projections.1.weight": torch.ones(1)})
        {'output.weight': tensor([1.])}
    """
    return {name.removeprefix(_GPT): tensor for name, tensor in tensors.items() if name.startswith(_GPT)}
