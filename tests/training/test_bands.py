"""One line at each step that has a band: where the loss lies, and the causes that the run can know."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import config as small
from tests.training.killed_runs import write_corpus

from groundup.configs import Band, Bands, RunConfig, settings_of
from groundup.recipes import recipe
from groundup.training.bands import BandWatch, Circumstances, changes, judge
from groundup.training.launch import start

BAND = Band(step=1_000, low=1.5, high=1.6)


def with_bands(config: RunConfig, *points: Band) -> RunConfig:
    return replace(config, bands=Bands(points=points or (BAND,), measured_with=settings_of(config)))


@pytest.mark.parametrize(
    ("loss", "place"), [(1.5, "inside"), (1.6, "inside"), (1.4999, "below"), (1.6001, "above"), (1.55, "inside")]
)
def test_the_place_of_a_loss(loss: float, place: str):
    verdict = judge(BAND, loss)
    assert verdict.place == place
    assert f"step 1,000: validation {loss:.3f} is {place} the expected 1.500-1.600" in verdict.text
    assert "\n" not in verdict.text
    assert ("likely causes" in verdict.text) == (place != "inside")


def test_without_a_known_cause_the_line_says_so():
    assert "none that the run can see: try another seed" in judge(BAND, 2.0).text
    assert "no validation text is also in the training text" in judge(BAND, 1.0).text


def test_causes_that_the_run_knows_are_named():
    known = Circumstances(changes=("model.n_layers 1 instead of 4",), n_spikes=2, precision="bfloat16")
    above = judge(BAND, 2.0, known).text
    for cause in ("(model.n_layers 1 instead of 4)", "2 loss spikes (", "bfloat16 arithmetic"):
        assert cause in above
    assert "none that the run can see" not in above
    below = judge(BAND, 1.0, known).text
    assert "model.n_layers 1" in below
    assert "spike" not in below
    assert "(but the config differs from the recipe's (model.n_layers" in judge(BAND, 1.55, known).text


def test_long_lists_of_changes_are_cut():
    text = judge(BAND, 2.0, Circumstances(changes=tuple(f"field{i} 1 instead of 2" for i in range(7)))).text
    assert "field3" in text
    assert "field4" not in text
    assert "and 3 more" in text


def test_changes_name_both_values():
    config = with_bands(recipe("shakespeare-char"))
    assert changes(config) == ()
    other = replace(config, training=replace(config.training, learning_rate=0.01, batch_size=6))
    assert changes(other) == (
        "training.learning_rate 0.01 instead of 0.001",
        "training.sequences_per_step 6 instead of 12",
    )


def test_settings_of_another_version_are_no_change():
    config = recipe("shakespeare-char")
    old = ("model.n_layers=9", "model.gone=3")  # the other settings were not there yet
    assert changes(replace(config, bands=Bands(measured_with=old))) == ("model.n_layers 4 instead of 9",)


def test_another_text_cannot_be_compared():
    config = with_bands(recipe("shakespeare-char"))
    said = BandWatch(replace(config, data=replace(config.data, corpus="tales")))(1_000, {"loss": 0.4})
    assert said is not None
    assert 'data.corpus "tales" instead of "shakespeare"' in said
    assert "cannot be compared" in said


def test_the_watch_speaks_only_at_steps_with_a_band():
    config = with_bands(recipe("shakespeare-char"), BAND, Band(step=2_000, low=1.0, high=1.1))
    watch = BandWatch(config)
    assert watch(999, {"loss": 1.0}) is None
    assert watch(1_000, {"loss": 1.55, "perplexity": 9.0}) == judge(BAND, 1.55).text
    assert "is above the expected 1.000-1.100; likely causes: 1 loss spike (" in (
        watch(2_000, {"loss": 1.2}, n_spikes=1) or ""
    )
    assert BandWatch(RunConfig())(1_000, {"loss": 1.0}) is None


@pytest.mark.parametrize(("precision", "said"), [("bfloat16", True), ("float32", False), ("auto", False)])
def test_precision_is_a_cause_only_where_it_differs(precision: str, said: bool):
    config = with_bands(recipe("shakespeare-char"))
    text = BandWatch(replace(config, training=replace(config.training, precision=precision)))(1_000, {"loss": 2.0})
    assert ("bfloat16" in (text or "")) == said


def test_the_picture_shows_them_unless_the_run_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[object] = []
    monkeypatch.setattr("groundup.training.tracking.draw_loss_curve", lambda *_, bands, **__: drawn.append(bands))
    expected = with_bands(small(write_corpus(tmp_path)), Band(step=12, low=2.0, high=3.0))
    start(expected, tmp_path / "same", console=Console(quiet=True))
    assert drawn == [expected.bands.points]
    other = replace(expected, training=replace(expected.training, learning_rate=1e-3))
    start(other, tmp_path / "other", console=Console(quiet=True))
    assert drawn == [expected.bands.points, ()]
