"""Conversations: saved and loaded without loss, damaged files in one line, the oldest turns forgotten in pairs."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundup.chat import Conversation, Message
from groundup.chat.conversation import forget_oldest
from groundup.errors import InputError


def conversation(contents: list[str], system: str = "") -> Conversation:
    turns = [Message(role=("user", "assistant")[k % 2], content=one) for k, one in enumerate(contents)]
    return Conversation(messages=(*[Message(role="system", content=system)] * bool(system), *turns))


@settings(max_examples=25, derandomize=True)
@given(
    contents=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=4), system=st.text("ab", max_size=2)
)
def test_what_is_saved_is_loaded(contents: list[str], system: str, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("saved") / "a folder" / "conversation.json"
    conversation(contents, system).save(path)
    assert Conversation.load(path) == conversation(contents, system)


def test_a_stopped_answer_stays_marked(tmp_path: Path):
    stopped = Message(role="assistant", content="To be", is_stopped=True)
    said = Conversation(messages=(Message(role="user", content="?"), stopped))
    said.save(tmp_path / "c.json")
    assert Conversation.load(tmp_path / "c.json") == said
    assert (tmp_path / "c.json").read_text().count("is_stopped") == 1  # the user's message looks as anybody writes it


def test_a_bare_list_of_messages_is_a_conversation(tmp_path: Path):
    (tmp_path / "c.json").write_text('[{"role": "user", "content": "Hi"}]')
    assert Conversation.load(tmp_path / "c.json") == conversation(["Hi"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"messages": [', "no JSON"),
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("3", "must be an object"),
        ('{"messages": 3}', "must be a list"),
        ('{"said": []}', "no field 'said'"),
        ('[{"role": "robot", "content": ""}]', "must be one of system, user, assistant"),
        ('[{"role": "user", "content": 3}]', "must be of type str"),
        ('[{"role": "user"}]', "content"),
        ('[{"role": "assistant", "content": ""}]', "must be of the user"),
        ('[{"role": "user", "content": ""}, {"role": "system", "content": ""}]', "must be of the assistant"),
    ],
)
def test_a_damaged_file_is_one_line(text: str, found: str, tmp_path: Path):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(InputError) as error:
        Conversation.load(tmp_path / "c.json")
    assert found in str(error.value)
    assert "c.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_cannot_be_read_or_written_is_one_line(tmp_path: Path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none", tmp_path, tmp_path / "bytes"):
        with pytest.raises(InputError, match="expected a saved conversation"):
            Conversation.load(path)
    for path in (tmp_path, tmp_path / "file" / "c.json"):
        with pytest.raises(InputError, match="expected a file to write"):
            Conversation().save(path)


def n_characters(said: Conversation) -> int:
    return sum(len(message.content) for message in said.messages)


@settings(max_examples=50, derandomize=True)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=9).filter(lambda sizes: len(sizes) % 2),
    room=st.integers(30, 100),
)
@example(sizes=[25], room=30)  # just fits
@example(sizes=[26], room=30)
def test_the_oldest_turns_go_in_pairs_and_only_if_they_must(sizes: list[int], room: int):
    whole = conversation(["x" * size for size in sizes], system="s" * 5)
    if 5 + sizes[-1] > room:
        with pytest.raises(InputError, match=f"at most {room} tokens"):
            forget_oldest(whole, n_characters, room=room)
        return
    kept = forget_oldest(whole, n_characters, room=room)
    assert n_characters(kept) <= room
    assert kept.system == whole.system
    assert kept.turns == whole.turns[len(whole.turns) - len(kept.turns) :]
    n_gone = len(whole.turns) - len(kept.turns)
    assert n_gone % 2 == 0
    if n_gone:
        assert n_characters(whole) > room
        # One pair more would not have been too many for three quarters of the room.
        assert 5 + sum(sizes[n_gone - 2 :]) > room * 3 // 4
