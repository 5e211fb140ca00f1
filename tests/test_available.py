"""What is listed is what can be opened, and nothing is loaded to list it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from groundup import available
from groundup.available import known_models
from groundup.weights.catalog import PUBLISHED


def a_run(folder: Path, *, numbers: int, when: float) -> None:
    weights = folder / "checkpoints" / "step-10" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_file({"a": torch.zeros(numbers, 2), "b": torch.zeros(3)}, weights, metadata={"format": "pt"})
    os.utime(weights, (when, when))


def test_runs_come_last_the_newest_first_with_their_numbers_counted(tmp_path: Path):
    a_run(tmp_path / "old", numbers=10, when=1000)
    a_run(tmp_path / "new", numbers=20, when=2000)
    (tmp_path / "not a run").mkdir()
    (tmp_path / "without weights").mkdir()
    (tmp_path / "without weights" / "config.json").write_text("{}")
    found = known_models(tmp_path)
    assert [model.name for model in found[: len(PUBLISHED)]] == list(PUBLISHED)
    runs = found[len(PUBLISHED) :]
    assert {model.kind for model in runs} == {"run"}
    assert [(Path(model.name).name, model.n_parameters, model.licence) for model in runs] == [
        ("new", 43, "yours"),
        ("old", 23, "yours"),
    ]
    assert all(model.n_bytes and model.n_bytes > 4 * 23 for model in runs)


def test_tuned_runs_are_counted_whole_and_those_that_label_texts_are_left_out(tmp_path: Path):
    for name, task in (("labels", "classify"), ("writes", "text"), ("unfinished", "chat")):
        a_run(tmp_path / name, numbers=1, when=1000)
        (tmp_path / name / "config.json").write_text(json.dumps({"task": task}))
    (tmp_path / "writes" / "resources.json").write_text(json.dumps({"parameters": 500}))
    found = {Path(model.name).name: model.n_parameters for model in known_models(tmp_path)[len(PUBLISHED) :]}
    assert found == {"writes": 500, "unfinished": None}


def test_quantized_models_are_listed_with_what_they_were(tmp_path: Path):
    for name, told in (("a", {"n_parameters": 7, "quantization": {"to": "int4"}, "source": "smollm2"}), ("b", [])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "quantized.json").write_text(json.dumps(told))
        (tmp_path / name / "model.safetensors").write_bytes(b"1234")
    (tmp_path / "without weights").mkdir()
    (tmp_path / "without weights" / "quantized.json").write_text("{}")
    found = known_models(tmp_path)[len(PUBLISHED) :]
    assert [(Path(model.name).name, model.n_parameters, model.n_bytes) for model in found] == [
        ("a", 7, 4),
        ("b", None, 4),
    ]
    assert found[0].source == "int4 of smollm2"


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x08" + bytes(7) + b"nonsense", b"\x02" + bytes(7) + b"[]"])
def test_a_damaged_run_is_still_listed(tmp_path: Path, content: bytes):
    a_run(tmp_path / "run", numbers=1, when=1000)
    (tmp_path / "run" / "checkpoints" / "step-10" / "model.safetensors").write_bytes(content)
    assert known_models(tmp_path)[-1].n_parameters is None


def test_a_published_model_that_is_here_says_how_large_and_one_that_is_not_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "model-1.safetensors").write_bytes(bytes(5))
    (tmp_path / "model-2.safetensors").write_bytes(bytes(6))
    monkeypatch.setattr(available, "cached_folder", lambda hub_id: tmp_path if hub_id.endswith("/gpt2") else None)
    found = {model.name: model for model in known_models(tmp_path)}
    assert (found["smollm2"].kind, found["gpt2"].kind) == ("chat", "text")
    assert (found["gpt2"].n_bytes, found["gpt2"].how) == (11, "")
    assert (found["gpt2-xl"].n_bytes, found["gpt2-xl"].how) == (None, "get 6.23 GB")


def test_listing_does_not_import_torch():
    code = (
        "import sys, json; from groundup.available import known_models; known_models(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.lower()) is False
