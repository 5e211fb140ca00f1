"""Stop texts: nothing of them is given out, and the result does not depend on how the text was cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.generation.stops import StopFinder

letters = st.text("ab", max_size=30)
stops = st.lists(st.text("ab", min_size=1, max_size=5), max_size=3)


def cut_by_definition(text: str, stops: list[str]) -> str:
    """Look at every beginning of `text`: the first that ends with a stop text is cut there."""
    for end in range(len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text


@settings(deadline=None, max_examples=500)
@given(st.lists(letters, max_size=8), stops)
def test_any_cutting_gives_the_definition(pieces: list[str], stops: list[str]):
    finder, given_out, text = StopFinder(stops), "", "".join(pieces)
    expected = cut_by_definition(text, stops)
    for piece in pieces:
        given_out += finder.push(piece)
        assert expected.startswith(given_out)  # never takes back
    assert given_out + finder.flush() == expected
    assert finder.is_found == (expected != text)


@settings(deadline=None)
@given(letters, stops)
def test_only_what_may_begin_a_stop_text_is_held_back(text: str, stops: list[str]):
    finder = StopFinder(stops)
    given_out = finder.push(text)
    if not finder.is_found:
        held = text[len(given_out) :]
        assert not held or any(stop.startswith(held) for stop in stops)


def test_without_stop_texts_everything_passes_at_once():
    finder = StopFinder([])
    assert [finder.push(piece) for piece in ("a", "", "bc")] == ["a", "", "bc"]
    assert finder.flush() == ""


def test_after_a_stop_text_nothing_passes():
    finder = StopFinder(["\n\n"])
    assert [finder.push(piece) for piece in ("x\n", "\ny", "z")] == ["x", "", ""]
    assert finder.is_found
    assert finder.flush() == ""
