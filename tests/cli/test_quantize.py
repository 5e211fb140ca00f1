"""`groundup quantize`: what it says, its exit codes, and what it makes of slips."""

from pathlib import Path

import pytest
import torch

from groundup.cli.quantize import command
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tokenization.bpe import ByteBPE
from groundup.weights.huggingface_export import save_huggingface


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("groundup.reports.quantization_page.layer_plots", lambda errors: {})  # tested by itself
    monkeypatch.setattr("groundup.quantize.prepare_for_inference", lambda model, precision: model)
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=257, context_length=32, d_model=32, n_layers=1, n_heads=2))
    save_huggingface(model, ByteBPE(merges=[], special_tokens=["<|endoftext|>"]), tmp_path / "mine")
    (tmp_path / "text.txt").write_text("To be, or not to be, that is the question. " * 30)
    return "mine"


def test_it_writes_a_folder_named_after_the_model_and_says_what_is_next(
    source: str, capsys: pytest.CaptureFixture[str]
):
    assert command([source, "--to", "int8", "--evaluate", "text.txt", "--max-tokens", "50"]) == 0
    said = capsys.readouterr().out
    for shown in (
        "perplexity",
        "writing, tokens/s",
        "int8, a scale for each 32 neighbours",
        "the last tenth of text.txt, 50 tokens",
    ):
        assert shown in said
    assert "next: groundup generate runs/mine-int8" in said
    assert Path("runs/mine-int8/report.html").is_file()


def test_beyond_the_bound_it_fails_in_one_line_that_says_what_to_try(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("groundup.evaluation.degradation.Degradation.increase", 0.05)
    arguments = [source, "--evaluate", "text.txt", "--most-perplexity-increase", "0.03", "--no-speed"]
    assert command(arguments) == 1
    said = capsys.readouterr()
    assert said.err.strip().splitlines() == [
        "groundup: expected perplexity to rise by at most 3.00%, found 5.00%: nothing was kept; "
        "try --search or --method gptq or --to int8"
    ]
    assert "perplexity" in said.out
    assert not Path("runs").exists()
    assert command([*arguments, "--to", "int8", "--granularity", "tensor"]) == 1
    assert "try --search or --granularity group" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["no-such-model"], "expected a model, found nothing called 'no-such-model'"),
        ([], "MODEL"),
        (["mine", "--to", "int8", "--method", "gptq"], "--method and activation_aware are for int4: int8 is rounded"),
        (["mine", "--to", "int4", "--activations", "dynamic"], "--activations must be none for int4, found dynamic"),
        (["mine", "--granularity", "tensor"], "--granularity and symmetric are for int8: in int4 each group"),
        (["mine", "--no-symmetric"], "--granularity and symmetric are for int8: in int4 each group"),
        (["mine", "--to", "int8", "--group-size", "64"], "--group-size is for int4, found 64: int8 has granularity"),
        (["mine", "--to", "int8", "--observer", "entropy"], "--observer is for static activations, found entropy"),
        (
            ["mine", "--to", "int8", "--activations", "static", "--percentile", "99"],
            "--percentile is for the percentile observer, found 99.0 with minmax",
        ),
        (["mine", "--to", "int2"], "int2"),
        (["mine", "--calibrate", "tales"], "expected a method that reads a text with --calibrate, found none"),
        (["mine", "--search"], "expected --most-perplexity-increase with --search"),
        (["mine", "--most-perplexity-increase", "-1"], "--most-perplexity-increase"),
        (["mine", "--out", "mine"], "expected a new or empty folder to write to, found mine in use: name another"),
        (["mine", "--evaluate", "nowhere.txt"], "expected a known corpus"),
        (["mine", "--evaluate", "text.txt", "--skip", "query", "nothing"], "found 'nothing'"),
        (["mine", "--evaluate", "text.txt", "--group-size", "64"], "group_size 64"),
        (["mine", "--max-tokens", "0"], "--max-tokens"),
    ],
)
def test_slips_are_told_in_one_line(source: str, arguments: list[str], expected: str):
    with pytest.raises(InputError) as caught:
        command(arguments)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("runs").exists()


def test_a_quantized_folder_is_not_quantized_again(source: str):
    assert command([source, "--evaluate", "text.txt", "--max-tokens", "20", "--no-speed"]) == 0
    with pytest.raises(InputError, match="quantized already"):
        command(["runs/mine-int4", "--evaluate", "text.txt"])


def test_what_is_there_is_not_overwritten(source: str):
    assert command([source, "--evaluate", "text.txt", "--max-tokens", "20", "--no-speed"]) == 0
    with pytest.raises(InputError, match="runs/mine-int4 in use: name another"):
        command([source, "--evaluate", "text.txt"])
