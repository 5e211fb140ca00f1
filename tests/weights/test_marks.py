"""A mark is a file in the checkpoint: set twice, taken twice, refused where there is no checkpoint."""

from pathlib import Path

import pytest

from groundup.errors import InputError
from groundup.weights.marks import is_marked, set_mark


def test_a_mark_comes_and_goes(tmp_path: Path):
    for marked in (True, True, False, False):
        set_mark(tmp_path, marked=marked)
        assert is_marked(tmp_path) is marked
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("marked", [True, False])
def test_what_is_not_there_cannot_be_marked(tmp_path: Path, marked: bool):
    what = "mark" if marked else "unmark"
    with pytest.raises(
        InputError, match=rf"expected a checkpoint to {what} at .*nothing, found: No such file"
    ) as caught:
        set_mark(tmp_path / "nothing", marked=marked)
    assert "\n" not in str(caught.value)
    assert not is_marked(tmp_path / "nothing")
