"""Pairs of replies: the spellings of the same pair, and every mistake named with its line."""

import json
from pathlib import Path

import pytest

from groundup.data.preferences import Preference, read_preferences, split_preferences
from groundup.errors import InputError

PAIR = Preference((("user", "2+2?"),), "4", "5")
USER = {"role": "user", "content": "2+2?"}


def reply(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "line",
    [
        {"prompt": "2+2?", "chosen": "4", "rejected": "5"},
        {"prompt": [USER], "chosen": "4", "rejected": "5"},
        {"prompt": [USER], "chosen": [reply("4")], "rejected": [reply("5")]},
        {"chosen": [USER, reply("4")], "rejected": [USER, reply("5")]},
        {"prompt": "2+2?", "chosen": [USER, reply("4")], "rejected": [USER, reply("5")]},
        {"prompt": None, "chosen": [USER, reply("4")], "rejected": [USER, reply("5")], "score": 3},
    ],
)
def test_all_spellings_of_a_pair_are_the_pair(line: object, tmp_path: Path):
    assert read_preferences(written(tmp_path, line)) == [PAIR]


def test_a_prompt_may_be_a_whole_conversation(tmp_path: Path):
    before = [{"role": "system", "content": "Be brief."}, USER, reply("4"), {"role": "user", "content": "Sure?"}]
    [found] = read_preferences(written(tmp_path, {"prompt": before, "chosen": "Yes.", "rejected": "No."}))
    assert found.prompt == (("system", "Be brief."), ("user", "2+2?"), ("assistant", "4"), ("user", "Sure?"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"prompt": "2+2?", "chosen": "4"}, 'expected "rejected"'),
        ({"chosen": "4", "rejected": "5"}, "expected a prompt that ends with the user's message"),
        ({"prompt": "", "chosen": "4", "rejected": "5"}, "expected a text in message 1 of prompt of"),
        ({"prompt": [USER, reply("4")], "chosen": "4", "rejected": "5"}, "expected a prompt that ends with the user's"),
        ({"prompt": 7, "chosen": "4", "rejected": "5"}, "expected a list of messages in prompt of"),
        ({"prompt": "2+2?", "chosen": " ", "rejected": "5"}, "expected a reply as chosen of"),
        ({"prompt": "2+2?", "chosen": 4, "rejected": "5"}, "expected a list of messages in chosen of"),
        ({"prompt": "2+2?", "chosen": ["4"], "rejected": "5"}, "in chosen of"),
        ({"prompt": "2+2?", "chosen": "4", "rejected": "4"}, "found the same twice"),
        ({"prompt": "2+2?", "chosen": [USER], "rejected": "4"}, "to end with a reply of the assistant"),
        ({"chosen": [USER, reply("4")], "rejected": "5"}, "after the same prompt"),
        ({"chosen": [USER, reply("4"), USER], "rejected": [USER, reply("5")]}, "chosen of"),
        ({"prompt": "3+3?", "chosen": [USER, reply("4")], "rejected": "5"}, "to begin with the prompt"),
    ],
)
def test_a_line_that_is_no_pair_is_named_in_one_line(line: object, found: str, tmp_path: Path):
    path = written(tmp_path, {"prompt": "2+2?", "chosen": "4", "rejected": "5"}, line)
    with pytest.raises(InputError) as caught:
        read_preferences(path)
    assert found in str(caught.value)
    assert f"{path} line 2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pairs_of_one_prompt_are_on_one_side():
    pairs = [Preference((("user", str(n % 5)),), str(n), "no") for n in range(20)]
    sides = split_preferences(pairs, 0.2, seed=0)
    assert (len(sides.train), len(sides.validation)) == (16, 4)
    assert not {one.prompt for one in sides.train} & {one.prompt for one in sides.validation}
