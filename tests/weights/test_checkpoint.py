"""Checkpoints: what goes in comes out, a stop at any moment leaves none or a whole one, and damage is named."""

import ast
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.weights.checkpoint import (
    load_checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    set_aside,
)
from groundup.weights.manifest import _render, write_manifest
from groundup.weights.marks import is_marked, set_mark

TENSORS = {"model": {"w": torch.arange(12.0).view(3, 4), "b": torch.tensor([True, False])}, "optimizer": {}}
DOCUMENTS = {"state": {"step": 3, "best_loss": 1 / 3, "name": "é"}}


def save(folder, **given):
    save_checkpoint(folder, **{"tensors": TENSORS, "documents": DOCUMENTS, **given})
    return folder


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def everything(folder):
    return sorted(path.name for path in folder.iterdir())


def one_line(error):
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


def test_what_goes_in_comes_out(tmp_path):
    loaded = load_checkpoint(save(tmp_path / "new" / "step-3"))
    assert loaded.documents == DOCUMENTS
    assert loaded.tensors.keys() == TENSORS.keys()
    assert loaded.tensors["optimizer"] == {}
    for name, tensor in TENSORS["model"].items():
        assert loaded.tensors["model"][name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors["model"][name], tensor)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8])
def test_every_bit_of_every_type_survives(tmp_path, dtype):
    bits = torch.randint(0, 256, (64,), dtype=torch.uint8)
    folder = save(tmp_path / "c", tensors={"m": {"x": bits.view(dtype)}})
    loaded = load_checkpoint(folder).tensors["m"]["x"]
    assert loaded.dtype == dtype
    assert torch.equal(loaded.view(torch.uint8), bits)  # bits, because a float may be NaN


def test_views_and_odd_shapes(tmp_path):
    w = torch.arange(6.0).view(2, 3)
    group = {
        "w": w,
        "transposed": w.t(),
        "flat": w.view(-1),
        "row": w[1],
        "expanded": torch.ones(1).expand(4),
        "scalar": torch.tensor(2.0),
        "empty": torch.empty(0),
        "empty_too": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    loaded = load_checkpoint(save(tmp_path / "c", tensors={"m": group})).tensors["m"]
    assert loaded.keys() == group.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in group.items())


def test_a_tied_tensor_is_stored_once_and_comes_back_tied(tmp_path):
    w = torch.randn(50, 20)
    folder = save(tmp_path / "c", tensors={"m": {"embedding": w, "output": w}})
    assert (folder / "m.safetensors").stat().st_size < 1.5 * w.numel() * 4
    loaded = load_checkpoint(folder).tensors["m"]
    assert loaded["output"] is loaded["embedding"]
    assert torch.equal(loaded["output"], w)


@pytest.mark.parametrize("tied", [True, False])
def test_a_gpt_survives(tmp_path, tied):
    config = GPTConfig(vocab_size=11, context_length=8, d_model=16, n_layers=2, n_heads=2, tie_embeddings=tied)
    model, other = GPT(config), GPT(config)
    folder = save(tmp_path / "c", tensors={"model": model.state_dict()})
    other.load_state_dict(load_checkpoint(folder).tensors["model"])
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(tokens), other(tokens))


def test_loaded_tensors_do_not_depend_on_the_file(tmp_path):
    folder = save(tmp_path / "c")
    loaded = load_checkpoint(folder).tensors["model"]["w"]
    path = folder / "model.safetensors"
    with path.open("r+b") as file:  # in place: a mapped file would show it
        file.write(b"\xff" * path.stat().st_size)
    assert torch.equal(loaded, TENSORS["model"]["w"])
    loaded += 1  # and they can be written to


def test_only_what_is_asked_for_is_read(tmp_path):
    folder = save(tmp_path / "c")
    (folder / "optimizer.safetensors").unlink()
    loaded = load_checkpoint(folder, only=("model", "state"))
    assert loaded.tensors.keys() == {"model"}
    assert loaded.documents == DOCUMENTS
    with pytest.raises(InputError, match=r"expected extra in .* found no such file"):
        load_checkpoint(folder, only=("model", "extra"))


def test_files_can_be_read_by_whoever_can_read_the_folder(tmp_path):
    folder = save(tmp_path / "c")
    assert {path.stat().st_mode & 0o666 for path in folder.iterdir()} == {folder.stat().st_mode & 0o666}


# What must not be overwritten, and what cannot be saved


@pytest.mark.parametrize("kind", ["checkpoint", "empty folder", "file"])
def test_nothing_is_overwritten(tmp_path, kind):
    folder = tmp_path / "c"
    if kind == "checkpoint":
        save(folder)
    elif kind == "file":
        folder.write_text("mine")
    else:
        folder.mkdir()
    before = everything(folder) if folder.is_dir() else folder.read_text()
    with pytest.raises(InputError, match=r"found .* in use") as error:
        save(folder, documents={"other": 1})
    one_line(error)
    assert (everything(folder) if folder.is_dir() else folder.read_text()) == before
    assert everything(tmp_path) == ["c"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a.b", "manifest", "a\n"])
def test_impossible_names_are_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(ValueError, match="expected names"):
        save(tmp_path / "c", documents={name: 1})
    if name != "manifest":
        with pytest.raises(ValueError, match="expected names"):
            save(tmp_path / "c", tensors={name: {}})
    assert everything(tmp_path) == []


@pytest.mark.parametrize("document", [float("nan"), {"loss": float("inf")}, {1, 2}])
def test_a_document_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, document):
    with pytest.raises((TypeError, ValueError)):
        save(tmp_path / "c", documents={"state": document})
    assert everything(tmp_path) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"expected to write a checkpoint at .*(Not a directory|File exists)") as error:
        save(tmp_path / "file" / "step-1")
    one_line(error)
    assert everything(tmp_path) == ["file"]


@pytest.mark.parametrize("part", ["os.fsync", "pathlib.Path.rename", "pathlib.Path.write_text", "pathlib.Path.mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_what_was_there(tmp_path, monkeypatch, part, number):
    save(tmp_path / "step-1")

    def refuse(*given, **named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(part, refuse)
    with pytest.raises(InputError, match=os.strerror(number)) as error:
        save(tmp_path / "step-2")
    one_line(error)
    monkeypatch.undo()
    assert everything(tmp_path) == ["step-1"]
    assert newest_checkpoint(tmp_path) == tmp_path / "step-1"


def test_a_full_disk_leaves_what_was_there(tmp_path):
    save(tmp_path / "step-1")
    program = f"""
        import resource, torch
        from pathlib import Path
        from groundup.errors import InputError
        from groundup.weights.checkpoint import save_checkpoint

        for limit in (100_000, 1_000):  # the kernel cuts every file there: early in the tensors, and earlier
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                save_checkpoint(Path({str(tmp_path)!r}) / "step-2", tensors={{"m": {{"x": torch.zeros(50_000)}}}},
                                documents={{"state": ["x" * 2_000]}})
            except InputError as error:
                print(error)
    """
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert len(out.stdout.splitlines()) == 2
    assert all("File too large" in line for line in out.stdout.splitlines())
    assert everything(tmp_path) == ["step-1"]
    load_checkpoint(tmp_path / "step-1")


def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "step-1")
    assert everything(tmp_path) == []


def test_all_is_forced_to_disk_before_the_rename_and_the_name_after_it(tmp_path, monkeypatch):
    events, fsync, rename = [], os.fsync, Path.rename

    def record_fsync(descriptor):
        events.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def record_rename(path, target):
        events.append("rename")
        return rename(path, target)

    monkeypatch.setattr("os.fsync", record_fsync)
    monkeypatch.setattr(Path, "rename", record_rename)
    folder = save(tmp_path / "c")
    before, after = events[: events.index("rename")], events[events.index("rename") + 1 :]
    assert set(before) == {path.stat().st_ino for path in (folder, *folder.iterdir())}
    assert after == [tmp_path.stat().st_ino]


# A process that dies

KILLED = """
import os, signal, sys, torch
from pathlib import Path
from groundup.weights.checkpoint import save_checkpoint

folder = Path(sys.argv[1])
state = {"model": {"w": torch.ones(1_000)}, "optimizer": {"m": torch.ones(1_000)}}
for alive_for in range(100):
    calls = 0

    def watch(event, given):
        # Every file that is opened, every folder made, every rename: die just before it, in one way or the other.
        global calls
        if event in {"open", "os.mkdir", "os.rename", "os.chmod"} and str(folder) in str(given[0]):
            calls += 1
            if calls > alive_for:
                os._exit(9) if alive_for % 2 else os.kill(os.getpid(), signal.SIGKILL)

    if os.fork() == 0:
        sys.addaudithook(watch)
        save_checkpoint(folder / f"step-{10 + alive_for}", tensors=state, documents={"training": {"a": 1}})
        os._exit(0)
    status = os.wait()[1]
    print(sorted(path.name for path in folder.iterdir() if path.name[0] != "."), flush=True)
    if status == 0:
        break
"""


def test_a_process_killed_anywhere_in_a_save_leaves_none_or_a_whole_one(tmp_path):
    save(tmp_path / "step-1")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    seen = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert len(seen) > 8  # as many places to die in
    # Dead before the rename: nothing new to be seen. Between the rename and the end there is one more opening, of the
    # parent folder: dead there, or alive, the new one is there and whole.
    last = 10 + len(seen) - 1
    assert all(names == ["step-1"] for names in seen[:-2])
    assert seen[-2:] == [["step-1", f"step-{last - 1}"], ["step-1", f"step-{last - 1}", f"step-{last}"]]
    for name in seen[-1]:
        load_checkpoint(tmp_path / name)
    assert everything(tmp_path) == seen[-1]  # each save removed what the one before left


def test_a_process_killed_at_a_random_moment(tmp_path):
    """SIGKILL from outside, while one save follows another: whatever is visible is whole."""
    program = f"""
        import itertools, torch
        from pathlib import Path
        from groundup.weights.checkpoint import save_checkpoint
        print("ready", flush=True)
        for step in itertools.count():
            save_checkpoint(Path({str(tmp_path)!r}) / f"step-{{step}}", documents={{"training": {{"step": step}}}},
                            tensors={{"model": {{"w": torch.full((20_000,), float(step))}}}})
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        while child.poll() is None and not (tmp_path / "step-4").exists():
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
    newest = newest_checkpoint(tmp_path)
    assert newest.name == f"step-{len(visible(tmp_path)) - 1}"
    for name in visible(tmp_path):
        loaded = load_checkpoint(tmp_path / name)
        assert loaded.tensors["model"]["w"].unique().item() == loaded.documents["training"]["step"]
    prune_checkpoints(tmp_path, keep_last=1)
    assert everything(tmp_path) == [newest.name]


# Damage


def test_a_flip_of_any_byte_is_found(tmp_path):
    folder = save(tmp_path / "c")
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for position in range(len(whole)):
            changed = bytearray(whole)
            changed[position] ^= 1 << (position % 8)
            path.write_bytes(changed)
            with pytest.raises(InputError) as error:
                load_checkpoint(folder)
            assert path.name in one_line(error)
        path.write_bytes(whole)
    load_checkpoint(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "cut short", "longer", "empty", "folder", "another's"])
def test_a_damaged_file_is_named(tmp_path, name, damage):
    folder = save(tmp_path / "c")
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "another's":
        save(tmp_path / "other", tensors={"model": {"w": torch.ones(9)}, "optimizer": {"m": torch.ones(1)}}, documents={
            "state": {"step": 9}})  # fmt: skip
        path.write_bytes((tmp_path / "other" / name).read_bytes())
    elif damage != "missing":
        path.write_bytes({"cut short": whole[:-1], "longer": whole + b"\n", "empty": b""}[damage])
    with pytest.raises(InputError) as error:
        load_checkpoint(folder)
    # Another's manifest is whole; then it is the files that do not fit.
    expected = str(folder) if (name, damage) == ("manifest.json", "another's") else str(path)
    assert expected in one_line(error)
    assert "damaged" in one_line(error)


def test_no_checkpoint_there(tmp_path):
    for path in (tmp_path / "nothing", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="expected the folder of a checkpoint, found none at"):
            load_checkpoint(path)
    with pytest.raises(InputError, match=r"manifest\.json"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"format_version": 1}', "[" * 100_000, "\x00", "NaN"])
def test_a_manifest_that_is_none(tmp_path, text):
    folder = save(tmp_path / "c")
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json as it was saved, found other bytes"):
        load_checkpoint(folder)


def test_a_manifest_that_leads_out_of_its_folder_is_refused(tmp_path):
    folder = save(tmp_path / "c")
    (tmp_path / "secret.json").write_text("{}")
    told = {"../secret.json": {"size": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}}
    (folder / "manifest.json").write_bytes(_render(told))
    with pytest.raises(InputError, match=r"manifest\.json as it was saved"):
        load_checkpoint(folder)


def test_a_checkpoint_of_another_format_says_so(tmp_path):
    folder = save(tmp_path / "c")
    told = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**told, "format_version": 2}))
    with pytest.raises(InputError, match="expected a checkpoint of format 1, found 2 in"):
        load_checkpoint(folder)


# Many checkpoints


def test_newest_is_by_number_and_passes_over_the_damaged(tmp_path):
    for step in (2, 9, 10, 100):
        save(tmp_path / f"step-{step}")
    for name in ("step-x", "step-5.damaged", "other", ".step-500.unfinished"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-999").write_text("a file")
    assert newest_checkpoint(tmp_path) == tmp_path / "step-100"
    (tmp_path / "step-100" / "manifest.json").unlink()
    (tmp_path / "step-10" / "model.safetensors").write_bytes(b"")
    told = []
    assert newest_checkpoint(tmp_path, on_damaged=lambda path, error: told.append((path.name, str(error)))).name == (
        "step-9"
    )
    assert [name for name, _ in told] == ["step-100", "step-10"]
    assert "manifest.json" in told[0][1]
    assert "model.safetensors" in told[1][1]
    assert newest_checkpoint(tmp_path, only=("state",)).name == "step-10"


def test_no_newest_where_there_is_none(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "nothing") is None
    assert prune_checkpoints(tmp_path / "nothing", keep_last=1) == []


def test_a_damaged_one_set_aside_makes_room_and_is_not_lost(tmp_path):
    for expected in ("step-5.damaged", "step-5.damaged2"):
        folder = save(tmp_path / "step-5")
        assert set_aside(folder) == tmp_path / expected
    save(tmp_path / "step-5")
    assert everything(tmp_path) == ["step-5", "step-5.damaged", "step-5.damaged2"]


def test_prune_keeps_the_newest_and_the_named(tmp_path):
    for step in (1, 2, 3, 10, 20):
        save(tmp_path / f"step-{step}")
    (tmp_path / "step-20.damaged").mkdir()
    (tmp_path / ".step-4.unfinished").mkdir()
    removed = prune_checkpoints(tmp_path, keep_last=2, keep={"step-2", "step-77"})
    assert [path.name for path in removed] == ["step-3", "step-1"]
    assert everything(tmp_path) == ["step-10", "step-2", "step-20", "step-20.damaged"]
    assert prune_checkpoints(tmp_path, keep_last=2, keep={"step-2"}) == []
    with pytest.raises(ValueError, match="keep_last"):
        prune_checkpoints(tmp_path, keep_last=0)


def test_prune_never_removes_the_last_good_one_for_a_damaged_one(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path / f"step-{step}")
    (tmp_path / "step-3" / "model.safetensors").unlink()
    assert [path.name for path in prune_checkpoints(tmp_path, keep_last=1)] == ["step-1"]
    assert newest_checkpoint(tmp_path) == tmp_path / "step-2"


def test_a_prune_that_is_killed_leaves_no_half_checkpoint(tmp_path, monkeypatch):
    for step in (1, 2):
        save(tmp_path / f"step-{step}")

    def die(path, **named):
        raise SystemExit  # in place of the removal

    monkeypatch.setattr("shutil.rmtree", die)
    with pytest.raises(SystemExit):
        prune_checkpoints(tmp_path, keep_last=1)
    monkeypatch.undo()
    assert visible(tmp_path) == ["step-2"]
    save(tmp_path / "step-3")
    assert everything(tmp_path) == ["step-2", "step-3"]


def test_what_cannot_be_removed_stops_no_run(tmp_path, monkeypatch):
    for step in (1, 2):
        save(tmp_path / f"step-{step}")

    def refuse(*given):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "rename", refuse)
    assert prune_checkpoints(tmp_path, keep_last=1) == []
    assert visible(tmp_path) == ["step-1", "step-2"]
    with pytest.raises(InputError, match="expected to rename"):
        set_aside(tmp_path / "step-2")


# Tied names


def test_tied_names_are_one_entry_whose_bytes_no_process_changes(tmp_path):
    """safetensors writes metadata in the order of a hash table that is seeded anew in each process."""
    weight = torch.ones(3)
    folder = save(tmp_path / "c", tensors={"model": dict.fromkeys("abcdefgh", weight)}, documents={})
    raw = (folder / "model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert header["__metadata__"] == {"other_names": json.dumps(dict.fromkeys("bcdefgh", "a"))}
    assert load_checkpoint(folder).tensors["model"].keys() == set("abcdefgh")


@pytest.mark.parametrize("names", [["b"], ["b", "c"], ["other_names"]])
def test_tied_names_of_an_earlier_version_are_read(tmp_path, names):
    folder = tmp_path / "c"
    folder.mkdir()
    save_file({"a": torch.ones(3)}, folder / "model.safetensors", metadata=dict.fromkeys(names, "a"))
    write_manifest(folder)
    assert load_checkpoint(folder).tensors["model"].keys() == {"a", *names}


# Marks


def test_marked_ones_are_never_pruned_and_do_not_count(tmp_path):
    for step in (1, 2, 3, 4, 5):
        save(tmp_path / f"step-{step}")
    for step in (2, 5):
        set_mark(tmp_path / f"step-{step}", marked=True)
    assert [path.name for path in prune_checkpoints(tmp_path, keep_last=1)] == ["step-3", "step-1"]
    assert everything(tmp_path) == ["step-2", "step-4", "step-5"]
    load_checkpoint(tmp_path / "step-2")  # the mark is no damage


def test_a_mark_is_there_as_soon_as_the_checkpoint_is(tmp_path, monkeypatch):
    def killed(folder):
        raise SystemExit

    monkeypatch.setattr("groundup.weights.checkpoint.sync_names", killed)  # what follows the rename
    with pytest.raises(SystemExit):
        save(tmp_path / "step-1", marked=True)
    assert is_marked(tmp_path / "step-1")
