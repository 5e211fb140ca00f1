"""A first session, command by command: train, Ctrl-C, resume, evaluate, generate; and a look around."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundup.cli.main import main

STEPS = 500  # enough that Ctrl-C comes before the last one
TEXT = "".join(f"{n} green bottles on the wall, and if one of them falls: {n - 1}.\n" for n in range(400, 0, -1))
TINY = f"""
    --model.context-length 16 --model.d-model 16 --model.n-layers 1 --model.n-heads 2 --training.steps {STEPS}
    --training.batch-size 4 --training.learning-rate 0.01 --training.device cpu --training.log-every 1
    --training.schedule.warmup-steps 5 --training.evaluation.every-steps 150 --training.evaluation.max-tokens 512
    --training.evaluation.sample-tokens 8
""".split()
MINUTE = 60  # far more than a busy machine takes for any of these; not how long they are expected to take


def succeeds(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must succeed without a word on standard error; return what it said."""
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def train_until_ctrl_c(run: Path, corpus: Path) -> tuple[int, str]:
    """Train in a process of its own, interrupt it after its first steps; return its exit code and all it said."""
    command = [sys.executable, "-m", "groundup", "train", "shakespeare-char", "--out", str(run), *TINY]
    with subprocess.Popen(
        [*command, "--data.corpus", str(corpus)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            limit = time.monotonic() + MINUTE
            metrics = run / "metrics.jsonl"
            while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
                assert time.monotonic() < limit, "no step within a minute"
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=MINUTE)[0]
        finally:
            process.kill()
    return process.returncode, said


def test_train_ctrl_c_resume_evaluate_generate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    corpus, run = tmp_path / "bottles.txt", tmp_path / "run"
    corpus.write_text(TEXT, encoding="utf-8")

    code, said = train_until_ctrl_c(run, corpus)
    assert code == 130, said
    assert "Traceback" not in said
    assert f"groundup resume {run}" in said

    said = succeeds(capsys, "resume", str(run))
    assert f"after {STEPS} steps" in said
    assert f"groundup generate {run}" in said
    assert (run / "checkpoints" / f"step-{STEPS}").is_dir()

    rows = dict(line.split() for line in succeeds(capsys, "evaluate", str(run)).splitlines())
    assert int(rows["bytes"].replace(",", "")) == pytest.approx(len(TEXT) / 10, rel=0.05)  # a tenth is never trained on
    letters = len(set(TEXT))
    assert float(rows["bits_per_byte"]) < 0.75 * math.log2(letters)  # it has learned more than which letters there are
    assert float(rows["perplexity"]) == pytest.approx(math.exp(float(rows["loss"])), rel=1e-3)  # of four digits

    options = (str(run), "12 green", "--max-new-tokens", "30", "--seed", "7")
    written = succeeds(capsys, "generate", *options)
    assert written.startswith("12 green")
    assert len(written) == len("12 green") + 30 + len("\n")
    assert set(written) <= set(TEXT)
    assert succeeds(capsys, "generate", *options) == written  # the seed decides
    assert succeeds(capsys, "generate", *options, "--samples", "2").startswith(f"--- 1 of 2\n{written}--- 2 of 2\n")


def test_data_lists_the_corpora_and_shows_how_a_text_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = succeeds(capsys, "data")
    assert "shakespeare" in said
    assert "tales" in said
    corpus = tmp_path / "bottles.txt"
    corpus.write_text(TEXT, encoding="utf-8")
    assert succeeds(capsys, "data", str(corpus), "--characters", "9").strip() == TEXT[:9].strip()


def test_doctor_finds_nothing_missing(capsys: pytest.CaptureFixture[str]):
    said = succeeds(capsys, "doctor")
    for name in ("python", "packages", "device", "shakespeare"):
        assert name in said
    assert "missing" not in said
