"""`python -m benchmarks [name …] [--tiny]`: print each benchmark's table, and keep it with the machine it was made on.

Results stand in results/ by the vector instructions of the processor: ratios on one kind say little about another.
"""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

import benchmarks

FOLDER = Path(__file__).parent
LIBRARIES = ("numpy", "torch", "tokenizers", "tiktoken", "regex", "transformers")


def discover():
    modules = (importlib.import_module(f"benchmarks.{found.name}") for found in pkgutil.iter_modules([str(FOLDER)])
               if not found.name.startswith("_"))  # fmt: skip
    return {module.__name__.rpartition(".")[2]: module for module in modules if hasattr(module, "run")}


def machine():
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        cpu = next((line.split(":")[1].strip() for line in cpuinfo.open() if line.startswith("model name")), cpu)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": cpu,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "load_at_start": load and round(load, 2),
        "system": platform.system(),
    }


def commit():
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=FOLDER, capture_output=True, text=True)
    return found.stdout.strip() or None


def table(rows):
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row[column]) for column in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main():
    known = discover()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"all, or some of: {', '.join(known)}")
    parser.add_argument("--tiny", action="store_true", help="a smoke test of a few seconds; writes no results")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in known]:
        parser.error(f"unknown benchmark {unknown[0]!r}: known are {', '.join(known)}")
    for name in chosen.names or known:
        where = machine()  # before the run: the load is that of the others
        result = known[name].run(chosen.tiny)
        text = table(result["rows"])
        print(f"\n{name}: {result['what']}\n\n{text}")
        if chosen.tiny:
            continue
        record = {"name": name, **result, "machine": where, "python": platform.python_version(), "commit": commit(),
                  "libraries": {library: version(library) for library in LIBRARIES}}  # fmt: skip
        cores = f"{where['cores']} cores (load {where['load_at_start']} before the run)"
        kind = f"{where['cpu']} ({where['instructions']})"
        place = f"{kind}, {cores}, Python {record['python']}, commit {record['commit']}"
        folder = FOLDER / "results" / where["instructions"].lower()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        (folder / f"{name}.md").write_text(f"# {name}\n\n{result['what']}\n\n{text}\n\nMeasured on {place}.\n")


if __name__ == "__main__":
    main()
