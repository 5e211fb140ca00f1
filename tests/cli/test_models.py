"""`groundup models`: a table for people."""

from pathlib import Path

import pytest

from groundup.cli.main import main
from groundup.weights.catalog import PUBLISHED


def test_every_published_model_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", str(tmp_path)]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines() if row.startswith("  ")]
    assert {row[0] for row in rows} == set(PUBLISHED)
    assert ["gpt2-xl", "1.6B"] in [row[:2] for row in rows]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", str(tmp_path / "nowhere")]) == 2
    assert "expected a folder of runs, found none at" in capsys.readouterr().err


def test_it_fits_a_narrow_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["models", str(tmp_path)])
    assert all(len(row) <= 80 for row in capsys.readouterr().out.splitlines())
