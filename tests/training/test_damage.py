"""Damage of every kind: named in one line, the good checkpoint before it used, the same bits in the end."""

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.training.killed_runs import STEPS, config, outcome, write_corpus

from groundup.cli.main import main
from groundup.errors import InputError
from groundup.training.launch import resume, start
from groundup.training.run_folder import Run
from groundup.training.run_lock import locked
from groundup.training.trained import evaluate_run, load_run
from groundup.weights.checkpoint import load_checkpoint, save_checkpoint
from groundup.weights.manifest import _render

QUIET = Console(quiet=True)
KEPT = ("step-5", "step-10", "step-11", "step-12")
PARTS = ("model.safetensors", "optimizer.safetensors", "training.json", "manifest.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("whole")
    return start(config(write_corpus(folder)), folder / "run", console=QUIET).run


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    """A run that is done, with checkpoints of steps 5, 10, 11 and 12, to be damaged."""
    shutil.copytree(whole.path, tmp_path / "run")
    return Run.open(tmp_path / "run")


def flip(path: Path, position: int | None = None) -> None:
    """Flip one bit, in the middle of a file or where told."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


DAMAGES: dict[str, Callable[[Path], None]] = {"flipped": flip, "cut": cut, "missing": Path.unlink}


def resumed(run: Run) -> str:
    shown = Console(file=io.StringIO(), width=60)
    resume(run.path, console=shown)
    return shown.file.getvalue()  # type: ignore[attr-defined]


def refusal(use: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        use()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(run: Run, whole: Run, *without: str) -> None:
    """Compare what two runs have made; a checkpoint that was set aside stays, so checkpoints may be more."""
    ours, theirs = outcome(run, STEPS), outcome(whole, STEPS)
    for name in ("checkpoints", *without):
        ours.pop(name), theirs.pop(name)
    assert ours == theirs


# A checkpoint


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", PARTS)
def test_the_checkpoint_before_a_damaged_one_is_used(run: Run, whole: Run, name: str, damage: str):
    damaged = run.checkpoint(12) / name
    DAMAGES[damage](damaged)
    said = resumed(run)
    assert f"expected {damaged} as it was saved, found " in said
    assert "step-12 was set aside as step-12.damaged" in said
    assert f"going on from {run.checkpoint(11)}" in said
    same(run, whole)


def test_a_folder_that_was_half_written_or_half_copied(run: Run, whole: Run):
    shutil.copytree(run.checkpoint(12), run.checkpoints / ".step-13.unfinished")
    for name in ("manifest.json", "optimizer.safetensors"):
        (run.checkpoint(12) / name).unlink()
    said = resumed(run)
    assert "step-12 was set aside" in said
    assert not (run.checkpoints / ".step-13.unfinished").exists()
    same(run, whole)


@pytest.mark.parametrize("lacking", [(), ("optimizer",), ("training",)])
def test_a_manifest_that_does_not_list_all(run: Run, whole: Run, lacking: tuple[str, ...]):
    """Whole and in order by its own account; but a run cannot go on from it."""
    step = run.checkpoint(12)
    checkpoint = load_checkpoint(step)
    shutil.rmtree(step)
    tensors = {name: group for name, group in checkpoint.tensors.items() if name not in lacking}
    save_checkpoint(
        step, tensors=tensors, documents={n: d for n, d in checkpoint.documents.items() if n not in lacking}
    )
    if not lacking:
        (step / "manifest.json").write_bytes(_render({}))
    said = resumed(run)
    assert f"expected {', '.join(lacking) or 'model, optimizer, training'} in {step}, found no such file" in said
    same(run, whole)


@pytest.mark.parametrize("kind", ["none", "one less", "another's"])
def test_an_optimizer_that_remembers_nothing_is_refused_by_name(run: Run, kind: str):
    step = run.checkpoint(12)
    checkpoint = load_checkpoint(step)
    shutil.rmtree(step)
    memory = checkpoint.tensors["optimizer"]
    if kind == "none":
        memory = {}
    elif kind == "one less":
        memory = {name: tensor for name, tensor in memory.items() if "token_embedding" not in name}
    else:
        memory["other.weight.exp_avg"] = torch.ones(1)
    save_checkpoint(
        step, tensors={"model": checkpoint.tensors["model"], "optimizer": memory}, documents=checkpoint.documents
    )
    found = refusal(lambda: resume(run.path, console=QUIET))
    assert f"expected {step / 'optimizer.safetensors'} to remember the optimizer's steps for each parameter" in found
    assert found.endswith("remove step-12 and resume from the one before")
    assert load_run(run.path).step in (4, 8, 12)  # which needs no optimizer


def test_all_checkpoints_damaged(run: Run):
    for name in KEPT:
        for path in run.checkpoints.glob(f"{name}/model.safetensors"):
            cut(path)
    assert "found only damaged ones" in refusal(lambda: resume(run.path, console=QUIET))
    assert "found only damaged ones" in refusal(lambda: load_run(run.path, report=lambda line: None))
    assert run.checkpoint(12).is_dir()  # nothing was moved or removed


# The other files of a run


def test_a_damaged_best_mark_is_named_and_written_anew(run: Run, whole: Run):
    flip(run.path / "best.json", position=-15)  # in the checksum or a figure: JSON all the same
    told: list[str] = []
    assert load_run(run.path, report=told.append).step == 12
    assert told[0].startswith(f"expected {run.path / 'best.json'} as it was written, found something else")
    assert told[1] == f"using {run.checkpoint(12)} instead"
    resume(run.path, console=QUIET)
    same(run, whole)


def test_damaged_metrics_are_named_and_a_copy_kept(run: Run):
    lines = run.metrics.read_text().splitlines(keepends=True)
    damaged = "".join([*lines[:3], "\x00\x00\n", lines[4].replace("loss", "lass"), *lines[5:], '{"half'])
    run.metrics.write_text(damaged)
    said = resumed(run)
    assert f"{run.metrics} has 2 damaged lines, which are left out; a copy is metrics.jsonl.damaged" in said
    assert (run.path / "metrics.jsonl.damaged").read_text() == damaged
    assert run.metrics.read_text() == "".join([*lines[:3], *lines[5:]])
    assert "damaged line" not in resumed(run)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("config.json", "config.json"),
        ("tokenizer.json", "tokeni"),
        ("tokens/tokens.json", "tokens.json"),
        ("tokens/train.bin", "train.bin"),
        ("tokens/validation.bin", "validation.bin"),  # as they do not fit together, either may be the one
    ],
)
@pytest.mark.parametrize("damage", [flip, cut])
def test_damage_to_what_a_run_is_made_of_is_named(run: Run, name: str, found: str, damage: Callable[[Path], None]):
    before = sorted(run.checkpoints.iterdir())
    path = run.path / name
    if name.endswith(".json") and damage is flip:
        flip(path, position=path.read_text().rindex('"') - 3)  # a letter of a word: JSON all the same
    else:
        damage(path)
    assert found in refusal(lambda: resume(run.path, console=QUIET))
    assert sorted(run.checkpoints.iterdir()) == before


def test_damaged_tokens_are_made_again_from_the_text(run: Run, whole: Run):
    flip(run.tokens / "train.bin")
    assert f"remove {run.tokens} and prepare it again" in refusal(lambda: resume(run.path, console=QUIET))
    shutil.rmtree(run.tokens)
    for step in (11, 12):
        shutil.rmtree(run.checkpoint(step))
    resume(run.path, console=QUIET)
    same(run, whole)


# A disk that is full, or read-only


def refuse(number: int) -> Callable[..., None]:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


WRITES = {
    "a save": "groundup.weights.manifest.os.fsync",
    "a record": "groundup.training.metrics.MetricsLog.write",
    "a sample": "groundup.training.tracking.write_atomically",
    "an event": "torch.utils.tensorboard.SummaryWriter.add_scalar",
    "the picture": "groundup.training.tracking.draw_loss_curve",
    "the best mark": "groundup.training.run_folder.write_atomically",
}


@pytest.mark.parametrize("what", WRITES)
def test_a_disk_that_is_full_stops_a_run_that_can_go_on(
    run: Run, whole: Run, what: str, monkeypatch: pytest.MonkeyPatch
):
    for step in (11, 12):
        shutil.rmtree(run.checkpoint(step))
    run.mark_best(4, {"loss": 9.0})  # what is written when the run goes on from step 10
    with monkeypatch.context() as patch:
        patch.setattr(WRITES[what], refuse(errno.ENOSPC))
        assert os.strerror(errno.ENOSPC) in refusal(lambda: resume(run.path, console=QUIET))
    load_checkpoint(run.checkpoint(10))
    resume(run.path, console=QUIET)
    same(run, whole)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small disk, and mount it again with other options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("no mount command here")
        if done.returncode:
            pytest.skip(f"only root may mount a disk: {done.stderr.strip()}")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_small_disk(whole: Run, mounted: Callable[[str], Path]):
    """Full at the start, while preparing, in a record, in the first save, in a later one."""
    disk, steps = mounted("size=4m"), set()
    for room in (0, 8, 16, 40, 80, 120, 200, 400):
        status = os.statvfs(disk)
        (disk / "other").write_bytes(bytes(status.f_bavail * status.f_frsize - room * 1024))
        made = config(whole.path.parent / "text.txt")
        assert "No space left on device" in refusal(lambda made=made: start(made, disk / "run", console=QUIET))  # type: ignore[misc]
        (disk / "other").unlink()
        if (disk / "run").exists():
            kept = Run.open(disk / "run")
            steps.add(max(kept.checkpoint_steps(), default=0))
            resume(kept.path, console=QUIET)
            same(kept, whole)
            shutil.rmtree(kept.path)
    assert 0 in steps
    assert len(steps) > 2


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_read_only_disk(whole: Run, mounted: Callable[[str], Path], capsys: pytest.CaptureFixture[str]):
    disk = mounted("size=4m")
    shutil.copytree(whole.path, disk / "run")
    mounted("remount,ro")
    for arguments in (("resume", str(disk / "run")), ("train", "tales", "--out", str(disk / "new"))):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "Read-only file system" in said
    assert load_run(disk / "run").config == load_run(whole.path).config  # reading needs no lock
    assert evaluate_run(disk / "run") == evaluate_run(whole.path)


# Two processes


def test_a_second_process_is_refused_and_readers_are_not(run: Run, whole: Run, capsys: pytest.CaptureFixture[str]):
    with locked(run.path):
        before = outcome(run, STEPS)
        assert main(["resume", str(run.path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(
            f"groundup: expected {run.path} to be free, found it being trained by process {os.getpid()}"
        )
        assert said.count("\n") == 1
        assert evaluate_run(run.path) == evaluate_run(whole.path)
        assert outcome(run, STEPS) == before


def test_a_reader_whose_checkpoint_is_replaced_takes_the_new_best(run: Run, monkeypatch: pytest.MonkeyPatch):
    """The process that trains finds a better one, and prunes the old, between a reader's look and its reading."""
    assert run.best is not None
    looked, old = 0, run.checkpoint(run.best.step)

    def load(folder: Path, **named: tuple[str, ...]) -> object:
        nonlocal looked
        looked += 1
        if looked == 1:
            run.mark_best(5, {"loss": 1.0})
            shutil.rmtree(old)
        return load_checkpoint(folder, **named)

    monkeypatch.setattr("groundup.training.trained.load_checkpoint", load)
    assert load_run(run.path, report=pytest.fail).step == 5
