"""Files of texts scored by several metrics: the figures are the metrics' own; what bad files and names get."""

from pathlib import Path

import pytest
from tests.evaluation.systems import captions

from groundup.errors import InputError
from groundup.evaluation.bleu import Bleu
from groundup.evaluation.significance import compare_systems, score_interval
from groundup.evaluation.text_scores import METRICS, chosen_metrics, score_files, scores_text


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    system, reference = captions(40)
    texts = {"system": system, "other": captions(40, seed=1, n_errors=5)[0], "reference": reference}
    for name, lines in texts.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {name: tmp_path / name for name in texts}


def test_every_metric_scores_what_its_own_functions_score(files: dict[str, Path]):
    metrics = chosen_metrics(tuple(METRICS))
    n_texts, scores = score_files(metrics, files["system"], [files["reference"]], resamples=30)
    assert n_texts == 40
    assert [one.metric for one in scores] == metrics
    bleu = Bleu()
    counts = bleu.counts(*(files[name].read_text().splitlines() for name in ("system",)), [captions(40)[1]])
    assert scores[0].score == bleu.score(counts.sum(0))
    assert scores[0].interval == score_interval(bleu, counts, resamples=30)
    assert all(one.interval[0] <= one.score <= one.interval[1] for one in scores)
    text = scores_text(scores)
    assert text.splitlines()[1].split()[:2] == ["BLEU", f"{scores[0].score:.2f}"]
    assert "WER ↓" in text
    assert "chrF2++: nrefs:1|case:mixed|eff:yes|nc:6|nw:2" in text


def test_two_systems_are_compared_on_the_same_texts(files: dict[str, Path]):
    [score] = score_files(
        [Bleu()], files["system"], [files["reference"], files["other"]], baseline=files["other"], resamples=30
    )[1]
    system, reference = captions(40)
    other = captions(40, seed=1, n_errors=5)[0]
    expected = compare_systems(
        Bleu(), *(Bleu().counts(texts, [reference, other]) for texts in (system, other)), resamples=30
    )
    assert score.comparison == expected
    assert expected.baseline == pytest.approx(100)  # it is a reference itself
    assert expected.p_value == pytest.approx(1 / 31)
    assert "-" in scores_text([score]).splitlines()[1].split()[3]


def test_settings_reach_the_metrics():
    bleu, chrf, exact = chosen_metrics(["bleu", "chrf", "exact"], tokenizer="zh", lowercase=True)
    assert "case:lc" in chrf.signature(1)
    assert "case:lc|eff:no|tok:zh" in bleu.signature(1)
    assert exact.counts(["A"], [["a"]]).tolist() == [[1, 1]]


def test_files_that_cannot_be_scored_are_refused(files: dict[str, Path], tmp_path: Path):
    (tmp_path / "short").write_text("ein Hund\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "blank").write_text("\n \n")
    bleu = [Bleu()]
    with pytest.raises(InputError, match=r"expected 40 lines in .*short, as in .*system, found 1: line n of both must"):
        score_files(bleu, files["system"], [files["reference"], tmp_path / "short"])
    with pytest.raises(InputError, match=r"expected 40 lines in .*short, as in .*system, found 1"):
        score_files(bleu, files["system"], [files["reference"]], baseline=tmp_path / "short")
    for name in ("empty", "blank"):
        with pytest.raises(InputError, match=rf"expected a text on each line of .*{name}, found an empty file"):
            score_files(bleu, tmp_path / name, [files["reference"]])
    with pytest.raises(InputError, match=r"expected lines of text that can be read, found .*nowhere: No such file"):
        score_files(bleu, files["system"], [tmp_path / "nowhere"])
    with pytest.raises(InputError, match="expected metrics and files of references, found none"):
        score_files(bleu, files["system"], [])


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown metric 'meteor': known are bleu, chrf, chrf"):
        chosen_metrics(["bleu", "meteor"])
    with pytest.raises(InputError, match="unknown tokenizer '14a': known are 13a"):
        chosen_metrics(["bleu"], tokenizer="14a")
