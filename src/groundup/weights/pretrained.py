"""A model that somebody trained, with what belongs to it, whatever it was loaded from."""

from collections.abc import Callable
from dataclasses import dataclass, field

from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A model to use: what every loader returns."""

    model: GPT
    """In evaluation mode, on the CPU, in float32."""
    tokenizer: Tokenizer
    """Its end_id is the token with which this model ends a text (an instructed one: its turn)."""
    source: str
    """Where it came from: a path, or a hub id."""
    chat_template: str | None = None
    """Jinja template that lays a conversation out as text. None: the model was not taught to converse."""
    template_tokens: dict[str, str] = field(default_factory=dict)
    """Spellings that templates may ask for: bos_token, eos_token, pad_token, unk_token; those that exist."""
    licence: str | None = None
    """As its publisher names it. None: not said."""
    bos: tuple[int, ...] = ()
    """Ids that stand before every text that this model reads (Llama: its begin token). A chat template writes them."""
    opening: Callable[[], list[int]] = list
    """Ids that a text begins with where nothing is given to begin it. None of them: end_id, as decoding does."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text as this model is to read it: `bos`, then the text's own, none of them special.

        Raises:
            InputError: a text that the vocabulary cannot spell.
        """
        return [*self.bos, *self.tokenizer.encode(text)]
