import json
from contextlib import suppress

import pytest

from groundup.errors import InputError
from groundup.tokenization import load_tokenizer, tokenizer_json

DAMAGED = {
    "empty": "",
    "cut": '{"model": {"vo',
    "another JSON": "[1, 2]",
    "no model": '{"version": "1.0"}',
    "no vocabulary": '{"model": {"type": "BPE"}}',
    "ids that are text": '{"model": {"type": "BPE", "vocab": {"a": "0"}, "merges": []}}',
    "vocabulary of another shape": '{"model": {"type": "BPE", "vocab": 3, "merges": []}}',
    "pre-tokenizer of another shape": '{"model": {"type": "BPE", "vocab": {}, "merges": []}, "pre_tokenizer": 3}',
    "added tokens of another shape": '{"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": [3]}',
    "a model nobody knows": '{"model": {"type": "XYZ", "vocab": {}}}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(InputError, match="expected") as caught:
        load_tokenizer(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_part_of_a_wrong_type_is_refused_or_read(trained, tmp_path):
    """Whatever one part of a file is replaced by, there is a tokenizer or an InputError, no traceback."""
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    document = json.loads(path.read_text())
    places = [(document, key) for key in document] + [(document["model"], key) for key in document["model"]]
    for holder, key in places:
        kept = holder[key]
        for wrong in (None, 3, "text", [], [[]], {}, {"type": 3}, [["a"]], ["a b c"], ["Ġ €"], [3]):
            holder[key] = wrong
            path.write_text(json.dumps(document))
            with suppress(InputError):
                assert load_tokenizer(path).vocab_size >= 0
        holder[key] = kept


def test_missing_unreadable_and_non_utf8_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"expected a tokenizer file at .*absent.json, found nothing"):
        tokenizer_json.read(tmp_path / "absent.json")
    with pytest.raises(InputError, match="expected a readable file"):
        tokenizer_json.read_text(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"\xe9": 1}')
    with pytest.raises(InputError, match="found another byte at 2"):
        tokenizer_json.read(tmp_path / "latin.json")


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "new folder" / "tokenizer.json"
    tokenizer_json.write_text(path, "old")

    def disk_full(_descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match="no space left"):
        tokenizer_json.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
