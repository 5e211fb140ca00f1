"""`groundup profile`, as a person meets it."""

import errno
import os
from pathlib import Path

import pytest

from groundup.cli.main import main
from groundup.planning.profile import free_name

OPTIONS = """--model.context-length 16 --model.d-model 16 --model.n-layers 1 --model.n-heads 2 --training.batch-size 2
          --training.device cpu --training.precision float32 --steps 1"""
TINY = OPTIONS.split()


def test_a_profile_names_its_trace_and_never_overwrites_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    corpus = tmp_path / "text.txt"
    corpus.write_text("abcdefgh\n" * 500, encoding="utf-8")
    for expected in ("trace-shakespeare-char.json", "trace-shakespeare-char-2.json"):
        assert main(["profile", "shakespeare-char", "--data.corpus", str(corpus), *TINY]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        for title in ("Kind of work", "Module, layers added up", "Operation, itself"):
            assert f"\n{title} " in said.out
        assert f"trace: {expected} " in said.out
        assert (tmp_path / expected).stat().st_size > 1_000
    assert free_name("trace-shakespeare-char") == Path("trace-shakespeare-char-3.json")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["profile", "talse"], "expected a recipe or the folder of a run, found 'talse'"),
        (["profile", "tales", "--steps", "0"], "--steps must be at least 1, found 0"),
        (
            ["profile", "tales", "--trace", "nowhere/trace.json"],
            "expected a folder for the trace, found nothing at nowhere",
        ),
    ],
)
def test_a_mistake_gets_one_line(arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert found in said.err


def test_a_place_that_cannot_be_written_is_named_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def touch(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "touch", touch)  # root may write anywhere: no chmod would stop it
    trace = tmp_path / "trace.json"
    assert main(["profile", "tales", "--trace", str(trace)]) == 2
    assert f"expected to write the trace to {trace}, found: Permission denied; see --trace" in capsys.readouterr().err
