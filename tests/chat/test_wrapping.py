"""Wrapping: the same words, whole, in lines that fit, however the text was cut into pieces."""

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from groundup.chat.wrapping import WordWrapper

TEXTS = st.text("ab狐 \n", max_size=60)


def wrapped(pieces: list[str], width: int = 12) -> str:
    wrapper = WordWrapper(width)
    return "".join(map(wrapper.push, pieces)) + wrapper.flush()


@settings(max_examples=50, derandomize=True)
@given(pieces=st.lists(TEXTS, max_size=5))
def test_pieces_do_not_matter_and_no_word_is_changed(pieces: list[str]):
    text = wrapped(pieces)
    assert text == wrapped(["".join(pieces)])
    assert text.replace("狐", " 狐 ").split() == "".join(pieces).replace("狐", " 狐 ").split()


@settings(max_examples=50, derandomize=True)
@given(text=TEXTS)
def test_lines_fit_unless_a_word_does_not(text: str):
    for line in wrapped([text]).split("\n"):
        words = line.replace("狐", " 狐 ").split()
        assert cell_len(line.rstrip()) <= 12 or max(map(cell_len, words)) > 12 or line.lstrip() != line


def test_a_character_of_double_width_is_shown_at_once():
    assert WordWrapper(8).push("狐") == "狐"
