"""loss.png: a picture for any record of a run, and none without one."""

import json
from pathlib import Path

import pytest

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


def test_without_records_there_is_no_picture(tmp_path: Path):
    draw_loss_curve(tmp_path / "metrics.jsonl", tmp_path / "loss.png", title="nothing")
    assert not (tmp_path / "loss.png").exists()


def test_smoothing_keeps_ends_lines_and_length():
    line = [float(i) for i in range(200)]
    assert smoothed(line) == pytest.approx(line)
    assert smoothed([]) == []
    assert smoothed([2.0]) == [2.0]
