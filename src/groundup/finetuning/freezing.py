"""Which weights of a pretrained model learn, from which step on, and at what fraction of the learning rate."""

from collections.abc import Iterator

from torch import nn

from groundup.configs.finetuning import FreezingConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.training.learned import set_rate, start_at, thaw


def freeze_all(model: nn.Module) -> None:
    """Let no parameter of `model` learn."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def apply_freezing(gpt: GPT, config: FreezingConfig, *, only_last: bool) -> None:
    """Freeze what is not to learn; mark what learns with its rate and its start.

    The layers, from the top down, are the last block with the final norm and the output projection, then one block at
    a time, then the embeddings. Layer i learns at config.layer_decay^i times the run's rate, from step
    i · config.unfreeze_every on (Howard and Ruder 2018, sections 3.2 and 3.3; there the decay is 1 / 2.6).

    Args:
        gpt: the pretrained model.
        config: which, when, how fast.
        only_last: only config.last_blocks blocks learn, with the final norm where there are any; the embeddings, and
            an output projection that is tied to them, stay as they are.

    Raises:
        InputError: more blocks to learn than there are.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> gpt = GPT(GPTConfig(vocab_size=8, context_length=4, d_model=8, n_layers=3, n_heads=2))
        >>> apply_freezing(gpt, FreezingConfig(last_blocks=1), only_last=True)
        >>> [all(p.requires_grad for p in block.parameters()) for block in gpt.blocks]
        [False, False, True]
    """
    n_blocks = len(gpt.blocks)
    if only_last and config.last_blocks > n_blocks:
        raise InputError(
            f"expected FreezingConfig.last_blocks to be at most {n_blocks}, the blocks of this model, "
            f"found {config.last_blocks}: lower it, or take method full"
        )
    freeze_all(gpt)
    layers = list(_from_the_top(gpt))
    for i, layer in enumerate(layers[: config.last_blocks] if only_last else layers):
        for parameter in layer:
            parameter.requires_grad_(True)
            if config.layer_decay != 1.0:
                set_rate(parameter, config.layer_decay**i)
            if config.unfreeze_every is not None and i:
                start_at(parameter, i * config.unfreeze_every)
    thaw(gpt, 0)


def _from_the_top(gpt: GPT) -> Iterator[list[nn.Parameter]]:
    """Yield the parameters of each layer, the last one first; each parameter once."""
    embeddings = [*gpt.token_embedding.parameters()]
    if gpt.position_embedding is not None:
        embeddings += gpt.position_embedding.parameters()
    blocks = [list(block.parameters()) for block in gpt.blocks]
    head = [*gpt.final_norm.parameters(), *([] if gpt.output is None else gpt.output.parameters())]
    blocks[-1] += head
    yield from reversed(blocks)
    yield embeddings
