"""verify-resume: where it kills, what it compares, and that it sees a difference."""

import sys
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import config, write_corpus

from groundup.cli.main import main
from groundup.configs import RunConfig
from groundup.errors import InputError
from groundup.recipes import RECIPES
from groundup.training import killed, kinds, session, verify_resume
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker
from groundup.training.verify_resume import FEWEST_STEPS, MOST, choose_kills, shorten


class Death(BaseException):
    """Stands for SIGKILL: nothing in between may catch it."""


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sessions die in this process, where a test can watch."""

    def die() -> None:
        raise Death

    def run_session(run: Path, moment: str = "", step: int = 0) -> None:
        with monkeypatch.context() as patch:
            for owner, name in ((Stepper, "update"), (session, "save_state"), (Tracker, "record_evaluation")):
                patch.setattr(owner, name, getattr(owner, name))  # put back afterwards
            patch.setattr("os.fsync", lambda file: None)
            if moment:
                killed.die_at(moment, step)
                with pytest.raises(Death):
                    kinds.resume(run, console=Console(quiet=True))
            else:
                kinds.resume(run, console=Console(quiet=True))

    monkeypatch.setattr(killed, "die", die)
    monkeypatch.setattr(verify_resume, "_session", run_session)


@pytest.fixture
def short(tmp_path: Path) -> RunConfig:
    return shorten(config(write_corpus(tmp_path)), 12)


@pytest.mark.usefixtures("in_process")
def test_a_killed_run_is_the_same_run(short: RunConfig, tmp_path: Path):
    told: list[str] = []
    verdict = verify_resume.verify_resume(short, tmp_path, seed=3, report=told.append)
    assert verdict.is_same
    assert [moment for moment, _ in verdict.kills] == ["step", "save", "evaluation"]
    assert len(told) == 5
    assert verify_resume.format_verdict(verdict).endswith("\n\nexact: the killed run ended in the same bits")


@pytest.mark.usefixtures("in_process")
def test_a_run_that_forgets_is_seen(short: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An optimizer whose memory is not restored: the loss goes on almost as before, the bits do not."""
    monkeypatch.setattr("groundup.training.state._load_optimizer_state", lambda *given: None)
    verdict = verify_resume.verify_resume(short, tmp_path, seed=3, report=lambda line: None)
    assert not verdict.is_same
    assert not verdict.same_records
    shown = verify_resume.format_verdict(verdict)
    assert shown.count("DIFFERENT") == 3
    assert shown.endswith("NOT exact: the killed run ended in other bits")


@pytest.mark.parametrize("steps", range(FEWEST_STEPS, 60))
def test_there_is_always_room_for_three_kills(steps: int):
    for seed in range(20):
        made = shorten(RunConfig(), steps)
        (_, first), (_, second), (_, last) = choose_kills(made, seed)
        assert 1 <= first < second < last <= steps
        assert second % made.training.checkpoints.every_steps == 0
        assert last % made.training.evaluation.every_steps == 0 or last == steps


@pytest.mark.parametrize("name", RECIPES)
def test_any_recipe_can_be_shortened(name: str):
    made = RECIPES[name]()
    short = shorten(made, 24)
    assert short.model == made.model
    assert short.training.sequences_per_step == made.training.sequences_per_step
    assert short.training.evaluation.patience is None
    limits = [getattr(short.data, name) for name in MOST if hasattr(short.data, name)]  # of images there is none
    assert all(limit is not None for limit in limits)
    with pytest.raises(InputError, match="at least 6 steps, found 5"):
        shorten(made, 5)


def test_bad_input_is_one_line_and_leaves_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    for arguments, found in (
        (["nothing"], "expected a recipe or the folder of a run, found 'nothing'"),
        (["tales", "--steps", "5"], "at least 6 steps, found 5"),
        (["tales", "--data.corpus", "no-such-corpus"], "no-such-corpus"),
    ):
        assert main(["verify-resume", *arguments]) == 2
        said = capsys.readouterr().err
        assert found in said
        assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Five processes, three of which really are killed."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    tiny = ["--model.d-model", "16", "--model.n-layers", "1", "--model.n-heads", "2"]
    corpus = str(write_corpus(tmp_path))
    assert main(["verify-resume", "shakespeare-char", "--data.corpus", corpus, *tiny]) == 0
    assert capsys.readouterr().out.endswith("exact: the killed run ended in the same bits\n")
    assert list(temporary.iterdir()) == []
