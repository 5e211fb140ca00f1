"""Each benchmark of speed and memory runs, at a size that takes seconds, and gives a table."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path))  # what is measured at this size must not be kept
    monkeypatch.delenv("NANOGPT", raising=False)


NAMES = [
    "beam_cost", "engine_gpt", "engine_loader", "engine_mlp", "generation_speed", "loader_memory", "training_overhead",
    "training_speed",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_tiny_run(name):
    found = importlib.import_module(f"benchmarks.{name}").run(True)
    assert found["what"]
    assert len(found["rows"]) > 1
    assert all(row.keys() == found["rows"][0].keys() for row in found["rows"])


def test_a_folder_without_nanogpt_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOGPT", str(tmp_path))
    with pytest.raises(SystemExit, match=r"expected NANOGPT to be a folder with nanoGPT's model.py, found /"):
        importlib.import_module("benchmarks.training_speed").run(True)
