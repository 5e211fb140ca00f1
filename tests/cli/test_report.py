"""`groundup report`: the table, the pages, and one line for what cannot be reported."""

import json
from pathlib import Path

import pytest

from groundup.cli.main import main
from groundup.configs.finetune_runs import ClassifyConfig
from groundup.training.run_folder import Run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = Run.create(tmp_path / "mine", ClassifyConfig())
    made.metrics.write_text('{"kind": "validation", "step": 5, "loss": 0.5}\n')
    (made.path / "test.json").write_text(json.dumps({"n": 7, "metrics": {"accuracy": 0.875}}))
    return made.path


def test_the_table_and_both_pages(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    html, markdown = tmp_path / "pages" / "report.html", tmp_path / "pages" / "report.md"
    assert main(["report", str(run), "--out", str(html), "--markdown", str(markdown)]) == 0
    said = capsys.readouterr().out
    assert f"wrote {html}" in said
    assert f"wrote {markdown}\n" in said
    for text in (said, html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")):
        assert "mine" in text
        assert "87.5%" in text


@pytest.mark.parametrize("page", ["--out", "--markdown"])
def test_what_is_refused_is_refused_before_anything_is_shown(
    page: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "thesis").write_text("mine")
    for arguments, found in (
        ([], "expected the folders of runs, found none"),
        ([str(run), str(run)], "twice: leave one out"),
        ([str(tmp_path)], "found no readable config.json"),
        ([str(run), page, str(tmp_path / "thesis")], "found something else: give another name"),
    ):
        assert main(["report", *arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert found in said.err
        assert said.err.count("\n") == 1
    assert (tmp_path / "thesis").read_text() == "mine"
