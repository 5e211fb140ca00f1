"""metrics.jsonl: each step of each kind once, also after interruptions, also after half a line."""

import json
from pathlib import Path

import pytest

from groundup.training.metrics import MetricsLog, is_as_written, read_metrics


def steps(path: Path, kind: str) -> list[int]:
    return [record["step"] for record in read_metrics(path) if record["kind"] == kind]


def write_run(path: Path) -> None:
    log = MetricsLog(path, step=0, evaluated_at=0)
    for step in range(1, 11):
        log.write("train", step, {"loss": 1.0 / step})
        if step % 5 == 0:
            log.write("validation", step, {"loss": 2.0 / step})
    log.close()


def test_records_are_on_disk_when_written(tmp_path: Path):
    log = MetricsLog(tmp_path / "metrics.jsonl", step=0, evaluated_at=0)
    log.write("train", 1, {"loss": 0.1 + 0.2})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"kind": "train", "step": 1, "loss": 0.1 + 0.2}]
    log.close()


def test_a_resumed_run_drops_what_it_will_do_again(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    write_run(path)
    MetricsLog(path, step=7, evaluated_at=5).close()
    assert steps(path, "train") == list(range(1, 8))
    assert steps(path, "validation") == [5]


def test_an_evaluation_that_was_not_saved_is_dropped(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    write_run(path)
    MetricsLog(path, step=10, evaluated_at=5).close()
    assert steps(path, "train") == list(range(1, 11))
    assert steps(path, "validation") == [5]


@pytest.mark.parametrize(
    "tail",
    [
        '{"kind": "train", "step": 11, "lo',
        "\x00\xff",
        "null\n",
        '{"step": 3}\n',
        '{"kind": ["train"], "step": 3, "loss": 1.0}\n',
        '{"kind": "train", "step": "3", "loss": 1.0}\n',
        '{"kind": "train", "step": true, "loss": 1.0}\n',
        '{"kind": "train", "step": 3}\n',
        '{"kind": "train", "step": 3, "loss": null}\n',
        '{"kind": "train", "step": 3, "loss": "low"}\n',
        '{"kind": "train", "step": 3, "loss": NaN}\n',
        '{"kind": "train", "step": 3, "loss": 1.0, "tokens": 1e999}\n',
        '{"kind": "validation", "step": 3, "loss": 1.0, "bits_per_byte": [1]}\n',
        "[" * 100_000,
    ],
)
def test_what_is_no_record_is_left_out(tmp_path: Path, tail: str):
    path = tmp_path / "metrics.jsonl"
    write_run(path)
    with path.open("a") as file:
        file.write(tail)
    log = MetricsLog(path, step=10, evaluated_at=10)
    log.write("train", 11, {"loss": 0.5})
    log.close()
    assert steps(path, "train") == list(range(1, 12))
    assert steps(path, "validation") == [5, 10]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_no_file_is_no_records(tmp_path: Path):
    assert read_metrics(tmp_path / "none") == []


def test_lines_that_came_twice_or_out_of_order_are_put_right(tmp_path: Path):
    """As a file system may leave them after a power cut, or a copy put together by hand: the later one counts."""
    path = tmp_path / "metrics.jsonl"
    write_run(path)
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    first = json.dumps({"kind": "train", "step": 3, "loss": 9.0}) + "\n"
    path.write_text("".join([*lines[4:], first, *lines[:4], *lines[2:5]]))
    assert not is_as_written(path, step=10, evaluated_at=10)
    MetricsLog(path, step=10, evaluated_at=10).close()
    assert path.read_text() == whole
    assert is_as_written(path, step=10, evaluated_at=10)


def test_lines_that_are_lost_are_lost_alone(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    write_run(path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:6]))  # the checkpoint knows of ten steps
    log = MetricsLog(path, step=10, evaluated_at=10)
    log.write("train", 11, {"loss": 0.5})
    log.close()
    assert steps(path, "train") == [1, 2, 3, 4, 5, 11]


def test_a_file_in_order_is_not_written_again(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    write_run(path)
    before = path.stat()
    MetricsLog(path, step=10, evaluated_at=10).close()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
