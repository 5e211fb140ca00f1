"""The demo: what it measures and leaves behind, that it never overwrites, and that Ctrl-C ends it."""

import os
from pathlib import Path

import pytest

from groundup import demo
from groundup.cli.main import main
from groundup.data.tales import bits_per_byte
from groundup.errors import InputError
from groundup.training.loop import Outcome


def test_quick_demo_measures_and_leaves_a_run(tmp_path: Path):
    said: list[str] = []
    result = demo.run_demo(tmp_path / "run", quick=True, say=said.append)
    assert len(result.tales) == 20
    assert 0 <= result.n_valid <= 20
    assert result.n_new == 20  # after twenty steps it cannot know a tale by heart
    assert result.floor == bits_per_byte()
    # Twenty steps: far above the entropy, and below the eight bits of a byte that nothing is known about.
    assert result.floor < result.bits_per_byte < 8
    assert result.excess == pytest.approx(result.bits_per_byte / result.floor - 1)
    for name in ("config.json", "tokenizer.json", "metrics.jsonl", "loss.png", "checkpoints/step-20", "samples"):
        assert (tmp_path / "run" / name).exists(), name
    assert len(said) == 2


def test_demo_never_overwrites(tmp_path: Path):
    assert demo.free_folder(tmp_path, "demo") == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo-2").mkdir()
    assert demo.free_folder(tmp_path, "demo") == tmp_path / "demo-3"
    with pytest.raises(InputError, match="in use"):
        demo.run_demo(tmp_path / "demo", quick=True)
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_stopped_demo_ends_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    stopped = Outcome.__new__(Outcome)
    object.__setattr__(stopped, "interrupted", True)
    monkeypatch.setattr(demo, "start", lambda config, folder: stopped)
    assert main(["demo", "--out", str(tmp_path / "run")]) == 130
    assert "valid tales" not in capsys.readouterr().out


def test_quick_is_the_same_recipe_shorter():
    whole, quick = demo.demo_config(), demo.demo_config(quick=True)
    assert quick.model == whole.model
    assert quick.training.steps < whole.training.steps


@pytest.mark.slow
def test_the_demo_keeps_its_promises(tmp_path: Path):
    """The whole demo: at least 90 % of its tales are valid, and its loss is within 5 % of the exact entropy.

    GROUNDUP_DEMO_RUN is what `make demo` left a moment ago, in .ci/run: it is not trained twice.
    """
    made = os.environ.get("GROUNDUP_DEMO_RUN")
    result = demo.measure_demo(Path(made)) if made else demo.run_demo(tmp_path / "run")
    assert result.n_valid >= 0.9 * demo.N_TALES
    # Half a percent below is chance: a thousand validation tales are a sample.
    assert -0.005 < result.excess <= 0.05
    assert result.n_new >= 0.9 * demo.N_TALES  # it writes, and does not recite
