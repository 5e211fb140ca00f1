"""Kinds of runs: each task has words for people; what is no run of these kinds is refused in one line."""

from pathlib import Path

import pytest

from groundup.configs import RunConfig
from groundup.configs.finetune_runs import ChatConfig
from groundup.configs.run_tasks import RUN_TASKS, run_task
from groundup.errors import InputError
from groundup.finetuning.runs import KINDS as TUNED
from groundup.recipes import RECIPES
from groundup.training.kinds import KINDS, LANGUAGE, kind_of, resume, start
from groundup.training.run_folder import Run


def test_every_task_has_words():
    assert set(RUN_TASKS) == {None, *KINDS, *TUNED}
    assert all("RUN" in task.use for task in RUN_TASKS.values())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_of_a_known_kind(name: str):
    config = RECIPES[name]()
    kind = kind_of(config)
    assert kind is not None
    assert type(config) is kind.config
    assert kind is LANGUAGE or kind is KINDS[config.task]  # type: ignore[attr-defined]


def test_a_damaged_task_is_no_task():
    for task in ([], 7, "paint"):
        assert "another version" in run_task(task).model


def test_other_runs_are_refused(tmp_path: Path):
    run = Run.create(tmp_path / "run", ChatConfig())
    with pytest.raises(InputError, match=r"expected a run of groundup train, found .*, of a tuned language model"):
        resume(run.path)
    with pytest.raises(InputError, match=r"expected a run of a language model from scratch, found .*, of a tuned"):
        run.read_config(RunConfig)
    with pytest.raises(ValueError, match="found ChatConfig"):
        start(ChatConfig(), tmp_path / "other")  # type: ignore[arg-type]
