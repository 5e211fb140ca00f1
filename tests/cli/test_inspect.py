"""`groundup inspect embeddings`: tables and maps of a run, and one line for what cannot be."""

from pathlib import Path

import pytest
from tests.interpret.some_embeddings import some_embeddings

from groundup.cli.main import main


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("groundup.reports.token_embeddings.open_embeddings", lambda name, side: some_embeddings())


def test_a_map_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", "embeddings", "small"]) == 0
    first, _, made, kept, page, picture = capsys.readouterr().out.splitlines()
    assert first.startswith("small: 2")
    assert first.endswith(" tokens, 12 numbers each")
    assert " of them by PCA: " in made
    assert kept.startswith("of each token's ten nearest ")
    assert page == "wrote runs/embeddings/small-pca.html"
    assert picture == "wrote runs/embeddings/small-pca.png"
    assert (tmp_path / "runs/embeddings/small-pca.png").stat().st_size > 10_000


def test_tables_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    asked = ["--near", "king", "red", "--analogy", "king", "queen", "one", "--top", "3"]
    assert main(["inspect", "embeddings", "small", *asked]) == 0
    _, blank, head, *rows = capsys.readouterr().out.splitlines()
    assert blank == ""
    assert head.split() == ["␣king", "␣red", "king", "−", "queen", "+", "one"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert "␣queen" in rows[0] + rows[1]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is said about the picture: it takes most of a second."""
    monkeypatch.setattr("groundup.reports.embedding_page.draw_embedding_map", lambda *args, **options: None)


@pytest.mark.usefixtures("no_picture")
def test_words_that_are_marked_on_the_map(tmp_path: Path):
    asked = ["--near", "king", "--out", "maps", "--words", "--method", "tsne", "--perplexity", "5", "--tokens", "20"]
    assert main(["inspect", "embeddings", "small", *asked]) == 0
    page = (tmp_path / "maps/small-tsne.html").read_text(encoding="utf-8")
    assert '"chosen":0' in page
    assert '"labels":["␣king",' in page
    assert "20 of 2" in page


@pytest.mark.usefixtures("no_picture")
def test_the_tokens_of_a_text(tmp_path: Path):
    (tmp_path / "text.txt").write_text("blue red red red king, two green queens")
    assert main(["inspect", "embeddings", "small", "--text", "text.txt", "--tokens", "6"]) == 0
    assert '"labels":["␣red",' in (tmp_path / "runs/embeddings/small-pca.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["weights"], "expected what to inspect, embeddings, found 'weights'"),
        (["embeddings", "small", "--near", "kingdom"], "expected a word that is one token of small, found 'kingdom'"),
        (["embeddings", "small", "--analogy", "king", "man"], "--analogy"),
        (["embeddings", "small", "--analogy", "king", "queen", "emperor"], "found 'emperor'"),
        (["embeddings", "small", "--tokens", "4"], "--tokens must be at least 5, found 4"),
        (["embeddings", "small", "--top", "0"], "--top must be at least 1"),
        (["embeddings", "small", "--method", "mds"], "mds"),
        (["embeddings", "small", "--perplexity", "5"], "expected --method tsne with --perplexity, found pca: leave"),
        (["embeddings", "small", "--neighbours", "5"], "expected --method umap with --neighbours, found pca"),
        (["embeddings", "small", "--method", "tsne", "--perplexity", "-1"], "--perplexity must be above 0, found -1.0"),
        (["embeddings", "small", "--method", "tsne", "--perplexity", "9999"], "expected a perplexity from 1 to below"),
        (["embeddings", "small", "--method", "umap", "--neighbours", "9999"], "expected 2 to "),
        (["embeddings", "small", "--min-distance", "3"], "--min-distance must be in [0, 1], found 3.0"),
        (["embeddings", "small", "--min-distance", "0.5"], "expected --method umap with --min-distance, found pca"),
        (["embeddings", "small", "--near", "king", "--words"], "expected --out FOLDER with --words beside --near or"),
        (["embeddings", "small", "--near", "king", "--method", "tsne"], "expected --out FOLDER with --method beside"),
        (["embeddings", "small", "--side", "left"], "left"),
        (["embeddings", "small", "--text", "no.txt"], "no.txt"),
        (["embeddings", "small", "--out", "file"], "file"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], said: str, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["inspect", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_help_without_torch(capsys: pytest.CaptureFixture[str]):
    assert main(["inspect"]) == 0
    assert "usage: groundup inspect WHAT MODEL" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["inspect", "embeddings", "--help"])
    assert ended.value.code == 0
    assert "--near" in capsys.readouterr().out
