"""torch.compile for the training loss: the same run, no trace in checkpoints, one line where it cannot work."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from groundup.configs import ComputeConfig, DataConfig, EvaluationConfig, GPTConfig, RunConfig, TrainConfig
from groundup.errors import InputError
from groundup.training import compilation
from groundup.training.compilation import compiled
from groundup.training.launch import resume, start
from groundup.training.trained import load_run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of torch's compiler


def config(corpus: Path, *, is_compiled: bool, precision: str = "float32") -> RunConfig:
    corpus.write_text("the quick brown fox jumps over the lazy dog.\n" * 30)
    return RunConfig(
        data=DataConfig(corpus=str(corpus)),
        model=GPTConfig(context_length=16, d_model=16, n_layers=2, n_heads=2, dropout=0.0),
        training=TrainConfig(
            steps=6,
            batch_size=2,
            accumulation_steps=2,
            device="cpu",
            precision=precision,
            evaluation=EvaluationConfig(every_steps=3, max_tokens=64, sample_tokens=4),
            compute=ComputeConfig(threads=1, linear="default", compile=is_compiled),
        ),
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints/step-6/model.safetensors")


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.mark.parametrize(
    "backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)], ids=["graphs", "code"]
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_compiled_run_is_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, precision: str):
    monkeypatch.setattr(compilation, "BACKEND", backend)
    frames = torch._dynamo.utils.counters["frames"]
    for name in ("plain", "compiled"):
        start(
            config(tmp_path / "text.txt", is_compiled=name == "compiled", precision=precision),
            tmp_path / name,
            console=quiet(),
        )
    assert frames["ok"] > 0
    plain, found = weights(tmp_path / "plain"), weights(tmp_path / "compiled")
    assert plain.keys() == found.keys()
    for name, tensor in plain.items():
        # Rounding in another order moves a weight by a part of six learning rates, 2e-4 in sum, in either run.
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=5e-4, msg=name)
    loaded = load_run(tmp_path / "compiled", device="cpu")
    assert loaded.model(torch.tensor([[1, 2]])).shape == (1, 2, loaded.tokenizer.vocab_size)


def test_a_compiled_run_is_resumed_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compilation, "BACKEND", "aot_eager")
    compiled_config = config(tmp_path / "text.txt", is_compiled=True)
    start(compiled_config, tmp_path / "run", console=quiet())
    training = replace(
        compiled_config.training, steps=8, compute=replace(compiled_config.training.compute, compile=False)
    )
    monkeypatch.setattr(compilation, "BACKEND", "no such backend")  # nothing may compile any more
    longer = replace(compiled_config, training=training)
    assert resume(tmp_path / "run", config=longer, console=quiet()).step == 8


def test_without_a_compiler_there_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compilation, "BACKEND", "no such backend")
    with pytest.raises(InputError, match=r"^expected torch.compile to work here, found: .*; install a C\+\+ comp.*$"):
        compiled(lambda x: x)


def test_a_run_that_cannot_be_compiled_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compilation, "BACKEND", "no such backend")
    with pytest.raises(InputError, match=r"torch\.compile to work"):
        start(config(tmp_path / "text.txt", is_compiled=True), tmp_path / "run", console=quiet())
    assert not (tmp_path / "run").exists()
