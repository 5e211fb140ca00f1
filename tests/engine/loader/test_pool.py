"""Worker processes: what they deliver, how they fail, how they end, and that nothing of theirs is left."""

import faulthandler
import functools
import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from groundup.engine import Tensor, rand
from groundup.engine.loader import ArrayDataset, DataLoader, Dataset, WorkerError, get_worker_info

SHARED = Path("/dev/shm")
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="looks into /dev/shm and forks")


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process and no shared memory of ours outlives a test; tests of other processes may use shared memory too."""
    mine = shared_blocks()
    yield
    gc.collect()
    assert multiprocessing.active_children() == []
    assert shared_blocks() - mine == set()


def shared_blocks():
    """Blocks that this process has mapped, and are still there."""
    mapped = Path("/proc/self/maps").read_text().splitlines()
    names = {line.rsplit("/", 1)[1] for line in mapped if "/dev/shm/" in line and "(deleted)" not in line}
    return {name for name in names if (SHARED / name).exists()}


class Doing(Dataset[object]):
    """Sample i is what a function gives for i."""

    def __init__(self, function, n=8):
        self.function, self.n = function, n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.function(index)


def rows(index):
    return np.full(1_000, index, dtype=np.float32), index


def test_a_batch_is_the_caller_s_own():
    """All batches of three epochs are kept, and none is overwritten by a later one."""
    loader = DataLoader(Doing(rows, 40), 4, num_workers=2, persistent_workers=True)
    kept = [batch for _ in range(3) for batch in loader]
    for k, (x, y) in enumerate(kept):
        first = k % 10 * 4
        assert y.tolist() == list(range(first, first + 4))
        assert x.shape == (4, 1_000)
        assert (x.data == y.data[:, None]).all()
        x.data += 1  # writable, and changes nobody else's


def test_sizes_that_grow_and_shrink():
    lengths = [3, 70_000, 10, 100_000, 200_000, 1, 0, 50_000]
    loader = DataLoader(Doing(lambda i: np.full(lengths[i], i)), num_workers=1, prefetch_factor=1)
    for _ in range(2):
        assert [(x.shape, set(x.data.flat)) for x in loader] == [
            ((1, n), {i} if n else set()) for i, n in enumerate(lengths)
        ]


def test_anything_can_be_in_a_batch():
    def make(samples):
        return {"text": ("a", None), "object": np.array([{}, 1], dtype=object), "x": Tensor([1.0]), "y": np.ones(2)}

    for batch in DataLoader(Doing(abs), num_workers=1, collate_fn=make, prefetch_factor=1):
        assert batch["text"] == ("a", None)
        assert batch["object"].tolist() == [{}, 1]
        assert isinstance(batch["x"], Tensor)
        assert batch["x"].tolist() == [1]
        assert isinstance(batch["y"], np.ndarray)


def test_without_room_in_shared_memory_batches_go_through_the_pipe(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: FullDisk)
    assert [y.tolist() for _, y in DataLoader(Doing(rows), 4, num_workers=1)] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_huge_batches_of_indices_do_not_block_the_pipe(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: FullDisk)  # and 1.6 MB come back through it
    loader = DataLoader(ArrayDataset(np.arange(600_000)), 200_000, num_workers=1)
    assert [y.data[-1] for (y,) in loader] == [199_999, 399_999, 599_999]


class FullDisk:
    free = 0


def about_me(index):
    info = get_worker_info()
    return [info.id, info.num_workers, info.batch_size, len(info.dataset), os.getpid()]


def test_workers_know_what_they_are():
    found = [tuple(map(int, batch[0])) for batch in DataLoader(Doing(about_me), num_workers=2, collate_fn=np.array)]
    assert [one[:4] for one in found] == [(k % 2, 2, 1, 8) for k in range(8)]
    assert len({one[4] for one in found} | {os.getpid()}) == 3
    assert get_worker_info() is None


def test_persistent_workers_stay_and_others_do_not():
    for persistent, n_processes in ((True, 1), (False, 2)):
        loader = DataLoader(Doing(about_me), 8, num_workers=1, persistent_workers=persistent, collate_fn=np.array)
        assert len({batch[0, 4] for _ in range(2) for batch in loader}) == n_processes
        assert len(multiprocessing.active_children()) == persistent
    del loader


def test_global_generators_differ_by_worker_and_epoch_and_repeat_with_the_seed():
    def draw(index):
        return [random.random(), np.random.rand(), rand(1).item()]

    def drawn():
        loader = DataLoader(Doing(draw, 2), num_workers=2, persistent_workers=True, seed=1)
        return [sample for _ in range(2) for batch in loader for sample in np.ravel([x.item() for x in batch])]

    first = drawn()
    assert len(set(first)) == 12
    assert drawn() == first


def test_worker_init_fn_runs_once_in_each():
    calls = []
    loader = DataLoader(Doing(lambda i: len(calls), 4), num_workers=2, worker_init_fn=calls.append,
                        persistent_workers=True)  # fmt: skip
    assert [batch.item() for _ in range(2) for batch in loader] == [1] * 8
    assert calls == []


# Errors


class PeculiarError(Exception):
    def __init__(self, a, b):
        super().__init__("peculiar")


def fail_at_5(kind, index):
    if index == 5:
        raise kind
    return index


@pytest.mark.parametrize("persistent", [False, True])
def test_an_error_arrives_with_its_index_and_traceback(persistent):
    dataset = Doing(functools.partial(fail_at_5, ValueError("bad image")))
    loader = DataLoader(dataset, 2, num_workers=2, persistent_workers=persistent)
    batches = iter(loader)
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="bad image") as found:
        next(batches)
    assert found.value.__notes__ == ["raised by dataset[5], sample 1 of its batch"]
    cause = str(found.value.__cause__)
    assert cause.startswith("in worker 0 (process ")
    assert "in fail_at_5" in cause
    assert list(batches) == []
    dataset.function = int  # the loader can go on: with new workers
    assert len(list(loader)) == 4


def test_an_error_that_cannot_travel_arrives_as_text():
    with pytest.raises(WorkerError, match=r"(?s)in worker 0 .*PeculiarError: peculiar\nraised by dataset\[5\]"):
        list(DataLoader(Doing(lambda i: fail_at_5(PeculiarError(1, 2), i)), 3, num_workers=1))


def test_errors_of_the_other_parts():
    with pytest.raises(ZeroDivisionError):
        list(DataLoader(Doing(int), num_workers=1, worker_init_fn=lambda worker: 1 // 0))
    with pytest.raises(ZeroDivisionError):
        list(DataLoader(Doing(int), num_workers=1, collate_fn=lambda samples: 1 // 0))
    with pytest.raises(AttributeError) as found:
        list(DataLoader(Doing(int), num_workers=1, collate_fn=lambda samples: lambda: 0))
    assert found.value.__notes__ == [
        "raised while a batch was sent from a worker: it holds something that cannot be pickled"
    ]


def die_at_5(number, index):
    if index == 5:
        faulthandler.disable()  # pytest's, which would print where
        os.kill(os.getpid(), number)
    return index


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, r"was killed by SIGKILL at the batch of indices \[5\]\. .* memory runs out: take fewer workers"),
     (signal.SIGBUS, r"was killed by SIGBUS .* shared memory that is full")],
)  # fmt: skip
def test_a_killed_worker_is_noticed_at_once(number, words):
    started = time.monotonic()
    with pytest.raises(WorkerError, match=r"worker 1 \(process \d+\) " + words):
        list(DataLoader(Doing(functools.partial(die_at_5, number)), num_workers=2))
    assert time.monotonic() - started < 5


def test_a_worker_that_leaves_is_noticed():
    with pytest.raises(WorkerError, match=r"ended with exit code 3 at the batch .* Its own output"):
        list(DataLoader(Doing(lambda i: os._exit(3)), num_workers=1))


def test_a_worker_killed_between_epochs_is_noticed():
    loader = DataLoader(Doing(int), num_workers=1, persistent_workers=True)
    list(loader)
    multiprocessing.active_children()[0].kill()
    time.sleep(0.05)
    with pytest.raises(WorkerError, match="was killed by SIGKILL"):
        list(loader)
    assert len(list(loader)) == 8


def test_a_slow_batch_runs_out_of_time():
    with pytest.raises(TimeoutError, match=r"worker 0 .* indices \[0, 1\] within timeout=0.1 s: __getitem__"):
        list(DataLoader(Doing(lambda i: time.sleep(0.5)), 2, num_workers=1, timeout=0.1))


# Ends


@pytest.mark.parametrize("persistent", [False, True])
def test_an_abandoned_iterator_ends_its_workers(persistent):
    loader = DataLoader(Doing(rows, 100), 2, num_workers=2, persistent_workers=persistent)
    for _ in loader:
        break
    assert len(multiprocessing.active_children()) == (2 if persistent else 0)
    assert next(y.tolist() for _, y in loader) == [0, 1], "nothing of the abandoned epoch is left in the pipes"


def test_an_error_in_the_loop_s_body_ends_the_workers():
    def loop():
        for _ in DataLoader(Doing(rows, 100), 2, num_workers=1):
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        loop()
    gc.collect()
    assert multiprocessing.active_children() == []


def test_a_newer_iteration_takes_persistent_workers_over():
    loader = DataLoader(Doing(int), num_workers=1, persistent_workers=True)
    older = iter(loader)
    next(older)
    assert len(list(loader)) == 8
    with pytest.raises(RuntimeError, match="a newer iteration"):
        next(older)


def test_two_iterations_at_once():
    loader = DataLoader(Doing(int), 2, num_workers=1)
    assert [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)][3] == ([6, 7], [6, 7])


# Programs of their own


def run(tmp_path, body, *, press=False):
    """Run a script; if asked, with Ctrl-C as a terminal sends it, to all its processes, once it has said "ready"."""
    before = set(SHARED.glob("psm_*"))
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys, time\nimport numpy as np\nfrom groundup.engine.loader import DataLoader\n"
        # Whoever starts the tests in the background lets them, and so this script, ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n" + textwrap.dedent(body)
    )
    process = subprocess.Popen([sys.executable, "-W", "error", str(script)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    if press:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    deadline = time.monotonic() + 5
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(process.pid), "a worker has outlived its program"
    left = set(SHARED.glob("psm_*")) - before
    while left and time.monotonic() < deadline:  # those of tests that run beside this one come and go
        left = {block for block in left if block.exists() and not is_used(block.name)}
        time.sleep(0.01)
    return process.returncode, out, errors, left


def alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def is_used(name):
    """Whether a running process has the block: that of another test."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            if name in maps.read_text():
                return True
        except OSError:
            continue
    return False


def test_ctrl_c(tmp_path):
    code, _, errors, left = run(tmp_path, """
        loader = DataLoader(np.zeros((1_000, 9_000)), 8, num_workers=2, collate_fn=np.stack)
        for i, batch in enumerate(loader):
            if i == 8:
                print("ready", flush=True)
            time.sleep(0.05)
    """, press=True)  # fmt: skip
    assert code == -signal.SIGINT
    assert errors.count("Traceback") == 1, errors
    assert errors.strip().endswith("KeyboardInterrupt")
    assert left == set()


def test_the_interpreter_ends_in_the_middle_of_an_epoch(tmp_path):
    code, out, errors, left = run(tmp_path, """
        loader = DataLoader(np.zeros((1_000, 9_000)), 8, num_workers=2, collate_fn=np.stack)
        batches = iter(loader)
        print([next(batches).shape for _ in range(8)][0])
    """)  # fmt: skip
    assert (code, out, errors, left) == (0, "(8, 9000)\n", "", set())


def test_the_program_is_killed(tmp_path):
    """Nobody is left to tidy up but Python's own resource tracker, which says so."""
    code, _, _, left = run(tmp_path, """
        loader = DataLoader(np.zeros((1_000, 9_000)), 8, num_workers=2, collate_fn=np.stack)
        for i, batch in enumerate(loader):
            if i == 8:
                os.kill(os.getpid(), signal.SIGKILL)
    """)  # fmt: skip
    assert code == -signal.SIGKILL
    assert left == set()


def test_the_main_guard(tmp_path):
    code, _, errors, left = run(tmp_path, """
        for batch in DataLoader([1, 2], num_workers=1, multiprocessing_context="spawn"):
            print(batch)
    """)  # fmt: skip
    assert code == 1
    assert "RuntimeError: a DataLoader was started while a worker imports the main script. Under 'spawn'" in errors
    assert "WorkerError: worker 0 (process" in errors
    assert "exit code 1 before its first batch" in errors or "exit code 1 at the batch" in errors
    assert errors.count('if __name__ == "__main__":') == 2
    assert left == set()


def test_what_cannot_be_sent_is_named():
    with pytest.raises(
        TypeError, match=r"collate_fn \(.*<lambda>\) cannot be sent to a worker: under 'spawn' .* lambda"
    ):
        list(DataLoader([1], num_workers=1, collate_fn=lambda samples: 1, multiprocessing_context="spawn"))

    class Local(Doing):
        pass

    with pytest.raises(TypeError, match=r"dataset \(.*Local\) cannot be sent to a worker"):
        list(DataLoader(Local(int), num_workers=1, multiprocessing_context="spawn"))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_other_start_methods(method):
    x = np.arange(12_000).reshape(12, 1_000)
    loader = DataLoader(ArrayDataset(x), 4, True, num_workers=1, multiprocessing_context=method, seed=1)
    here = DataLoader(ArrayDataset(x), 4, True, seed=1)
    assert [a.tolist() for (a,) in loader] == [a.tolist() for (a,) in here]
