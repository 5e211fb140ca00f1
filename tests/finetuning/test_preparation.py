"""What a run says at its start of what would not be as asked for."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.finetuning.small_runs import TUNINGS, save_base, training

from groundup.configs.finetuning import FreezingConfig, TuningConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.finetuning.preparation import model_page, tune
from groundup.resolve import open_model
from groundup.weights.pretrained import Pretrained


@pytest.fixture
def base(tmp_path: Path) -> Pretrained:
    return open_model(str(save_base(tmp_path / "base")))


@pytest.mark.parametrize(("every", "said"), [(3, None), (4, "1 of 3 layers"), (8, "2 of 3 layers")])
def test_blocks_that_would_learn_behind_the_last_step_are_named(every: int, said: str | None, base: Pretrained):
    # Two blocks and the embeddings, 8 steps: what begins at step 0, every, 2 · every learns if that is below 8.
    tuning = TuningConfig(method="full", freezing=FreezingConfig(unfreeze_every=every))
    tune(base, tuning, seed=0)
    _, _, *notes = model_page("tiny", tuning, base.model, training())
    assert len(notes) == (said is not None)
    assert all(
        f"{said} would begin to learn behind the last step, the first of them at step 9:" in one for one in notes
    )


@pytest.mark.parametrize("tuning", TUNINGS)
def test_muon_without_a_matrix_to_turn_is_said(tuning: str, base: Pretrained):
    tune(base, TUNINGS[tuning], seed=0)
    for name in ("muon", "adamw"):
        asked = replace(training(), optimizer=OptimizerConfig(name=name))
        said = "\n".join(model_page("tiny", TUNINGS[tuning], base.model, asked))
        is_needed = name == "muon" and tuning not in ("full", "last")
        assert ("adapters, vectors and heads learn by AdamW" in said) == is_needed
