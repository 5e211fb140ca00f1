"""Tables of runs: every figure is one that a file says, under its column; and what a reader must know is said."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import DataConfig, RunConfig, TrainConfig
from groundup.configs.finetune_runs import ChatConfig, ClassifyConfig, LabelledConfig, TextConfig
from groundup.configs.image_data import ImageDataConfig
from groundup.configs.images import ImagesConfig
from groundup.errors import InputError
from groundup.reports.run_report import in_share, notes_of, read_groups, short_names, table_of
from groundup.reports.tables import MISSING

ARun = Callable[..., Path]
RESOURCES = {
    "trainable": 460_800, "parameters": 134_975_808, "peak_bytes": 1_950_000_000, "seconds": 300.5, "tokens": 6_010,
    "checkpoint_bytes": 1_843_200, "base": "smollm2", "method": "lora",
}  # fmt: skip


def a_test(accuracy: float, n: int = 299) -> dict[str, object]:
    interval = [accuracy - 0.01, accuracy + 0.01]
    return {"n": n, "metrics": {"auc": 0.99, "accuracy": accuracy}, "intervals": {"accuracy": interval}}


def evaluated(step: int, loss: float, **others: float) -> dict[str, object]:
    return {"kind": "validation", "step": step, "loss": loss, **others}


def shown(folders: list[Path], group: int = 0) -> list[dict[str, str]]:
    """Each row of a table as what stands under each title."""
    table = table_of(read_groups(folders)[group])
    titles = [column.title for column in table.columns]
    return [dict(zip(titles, map(str, row), strict=True)) for row in table.rows]


def test_rows_hold_what_the_files_say(a_run: ARun):
    one = a_run("one", ClassifyConfig(), [evaluated(5, 0.25)], resources=RESOURCES, test=a_test(0.98))
    other = a_run("other", ClassifyConfig(), test=a_test(0.95))
    assert shown([one, other]) == [
        {
            "run": "one", "base": "smollm2", "method": "lora", "test accuracy": "98.0% (97.0–99.0)",
            "test AUC": "0.990", "val. loss": "0.250", "trainable": "460,800", "share": "0.34%",
            "peak memory": "1.95 GB", "time": "5 min 00 s", "tokens/s": "20", "checkpoint": "1.84 MB",
        },
        {
            "run": "other", "base": "smollm2", "method": "lora", "test accuracy": "95.0% (94.0–96.0)",
            "test AUC": "0.990", "val. loss": MISSING, "trainable": MISSING, "share": MISSING,
            "peak memory": MISSING, "time": MISSING, "tokens/s": MISSING, "checkpoint": MISSING,
        },
    ]  # fmt: skip


def test_a_column_that_no_run_fills_is_not_there(a_run: ARun):
    (row,) = shown([a_run("one", TextConfig(), [evaluated(5, 3.0, perplexity=20.1, bits_per_byte=1.2)])])
    assert row == {
        "run": "one", "base": "smollm2", "method": "lora", "val. perplexity": "20.1", "val. bits/byte": "1.200",
        "val. loss": "3.000",
    }  # fmt: skip


def test_a_tested_text_shows_its_perplexity_beside_the_bases(a_run: ARun):
    metrics = {"loss": 2.9, "perplexity": 18.2, "bits_per_byte": 1.3}
    test = {"n": 2_000, "metrics": {**metrics, **{f"base_{name}": 2 * value for name, value in metrics.items()}}}
    folder = a_run("one", TextConfig(), [evaluated(5, 3.0, perplexity=20.1)], test=test)
    (row,) = shown([folder])
    assert row == {
        "run": "one", "base": "smollm2", "method": "lora", "held-out perplexity": "18.2",
        "held-out perplexity of the base": "36.4", "held-out bits/byte": "1.300", "val. loss": "3.000",
    }  # fmt: skip
    said = "Measured on 2,000 held-out tokens: those of validation, which chose the best weights."
    assert said in notes_of(read_groups([folder])[0])


def test_metrics_that_nobody_knows_are_shown_under_their_names(a_run: ARun):
    (row,) = shown([a_run("one", {"task": "sing"}, test={"metrics": {"pitch_error": 0.125}})])
    assert row == {"run": "one", "test pitch error": "0.125"}


def test_each_task_has_a_table_in_one_order_whatever_the_order_of_the_runs(a_run: ARun):
    folders = [a_run(config.__class__.__name__, config) for config in (RunConfig(), ChatConfig(), ClassifyConfig())]
    for given_order in (folders, folders[::-1]):
        groups = read_groups(given_order)
        assert [group.title for group in groups] == [
            "Classification", "Conversations", "Trained from random weights"
        ]  # fmt: skip
        assert [len(group.runs) for group in groups] == [1, 1, 1]


def test_runs_stay_in_the_order_in_which_they_were_given(a_run: ARun):
    folders = [a_run(name, TextConfig()) for name in ("c", "a", "b")]
    assert [row["run"] for row in shown(folders)] == ["c", "a", "b"]


def test_what_a_reader_must_know_is_said(a_run: ARun):
    data = LabelledConfig(seed=1)
    folders = [
        a_run("done", ClassifyConfig(), [evaluated(5, 0.2)], test=a_test(0.98, n=100)),
        a_run("other", ClassifyConfig(data=data), [evaluated(5, 0.2)], test=a_test(0.98, n=90)),
        a_run("half", ClassifyConfig(training=TrainConfig(steps=50)), [evaluated(5, 0.2)]),
        a_run("new", ClassifyConfig()),
    ]
    notes = notes_of(read_groups(folders)[0])
    assert notes[0] == "Measured on 90 to 100 test examples, with 95% confidence intervals."
    assert "The runs differ in data.seed: their figures may be of different texts." in notes
    assert "half stands at step 5 of 50." in notes
    assert "new has not been evaluated." in notes
    assert not any("done" in note or "other" in note for note in notes)


def test_runs_on_images_are_told_of_in_images(a_run: ARun):
    step = {"kind": "train", "step": 5, "loss": 1.0, "tokens": 320, "tokens_per_second": 64.0, "seconds": 5.0}
    folders = [
        a_run(name, ImagesConfig(data=ImageDataConfig(seed=seed)), [step, evaluated(5, 0.2, accuracy=0.9)])
        for seed, name in enumerate("ab")
    ]
    [group] = read_groups(folders)
    assert group.title == "Images"
    row = shown(folders)[0]
    assert (row["val. accuracy"], row["images/s"]) == ("90.0%", "64")
    assert "tokens/s" not in row
    assert "The runs differ in data.seed: their figures may be of different images." in notes_of(group)


def test_runs_of_the_same_text_are_not_said_to_differ(a_run: ARun):
    folders = [a_run(name, TextConfig(data=DataConfig(corpus="tales"))) for name in "ab"]
    assert not any("differ" in note for note in notes_of(read_groups(folders)[0]))


def test_different_bases_have_different_tokens(a_run: ARun):
    folders = [a_run(base, TextConfig(base=base)) for base in ("smollm2", "gpt2")]
    assert any("different bases" in note for note in notes_of(read_groups(folders)[0]))
    assert not any("different bases" in note for note in notes_of(read_groups(folders[:1])[0]))


def test_a_run_twice_or_none_is_refused(a_run: ARun, monkeypatch: pytest.MonkeyPatch):
    folder = a_run("one", TextConfig())
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    for again in (folder, folder / ".." / "one", Path("one"), Path("link")):
        with pytest.raises(InputError, match=r"^expected each run once, found .* twice: leave one out$"):
            read_groups([folder, again])
    with pytest.raises(InputError, match="expected the folders of runs, found none"):
        read_groups([])


@settings(max_examples=25, derandomize=True)
@given(st.sets(st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join), min_size=1, max_size=5))
def test_short_names_differ_and_lead_to_their_folders(paths: set[str]):
    places = [Path("/runs", path) for path in sorted(paths)]
    names = short_names(places)
    assert len(set(names)) == len(places)
    assert all(f"/{place.as_posix()}".endswith(f"/{name}") for place, name in zip(places, names, strict=True))


@settings(max_examples=25, derandomize=True)
@given(st.floats(1e-7, 1.0))
def test_a_share_is_shown_within_half_of_its_second_digit(share: float):
    text = in_share(share)
    percent = float(text.removesuffix("%"))
    # Half of the last digit shown, for two digits or more: at most 1/20 of the value.
    assert math.isclose(percent, share * 100, rel_tol=0.051)


def test_a_test_of_an_earlier_step_is_said_to_be_one(a_run: ARun):
    config = ClassifyConfig(training=TrainConfig(steps=20))
    tested = {"resources": RESOURCES | {"steps": 8}, "test": a_test(0.98)}
    done = a_run("done", config, [evaluated(8, 0.25)], **tested)
    went_on = a_run("went_on", config, [evaluated(8, 0.25), evaluated(12, 0.2)], **tested)
    notes = notes_of(read_groups([done, went_on])[0])
    assert "went_on stands at step 12 of 20; its test and costs are of step 8." in notes
    assert not any("done" in note for note in notes)


def test_a_base_in_a_folder_is_called_by_its_last_part(a_run: ARun):
    (row,) = shown([a_run("one", ClassifyConfig(base="/somewhere/mine"), [evaluated(5, 0.25)])])
    assert row["base"] == "mine"
