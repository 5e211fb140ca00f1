"""Text that comes in pieces, broken into lines between words."""

from rich.cells import cell_len


class WordWrapper:
    r"""Passes text on word by word, with a line break before a word that would run over the edge.

    A word is held back until it is complete; a character of double width (Chinese, Japanese, Korean) is a word of its
    own, for these scripts break between any two. Line breaks of the text stay; a word longer than a line is not broken.

    Example:
        >>> wrapper = WordWrapper(width=8)
        >>> [wrapper.push(piece) for piece in ("one t", "wo th", "ree")] + [wrapper.flush()]
        ['one ', 'two ', '', '\nthree']
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._word = ""

    def push(self, piece: str) -> str:
        """Return the text that `piece` completes, perhaps none."""
        return "".join(map(self._character, piece))

    def flush(self) -> str:
        """Return the word that is held back."""
        n_cells = cell_len(self._word)
        runs_over = self._column > 0 and self._column + n_cells > self._width
        text, self._word = ("\n" if runs_over else "") + self._word, ""
        self._column = n_cells + (0 if runs_over else self._column)
        return text

    def _character(self, character: str) -> str:
        if character.isspace():
            before = self.flush()
            self._column = 0 if character == "\n" else self._column + cell_len(character)
            return before + character
        if cell_len(character) < 2:
            self._word += character
            return ""
        before = self.flush()
        self._word = character
        return before + self.flush()
