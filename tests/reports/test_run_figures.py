"""What a run's folder says is what is read, and what it does not say is None."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from groundup.configs import RunConfig
from groundup.configs.finetune_runs import ClassifyConfig
from groundup.errors import InputError
from groundup.reports.run_figures import read_figures

RESOURCES = {
    "trainable": 460_800, "parameters": 134_975_808, "peak_bytes": 1_950_000_000, "seconds": 300.5, "tokens": 6_000,
    "checkpoint_bytes": 1_843_200, "base": "smollm2", "method": "lora",
}  # fmt: skip
ARun = Callable[..., Path]
TEST = {
    "n": 299,
    "metrics": {"accuracy": 0.98, "auc": 0.99, "ece": None},
    "intervals": {"accuracy": [0.96, 0.99], "auc": None},
}


def evaluated(step: int, loss: float, **others: float) -> dict[str, object]:
    return {"kind": "validation", "step": step, "loss": loss, **others}


def trained(step: int, tokens: int, rate: float, seconds: float) -> dict[str, object]:
    return {"kind": "train", "step": step, "loss": 1.0, "tokens": tokens, "tokens_per_second": rate, "seconds": seconds}


def test_everything_a_run_says(a_run: ARun):
    records = [trained(10, 1_000, 100.0, 10.0), evaluated(10, 0.5), trained(20, 4_000, 300.0, 30.0), evaluated(20, 0.7)]
    run = read_figures(a_run("a", ClassifyConfig(), records, resources=RESOURCES, test=TEST))
    assert (run.task, run.base, run.method) == ("classify", "smollm2", "lora")
    assert (run.trainable, run.parameters, run.share) == (460_800, 134_975_808, 460_800 / 134_975_808)
    assert (run.peak_bytes, run.seconds, run.checkpoint_bytes) == (1_950_000_000, 300.5, 1_843_200)
    assert run.best == {"step": 10, "loss": 0.5}
    assert run.tokens_per_second == pytest.approx(4_000 / 20)  # 1,000 tokens in 10 s and 3,000 in 10 s
    assert run.test is not None
    assert (run.test.n, run.test.metrics) == (299, {"accuracy": 0.98, "auc": 0.99})
    assert run.test.intervals == {"accuracy": (0.96, 0.99)}
    assert (run.step, run.n_steps) == (20, ClassifyConfig().training.steps)


def test_what_a_run_does_not_say_is_none(a_run: ARun):
    run = read_figures(a_run("a", {}))
    assert run.task == "train"
    told = (run.base, run.method, run.test, run.best, run.trainable, run.parameters, run.share, run.peak_bytes)
    assert told == (None,) * 8
    more = (run.seconds, run.tokens_per_second, run.checkpoint_bytes, run.step, run.n_steps)
    assert more == (None,) * 5
    assert run.evaluations == ()


def test_a_run_of_groundup_train_tells_by_its_weights(a_run: ARun):
    folder = a_run("a", RunConfig(), [trained(5, 100, 50.0, 7.5)])
    for step in (3, 5):
        (folder / f"checkpoints/step-{step}").mkdir(parents=True)
        save_file({"a": np.ones((step, 2), np.float32)}, folder / f"checkpoints/step-{step}/model.safetensors")
    run = read_figures(folder)
    assert (run.trainable, run.parameters, run.share) == (10, 10, 1.0)
    assert run.checkpoint_bytes == (folder / "checkpoints/step-5/model.safetensors").stat().st_size
    assert run.seconds == 7.5
    (folder / "checkpoints/step-5/model.safetensors").write_bytes(b"cut short")
    assert read_figures(folder).parameters is None


def test_weights_of_an_unfinished_tuning_are_not_taken_for_the_whole_model(a_run: ARun):
    folder = a_run("a", ClassifyConfig())
    (folder / "checkpoints/step-5").mkdir(parents=True)
    save_file({"a": np.ones(3, np.float32)}, folder / "checkpoints/step-5/model.safetensors")
    run = read_figures(folder)
    assert run.parameters is run.trainable is None
    assert run.base == ClassifyConfig().base


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("test", "{", "no JSON"),
        ("test", "[1]", "no object"),
        ("test", {"n": 3, "metrics": {"accuracy": "high"}}, "'high' where a number belongs"),
        ("test", '{"metrics": {"accuracy": NaN}}', "nan where a number belongs"),
        ("test", {"metrics": {"accuracy": 0.5}, "intervals": {"accuracy": [0.1]}}, "list index out of range"),
        ("test", {"metrics": [0.5]}, "found"),
        ("resources", {"trainable": "many"}, "trainable 'many'"),
        ("resources", {"seconds": True}, "seconds True"),
        ("resources", "\xff", "no JSON"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: object, found: str, a_run: ARun):
    folder = a_run("a", ClassifyConfig(), **{name: content})
    with pytest.raises(InputError) as refused:
        read_figures(folder)
    assert f"{name}.json as it was written" in str(refused.value)
    assert found in str(refused.value)
    assert "\n" not in str(refused.value)


def test_damaged_lines_of_metrics_are_left_out(a_run: ARun):
    folder = a_run("a", ClassifyConfig(), [evaluated(5, 2.0)])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "validation", "step": 9, "lo')
    assert read_figures(folder).evaluations == ({"step": 5, "loss": 2.0},)


def test_what_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"no readable config\.json"):
        read_figures(tmp_path)
    with pytest.raises(InputError, match="found nothing at"):
        read_figures(tmp_path / "nowhere")
