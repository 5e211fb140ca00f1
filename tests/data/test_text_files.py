from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data.text_files import read_pieces, size_of, text_paths
from groundup.errors import InputError


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts") / "text.txt"


@given(text=st.text(st.characters(exclude_categories=["Cs"])), piece_bytes=st.integers(1, 9))
def test_pieces_are_the_exact_text(scratch: Path, text: str, piece_bytes: int):
    scratch.write_bytes(text.encode())
    assert "".join(read_pieces(scratch, piece_bytes=piece_bytes)) == text


@given(text=st.text("aé€🙂\r\n"), piece_bytes=st.integers(1, 9), max_bytes=st.integers(1, 30))
def test_a_cut_leaves_the_whole_characters_before_it(scratch: Path, text: str, piece_bytes: int, max_bytes: int):
    raw = text.encode()
    scratch.write_bytes(raw)
    kept = "".join(read_pieces(scratch, max_bytes=max_bytes, piece_bytes=piece_bytes))
    assert kept == raw[:max_bytes].decode(errors="ignore")


def test_line_ends_and_byte_order_mark_stay(tmp_path: Path):
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert "".join(read_pieces(path)) == "\ufeffone\r\ntwo\rthree\n"


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (b"caf\xe9 noir", 3),  # latin-1
        (b"\xff\xfea\x00", 0),  # UTF-16
        ("a€".encode() + b"\xe2\x82" + b"b", 4),  # a character broken off inside
        ("a€".encode() + b"\xe2\x82", 4),  # and at the end of the file
        (b"ab\xed\xa0\x80", 2),  # half of a surrogate pair
    ],
)
def test_what_is_not_utf8_is_named_by_its_offset(tmp_path: Path, raw: bytes, offset: int, piece_bytes: int):
    path = tmp_path / "notes.txt"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=f"expected UTF-8 .*notes.txt.* at offset {offset}: convert it") as caught:
        list(read_pieces(path, piece_bytes=piece_bytes))
    assert "\n" not in str(caught.value)


def test_a_large_file_is_read_lazily(tmp_path: Path):
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(50_000_000_000)  # 50 GB of zeros that take no disk
    pieces = read_pieces(path)
    assert len(next(pieces)) == 1_000_000


def test_files_that_cannot_be_read(tmp_path: Path):
    for read in (size_of, lambda path: list(read_pieces(path))):
        with pytest.raises(InputError, match=r"gone.txt: No such file"):
            read(tmp_path / "gone.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(InputError, match=r"expected a text in .*empty.txt, found an empty file"):
        size_of(tmp_path / "empty.txt")


def test_texts_of_a_folder(tmp_path: Path):
    for name in ("b/1.txt", "a.md", "B.TXT", "c.py", ".git/x.txt", "b/.x.md", "b/a/2.md", "empty.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if "empty" in name else "x")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "broken.txt").symlink_to(tmp_path / "nowhere")
    assert [path.relative_to(tmp_path).as_posix() for path in text_paths(tmp_path)] == [
        "B.TXT",
        "a.md",
        "b/1.txt",
        "b/a/2.md",
    ]


def test_a_folder_without_texts(tmp_path: Path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(InputError, match=r"expected texts \(\*.txt or \*.md, not empty\) in the folder .* found none"):
        text_paths(tmp_path)
