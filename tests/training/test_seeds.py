"""Seeds: the same (seed, step), the same dropout, whatever happened before; different ones, different dropout."""

import pytest
import torch
from torch.nn.functional import dropout

from groundup.configs import GenerationConfig, TrainConfig
from groundup.errors import InputError
from groundup.generation.sampling import row_generators
from groundup.training.seeds import seed_step, step_seed

CPU = torch.device("cpu")


def masks(seed, steps):
    found = []
    for step in steps:
        seed_step(seed, step, CPU)
        found.append(dropout(torch.ones(64), 0.5))
    return found


def test_the_dropout_of_a_step_does_not_depend_on_the_steps_before():
    whole = masks(3, range(10))
    torch.rand(1_000)
    resumed = masks(3, range(6, 10))
    assert all(torch.equal(a, b) for a, b in zip(whole[6:], resumed, strict=True))


def test_seed_step_is_torch_manual_seed_with_less_work():
    seed_step(3, 4, CPU)
    ours = torch.rand(5)
    torch.manual_seed(step_seed(3, 4))
    assert torch.equal(ours, torch.rand(5))


def test_no_two_steps_of_any_two_seeds_share_their_dropout():
    seeds = {step_seed(seed, step) for seed in range(100) for step in range(100)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**64 for seed in seeds)
    # torch's CPU generator looks at the low 32 bits only; of 10,000 about 0.01 would meet by chance
    assert len({seed % 2**32 for seed in seeds}) == 10_000
    assert step_seed(1, 23) != step_seed(12, 3)  # the digits are the same
    found = torch.stack(masks(0, range(50)) + masks(1, range(50)))
    assert len(found.unique(dim=0)) == 100


def test_each_entry_is_dropped_in_half_of_the_steps():
    """Bernoulli(1/2) over 2,000 steps: deviation √(1/8000) = 0.011, and 5.5 of them for 64 entries at once."""
    kept = (torch.stack(masks(5, range(2_000))) > 0).float().mean(0)
    assert (kept - 0.5).abs().max() < 0.0615


@pytest.mark.parametrize("config", [TrainConfig, GenerationConfig])
def test_a_seed_that_torch_cannot_take_is_refused_by_name(config):
    largest = config(seed=2**63 - 1).seed
    seed_step(largest, 1, CPU)
    row_generators(largest, 2)
    for seed in (2**63, 10**23, 10**400):
        with pytest.raises(InputError, match=rf"{config.__name__}\.seed must be below 2\^63"):
            config(seed=seed)
