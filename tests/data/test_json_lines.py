"""Lines of JSON: all of them, with their places; what is none is named with its number."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.json_lines import read_json_lines
from groundup.errors import InputError

OBJECTS = st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text(max_size=8), max_size=3)


@settings(max_examples=25, derandomize=True)
@given(objects=st.lists(OBJECTS, min_size=1, max_size=5), ends=st.sampled_from(["\n", "\r\n", "\n\n \n"]))
def test_what_was_written_is_read(
    objects: list[dict[str, object]], ends: str, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    text = ends.join(json.dumps(one, ensure_ascii=False) for one in objects)
    path.write_text(text, encoding="utf-8", newline="")
    found = list(read_json_lines(path))
    assert [one for _, one in found] == objects
    step = ends.count("\n")
    assert [place for place, _ in found] == [f"{path} line {1 + step * k}" for k in range(len(objects))]


def test_a_byte_order_mark_and_a_separator_inside_a_text_do_not_disturb(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('\ufeff{"a": "x\u2028y"}\n', encoding="utf-8")
    assert [one for _, one in read_json_lines(path)] == [{"a": "x\u2028y"}]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"{'a': 1}", "none: Expecting property name enclosed in double quotes (character 2)"),
        (b'{"a": 1', "none: Expecting ',' delimiter"),
        (b"[1]", "found a list"),
        (b'"a"', "found a str"),
        (b'{"a": "\xe4"}', "a byte that is not UTF-8 (byte 8)"),
        (b"[" * 100_000, "found none"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "found none"),
    ],
)
def test_a_line_that_is_no_object_is_named(line: bytes, found: str, tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(InputError) as caught:
        list(read_json_lines(path))
    assert f"{path} line 2" in str(caught.value)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_empty_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"a\.jsonl, found: No such file"):
        list(read_json_lines(tmp_path / "a.jsonl"))
    with pytest.raises(InputError, match="found: Is a directory"):
        list(read_json_lines(tmp_path))
    (tmp_path / "a.jsonl").write_text(" \n\n")
    with pytest.raises(InputError, match=r"a\.jsonl, found no line"):
        list(read_json_lines(tmp_path / "a.jsonl"))
