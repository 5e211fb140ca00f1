"""Conversations in a .jsonl file, one a line: read and checked, and some of them held out."""

from pathlib import Path
from typing import Any, Literal

from groundup.data.held_out import Sides, hold_out
from groundup.data.json_lines import read_json_lines
from groundup.errors import InputError

Role = Literal["system", "user", "assistant"]
Chat = tuple[tuple[Role, str], ...]
"""Who said what: perhaps the system, then user and assistant by turns."""

_ROLES: dict[object, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}


def read_chats(path: Path) -> list[Chat]:
    r"""Return the conversations of a .jsonl file, each up to its last reply.

    A line is {"messages": [{"role": "user", "content": "…"}, …]}; or, as ShareGPT has it, {"conversations": [{"from":
    "human", "value": "…"}, …]}; or, as Alpaca has it, {"instruction": "…", "input": "…", "output": "…"}, whose input,
    if there is one, follows the instruction after an empty line. An empty system message is none.

    Raises:
        InputError: what `read_json_lines` refuses; a line with no messages, an unknown role, an empty message, no
            reply, or messages that are not by turns; with its number.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "chats.jsonl"
        >>> _ = path.write_text('{"instruction": "Add.", "input": "2 + 2", "output": "4"}\n')
        >>> read_chats(path)
        [(('user', 'Add.\n\n2 + 2'), ('assistant', '4'))]
    """
    return [_chat(found, place) for place, found in read_json_lines(path)]


def split_chats(chats: list[Chat], validation_fraction: float, seed: int) -> Sides[Chat]:
    """Return conversations to learn from and conversations to measure on; copies of one are on the same side.

    Raises:
        InputError: fewer than two different conversations.

    Example:
        >>> chats = [(("user", str(n)), ("assistant", "yes")) for n in range(10)]
        >>> len(split_chats(chats, 0.2, seed=0).validation)
        2
    """
    return hold_out(chats, chats, validation_fraction, seed, name="conversations")


def parse_messages(found: object, place: str) -> Chat:
    """Return a list of {"role", "content"} or {"from", "value"} as a conversation; it need not hold a reply.

    Raises:
        InputError: no list of messages, an unknown role, an empty message, or messages that are not by turns.

    Example:
        >>> parse_messages([{"role": "user", "content": "Hello!"}], "a.jsonl line 1")
        (('user', 'Hello!'),)
    """
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise InputError(f"expected a list of messages in {place}, found {_shown(found)}: correct or remove the line")
    said = tuple(_message(one, f"message {n} of {place}") for n, one in enumerate(found, 1))
    if said[0] == ("system", ""):
        said = said[1:]
    n_system = 1 if said and said[0][0] == "system" else 0
    for n, (role, content) in enumerate(said):
        expected = "system" if n < n_system else ("user", "assistant")[(n - n_system) % 2]
        if role != expected:
            raise InputError(
                f"expected user and assistant by turns in {place}, found message {n + 1} of the {role} where the "
                f"{expected} should speak: correct or remove the line"
            )
        if not content.strip():
            raise InputError(f"expected a text in message {n + 1} of {place}, found an empty one: fill or remove it")
    return said


def _chat(found: dict[str, Any], place: str) -> Chat:
    if "messages" in found or "conversations" in found:
        said = parse_messages(found.get("messages", found.get("conversations")), place)
    elif "instruction" in found and "output" in found:
        asked = [found["instruction"], *([found["input"]] if found.get("input") else [])]
        if not all(isinstance(text, str) for text in (*asked, found["output"])):
            raise InputError(f"expected texts as instruction, input and output in {place}, found other: correct them")
        contents = "\n\n".join(asked), found["output"]
        roles = "user", "assistant"
        said = parse_messages([{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)], place)
    else:
        raise InputError(
            f'expected "messages" (or "conversations", or "instruction" and "output") in {place}, found '
            f"{_shown(list(found))}: correct or remove the line"
        )
    while said and said[-1][0] != "assistant":
        said = said[:-1]
    if not said:
        raise InputError(f"expected a reply of the assistant in {place}, found none: add one, or remove the line")
    return said


def _message(found: dict[str, Any], place: str) -> tuple[Role, str]:
    role, content = (found.get(new, found.get(old)) for new, old in (("role", "from"), ("content", "value")))
    if not isinstance(role, str) or role not in _ROLES:
        raise InputError(f"expected the role system, user or assistant in {place}, found {_shown(role)}: correct it")
    if not isinstance(content, str):
        raise InputError(f"expected a text as the content of {place}, found {_shown(content)}: correct it")
    return _ROLES[role], content


def _shown(found: object) -> str:
    text = "nothing" if found is None else repr(found)
    return text if len(text) <= 60 else f"{text[:59]}…"
