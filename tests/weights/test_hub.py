"""Models by their id on the hub: from its cache, never asking the network for what is there; else one line."""

import builtins
from pathlib import Path

import huggingface_hub
import pytest
import torch

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tokenization import CharacterTokenizer
from groundup.weights.hub import load_hub
from groundup.weights.huggingface import load_huggingface
from groundup.weights.huggingface_export import save_huggingface

NAME = "somebody/small"


def write_model(folder: Path) -> GPT:
    model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2)).eval()
    save_huggingface(model, CharacterTokenizer("abc"), folder)
    return model


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub with a folder for the snapshot of NAME; whoever asks the network fails."""
    repository = tmp_path / "models--somebody--small"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0" * 40)
    real = huggingface_hub.snapshot_download

    def without_network(name: str, *, local_files_only: bool, **chosen: object) -> str:
        if not local_files_only:
            raise ConnectionError("Name or service not known\n" + "x" * 500)
        return real(name, cache_dir=tmp_path, local_files_only=True, **chosen)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", without_network)
    return repository / "snapshots" / ("0" * 40)


@torch.no_grad()
def test_a_model_in_the_cache_loads_without_a_network(cache: Path):
    model, tokens = write_model(cache), torch.tensor([[0, 1, 2]])
    found = load_hub(NAME)
    assert found.source == NAME
    assert torch.equal(found.model(tokens), model(tokens))


def test_old_weights_load_where_there_are_no_others(cache: Path):
    model = write_model(cache)
    tensors = {"wte.weight": model.token_embedding.weight.detach()}
    (cache / "model.safetensors").unlink()
    torch.save(tensors, cache / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"expected transformer.wpe.weight in"):  # it was opened
        load_hub(NAME)


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "all"])
def test_what_the_cache_lacks_is_asked_for_and_the_line_says_what_to_do(missing: str, cache: Path):
    if missing != "all":
        write_model(cache)
        (cache / missing).unlink()
    with pytest.raises(InputError, match=f"expected {NAME} in the Hugging Face cache or on the hub") as caught:
        load_hub(NAME)
    said = str(caught.value)
    assert "ConnectionError: Name or service not known" in said
    assert f"`hf download {NAME} --local-dir FOLDER`, and give that folder instead" in said
    assert "\n" not in said
    assert len(said) < 400


def test_a_part_that_is_missing_is_asked_for(cache: Path):
    write_model(cache)
    (cache / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2.safetensors"}}')
    (cache / "model.safetensors").unlink()
    with pytest.raises(InputError, match="found neither"):
        load_hub(NAME)


def test_what_is_asked_for_of_the_hub(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked: list[dict[str, object]] = []

    def download(name: str, *, local_files_only: bool, **chosen: object) -> str:
        if local_files_only:
            raise FileNotFoundError(name)
        asked.append(chosen)
        folder = tmp_path / "downloaded"
        if "*.bin" in chosen["allow_patterns"]:
            write_model(folder)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load_hub(NAME).model.config == load_huggingface(tmp_path / "downloaded").model.config
    assert ["*.bin" in one["allow_patterns"] for one in asked] == [False, True]
    assert all("*/*" in one["ignore_patterns"] for one in asked)  # no ONNX, no second copy


@pytest.mark.parametrize("name", ["", "a/b/c", "../secrets", "a b", "https://huggingface.co/gpt2"])
def test_what_is_no_id_is_refused(name: str):
    with pytest.raises(InputError, match="expected an id OWNER/NAME on the Hugging Face hub"):
        load_hub(name)


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object):
        if name == "huggingface_hub":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'groundup\[hf\]', or give a folder"):
        load_hub(NAME)
