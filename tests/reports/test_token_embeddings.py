"""From a name to token embeddings: every kind of model that has tokens, quantized ones too."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.finetuning.small_runs import classify_config
from tests.training import small_images, small_translation

from groundup.configs import DataConfig, EvaluationConfig, GPTConfig, RunConfig, TrainConfig
from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskedConfig
from groundup.errors import InputError
from groundup.finetuning.launch import finetune
from groundup.reports.token_embeddings import open_embeddings
from groundup.resolve import open_model
from groundup.training.kinds import start
from groundup.training.masked import load_masked_run
from groundup.training.run_folder import Run
from groundup.training.translation import load_translator
from groundup.weights.bert_export import save_bert

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that fills gaps, and one that writes."""
    place = tmp_path_factory.mktemp("runs")
    watched = EvaluationConfig(max_tokens=200, sample_tokens=0)
    training = TrainConfig(steps=2, batch_size=2, device="cpu", evaluation=watched)
    data = DataConfig(corpus="tales", tokenizer="bpe", bpe_vocab_size=300, max_bytes=6_000)
    model = EncoderConfig(context_length=300, d_model=16, n_layers=1, n_heads=2)
    start(MaskedConfig(data=data, model=model, training=training), place / "fills", console=QUIET)
    gpt = GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2)
    start(RunConfig(data=data, model=gpt, training=training), place / "writes", console=QUIET)
    return place


def test_of_a_run_that_writes(folder: Path):
    found = open_embeddings(str(folder / "writes"))
    model = open_model(str(folder / "writes")).model
    assert torch.equal(torch.from_numpy(found.vectors), model.token_embedding.weight)
    assert found.source == "writes"
    assert len(found) == found.tokenizer.vocab_size == len(found.texts)


def test_of_an_encoder_as_a_run_and_as_a_folder(folder: Path, tmp_path: Path):
    encoder = load_masked_run(folder / "fills", device="cpu")
    found = open_embeddings(str(folder / "fills"))
    assert torch.equal(torch.from_numpy(found.vectors), encoder.model.token_embedding.weight)
    assert found.find("[MASK]") == encoder.tokenizer.special_tokens["[MASK]"]
    save_bert(encoder, tmp_path / "bert")
    assert np.array_equal(open_embeddings(str(tmp_path / "bert")).vectors, found.vectors)


@pytest.mark.parametrize("share", ["all", "target"])
def test_of_both_sides_of_a_translator(share: str, tmp_path: Path):
    made = small_translation.config()
    model = replace(made.model, share_embeddings=share)
    start(replace(made, model=model, training=replace(made.training, steps=2)), tmp_path / "turns", console=QUIET)
    loaded = load_translator(tmp_path / "turns", device="cpu").translator.model
    written, read = (open_embeddings(str(tmp_path / "turns"), side=side) for side in ("target", "source"))
    assert torch.equal(torch.from_numpy(written.vectors), loaded.target_embedding.weight)
    assert np.array_equal(open_embeddings(str(tmp_path / "turns")).vectors, written.vectors)
    assert np.array_equal(read.vectors, written.vectors) == (share == "all")
    if share == "target":
        assert torch.equal(torch.from_numpy(read.vectors), loaded.source_embedding.weight)
    assert (written.source, read.source) == ("turns-target", "turns-source"), "two maps, two files"


def test_of_a_run_that_labels(tmp_path: Path):
    config = classify_config(tmp_path, steps=2)
    finetune(config, tmp_path / "labels", open_base=open_model, console=QUIET)
    found, base = open_embeddings(str(tmp_path / "labels")), open_embeddings(config.base)
    assert np.array_equal(found.vectors, base.vectors), "LoRA leaves the embedding as it is"
    assert found.labels == base.labels


def test_of_a_model_in_few_bits(folder: Path, monkeypatch: pytest.MonkeyPatch):
    from groundup.quantization.embedding import QuantizedEmbedding
    from groundup.quantization.int8 import quantize_int8

    pretrained = copy.deepcopy(open_model(str(folder / "writes")))
    table = pretrained.model.token_embedding.weight.detach()
    pretrained.model.token_embedding = QuantizedEmbedding(quantize_int8(table))
    monkeypatch.setattr("groundup.reports.token_embeddings.open_model", lambda name, packed: pretrained)
    found = open_embeddings(str(folder / "writes")).vectors
    np.testing.assert_allclose(found, table, atol=float(table.abs().max()) / 127)  # one step of eight bits


def test_a_table_wider_than_its_vocabulary_and_one_that_broke(folder: Path, monkeypatch: pytest.MonkeyPatch):
    pretrained = copy.deepcopy(open_model(str(folder / "writes")))
    table = pretrained.model.token_embedding.weight.detach()
    pretrained.model.token_embedding.weight = torch.nn.Parameter(torch.cat([table, torch.zeros(7, 16)]))
    monkeypatch.setattr("groundup.reports.token_embeddings.open_model", lambda name, packed: pretrained)
    assert len(open_embeddings(str(folder / "writes"))) == pretrained.tokenizer.vocab_size
    pretrained.model.token_embedding.weight.data[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"expected finite embeddings in .*, found NaN or infinity"):
        open_embeddings(str(folder / "writes"))


def test_no_such_model():
    with pytest.raises(InputError, match="expected a model, found nothing called 'no such thing'"):
        open_embeddings("no such thing")


def test_a_side_of_what_has_none(folder: Path):
    with pytest.raises(InputError, match=r"expected a run that translates with --side source, found .*: leave --side"):
        open_embeddings(str(folder / "writes"), side="source")


def test_a_model_without_tokens(tmp_path: Path):
    run = Run.create(tmp_path / "run", small_images.config(tmp_path))
    run.checkpoints.mkdir(exist_ok=True)
    with pytest.raises(InputError, match=r"expected a model with tokens, found .*: groundup evaluate .* uses it$"):
        open_embeddings(str(tmp_path / "run"))
