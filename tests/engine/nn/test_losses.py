"""Losses as modules: torch's defaults and settings."""

import pytest
import torch

from groundup import engine as eg
from groundup.engine import nn
from groundup.engine.nn import losses

LOGITS = [[1.0, 2.0, -1.0], [0.5, 0.0, 3.0], [2.0, 2.0, 2.0]]
CASES = [
    ("MSELoss", {}, LOGITS, [[0.0, 1.0, 2.0]] * 3),
    ("MSELoss", {"reduction": "sum"}, LOGITS, [[0.0, 1.0, 2.0]] * 3),
    ("CrossEntropyLoss", {}, LOGITS, [0, 2, -100]),
    ("CrossEntropyLoss", {"ignore_index": 2, "reduction": "none"}, LOGITS, [0, 2, 1]),
    ("NLLLoss", {}, LOGITS, [0, 2, -100]),
    ("NLLLoss", {"ignore_index": 0, "reduction": "sum"}, LOGITS, [0, 2, 1]),
    ("BCEWithLogitsLoss", {}, LOGITS, [[0.0, 1.0, 0.5]] * 3),
]


@pytest.mark.parametrize(("name", "settings", "x", "target"), CASES)
def test_losses_equal_torchs(name, settings, x, target):
    ours = getattr(losses, name)(**settings)(eg.tensor(x), eg.tensor(target))
    theirs = getattr(torch.nn, name)(**settings)(torch.tensor(x), torch.tensor(target))
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-5)  # float32


def test_losses_are_part_of_nn_and_have_no_parameters():
    for name in {case[0] for case in CASES}:
        loss = getattr(nn, name)()
        assert type(loss) is getattr(losses, name)
        assert repr(loss) == repr(getattr(torch.nn, name)())
        assert not loss.state_dict()
