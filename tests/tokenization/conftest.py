import os
from pathlib import Path

import pytest
from hypothesis import settings

from groundup.tokenization import ByteBPE, train_bpe

settings.register_profile("groundup", deadline=None)  # a busy machine is no defect
settings.load_profile("groundup")

STORY = (
    "Once upon a time there was a fox called Mira. She lived by the river, and she'd lost her red kite!\n"
    "“Where is it?” asked the owl — 12 feathers, 3 winks.  Über den Fluß, naïve 狐狸は走る 🦊🦊.\n\n"
    "The other foxes weren't there; the weather was better then, they'll gather together tomorrow.\n"
)


@pytest.fixture(scope="session")
def trained() -> ByteBPE:
    """A small vocabulary with merges of letters, spaces, punctuation and multi-byte characters."""
    return train_bpe([STORY * 3], 400)


@pytest.fixture(scope="session")
def gpt2_folder() -> Path:
    folder = Path(os.environ.get("GROUNDUP_DATA", "")) / "gpt2"
    if "GROUNDUP_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("needs GPT-2's vocabulary: set GROUNDUP_DATA to the folder with gpt2/ inside")
    return folder


@pytest.fixture(scope="session")
def gpt2(gpt2_folder: Path) -> ByteBPE:
    return ByteBPE.from_gpt2_files(gpt2_folder / "encoder.json", gpt2_folder / "vocab.bpe")
