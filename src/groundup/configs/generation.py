"""How text is drawn from a model: length, strategy, filters on the distribution, beams, when to stop."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.errors import InputError

CacheKind = Literal["float", "int8"]
"""How keys and values of past tokens are kept."""

_LARGEST_BIAS = 1e30  # added to a logit, multiplied by a penalty, it is still a float32


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """How beam search keeps and compares its hypotheses; only strategy="beam" reads it.

    Example:
        >>> BeamConfig(n_beams=2, n_best=3)
        Traceback (most recent call last):
        groundup.errors.InputError: BeamConfig.n_best must be at most n_beams=2, found 3
    """

    n_beams: int = 4
    """Hypotheses kept at each step."""
    n_best: int = 1
    """Finished hypotheses returned for each prompt, the best first; at most n_beams."""
    length_penalty: float = 1.0
    """A hypothesis scores the sum of its log-probabilities divided by its length to this power (Wu et al. 2016, section
    7, without their shift by 5): above 0 favours longer ones, 0 compares plain sums. Length is the tokens drawn, the
    end-of-text token among them."""
    coverage_penalty: float = 0.0
    """β of Wu et al. 2016, eq. 14, for models that read a source: a hypothesis also scores β times the sum, over the
    source's tokens, of log min(1, how much all its tokens together attended to that one). 0 asks for nothing; above,
    what leaves a part of the source out loses. Scores of hypotheses that ended, not the choice of what goes on."""
    early_stopping: Literal["no", "yes", "never"] = "no"
    """When a prompt is done, once n_beams hypotheses have ended. yes: at once. no: when no running one, scored at its
    present length, is better than the worst of them. never: when none could become better at any length that
    max_new_tokens allows. The names are those of transformers, where yes is True and no is False: "no" may stop too
    soon with a length_penalty above 0, since a longer hypothesis may yet score higher."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            InputError: naming the field, what it must be and what was found.
        """
        at_least(self, "n_beams", 1)
        at_least(self, "n_best", 1)
        if self.n_best > self.n_beams:
            raise InputError(f"BeamConfig.n_best must be at most n_beams={self.n_beams}, found {self.n_best}")
        between(self, "length_penalty", -100.0, 100.0)
        between(self, "coverage_penalty", 0.0, 100.0)


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
    strategy: Literal["sample", "greedy", "beam"] = "sample"
    """Draw each token (with temperature, top_k, top_p, min_p, typical_p), take the likeliest, or search with beams."""
    temperature: float = 1.0
    """Logits are divided by it: below 1 sharper, above 1 flatter."""
    top_k: int | None = None
    """Keep the k most likely tokens. None: all."""
    top_p: float | None = None
    """Keep the fewest most likely tokens whose probabilities reach p. None: all."""
    min_p: float | None = None
    """Keep tokens whose probability is at least this fraction of the largest one (Nguyen et al. 2024). None: all."""
    typical_p: float | None = None
    """Keep the tokens of most nearly expected surprise, the fewest that reach this (Meister et al. 2023). None: all."""
    repetition_penalty: float = 1.0
    """Above 1: tokens already in the text become less likely (Keskar et al. 2019). 1: none does."""
    no_repeat_ngram_size: int | None = None
    """No run of this many tokens occurs twice in a text, prompt included (Paulus et al. 2018). None: any may."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, number) pairs: the numbers are added to the token's logit before anything else."""
    banned: tuple[str, ...] = ()
    """Texts that are not written, alone or behind a space: the token that would complete one is removed. Other tokens
    than the tokenizer's own for the text may still spell it, and a longer word hold it; `stop` ends at any spelling."""
    beam: BeamConfig = field(default_factory=BeamConfig)
    """Beam search."""
    seed: int = 0
    """Same seed, same prompt, same text."""
    stop: tuple[str, ...] = ()
    """Texts that end generation; the stop text itself is not returned."""
    stop_at_end: bool = True
    """End at the tokenizer's end-of-text token."""
    use_cache: bool = True
    """Keep keys and values of past tokens; the text is the same without."""
    cache: CacheKind = "float"
    """How they are kept. float: in the model's number format. int8: rounded to 8 bits, in about a quarter of the memory
    of float32, for long texts and many rows; it is no faster."""
    n_top: int = 0
    """Likeliest tokens reported at each step, with their log-probabilities."""

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
        for name in ("top_p", "min_p", "typical_p"):
            if getattr(self, name) is not None:
                positive(self, name)
                between(self, name, 0.0, 1.0)
        if self.no_repeat_ngram_size is not None:
            at_least(self, "no_repeat_ngram_size", 1)
        if self.cache != "float" and not self.use_cache:
            raise InputError(f"GenerationConfig.cache must be float with use_cache=False, found {self.cache}")
        if any(not text for text in self.stop):
            raise InputError("GenerationConfig.stop must hold non-empty texts, found an empty one")
        if any(not text for text in self.banned):
            raise InputError("GenerationConfig.banned must hold non-empty texts, found an empty one")
        for pair in self.logit_bias:
            if not _is_bias(pair):
                raise InputError(
                    "GenerationConfig.logit_bias must hold pairs of a token id from 0 and a number from -1e30 to 1e30, "
                    f"found {pair!r}; to forbid a text use banned"
                )


def _is_bias(pair: object) -> bool:
    match pair:
        case (int(token), int() | float() as number):
            return token >= 0 and abs(number) <= _LARGEST_BIAS and not isinstance(token, bool)
    return False
