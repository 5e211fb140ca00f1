"""Finding stop texts in a text that arrives in pieces."""

from collections.abc import Sequence


class StopFinder:
    """Passes text on until one of `stops` is complete, and never gives out a part of it.

    The stop text that is complete first ends the text, where it begins; of several complete at the same character, the
    longest. Text that may be the beginning of one is held back until it is decided, so the result does not depend on
    how the text was cut into pieces.

    Example:
        >>> finder = StopFinder(["END"])
        >>> finder.push("one E"), finder.push("N"), finder.push("TER"), finder.push(" END two"), finder.is_found
        ('one ', '', 'ENTER', ' ', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_found = False
        """Whether a stop text was complete; after that nothing is passed on."""

    def push(self, piece: str) -> str:
        """Return the text that `piece` lets through, perhaps none."""
        if self.is_found:
            return ""
        text = self._held + piece
        # What was held back is shorter than any stop text it may begin, so no stop text began earlier.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.is_found, self._held = True, ""
            return text[: min(found)[1]]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return what is still held back: no more text will come."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
