"""The session: what a model says is kept and fits, commands do what they say, and nothing wrong changes anything."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from groundup.chat import Event, Message, Session, encode_chat
from groundup.chat.session import COMMANDS
from groundup.chat.template import ChatTemplate
from groundup.configs import GenerationConfig
from groundup.errors import InputError
from groundup.generation import stream
from groundup.weights.pretrained import Pretrained

SHORT = GenerationConfig(max_new_tokens=6)


def texts(events: Iterator[Event] | list[Event], kind: str) -> list[str]:
    return [event.text for event in events if event.kind == kind]


def ending(found: Pretrained) -> GenerationConfig:
    """Draws the end of the turn, sooner or later."""
    return GenerationConfig(max_new_tokens=100, logit_bias=((found.tokenizer.end_id, 3.0),))


def test_replies_are_those_of_the_whole_conversation_read_anew(found: Pretrained):
    session = Session(found, ending(found), system="Be kind.")
    for turn, line in enumerate(["Hello!", "What is the capital?", "the fox"]):
        said = "".join(texts(session.take(line), "text"))
        messages = session.conversation.messages
        assert [one.content for one in messages[-2:]] == [line, said]
        ids = encode_chat(found.tokenizer, ChatTemplate(found.chat_template), messages[:-1])
        config = replace(session.config, seed=session.config.seed + turn)
        assert said == "".join(step.text for step in stream(found.model, found.tokenizer, ids, config))
    assert [one.role for one in session.conversation.messages] == ["system"] + ["user", "assistant"] * 3


def test_what_was_read_before_is_reused(found: Pretrained):
    session = Session(found, SHORT, system="a long system message " * 4)
    list(session.take("Hello!"))
    assert "0 of them reused" in "\n".join(texts(session.take("/stats"), "note"))
    list(session.take("Hello again!"))
    stats = "\n".join(texts(session.take("/stats"), "note"))
    system = len(found.tokenizer.encode("a long system message " * 4))
    reused = int(stats.partition(" of them reused")[0].rpartition(", ")[2])
    assert reused > system
    assert "2 replies, 12 tokens" in stats


def test_a_stopped_reply_is_kept_and_marked(found: Pretrained):
    session = Session(found, replace(SHORT, max_new_tokens=100))
    said, last = "", []
    for event in session.take("Hello!"):
        if event.kind == "text":
            said += event.text
            session.stop()
        last.append(event)
    answer = session.conversation.messages[-1]
    assert answer.is_stopped
    assert answer.content == said != ""
    assert "stopped" in last[-1].text
    list(session.take("go on"))  # and the next one is not stopped
    assert not session.conversation.messages[-1].is_stopped


def test_a_reply_whose_reader_goes_away_is_kept_too(found: Pretrained):
    session = Session(found, replace(SHORT, max_new_tokens=100))
    events = session.take("Hello!")
    first = next(events)
    events.close()
    assert session.conversation.messages[-1].content == first.text
    assert session.conversation.messages[-1].is_stopped


def test_a_reply_that_was_cut_says_so(found: Pretrained):
    events = list(Session(found, SHORT).take("Hello!"))
    assert [event.kind for event in events][-2:] == ["end", "note"]
    assert "cut after 6 tokens" in events[-1].text


def test_past_the_context_the_oldest_turns_go_and_the_person_is_told(found: Pretrained):
    session = Session(found, replace(SHORT, max_new_tokens=30), system="Be kind.")
    notes = []
    for turn in range(12):
        events = list(session.take(f"the {turn}th question"))
        assert texts(events, "problem") == []
        notes += [text for text in texts(events, "note") if "out of sight" in text]
    assert 1 < len(notes) < 8  # seldom: three quarters are filled after it
    assert len(session.conversation.turns) == 24  # all is kept for the person


@pytest.mark.parametrize("anew", ["/reset", "/load {file}"])
def test_what_was_out_of_sight_is_not_counted_in_another_conversation(found: Pretrained, tmp_path: Path, anew: str):
    list(Session(found, SHORT).take(f"/save {tmp_path / 'c.json'}"))  # of no messages
    session, fresh = Session(found, SHORT), Session(found, SHORT)
    for _ in range(12):
        list(session.take("the fox asks a question"))
    assert session._n_forgotten
    list(session.take(anew.format(file=tmp_path / "c.json")))
    for line in ("Hello!", "the fox"):
        assert list(session.take(line)) == list(fresh.take(line))


@pytest.mark.parametrize(("max_new_tokens", "room"), [(6, 250), (100, 192)], ids=["all", "a quarter of the context"])
def test_an_answer_has_room(found: Pretrained, max_new_tokens: int, room: int):
    def n_read(text: str) -> int:
        message = Message(role="user", content=text)
        return len(encode_chat(found.tokenizer, ChatTemplate(found.chat_template), [message]))

    longest = "z" * (room - n_read(""))  # a token each, for no text that was learned from holds one
    assert n_read(longest) == room
    session = Session(found, replace(SHORT, max_new_tokens=max_new_tokens))
    assert texts(session.take(longest), "problem") == []
    assert len(texts(session.take(longest + "z"), "problem")) == 1


def test_a_message_too_long_for_the_context_changes_nothing(found: Pretrained):
    session = Session(found, SHORT)
    list(session.take("Hello!"))
    before = session.conversation
    (problem,) = session.take("fox " * 300)
    assert problem.kind == "problem"
    assert "shorten it" in problem.text
    assert session.conversation == before
    list(session.take("Hello!"))
    assert len(session.conversation.turns) == 4


def test_commands(found: Pretrained, tmp_path: Path):
    session = Session(found, SHORT)
    assert len(texts(session.take("/help"), "note")) > len(COMMANDS)
    assert texts(session.take("/stats"), "note") == ["(nothing was said yet)"]
    assert "no system message" in texts(session.take("/system"), "note")[0]
    list(session.take("/system Be kind."))
    assert texts(session.take("/system"), "note") == ["system message: Be kind."]
    list(session.take("Hello!"))
    list(session.take("/reset"))
    assert [one.content for one in session.conversation.messages] == ["Be kind."]
    list(session.take('/system ""'))
    assert session.conversation.messages == ()
    assert len(texts(session.take("/set"), "note")) > 15
    assert texts(session.take("/set max_new_tokens"), "note")[0].startswith("max_new_tokens is 6:")
    list(session.take("/set max-new-tokens 3"))
    assert session.config.max_new_tokens == 3
    list(session.take("//etc is a folder"))
    assert session.conversation.messages[0].content == "/etc is a folder"
    assert list(session.take("   ")) == []
    for leave in ("/quit", "/exit", "/QUIT"):
        assert list(session.take(leave)) == [Event("quit")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/sav x", "perhaps /save"),
        ("/", "perhaps /"),
        ("/save", "/save FILE"),
        ("/load", "/load FILE"),
        ("/load /nowhere/c.json", "expected a saved conversation"),
        ("/save /dev/null/c.json", "expected a file to write"),
        ("/set temprature 1", "perhaps temperature"),
        ("/set temperature hot", "found 'hot'"),
        ("\udcff", "surrogate"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(found: Pretrained, line: str, said: str):
    session = Session(found, SHORT)
    list(session.take("Hello!"))
    before = session.conversation, session.config
    (problem,) = session.take(line)
    assert problem.kind == "problem"
    assert said in problem.text
    assert "\n" not in problem.text
    assert (session.conversation, session.config) == before


def test_a_saved_conversation_goes_on_as_it_would_have(found: Pretrained, tmp_path: Path):
    first, second = Session(found, SHORT, system="Be kind."), Session(found, SHORT)
    list(first.take("Hello!"))
    list(first.take(f"/save {tmp_path / 'c.json'}"))
    assert texts(second.take(f"/load {tmp_path / 'c.json'}"), "note") == [
        f"(loaded 3 messages from {tmp_path / 'c.json'})"
    ]
    assert texts(first.take("And?"), "text") == texts(second.take("And?"), "text")
    list(second.take(f"/save {tmp_path / 'c.json'}"))  # its own file
    assert first.conversation == second.conversation


def test_no_other_file_is_overwritten(found: Pretrained, tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    (problem,) = Session(found, SHORT).take(f"/save {tmp_path / 'thesis.tex'}")
    assert "which exists" in problem.text
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_conversation_without_its_last_answer_is_not_loaded(found: Pretrained, tmp_path: Path):
    (tmp_path / "c.json").write_text('[{"role": "user", "content": "Hi"}]')
    (problem,) = Session(found, SHORT).take(f"/load {tmp_path / 'c.json'}")
    assert "ends with an answer" in problem.text


def test_a_model_that_only_continues_text_is_refused(found: Pretrained):
    with pytest.raises(InputError, match="groundup generate"):
        Session(replace(found, chat_template=None), SHORT)


def test_a_template_that_takes_no_system_message_is_named_at_once(found: Pretrained):
    source = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + found.chat_template
    strict = replace(found, chat_template=source)
    with pytest.raises(InputError, match="no system"):
        Session(strict, SHORT, system="Be kind.")
    session = Session(strict, SHORT)
    (problem,) = session.take("/system Be kind.")
    assert problem.kind == "problem"
    assert session.conversation.messages == ()
    assert texts(session.take("Hello!"), "text")
