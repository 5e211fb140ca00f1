"""The choice of layers: enough of them for any model, few measurements, and the fewest where costs add up."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.evaluation.precision_search import NEAR_ENOUGH, choose_layers
from groundup.evaluation.sensitivity import Sensitivity


def costs_of(kls: list[float]) -> list[Sensitivity]:
    ordered = sorted(kls, reverse=True)
    return [Sensitivity(name=f"layer {i}", kl=kl, n_bytes_saved=1) for i, kl in enumerate(ordered)]


def additive(costs: list[Sensitivity], factor: float) -> Callable[[tuple[str, ...]], float]:
    alone = {one.name: one.kl for one in costs}
    return lambda left: factor * sum(kl for name, kl in alone.items() if name not in left)


@settings(max_examples=25, derandomize=True)
@given(
    kls=st.lists(st.floats(0, 1), min_size=1, max_size=60), factor=st.floats(0, 5), most=st.floats(0.001, 1),
    power=st.floats(0.3, 3),
)  # fmt: skip
def test_what_is_chosen_was_measured_to_be_enough(kls: list[float], factor: float, most: float, power: float):
    costs = costs_of(kls)
    straight = additive(costs, factor)
    measure = lambda left: straight(left) ** power  # noqa: E731 - predictions are off
    found = choose_layers(costs, measure, most=most)
    assert measure(found.names) <= most
    assert found.increase == measure(found.names)
    assert found.names == tuple(one.name for one in costs[: len(found.names)])
    assert len(found.tried) <= 1 + 4 + 6  # predicted four times, then 60 are halved six times
    if found.names and found.increase < NEAR_ENOUGH * most:  # then not one less would do
        assert measure(found.names[:-1]) > most


def test_where_costs_add_up_the_first_prediction_is_right():
    costs = costs_of([0.5, 0.25, 0.125, 0.0625, 0.03125])
    found = choose_layers(costs, additive(costs, 2.0), most=0.2)
    assert found.names == ("layer 0", "layer 1", "layer 2")
    assert sorted(found.tried) == [0, 3]


def test_nothing_is_left_where_little_is_lost():
    costs = costs_of([0.1, 0.2])
    found = choose_layers(costs, additive(costs, 0.1), most=0.05)
    assert (found.names, found.increase) == ((), pytest.approx(0.03))


def test_of_one_layer_that_costs_too_much_all_is_left():
    found = choose_layers(costs_of([1.0]), lambda left: 0.0 if left else 1.0, most=0.5)
    assert (found.names, found.increase) == (("layer 0",), 0.0)


def test_costs_of_nothing_do_not_stop_it():
    found = choose_layers(costs_of([0.0] * 9), lambda left: 1.0 - len(left) / 9, most=0.5)
    assert len(found.names) == 5


def test_where_all_have_to_be_left_what_that_loses_is_measured():
    found = choose_layers(costs_of([0.3, 0.2, 0.1]), lambda left: 0.05 * (4 - len(left)), most=0.01)
    assert len(found.names) == 3
    assert found.increase == pytest.approx(0.05)
