"""loss.png: a picture for any record of a run, and none without one."""

import json
from pathlib import Path

import pytest

from groundup.configs import Band
from groundup.training import loss_curve
from groundup.training.loss_curve import draw_loss_curve, smoothed

PNG = b"\x89PNG\r\n"


def records(n: int, *, train: bool, validation: bool) -> str:
    lines = []
    for step in range(1, n + 1):
        if train:
            lines.append({"kind": "train", "step": step, "loss": 4.0 / step})
        if validation:
            lines.append({"kind": "validation", "step": step, "loss": 3.0 / step, "bits_per_byte": 2.0 / step})
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("n", [1, 5, 90])
@pytest.mark.parametrize(("train", "validation"), [(True, True), (True, False), (False, True)])
def test_any_run_has_a_picture(tmp_path: Path, n: int, train: bool, validation: bool):
    (tmp_path / "metrics.jsonl").write_text(records(n, train=train, validation=validation))
    floor = 0.01 if n > 1 else None
    draw_loss_curve(tmp_path / "metrics.jsonl", tmp_path / "loss.png", title="a run $_{$", floor=floor)
    assert (tmp_path / "loss.png").read_bytes().startswith(PNG)
    assert not list(tmp_path.glob(".*"))


def test_bands_are_drawn_at_the_steps_that_were_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "metrics.jsonl").write_text(records(9, train=True, validation=True))
    drawn, limits = [], []
    monkeypatch.setattr(loss_curve, "_draw_bands", lambda axes, bands: (drawn.extend(bands), limits.append(axes)))
    reached, later = Band(step=9, low=7.0, high=8.0), Band(step=10, low=0.1, high=0.2)
    draw_loss_curve(tmp_path / "metrics.jsonl", tmp_path / "loss.png", title="a run", bands=[reached, later])
    assert drawn == [reached]
    assert limits[0].get_ylim()[1] > 8.0  # a band far from the curve is still seen
    monkeypatch.undo()
    draw_loss_curve(tmp_path / "metrics.jsonl", tmp_path / "with.png", title="a run", bands=[reached])
    draw_loss_curve(tmp_path / "metrics.jsonl", tmp_path / "without.png", title="a run")
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()


def test_the_unit_is_that_of_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "metrics.jsonl").write_text(records(3, train=True, validation=False))
    seen = []
    monkeypatch.setattr(loss_curve, "_draw_bands", lambda axes, bands: seen.append(axes))
    for per in ("image", ""):
        draw_loss_curve(tmp_path / "metrics.jsonl", tmp_path / "loss.png", title="a run", per=per)
    assert [axes.get_ylabel() for axes in seen] == ["loss (nats per image)", "loss (nats)"]


def test_without_records_there_is_no_picture(tmp_path: Path):
    draw_loss_curve(tmp_path / "metrics.jsonl", tmp_path / "loss.png", title="nothing")
    assert not (tmp_path / "loss.png").exists()


def test_smoothing_keeps_ends_lines_and_length():
    line = [float(i) for i in range(200)]
    assert smoothed(line) == pytest.approx(line)
    assert smoothed([]) == []
    assert smoothed([2.0]) == [2.0]
