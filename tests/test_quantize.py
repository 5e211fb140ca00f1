"""Quantizing from a name to a folder: what is measured is what is written, and nothing is left of what failed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.evaluation.quantized_models import LLAMA

from groundup import quantize as room
from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.evaluation.precision_search import Choice
from groundup.evaluation.sensitivity import Sensitivity
from groundup.models.gpt import GPT
from groundup.quantize import Quantized, quantize
from groundup.resolve import open_model
from groundup.tokenization.bpe import ByteBPE
from groundup.weights.gguf_export import save_gguf
from groundup.weights.huggingface_export import save_huggingface
from groundup.weights.pretrained import Pretrained
from groundup.weights.quantized_folder import load_quantized

TOKENS = torch.tensor([[72, 101, 108, 108, 111]])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=257, context_length=32, d_model=32, n_layers=2, n_heads=2, **LLAMA)
    model = GPT(config).eval()
    for parameter in model.parameters():
        parameter.data.mul_(4)  # far from uniform, so that what a layer does matters
    save_huggingface(model, ByteBPE(merges=[], special_tokens=["<|endoftext|>"]), tmp_path / "source")
    return tmp_path / "source"


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("To be, or not to be, that is the question. " * 60)
    return str(path)


@pytest.fixture(autouse=True)
def what_is_tested_elsewhere(monkeypatch: pytest.MonkeyPatch):
    """Drawing takes longer than all else here; layouts for drawing text are chosen by measuring."""
    monkeypatch.setattr("groundup.reports.quantization_page.layer_plots", lambda errors: {"attention": "<svg></svg>"})
    monkeypatch.setattr(room, "prepare_for_inference", lambda model, precision: model)


def quantized(source: Path, text: str, config: QuantizationConfig, *, folder: str = "out", **how: object) -> Quantized:
    how = {"speed": False, **how}
    return quantize(str(source), config, source.with_name(folder), evaluate=text, n_tokens=100, **how)


def left_over(source: Path) -> list[str]:
    return sorted(path.name for path in source.parent.iterdir() if path.name not in ("source", "text.txt"))


@pytest.mark.parametrize(
    ("config", "ratio"), [(QuantizationConfig(), 0.25), (QuantizationConfig(to="int8"), 0.35)], ids=["int4", "int8"]
)
def test_what_is_measured_is_what_is_written(source: Path, text: str, config: QuantizationConfig, ratio: float):
    found = quantized(source, text, config, speed=True)
    assert found.folder == source.with_name("out")
    names = {path.name for path in found.folder.iterdir()}
    assert {"report.html", "report.md", "layers-attention.svg", "model.safetensors"} <= names
    told = found.report
    assert told.bytes_after < ratio * told.bytes_before  # of rows of 32 numbers scales are much
    before, after = open_model(str(source)).model, load_quantized(found.folder).model
    with torch.no_grad():
        difference = (before(TOKENS) - after(TOKENS)).abs().max().item()
    assert difference > 0
    assert 0 < told.degradation.largest_logit_difference < 10 * difference
    assert told.degradation.before.n_tokens == 100
    assert told.calibration is None
    assert told.speeds is not None
    assert len(told.errors) == 1 + 2 * 7
    assert all(0 < one.error < 0.3 for one in told.errors)
    assert left_over(source) == ["out"]


def test_a_method_that_reads_a_text_finds_one(source: Path, text: str):
    found = quantized(source, text, QuantizationConfig(method="gptq", calibration_tokens=256))
    assert found.report.calibration == "the first nine tenths of text.txt"
    assert found.report.text == "the last tenth of text.txt"


@pytest.mark.parametrize(("to", "finer"), [("int4", "int8"), ("int8", "float")])
def test_a_search_gives_more_bits_to_what_was_chosen(
    source: Path, text: str, to: str, finer: str, monkeypatch: pytest.MonkeyPatch
):
    def choose_three(costs: list[Sensitivity], increase: Callable[[tuple[str, ...]], float], most: float) -> Choice:
        names = tuple(one.name for one in costs[:3])
        return Choice(names=names, increase=increase(names), tried={})

    monkeypatch.setattr(room, "choose_layers", choose_three)  # what is chosen depends on little here, and on chance
    found = quantized(source, text, QuantizationConfig(to=to), search=True, most_increase=100.0)
    searched = found.report.search
    assert searched is not None
    assert (searched.finer, len(searched.costs)) == (finer, 15)
    assert searched.n_tokens == 100
    told = json.loads((found.folder / "quantized.json").read_text())["note"]["search"]
    assert told["finer"] == dict.fromkeys(searched.choice.names, finer)
    model = load_quantized(found.folder).model
    for name in searched.choice.names:
        kind = type(model.get_submodule(name)).__name__
        assert kind in (("Linear", "TokenEmbedding") if to == "int8" else ("Int8Linear", "QuantizedEmbedding"))
    assert found.report.config.skip == (searched.choice.names if to == "int8" else ())


def test_what_a_search_decides_by_is_not_what_judges(source: Path, text: str, monkeypatch: pytest.MonkeyPatch):
    judged, searched, measure, evaluate = [], [], room.compare_logits, room.evaluate_tokens

    def compare_logits(before: GPT, after: GPT, ids: np.ndarray, **how: object) -> object:
        judged.append(ids.tolist())
        return measure(before, after, ids, **how)

    def evaluate_tokens(model: GPT, ids: np.ndarray, **how: object) -> object:
        searched.append(ids.tolist())
        return evaluate(model, ids, **how)

    monkeypatch.setattr(room, "compare_logits", compare_logits)
    monkeypatch.setattr(room, "evaluate_tokens", evaluate_tokens)
    quantized(source, text, QuantizationConfig(), most_increase=100.0)
    found = quantized(source, text, QuantizationConfig(), search=True, most_increase=100.0, folder="searched")
    assert judged[0] == judged[1]  # with a search or without
    part = room.read_text(open_model(str(source)), "validation", n_tokens=200, corpus=text).ids.tolist()
    assert all(ids == part[100:] for ids in searched)
    assert judged[0] == part[:101]
    assert found.report.search.choice.increase != found.report.degradation.increase


def test_of_a_short_text_half_judges(source: Path, tmp_path: Path):
    short = tmp_path / "text.txt"
    short.write_text("To be, or not to be, that is the question. " * 9)  # 39 tokens are held out
    found = quantized(source, str(short), QuantizationConfig(), search=True, most_increase=100.0)
    assert found.report.degradation.before.n_tokens == 19
    assert found.report.search.n_tokens == 19


def test_a_file_of_few_bits_is_said_to_be_widened(source: Path, text: str):
    file = source.with_name("out.gguf")
    model = GPT(GPTConfig(vocab_size=258, context_length=32, d_model=32, n_layers=1, n_heads=2, **LLAMA)).eval()
    tokenizer = ByteBPE([(b"t", b"o")], special_tokens=["<|endoftext|>"])
    save_gguf(Pretrained(model=model, tokenizer=tokenizer, source="tiny"), file, type="q4_1")
    folder = source.with_name("out")
    found = quantize(str(file), QuantizationConfig(), folder, evaluate=text, n_tokens=100, speed=False)
    assert found.report.widened == "Q4_1 and Q8_0"
    assert "The file keeps its matrices in Q4_1 and Q8_0: they were widened to float32" in (
        folder / "report.md"
    ).read_text().replace("\\", "")
    assert quantized(source, text, QuantizationConfig(), folder="again").report.widened is None


def test_beyond_the_bound_nothing_is_kept(source: Path, text: str, monkeypatch: pytest.MonkeyPatch):
    measure = room.compare_logits

    def worse(*models, **how):  # type: ignore[no-untyped-def]
        found = measure(*models, **how)
        return replace(found, after=replace(found.after, loss=found.before.loss + 0.1))

    monkeypatch.setattr(room, "compare_logits", worse)
    found = quantized(source, text, QuantizationConfig(), most_increase=0.1)
    assert found.folder is None
    assert left_over(source) == []
    assert quantized(source, text, QuantizationConfig(), most_increase=0.11).folder is not None


def test_what_is_interrupted_leaves_nothing(source: Path, text: str, monkeypatch: pytest.MonkeyPatch):
    def stop(found: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "html_of", stop)  # the weights are written by then
    with pytest.raises(KeyboardInterrupt):
        quantized(source, text, QuantizationConfig())
    assert left_over(source) == []


def test_a_full_disk_leaves_nothing(source: Path, text: str, monkeypatch: pytest.MonkeyPatch):
    def full(found: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "markdown_of", full)
    with pytest.raises(InputError, match="No space left on device; make room"):
        quantized(source, text, QuantizationConfig())
    assert left_over(source) == []


def test_a_folder_in_use_is_refused_before_anything_is_opened(source: Path):
    with pytest.raises(InputError, match="new or empty folder"):
        quantize("no such model", QuantizationConfig(), source)


def test_a_search_needs_a_bound(source: Path):
    with pytest.raises(InputError, match="expected most_increase"):
        quantize(str(source), QuantizationConfig(), source.with_name("out"), search=True)


def test_quantizing_twice_is_refused(source: Path, text: str):
    found = quantized(source, text, QuantizationConfig())
    with pytest.raises(InputError, match="quantized already"):
        quantize(str(found.folder), QuantizationConfig(), source.with_name("again"), evaluate=text)
    assert left_over(source) == ["out"]
