"""Pictures of layers: all kinds in their part, gaps where layers were left, one scale."""

import re

import pytest
from tests.reports.quantized import ERRORS

from groundup.evaluation.layer_errors import LayerError
from groundup.reports.quantization_plots import layer_plots


def test_each_kind_is_named_in_its_part_and_both_have_one_scale():
    found = layer_plots(ERRORS)
    labels = [re.findall(r">(\d+%)<", svg) for svg in found.values()]
    assert labels[0] == labels[1]
    assert list(found) == ["attention", "feed_forward"]
    for name in ("query", "key", "value", "output"):
        assert f">{name}<" in found["attention"]
    for name in ("gate", "up", "down"):
        assert f">{name}<" in found["feed_forward"]


@pytest.mark.parametrize("left", [range(1, 29)])
def test_layers_that_were_left_leave_gaps(left: range):
    errors = [one for one in ERRORS if one.block not in left]
    assert len(layer_plots(errors)) == 2


def test_nothing_is_drawn_where_there_is_nothing_to_see():
    assert layer_plots([]) == {}
    assert layer_plots(ERRORS[:1]) == {}  # the embedding
    one = LayerError(name="blocks.0.feed_forward.up", error=0.0, n_bytes=1, n_bytes_quantized=1)
    assert list(layer_plots([one])) == ["feed_forward"]
