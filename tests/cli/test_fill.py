"""`groundup fill` and `groundup similar`: a table or JSON lines from a run, and one line for what cannot be."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from groundup.cli.main import main
from groundup.configs import DataConfig, EvaluationConfig, GPTConfig, RunConfig, TrainConfig
from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskedConfig
from groundup.training.kinds import start

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that fills gaps, and one that writes."""
    place = tmp_path_factory.mktemp("runs")
    training = TrainConfig(
        steps=2, batch_size=2, device="cpu", evaluation=EvaluationConfig(max_tokens=200, sample_tokens=0)
    )
    data = DataConfig(corpus="tales", tokenizer="bpe", bpe_vocab_size=300, max_bytes=6_000)
    model = EncoderConfig(context_length=300, d_model=16, n_layers=1, n_heads=2)
    start(MaskedConfig(data=data, model=model, training=training), place / "fills", console=QUIET)
    gpt = GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2)
    start(RunConfig(data=data, model=gpt, training=training), place / "writes", console=QUIET)
    return place


def test_a_table_with_a_row_for_each_gap(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fill", str(folder / "fills"), "the [MASK] sat [MASK] home", "a [MASK]", "--top", "3"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    filled, *rows = first.splitlines()
    assert filled.startswith("the")
    assert "[MASK]" not in filled
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert all(row.count("%") == 3 for row in rows)
    assert len(second.splitlines()) == 2


def test_json_lines(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("the [MASK]\n[MASK] sat [MASK]\n"))
    assert main(["fill", str(folder / "fills"), "-", "--top", "2", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["text"] for one in found] == ["the [MASK]", "[MASK] sat [MASK]"]
    assert [len(one["gaps"]) for one in found] == [1, 2]
    [best, second] = found[0]["gaps"][0]
    assert best.keys() == {"token", "text", "probability"}
    assert best["probability"] >= second["probability"] > 0


def test_texts_in_the_order_of_likeness(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    run = str(folder / "fills")
    assert main(["similar", run, "a fox", "a bear", "a fox", "the sea"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == " 1.0000  a fox"
    assert [float(row.split()[0]) for row in rows] == sorted((float(row.split()[0]) for row in rows), reverse=True)
    (tmp_path / "texts.txt").write_text("a bear\n\n  a fox\nthe sea\n")
    assert main(["similar", run, "a fox", "--file", str(tmp_path / "texts.txt"), "--top", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"similarity": pytest.approx(1.0, abs=1e-5), "text": "a fox"}
    assert main(["similar", run, "a fox", "a bear", "--pooling", "cls"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fill", "fills", "the cat sat"], "expected a text with [MASK] where a token is to be filled in, found none"),
        (["fill", "fills", "[MASK] " * 400], "expected a text of at most 299 tokens"),
        (["fill", "writes", "the [MASK]"], "of a language model from scratch: groundup generate"),
        (["fill", "nothing", "the [MASK]"], "expected the folder of a run, found nothing at"),
        (["fill", "fills", "the [MASK]", "--top", "0"], "--top must be at least 1"),
        (["similar", "fills", "a fox"], "expected texts or --file FILE, found neither"),
        (["similar", "fills", "a fox", "a bear", "--file", "x"], "expected texts or --file FILE, found both"),
        (
            ["similar", "fills", "a fox", "--file", "no.txt"],
            "expected texts, one a line, in no.txt, found: No such file",
        ),
        (["similar", "writes", "a fox", "a bear"], "of a language model from scratch"),
        (["generate", "fills"], "of a model that fills gaps: groundup fill"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_model_whose_tokenizer_has_no_mask_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    from groundup.tokenization.bpe import ByteBPE
    from groundup.training.masked import open_encoder
    from groundup.weights.bert_export import save_bert

    save_bert(open_encoder(folder / "fills"), tmp_path / "bert")
    assert main(["fill", str(tmp_path / "bert"), "the [MASK] sat"]) == 0
    capsys.readouterr()
    ByteBPE([]).save(tmp_path / "bert/tokenizer.json")
    assert main(["fill", str(tmp_path / "bert"), "the [MASK] sat"]) == 2
    assert "expected a tokenizer with the special token [MASK], found none" in capsys.readouterr().err
