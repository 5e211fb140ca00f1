"""Memory that is free, as Linux tells it and as control groups limit it."""

from pathlib import Path

import pytest

from groundup.planning import machine as machine_module
from groundup.planning.machine import available_memory, measure_peak

GIGABYTE = 1 << 30


def machine(root: Path, *, free: int = 8 * GIGABYTE, groups: str = "") -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {free // 1024} kB\n", encoding="ascii")
    (root / "proc/self/cgroup").write_text(groups, encoding="ascii")


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n", encoding="ascii")


def test_without_a_limit_it_is_what_the_kernel_says(tmp_path: Path):
    machine(tmp_path)
    assert available_memory(tmp_path) == 8 * GIGABYTE


def test_a_limit_of_version_two(tmp_path: Path):
    machine(tmp_path, groups="0::/jobs/mine\n")
    group(tmp_path / "sys/fs/cgroup/jobs/mine", memory__max=str(4 * GIGABYTE), memory__current=str(3 * GIGABYTE))
    assert available_memory(tmp_path) == GIGABYTE


def test_cached_files_can_be_taken(tmp_path: Path):
    machine(tmp_path, groups="0::/mine\n")
    group(
        tmp_path / "sys/fs/cgroup/mine",
        memory__max=str(4 * GIGABYTE),
        memory__current=str(3 * GIGABYTE),
        memory__stat=f"anon 5\ninactive_file {2 * GIGABYTE}\nslab 7",
    )
    assert available_memory(tmp_path) == 3 * GIGABYTE


def test_a_limit_further_up_holds_too(tmp_path: Path):
    machine(tmp_path, groups="0::/jobs/mine\n")
    group(tmp_path / "sys/fs/cgroup/jobs/mine", memory__max="max", memory__current="1")
    group(tmp_path / "sys/fs/cgroup/jobs", memory__max=str(2 * GIGABYTE), memory__current="0")
    assert available_memory(tmp_path) == 2 * GIGABYTE


def test_inside_a_container_the_path_is_the_hosts_and_only_the_top_is_there(tmp_path: Path):
    machine(tmp_path, groups="0::/../../docker/abc\n")
    group(tmp_path / "sys/fs/cgroup", memory__max=str(GIGABYTE), memory__current="0")
    assert available_memory(tmp_path) == GIGABYTE


def test_a_limit_of_version_one(tmp_path: Path):
    machine(tmp_path, groups="5:cpu,cpuacct:/a\n4:memory:/b\n")
    folder = tmp_path / "sys/fs/cgroup/memory/b"
    group(folder, memory__limit_in_bytes=str(GIGABYTE), memory__usage_in_bytes="1024")
    assert available_memory(tmp_path) == GIGABYTE - 1024


def test_a_group_that_is_full_leaves_nothing(tmp_path: Path):
    machine(tmp_path, groups="0::/\n")
    group(tmp_path / "sys/fs/cgroup", memory__max="100", memory__current="200")
    assert available_memory(tmp_path) == 0


def test_where_nothing_is_told_it_is_the_whole_memory(tmp_path: Path):
    found = available_memory(tmp_path)
    assert found is None or found > GIGABYTE // 8


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_peak_says_how_it_was_found(precision: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine_module, "SHAPES", ((8, 8, 8), (256, 256, 256)))
    peak = measure_peak(precision, seconds=0.001)
    assert peak.shape == (256, 256, 256)  # the smaller one is all overhead
    assert peak.precision == precision
    assert peak.threads >= 1
    assert peak.flops_per_second > 0
