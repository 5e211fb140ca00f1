"""A plan: figures that agree with each other, and the page that shows them."""

from dataclasses import replace

import pytest
from rich.console import Console

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, TrainConfig
from groundup.errors import InputError
from groundup.planning import plan as planning
from groundup.planning.page import page
from groundup.planning.plan import Plan, make_plan, n_checkpoints
from groundup.planning.trial import Trial
from groundup.recipes import recipe
from groundup.recipes.language import RECIPES

TRIAL = Trial(
    vocab_size=65,
    is_whole_text=True,
    n_train_tokens=1_000_000,
    startup=2.0,
    preparation=3.0,
    step=0.05,
    step_spread=0.02,
    n_steps=40,
    evaluation=4.0,
    sample=0.5,
    checkpoint=0.25,
    peak_bytes=450_000_000,
    flops_per_second=1e11,
    precision="float32",
    threads=2,
    device="cpu",
)


def planned(name: str = "shakespeare-char", **changes: object) -> Plan:
    plan = make_plan(recipe(name), memory=8 * 10**9, trial=False)
    return replace(plan, trial=replace(TRIAL, **changes))  # type: ignore[arg-type]


def test_the_time_is_the_sum_of_what_happens():
    times = planned().times
    assert times is not None
    assert times.preparation == 5.0
    assert times.steps == 2_000 * 0.05
    assert times.evaluations == 8 * 4.0
    assert times.samples == 8 * 0.5
    assert times.checkpoints == 8 * 0.25  # every 250: each evaluation may be the best so far
    assert times.total == 5.0 + 100.0 + 32.0 + 4.0 + 2.0


def test_utilization_is_achieved_over_measured():
    plan = planned()
    assert plan.flops_per_second == plan.flops.training * 12 * 64 / 0.05
    assert plan.utilization == plan.flops_per_second / 1e11


def test_without_a_trial_no_time_is_made_up():
    plan = make_plan(recipe("tales"), memory=8 * 10**9, trial=False)
    assert plan.times is plan.utilization is plan.flops_per_second is None
    assert not plan.is_vocabulary_certain


@pytest.mark.parametrize(
    ("steps", "evaluate", "save", "mark", "expected"),
    [(100, 10, 1_000, None, 10), (100, 1_000, 30, None, 4), (100, 40, 40, None, 3), (100, 1_000, 1_000, 25, 4)],
)
def test_checkpoints(steps: int, evaluate: int, save: int, mark: int | None, expected: int):
    training = TrainConfig(
        steps=steps,
        evaluation=EvaluationConfig(every_steps=evaluate),
        checkpoints=CheckpointConfig(every_steps=save, mark_every_steps=mark),
    )
    assert n_checkpoints(RunConfig(training=training), seconds=1) == expected


def test_a_long_run_saves_by_the_clock():
    training = TrainConfig(steps=10, evaluation=EvaluationConfig(every_steps=10))
    assert n_checkpoints(RunConfig(training=training), seconds=3_600) == 6


def test_a_plan_that_cannot_fit_is_refused_before_anything_is_tried(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "run_trial", lambda config: pytest.fail("tried"))
    with pytest.raises(InputError, match="expected a run that fits in 100 MB"):
        make_plan(recipe("tales"), memory=10**8)


def test_what_fits_another_machine_only_is_not_tried_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "run_trial", lambda config: pytest.fail("tried"))
    config = RunConfig(
        model=GPTConfig(vocab_size=50_257, d_model=8_192, n_layers=100, n_heads=64),
        training=TrainConfig(device="cpu"),
    )
    assert make_plan(config, memory=10**14).trial is None


def test_a_cut_up_step_is_told_what_there_is_room_for():
    config = recipe("tales")
    cut = replace(config, training=replace(config.training, batch_size=1, accumulation_steps=4))
    plan = make_plan(cut, memory=8 * 10**9, trial=False)
    assert "there is room for --training.batch-size 4 --training.accumulation-steps 1" in page(plan, "tales")
    assert make_plan(config, memory=8 * 10**9, trial=False).largest is None


def shown(plan: Plan) -> list[str]:
    console = Console(width=80, highlight=False, soft_wrap=True, record=True, quiet=True)
    console.quiet = False
    with console.capture() as capture:
        console.print(page(plan, "a-recipe-with-a-long-name"))
    return capture.get().splitlines()


@pytest.mark.parametrize("name", RECIPES)
def test_the_page_fits_in_80_columns(name: str):
    slow = planned(name, step=1234.5, evaluation=98765.0, is_whole_text=False, n_train_tokens=10)
    for plan in (planned(name), slow, make_plan(recipe(name), memory=8 * 10**9, trial=False)):
        lines = shown(plan)
        assert max(map(len, lines)) <= 80, max(lines, key=len)
        assert [line.split()[0] for line in lines if line[:1].isupper()][:4] == [
            "Parameters", "Compute", "Memory", "Time"]  # fmt: skip
        assert all(line == line.rstrip() for line in lines)


def test_the_page_says_what_was_measured_and_what_was_not():
    text = "\n".join(shown(planned()))
    assert "2,000 x 50.0 ms" in text
    assert "15,360  ± 2%, the text 1.54 times" in text
    assert "of 100 GFLOP/s measured" in text
    assert "float32 on cpu, 2 threads" in text
    without = "\n".join(shown(make_plan(recipe("tales"), memory=8 * 10**9, trial=False)))
    assert "not measured" in without
    assert "vocabulary about 1,536" in without


def test_a_folder_of_texts_is_planned_like_any_other(tmp_path):
    config = RunConfig(data=DataConfig(corpus=str(tmp_path), tokenizer="bpe"))
    masked, single = (make_plan(c, memory=10**11, trial=False).memory for c in (config, recipe("shakespeare-char")))
    assert masked.activations != single.activations
