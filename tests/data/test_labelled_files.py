"""Files of labelled texts: what is read, and what gets one line instead."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.labelled_files import read_labelled
from groundup.errors import InputError


def read(path: Path, content: str | bytes, text: str = "text", label: str = "label", **options):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    rows = read_labelled(path, text_column=text, label_column=label, **options)
    return list(zip(rows.texts, rows.labels, strict=True)), rows.n_empty


def refusal(path: Path, content: str | bytes, text: str = "text", label: str = "label") -> str:
    with pytest.raises(InputError) as caught:
        read(path, content, text, label)
    message = str(caught.value)
    assert "\n" not in message
    return message


TWO = [("Soon", "ham"), ('You "won"', "spam")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'label,text\nham,Soon\nspam,"You ""won"""\n'),
        ("a.csv", '\ufefflabel,text,more\r\nham, Soon ,1\r\n\r\nspam,"You ""won""",2'),
        ("a.TSV", 'text\tlabel\nSoon\tham\nYou "won"\tspam\n'),
        ("a.tsv", '\ufefftext\tlabel\r\nSoon\t ham\r\n\r\nYou "won"\tspam\r\n'),
        ("a.jsonl", '{"text": "Soon", "label": "ham"}\n\n{"label": "spam", "id": 1, "text": "You \\"won\\""}\n'),
    ],
)
def test_each_kind_of_file(tmp_path: Path, name: str, content: str):
    assert read(tmp_path / name, content) == (TWO, 0)


def test_columns_by_number_have_no_header(tmp_path: Path):
    content = "one long string of cliches\t0\na stirring tale\t1\n"
    assert read(tmp_path / "a.tsv", content, "0", "1")[0] == [
        ("one long string of cliches", "0"),
        ("a stirring tale", "1"),
    ]
    named = read(tmp_path / "a.tsv", "0\tlabel\na\tx\n", "0", "label")  # a name means that there is a header
    assert named[0] == [("a", "x")]
    assert read(tmp_path / "a.tsv", "text\tlabel\na\tx\n", "0", "label")[0] == [("a", "x")]


def test_a_quote_in_a_tsv_is_a_quote(tmp_path: Path):
    content = 'text\tlabel\n"never closed\tham\nit\'s 5" wide\tspam\n'
    assert [text for text, _ in read(tmp_path / "a.tsv", content)[0]] == ['"never closed', "it's 5\" wide"]


def test_a_suffix_can_be_given(tmp_path: Path):
    assert read(tmp_path / "SMSSpamCollection", "text\tlabel\na\tx\n", suffix=".tsv") == ([("a", "x")], 0)


def test_empty_texts_are_counted_and_labels_of_json_are_words(tmp_path: Path):
    lines = [{"text": None, "label": 1}, {"text": " ", "label": None}]
    lines += [{"text": f"text {label}", "label": label} for label in (1, True, 2.5, "x")]
    content = "\n".join(json.dumps(line) for line in lines)
    pairs, n_empty = read(tmp_path / "a.jsonl", content)
    assert ([label for _, label in pairs], n_empty) == (["1", "true", "2.5", "x"], 2)
    assert read(tmp_path / "a.csv", 'text,label\n,x\n"\n ",\na,x\n') == ([("a", "x")], 2)


# No surrogates: they are no text. No NUL: csv of Python 3.10 refuses it.
@settings(max_examples=25, derandomize=True)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=5))
def test_what_csv_and_json_write_is_read_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    folder = tmp_path_factory.mktemp("rows")
    written = io.StringIO()
    csv.writer(written).writerows([["text", "label"], *([text, "x"] for text in [*texts, "end"])])
    objects = "\n".join(json.dumps({"text": text, "label": "x"}, ensure_ascii=False) for text in [*texts, "end"])
    expected = [(text.strip(), "x") for text in [*texts, "end"] if text.strip()]
    n_empty = len(texts) + 1 - len(expected)
    assert read(folder / "a.csv", written.getvalue()) == (expected, n_empty)
    assert read(folder / "a.jsonl", objects) == (expected, n_empty)


def test_encodings(tmp_path: Path):
    path = tmp_path / "a.tsv"
    whole = "text\tlabel\nWaldweg\tx\nStraße\tx\nCafé\ty\n"
    assert "another encoding in line 3 and 1 more lines: convert" in refusal(path, whole.encode("latin1"))
    mixed = "text\tlabel\nStraße\tx\n".encode() + "Café\ty\n".encode("latin1")
    said = refusal(path, mixed)
    assert "found a mix of encodings: line 3 not in UTF-8, others in it" in said
    assert "iconv -c -f utf-8 -t utf-8" in said
    assert "found UTF-16" in refusal(path, whole.encode("utf-16"))


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.txt", "text\tlabel\n", "expected labelled texts in a .csv, .tsv, .jsonl file"),
        ("a.tsv", "", "found an empty file"),
        ("a.tsv", "text\tlabel\n", "found no row"),
        ("a.tsv", "text\tlabel\n \tx\n\ty\n", "found 2 empty ones: is 'text' their column?"),
        ("a.tsv", "sms\tkind\na\tx\n", "a column 'text' in "),
        ("a.tsv", "sms\tkind\na\tx\n", "found 2 in its first line: 'sms', 'kind'; name one of them"),
        ("a.tsv", "text\tlabel\na\tx\nb\tc\ty\n", "expected 2 columns in line 3 of"),
        ("a.csv", "text,label\na, b,x\n", "expected 2 columns in line 2 of"),
        ("a.csv", 'text,label\n"a\nb",x\n"never closed,y\nmore,z\n', "in the row that begins in line 4"),
        ("a.tsv", "text\tlabel\na\tx\nb\t \n", "expected a label in line 3 of"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n', "expected a key 'label' in line 2 of"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n["b", "x"]\n', "expected a JSON object in line 2 of"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"', "expected a JSON object in line 2 of"),
        ("a.jsonl", "[" * 100_000, "expected a JSON object in line 1 of"),
        ("a.jsonl", '{"text": 5, "label": "x"}\n', "expected a text in line 1 of"),
        ("a.jsonl", '{"text": "\\ud83d", "label": "x"}\n', "found half a surrogate pair"),
        ("a.jsonl", '{"text": "a", "label": ["x"]}\n', "expected a word or a number as the label in line 1 of"),
        ("a.jsonl", '{"text": "a", "label": NaN}\n', "found NaN"),
    ],
)
def test_what_gets_one_line(tmp_path: Path, name: str, content: str, found: str):
    assert found in refusal(tmp_path / name, content)


def test_columns_that_cannot_be(tmp_path: Path):
    path = tmp_path / "a.tsv"
    assert "expected a column '2' in " in refusal(path, "a\tx\n", "0", "2")
    assert "in two columns, found 'text' for both" in refusal(path, "text\tlabel\n", "text", "text")
    long = refusal(path, "a very long text that is no header at all, and goes on\tx\n")
    assert "'a very long text that is no...'" in long
    assert "give both columns by number" in long


def test_a_file_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        read_labelled(tmp_path / "a.tsv", text_column="text", label_column="label")
    (tmp_path / "b.tsv").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        read_labelled(tmp_path / "b.tsv", text_column="text", label_column="label")
