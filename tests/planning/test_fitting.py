"""What cannot fit is refused, with the nearest run that can."""

import re
from dataclasses import replace

import pytest

from groundup.cli.parse import parse
from groundup.cli.train import Train
from groundup.configs.model import GPTConfig
from groundup.configs.run import RunConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.planning.fitting import MARGIN, check, fitting_micro_batch, flags
from groundup.planning.memory import PROCESS, estimate_memory
from groundup.recipes import recipe

GIGABYTE = 10**9
BIG = RunConfig(
    model=GPTConfig(vocab_size=50_257, context_length=256),
    training=TrainConfig(batch_size=8, accumulation_steps=3, device="cpu"),
)


def refusal(config: RunConfig, memory: int) -> str:
    with pytest.raises(InputError) as caught:
        check(config, memory=memory)
    message = str(caught.value)
    assert "\n" not in message
    return message


def as_advised(config: RunConfig, message: str) -> RunConfig:
    """Return `config` with the options that the message names, parsed as `groundup train` parses them."""
    options = re.findall(r"--[\w.-]+ \d+", message)
    assert options
    return parse(Train[RunConfig], " ".join(options).split(), program="test", default=Train(config=config)).config


def test_what_fits_is_let_through():
    needed = estimate_memory(BIG).peak
    assert check(BIG, memory=needed).peak == needed
    refusal(BIG, needed - 1)


def test_first_the_micro_batch_is_cut_and_a_step_learns_from_the_same_sequences():
    message = refusal(BIG, int(3.6 * GIGABYTE))
    assert message.startswith("expected a run that fits in 3.60 GB of memory, found one that needs about ")
    assert "learns from the same sequences" in message
    advised = as_advised(BIG, message)
    assert advised.model == BIG.model
    assert advised.training.sequences_per_step == 24
    assert estimate_memory(advised).peak <= MARGIN * 3.6 * GIGABYTE


def test_then_the_model_is_made_smaller():
    message = refusal(BIG, 2 * GIGABYTE)
    assert "the nearest that fits is" in message
    advised = as_advised(BIG, message)
    assert advised.training.sequences_per_step == 24
    assert advised.training.batch_size == 1
    assert estimate_memory(advised).peak <= MARGIN * 2 * GIGABYTE
    assert advised.model.n_layers >= 4  # the nearest, not the first that comes to mind


@pytest.mark.parametrize("gigabytes", [0.8, 1, 3, 10, 40, 200])
def test_advice_always_fits(gigabytes: float):
    huge = replace(BIG, model=GPTConfig(vocab_size=32_000, d_model=8_192, n_layers=80, n_heads=64, d_ff=20_000))
    advised = as_advised(huge, refusal(huge, int(gigabytes * GIGABYTE)))
    check(advised, memory=int(gigabytes * GIGABYTE))


def test_where_nothing_fits_that_is_said():
    assert "no smaller model of this vocabulary fits either" in refusal(BIG, PROCESS["cpu"])


def test_the_largest_micro_batch_that_fits_is_found():
    memory = int(3.3 * GIGABYTE)
    found = fitting_micro_batch(BIG, memory)
    assert found is not None
    fitting = [
        batch
        for batch in (1, 2, 3, 4, 6, 8)
        if estimate_memory(replace(BIG, training=replace(BIG.training, batch_size=batch))).peak <= memory
    ]
    assert found.training.batch_size == max(fitting)
    assert fitting_micro_batch(found, memory) is found
    assert fitting_micro_batch(BIG, 10) is None


def test_a_batch_that_is_prime_goes_one_by_one():
    config = replace(BIG, training=TrainConfig(batch_size=13, device="cpu"))
    found = fitting_micro_batch(config, int(2.9 * GIGABYTE))
    assert found is not None
    assert (found.training.batch_size, found.training.accumulation_steps) == (1, 13)


def test_every_recipe_fits_in_two_gigabytes():
    for name in ("tales", "shakespeare-char", "shakespeare-gpt2"):
        check(recipe(name), memory=2 * GIGABYTE)


def test_nothing_changed_needs_no_flags():
    assert flags(BIG, BIG) == ""
