"""Runs that learn hidden tokens: begun, stopped, gone on with to the same bits, opened, measured, and not mistaken."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from groundup.configs import CheckpointConfig, DataConfig, EvaluationConfig, RunConfig, TrainConfig
from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskedConfig, MaskingConfig
from groundup.errors import InputError
from groundup.tokenization.mask_token import mask_id
from groundup.training.kinds import resume, start
from groundup.training.masked import evaluate_masked_run, load_masked_run, open_encoder
from groundup.training.metrics import read_metrics
from groundup.training.run_folder import Run
from groundup.training.step import Stepper
from groundup.weights.bert_export import save_bert

QUIET = Console(quiet=True)


def config(corpus: str = "tales", **data: object) -> MaskedConfig:
    return MaskedConfig(
        data=DataConfig(corpus=corpus, **({"tokenizer": "bpe", "bpe_vocab_size": 400, "max_bytes": 12_000} | data)),
        model=EncoderConfig(context_length=300, d_model=16, n_layers=1, n_heads=2, dropout=0.1),
        masking=MaskingConfig(whole_words=True),
        training=TrainConfig(
            steps=6, batch_size=2, accumulation_steps=2, device="cpu", log_every=1,
            evaluation=EvaluationConfig(every_steps=3, max_tokens=400),
            checkpoints=CheckpointConfig(every_steps=2),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masked") / "run"
    start(config(), folder, console=QUIET)
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints/step-6/model.safetensors")


@pytest.mark.parametrize("stop", [3, 5])
def test_a_stopped_run_goes_on_with_the_same_bits(
    stop: int, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    update = Stepper.update

    def stopping(self: Stepper, step: int) -> float:
        if step == stop:
            raise KeyboardInterrupt
        return update(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "update", stopping)
        assert start(config(), tmp_path / "parts", console=QUIET).interrupted
    assert resume(tmp_path / "parts", console=QUIET).step == 6
    whole, parts = weights(trained), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    records = [
        [{**record, "seconds": 0, "tokens_per_second": 0} for record in read_metrics(run / "metrics.jsonl")]
        for run in (trained, tmp_path / "parts")
    ]
    assert records[0] == records[1]


def test_the_page_says_what_is_learned_and_the_floor_is_known(tmp_path: Path):
    shown = Console(file=io.StringIO(), width=200)
    outcome = start(config(), tmp_path / "run", console=shown)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "hidden      15% of the words; measured on" in text
    assert "their exact entropy" in text
    assert "vocabulary  401 (bpe, [MASK] included)" in text
    assert outcome.metrics.keys() == {"loss", "accuracy"}


def test_a_run_is_opened_and_measured(trained: Path):
    encoder = open_encoder(trained)
    assert not encoder.model.training
    assert encoder.model.vocab_size == encoder.tokenizer.vocab_size == 401
    assert mask_id(encoder.tokenizer) == 400
    assert encoder.opening == (encoder.tokenizer.end_id,)
    figures = evaluate_masked_run(trained)
    assert figures["n_hidden"] > 0
    assert figures["best_expected_accuracy"] >= figures["expected_accuracy"]
    assert figures["divergence"] > 0
    assert figures["loss"] > figures["best_loss"]


def test_a_saved_run_opens_as_a_bert_would(trained: Path, tmp_path: Path):
    encoder = load_masked_run(trained)
    save_bert(encoder, tmp_path / "bert")
    tokens = torch.arange(20)[None]
    assert torch.equal(open_encoder(tmp_path / "bert").model(tokens), encoder.model(tokens))


def test_a_text_of_your_own_has_no_floor(tmp_path: Path):
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog.\n" * 40)
    shown = Console(file=io.StringIO(), width=200)
    own = config(str(tmp_path / "text.txt"), tokenizer="characters")
    start(replace(own, model=replace(own.model, context_length=16)), tmp_path / "run", console=shown)
    assert "exact entropy" not in shown.file.getvalue()  # type: ignore[attr-defined]
    assert evaluate_masked_run(tmp_path / "run").keys() == {"loss", "accuracy", "n_hidden"}
    assert open_encoder(tmp_path / "run").opening == ()  # characters have no end-of-text token


def test_pieces_of_tales_have_no_floor_either(tmp_path: Path):
    short = config()
    start(replace(short, model=replace(short.model, context_length=20)), tmp_path / "run", console=QUIET)
    assert evaluate_masked_run(tmp_path / "run", max_tokens=300).keys() == {"loss", "accuracy", "n_hidden"}


def test_what_is_no_such_run_is_one_line(tmp_path: Path):
    Run.create(tmp_path / "writes", RunConfig())
    said = r"expected a run of a model that fills gaps, found .*writes, of a language model from scratch: groundup gen"
    with pytest.raises(InputError, match=said):
        open_encoder(tmp_path / "writes")
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/config.json").write_text('{"task": "chat"}')
    with pytest.raises(InputError, match=r"found .*talks, of a tuned language model: groundup chat"):
        open_encoder(tmp_path / "talks")
    with pytest.raises(InputError, match="expected the folder of a run, found nothing at"):
        open_encoder(tmp_path / "none")
    too_small = config()
    with pytest.raises(InputError, match=r"EncoderConfig.vocab_size to be at least the tokenizer's 401, found 9"):
        start(replace(too_small, model=replace(too_small.model, vocab_size=9)), tmp_path / "small", console=QUIET)
    assert not (tmp_path / "small").exists()
