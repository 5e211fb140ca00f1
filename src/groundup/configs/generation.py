"""How text is drawn from a model: length, strategy, filters on the distribution, when to stop."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """One way of drawing text.

    Example:
        >>> GenerationConfig(temperature=0.0)
        Traceback (most recent call last):
        groundup.errors.InputError: GenerationConfig.temperature must be above 0, found 0.0; greedy decoding is strategy="greedy"
    """  # noqa: E501 - the message is shown whole

    max_new_tokens: int = 200
    """Tokens to draw after the prompt."""
    strategy: Literal["sample", "greedy"] = "sample"
    """Draw from the distribution, or take its largest entry."""
    temperature: float = 1.0
    """Logits are divided by it: below 1 sharper, above 1 flatter."""
    top_k: int | None = None
    """Keep the k most likely tokens. None: all."""
    top_p: float | None = None
    """Keep the fewest most likely tokens whose probabilities reach p. None: all."""
    repetition_penalty: float = 1.0
    """Above 1: tokens already in the text become less likely (Keskar et al. 2019)."""
    seed: int = 0
    """Same seed, same prompt, same text."""
    stop: tuple[str, ...] = ()
    """Texts that end generation; the stop text itself is not returned."""
    stop_at_end: bool = True
    """End at the tokenizer's end-of-text token."""
    use_cache: bool = True
    """Keep keys and values of past tokens; the text is the same without."""
    n_top: int = 0
    """Alternatives reported with each token."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            InputError: naming the field, what it must be and what was found.
        """
        at_least(self, "max_new_tokens", 1)
        at_least(self, "seed", 0)
        at_least(self, "n_top", 0)
        if isinstance(self.temperature, int | float) and self.temperature <= 0:
            raise InputError(
                f"GenerationConfig.temperature must be above 0, found {self.temperature}; "
                'greedy decoding is strategy="greedy"'
            )
        positive(self, "temperature")
        positive(self, "repetition_penalty")
        if self.top_k is not None:
            at_least(self, "top_k", 1)
        if self.top_p is not None:
            positive(self, "top_p")
            between(self, "top_p", 0.0, 1.0)
        if any(not text for text in self.stop):
            raise InputError("GenerationConfig.stop must hold non-empty texts, found an empty one")
