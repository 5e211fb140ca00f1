"""The hub's cache is read where its library writes it."""

from pathlib import Path

import pytest

from groundup.weights.hub_cache import cached_folder

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra hf is not installed")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--somebody--a-model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0123abc")
    (folder / "snapshots" / "0123abc").mkdir(parents=True)
    return folder / "snapshots" / "0123abc"


def test_it_finds_what_the_library_finds(cache: Path, tmp_path: Path):
    (cache / "model.safetensors").touch()
    theirs = huggingface_hub.try_to_load_from_cache("somebody/a-model", "model.safetensors", cache_dir=tmp_path)
    assert cached_folder("somebody/a-model") == Path(theirs).parent == cache


def test_a_model_without_weights_or_not_there_at_all_is_none(cache: Path):
    (cache / "config.json").touch()
    assert cached_folder("somebody/a-model") is None
    assert cached_folder("somebody/another") is None
    (cache.parents[1] / "refs" / "main").write_bytes(b"\xff")
    assert cached_folder("somebody/a-model") is None


def test_without_its_variable_the_cache_is_in_hf_home_or_in_the_home_folder(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (cache / "model.safetensors").touch()
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert cached_folder("somebody/a-model") is None
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "hub").symlink_to(tmp_path, target_is_directory=True)
    assert cached_folder("somebody/a-model") is not None
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert cached_folder("somebody/a-model") is None
