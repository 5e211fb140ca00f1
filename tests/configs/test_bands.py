"""Bands: impossible ones are refused, they survive JSON and the command line, and settings are those that matter."""

from dataclasses import replace

import pytest

from groundup.cli.parse import parse
from groundup.cli.train import Train
from groundup.configs import Band, Bands, RunConfig, from_json, settings_of, to_json
from groundup.errors import InputError
from groundup.recipes import recipe
from groundup.recipes.language import RECIPES


def with_bands(config: RunConfig) -> RunConfig:
    points = (Band(step=10, low=1.0, high=1.5), Band(step=20, low=0.5, high=0.5))
    return replace(config, bands=Bands(points=points, measured_with=settings_of(config)))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"step": 0, "low": 1.0, "high": 2.0}, "Band.step must be at least 1, found 0"),
        ({"step": 1, "low": 0.0, "high": 2.0}, "Band.low must be above 0"),
        ({"step": 1, "low": 1.0, "high": float("inf")}, "Band.high must be a finite number"),
        ({"step": 1, "low": 3.0, "high": 2.0}, "Band.low must be at most Band.high, found 3.0 and 2.0"),
    ],
)
def test_impossible_bands_are_refused(fields: dict[str, float], found: str):
    with pytest.raises(InputError, match=found):
        Band(**fields)


@pytest.mark.parametrize("name", RECIPES)
def test_bands_survive_json(name: str):
    config = with_bands(recipe(name))
    assert from_json(RunConfig, to_json(config)) == config


def test_a_config_of_a_run_before_there_were_bands_can_be_read():
    text = to_json(RunConfig())
    assert from_json(RunConfig, text[: text.index(',\n  "bands"')] + "\n}") == RunConfig()


def test_the_command_line_keeps_bands_and_does_not_show_them(capsys: pytest.CaptureFixture[str]):
    config = with_bands(recipe("tales"))
    chosen = parse(Train[RunConfig], ["--training.steps", "7"], program="train", default=Train(config=config)).config
    assert chosen.bands == config.bands
    assert chosen.training.steps == 7
    with pytest.raises(InputError, match=r"Unrecognized options: --bands\.points"):
        parse(Train[RunConfig], ["--bands.points", "7"], program="train", default=Train(config=config))
    with pytest.raises(SystemExit):
        parse(Train[RunConfig], ["--help"], program="train", default=Train(config=config))
    shown = capsys.readouterr().out
    assert "--training.steps" in shown
    assert "bands" not in shown
    assert "measured-with" not in shown


def test_settings_are_what_decides_the_loss_and_nothing_else():
    config = recipe("tales")
    training = config.training
    same = replace(training, seed=5, log_every=1, precision="bfloat16", batch_size=2, accumulation_steps=2)
    assert settings_of(replace(config, training=same)) == settings_of(config)
    assert settings_of(with_bands(config)) == settings_of(config)
    for other in (
        replace(config, training=replace(training, batch_size=5)),
        replace(config, training=replace(training, steps=5)),
        replace(config, training=replace(training, schedule=replace(training.schedule, warmup_steps=1))),
        replace(config, training=replace(training, optimizer=replace(training.optimizer, beta2=0.5))),
        replace(config, training=replace(training, evaluation=replace(training.evaluation, max_tokens=9))),
        replace(config, data=replace(config.data, max_bytes=9)),
        replace(config, model=replace(config.model, n_layers=9)),
    ):
        assert settings_of(other) != settings_of(config)
