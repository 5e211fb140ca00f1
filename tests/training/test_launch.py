"""Runs from a config: start, resume, load, evaluate, and what bad input leaves behind."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from groundup.configs import (
    CheckpointConfig,
    DataConfig,
    EvaluationConfig,
    GPTConfig,
    RunConfig,
    TrainConfig,
)
from groundup.data.tales import bits_per_byte
from groundup.errors import InputError
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.launch import resume, start
from groundup.training.run_folder import Run
from groundup.training.trained import evaluate_run, load_run

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 30


def config(corpus: Path | str, **data: object) -> RunConfig:
    return RunConfig(
        data=DataConfig(corpus=str(corpus), **data),
        model=GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2),
        training=TrainConfig(
            steps=6,
            batch_size=2,
            device="cpu",
            evaluation=EvaluationConfig(every_steps=3, max_tokens=64, sample_tokens=4),
            checkpoints=CheckpointConfig(every_steps=3),
        ),
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path / "text.txt"


def console() -> Console:
    return Console(file=io.StringIO(), width=60)


def test_a_run_is_started_loaded_and_measured(tmp_path: Path, corpus: Path):
    shown = console()
    outcome = start(config(corpus), tmp_path / "run", console=shown)
    assert (outcome.step, outcome.n_steps, outcome.interrupted) == (6, 6, False)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert f"corpus      {corpus}: 1,215 tokens to learn, 135 held out\n" in text
    assert "vocabulary  29 (characters)\n" in text
    assert "parameters: 1 layers, 16 wide, 2 heads, context 16\n" in text
    assert "training    6 steps of 32 tokens (0.16 epochs) on cpu" in text
    assert "step 6/6  validation loss" in text

    loaded = load_run(tmp_path / "run")
    assert isinstance(loaded.tokenizer, CharacterTokenizer)
    assert not loaded.model.training
    assert loaded.step == outcome.best_step
    assert loaded.metrics["loss"] == outcome.best_loss
    figures = evaluate_run(tmp_path / "run", max_tokens=64)
    # The same tokens, in batches of another size: float32 sums in another order.
    assert figures["loss"] == pytest.approx(loaded.metrics["loss"], rel=1e-6)
    assert figures["bits_per_byte"] == pytest.approx(loaded.bits_per_byte, rel=1e-6)
    assert figures["tokens"] == figures["bytes"] == 64
    assert evaluate_run(tmp_path / "run")["tokens"] == 134  # the first one is not predicted


def test_the_same_config_gives_the_same_bits(tmp_path: Path, corpus: Path):
    for name in ("one", "two"):
        torch.manual_seed(len(name) + ord(name[0]))  # what the process did before does not matter
        start(config(corpus), tmp_path / name, console=console())
    files = [(tmp_path / name / "checkpoints/step-6/model.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]


def test_a_run_without_a_checkpoint_is_resumed_from_the_beginning(tmp_path: Path, corpus: Path):
    start(config(corpus), tmp_path / "whole", console=console())
    Run.create(tmp_path / "killed", config(corpus))  # killed before anything else was written
    with pytest.raises(
        InputError, match=r"found none in .*killed: groundup resume .*or .*lower learning_rate and another --out"
    ):
        load_run(tmp_path / "killed")
    assert resume(tmp_path / "killed", console=console()).step == 6
    files = [(tmp_path / name / "checkpoints/step-6/model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]


def test_a_run_needs_its_corpus_only_once(tmp_path: Path, corpus: Path):
    start(config(corpus), tmp_path / "run", console=console())
    corpus.unlink()
    assert resume(tmp_path / "run", console=console()).step == 6
    assert evaluate_run(tmp_path / "run")["tokens"] == 134


def test_tales_have_a_floor(tmp_path: Path):
    tales = config("tales", tokenizer="bpe", bpe_vocab_size=300, max_bytes=20_000)
    shown = console()
    start(tales, tmp_path / "run", console=shown)
    assert f"exact entropy {bits_per_byte():.4f} bits per byte" in shown.file.getvalue()  # type: ignore[attr-defined]
    figures = evaluate_run(tmp_path / "run")
    assert figures["entropy_bits_per_byte"] == bits_per_byte()
    assert figures["excess"] == pytest.approx(figures["bits_per_byte"] / bits_per_byte() - 1)
    assert load_run(tmp_path / "run").tokenizer.vocab_size == 300


def test_without_an_end_token_the_separators_count_as_bytes(tmp_path: Path):
    start(config("tales", max_bytes=20_000), tmp_path / "run", console=console())
    assert evaluate_run(tmp_path / "run")["entropy_bits_per_byte"] == bits_per_byte("\n\n")


def test_a_larger_vocabulary_is_padding(tmp_path: Path, corpus: Path):
    padded = replace(config(corpus), model=replace(config(corpus).model, vocab_size=64))
    start(padded, tmp_path / "run", console=console())
    loaded = load_run(tmp_path / "run")
    assert loaded.model.token_embedding.weight.shape[0] == 64
    assert loaded.tokenizer.vocab_size == 29


def test_a_tokenizer_of_yours(tmp_path: Path, corpus: Path):
    CharacterTokenizer.from_text([TEXT, "XYZ"]).save(tmp_path / "mine.json")
    start(config(corpus, tokenizer=str(tmp_path / "mine.json")), tmp_path / "run", console=console())
    assert load_run(tmp_path / "run").tokenizer.vocab_size == 32


def test_nothing_is_printed_on_a_quiet_console(tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]):
    start(config(corpus), tmp_path / "run", console=Console(quiet=True))
    assert capsys.readouterr() == ("", "")


def test_a_run_without_evaluation_has_no_bits_per_byte(tmp_path: Path, corpus: Path):
    start(config(corpus), tmp_path / "run", console=console())
    assert math.isnan(replace(load_run(tmp_path / "run"), metrics={}).bits_per_byte)


def bad(corpus: Path, what: str) -> RunConfig:
    good = config(corpus)
    if what == "corpus":
        return config("no-such-corpus")
    if what == "tokenizer":
        return config(corpus, tokenizer="wordpiece")
    if what == "long tokenizer":
        return config(corpus, tokenizer="x" * 5_000)
    if what == "alphabet":
        CharacterTokenizer("abc").save(corpus.with_name("abc.json"))
        return config(corpus, tokenizer=str(corpus.with_name("abc.json")))
    if what == "context":
        return replace(good, model=replace(good.model, context_length=5_000))
    if what == "vocabulary":
        return replace(good, model=replace(good.model, vocab_size=10))
    if what == "device":
        return replace(good, training=replace(good.training, device="mps"))
    if what == "empty":
        corpus.write_text("")
    if what == "encoding":
        corpus.write_bytes(b"abc\xff" * 100)
    if what == "prompt":
        evaluation = replace(good.training.evaluation, sample_prompt="Ω")
        return replace(good, training=replace(good.training, evaluation=evaluation))
    return good


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("corpus", "no-such-corpus"),
        ("tokenizer", "found 'wordpiece'"),
        ("long tokenizer", "xxx' (File name too long)"),
        ("alphabet", "'t'"),
        ("context", "context_length 5000"),
        ("vocabulary", "at least the tokenizer's 29, found 10"),
        ("device", "found 'mps'"),
        ("empty", "text.txt"),
        ("encoding", "text.txt"),
        ("prompt", "Ω"),
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing_behind(
    tmp_path: Path, corpus: Path, what: str, found: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError) as caught:
        start(bad(corpus, what), tmp_path / "run", console=console())
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_run_that_exists_is_left_as_it_is(tmp_path: Path, corpus: Path):
    start(config(corpus), tmp_path / "run", console=console())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(InputError, match=r"in use: go on with it by groundup resume"):
        start(config(corpus), tmp_path / "run", console=console())
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("model.d_model", 16, 32),
        ("model.n_heads", 2, 4),  # changes no shape: the old weights would make another model
        ("data.separate_documents", "true", "false"),  # changes what is measured
    ],
)
def test_an_edited_config_is_not_mixed_with_old_weights(
    tmp_path: Path, corpus: Path, field: str, before: object, after: object
):
    start(config(corpus), tmp_path / "run", console=console())
    file, name = tmp_path / "run" / "config.json", field.split(".")[1]
    file.write_text(file.read_text().replace(f'"{name}": {before}', f'"{name}": {after}'))
    told = rf"another config: {field} is {before} there and {after} in config.json"
    for use in (lambda: resume(tmp_path / "run", console=console()), lambda: load_run(tmp_path / "run")):
        with pytest.raises(InputError, match=f"(?i){told}"):
            use()


@pytest.mark.parametrize("side", ["train", "validation"])
def test_damaged_tokens_are_named(tmp_path: Path, corpus: Path, side: str):
    start(config(corpus), tmp_path / "run", console=console())
    file = tmp_path / "run" / "tokens" / f"{side}.bin"
    file.write_bytes(b"\xff" * file.stat().st_size)  # ids that the model has no row for
    for use in (lambda: resume(tmp_path / "run", console=console()), lambda: evaluate_run(tmp_path / "run")):
        with pytest.raises(InputError, match=f"expected {file} to have SHA-256"):
            use()


def test_a_damaged_best_checkpoint_is_named_and_the_newest_used(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
):
    run = start(config(corpus), tmp_path / "run", console=console()).run
    run.mark_best(3, {"loss": 0.0})
    damaged = run.checkpoint(3) / "model.safetensors"
    damaged.write_bytes(b"")
    told: list[str] = []
    loaded = load_run(run.path, report=told.append)
    assert (loaded.step, len(told)) == (6, 2)
    assert loaded.metrics["loss"] > 0  # of step 6, not of the mark
    assert str(damaged) in told[0]
    assert told[1] == f"using {run.checkpoint(6)} instead"
    evaluate_run(run.path)
    assert capsys.readouterr() == ("", "\n".join(told) + "\n")

    last = run.checkpoint(6) / "training.json"
    last.write_text("{}")
    with pytest.raises(InputError, match=rf"found only damaged ones; expected {damaged} as it was saved"):
        load_run(run.path)
