"""Conversations from files: three spellings of the same, and every mistake named with its line."""

import json
from pathlib import Path

import pytest

from groundup.data.chats import read_chats, split_chats
from groundup.errors import InputError

CHAT = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "2+2?"), ("assistant", "4"))


def written(folder: Path, *lines: object) -> Path:
    path = folder / "chats.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_openai_and_sharegpt_say_the_same(tmp_path: Path):
    openai = {"messages": [{"role": role, "content": content} for role, content in CHAT], "id": 7}
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    sharegpt = {"conversations": [{"from": names[role], "value": content} for role, content in CHAT]}
    assert read_chats(written(tmp_path, openai, sharegpt)) == [CHAT, CHAT]


def test_alpaca_is_one_turn_with_the_input_after_an_empty_line(tmp_path: Path):
    lines = [{"instruction": "Add.", "input": given, "output": "4"} for given in ("2 + 2", "")]
    lines.append({"instruction": "Add.", "output": "4"})
    asked = [chat[0][1] for chat in read_chats(written(tmp_path, *lines))]
    assert asked == ["Add.\n\n2 + 2", "Add.", "Add."]


def test_what_follows_the_last_reply_is_left_out_and_an_empty_system_message_is_none(tmp_path: Path):
    said = [("system", ""), ("user", "Hi"), ("assistant", "Hello"), ("user", "And?")]
    line = {"messages": [{"role": role, "content": content} for role, content in said]}
    assert read_chats(written(tmp_path, line)) == [(("user", "Hi"), ("assistant", "Hello"))]


def turns(*said: tuple[object, object]) -> dict[str, object]:
    return {"messages": [{"role": role, "content": content} for role, content in said]}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"text": "Hi"}, "found ['text']"),
        ({"messages": []}, "expected a list of messages"),
        ({"messages": None}, "found nothing"),
        ({"messages": "Hi"}, "found 'Hi'"),
        ({"messages": ["Hi"]}, "found ['Hi']"),
        (turns(("tool", "4")), "message 1 of"),
        (turns(("user", "Hi"), (None, "4")), "expected the role system, user or assistant in message 2"),
        (turns(("user", ["Hi"]), ("assistant", "4")), "expected a text as the content of message 1"),
        (turns(("user", " \n"), ("assistant", "4")), "expected a text in message 1"),
        (turns(("user", "Hi"), ("assistant", "")), "expected a text in message 2"),
        (turns(("user", "Hi")), "expected a reply of the assistant"),
        (turns(("system", "")), "expected a reply of the assistant"),
        (turns(("assistant", "Hi")), "found message 1 of the assistant where the user should speak"),
        (turns(("user", "Hi"), ("user", "Hi"), ("assistant", "4")), "found message 2 of the user where the assistant"),
        (turns(("user", "Hi"), ("system", "Be.")), "found message 2 of the system where the assistant"),
        ({"instruction": "Add.", "output": 4}, "expected texts as instruction, input and output"),
        ({"instruction": "Add.", "input": "2 + 2"}, "found ['instruction', 'input']"),
    ],
)
def test_a_line_that_is_no_conversation_is_named_in_one_line(line: object, found: str, tmp_path: Path):
    path = written(tmp_path, turns(("user", "Hi"), ("assistant", "Hello")), line)
    with pytest.raises(InputError) as caught:
        read_chats(path)
    assert found in str(caught.value)
    assert f"{path} line 2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_copies_of_a_conversation_are_on_one_side():
    chats = [(("user", str(n % 7)), ("assistant", "yes")) for n in range(21)]
    sides = split_chats(chats, 0.2, seed=1)
    assert not set(sides.train) & set(sides.validation)
    assert sides.n_copies == 14
