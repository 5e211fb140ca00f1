"""An encoder that somebody trained, with what belongs to it, whatever it was loaded from."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundup.errors import InputError
from groundup.models.encoder import Encoder
from groundup.tokenization.base import Tokenizer


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """An encoder to use."""

    model: Encoder
    """In evaluation mode."""
    tokenizer: Tokenizer
    """What turns text into its tokens."""
    source: str
    """Where it came from."""
    opening: tuple[int, ...] = ()
    """Ids that stand before every text (BERT: [CLS]); the first of them is what the pooling cls reads."""
    closing: tuple[int, ...] = ()
    """Ids that stand behind every text (BERT: [SEP])."""

    def framed(self, ids: Sequence[int]) -> list[int]:
        """Return the ids of a text with what stands before and behind it.

        Raises:
            InputError: more than the model can read.
        """
        found = [*self.opening, *ids, *self.closing]
        if len(found) > self.model.context_length:
            n_around = len(found) - len(ids)
            raise InputError(
                f"expected a text of at most {self.model.context_length - n_around} tokens, which {self.source} can "
                f"read, found {len(ids)}: shorten it"
            )
        return found
