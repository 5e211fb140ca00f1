"""The report as pages: complete, escaped, in files of their own."""

import re
from pathlib import Path

import pytest
from tests.reports.written_runs import write_run

from groundup.configs.finetune_runs import ClassifyConfig, TextConfig
from groundup.errors import InputError
from groundup.reports.run_page import Illustrated, illustrate, terminal_text, write_html, write_markdown
from groundup.reports.run_report import Group, read_groups


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[Group]:
    folder = tmp_path_factory.mktemp("runs")
    records = [{"kind": "validation", "step": 5 * k, "loss": 1 / k} for k in (1, 2)]
    resources = {"trainable": 1_234, "parameters": 5_678}
    test = {"n": 9, "metrics": {"accuracy": 0.9}, "intervals": {"accuracy": [0.8, 0.95]}}
    return read_groups([
        write_run(folder / "<script>alert(1)", ClassifyConfig(base="a|b"), records, test=test, resources=resources),
        write_run(folder / "two", ClassifyConfig(), records, test=test, resources=resources),
        write_run(folder / "three", TextConfig(), records),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def found(groups: list[Group]) -> list[Illustrated]:
    return illustrate(groups)


def test_the_page_holds_both_tables_and_their_pictures_and_no_foreign_element(found: list[Illustrated], tmp_path: Path):
    write_html(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "3 runs" in page
    for text in ("Classification", "Text", "90.0%<small>80.0–95.0</small>", "1,234", "&lt;script&gt;alert(1)"):
        assert text in page
    assert "<script" not in page
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 3  # quality and loss of two runs, loss of the third
    assert all(one.startswith("data:image/svg+xml;base64,") for one in sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_markdown_leads_to_the_pictures_beside_it(found: list[Illustrated], tmp_path: Path):
    pictures = write_markdown(found, tmp_path / "my report.md")
    page = (tmp_path / "my report.md").read_text(encoding="utf-8")
    assert re.findall(r"!\[[^\]]*\]\(<(.*?)>\)", page) == [path.name for path in pictures]
    assert all(path.read_text(encoding="utf-8").count("<svg") == 1 for path in pictures)
    assert "90.0% (80.0–95.0)" in page
    assert r"\<script\>alert(1)" in page
    assert r"a\|b" in page


def test_writing_again_replaces_all_of_it(found: list[Illustrated], tmp_path: Path):
    for _ in range(2):
        write_html(found, tmp_path / "report.html")
        write_markdown(found, tmp_path / "report.md")
    assert len(list(tmp_path.iterdir())) == 1 + 1 + 3


def test_a_picture_of_somebody_elses_is_not_replaced(found: list[Illustrated], tmp_path: Path):
    mine = tmp_path / "report-classify-loss.svg"
    mine.write_text("<svg>mine</svg>")
    with pytest.raises(InputError, match="something else"):
        write_markdown(found, tmp_path / "report.md")
    assert mine.read_text() == "<svg>mine</svg>"
    assert not (tmp_path / "report.md").exists()


def test_a_terminal_shows_every_run_within_its_width(groups: list[Group]):
    for width in (80, 120):
        said = terminal_text(groups, width)
        assert all(len(line) <= width for line in said.splitlines())
        for text in ("Classification", "<script>alert(1)", "90.0% (80.0–95.0)", "1,234", "three"):
            assert text in said
