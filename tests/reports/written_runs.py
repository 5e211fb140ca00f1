"""Folders of runs written by hand, to be read."""

import json
from pathlib import Path

from groundup.configs.codec import to_dict


def write_run(folder: Path, config: object, records: list[dict[str, object]] | None = None, **files: object) -> Path:
    """Write the folder of a run: its config, metrics.jsonl from records, and JSON files by name."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config if isinstance(config, dict) else to_dict(config)))
    if records:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for file, content in files.items():
        (folder / f"{file}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder
