"""Pairs of a better and a worse reply in a .jsonl file, one a line: read and checked, and some of them held out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.data.chats import Chat, parse_messages
from groundup.data.held_out import Sides, hold_out
from groundup.data.json_lines import read_json_lines
from groundup.errors import InputError


@dataclass(frozen=True)
class Preference:
    """Two replies to one prompt."""

    prompt: Chat
    """What was said before; it ends with the user's message."""
    chosen: str
    """The reply that was found better."""
    rejected: str
    """The other one."""


def read_preferences(path: Path) -> list[Preference]:
    r"""Return the pairs of a .jsonl file.

    A line is {"prompt": …, "chosen": …, "rejected": …}. A prompt is a text, which the user says, or a list of messages
    ({"role", "content"}, up to the user's last). A reply is a text, or a list of messages: the reply alone, or all of
    the conversation; then its beginning is the prompt, the same for both, and "prompt" may be missing.

    Raises:
        InputError: what `read_json_lines` refuses; a line without one of them, with an empty text, with prompts that
            differ or do not end with the user, or with two replies that are alike; with its number.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pairs.jsonl"
        >>> _ = path.write_text('{"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}\n')
        >>> read_preferences(path)
        [Preference(prompt=(('user', '2 + 2?'),), chosen='4', rejected='5')]
    """
    return [_preference(found, place) for place, found in read_json_lines(path)]


def split_preferences(pairs: list[Preference], validation_fraction: float, seed: int) -> Sides[Preference]:
    """Return pairs to learn from and pairs to measure on; those of one prompt are on the same side.

    Raises:
        InputError: fewer than two different prompts.

    Example:
        >>> pairs = [Preference((("user", str(n)),), "yes", "no") for n in range(10)]
        >>> len(split_preferences(pairs, 0.2, seed=0).validation)
        2
    """
    return hold_out(pairs, [pair.prompt for pair in pairs], validation_fraction, seed, name="prompts")


def _preference(found: dict[str, Any], place: str) -> Preference:
    given = () if found.get("prompt") is None else _prompt(found["prompt"], place)
    (before_chosen, chosen), (before_rejected, rejected) = (
        _reply(found, name, given, place) for name in ("chosen", "rejected")
    )
    if before_chosen != before_rejected:
        raise InputError(f"expected chosen and rejected after the same prompt in {place}, found two: correct them")
    if not before_chosen or before_chosen[-1][0] != "user":
        raise InputError(f"expected a prompt that ends with the user's message in {place}, found none: add one")
    if chosen == rejected:
        raise InputError(f"expected two different replies in {place}, found the same twice: remove the line")
    return Preference(before_chosen, chosen, rejected)


def _prompt(found: object, place: str) -> Chat:
    messages = [{"role": "user", "content": found}] if isinstance(found, str) else found
    return parse_messages(messages, f"prompt of {place}")


def _reply(found: dict[str, Any], name: str, given: Chat, place: str) -> tuple[Chat, str]:
    """Return the prompt and the reply under `name`."""
    reply, where = found.get(name), f"{name} of {place}"
    if reply is None:
        raise InputError(f'expected "{name}" in {place}, found {list(found)!r:.60}: add it, or remove the line')
    if isinstance(reply, list) and len(reply) == 1:  # the reply alone: out of turn as a conversation
        [message] = reply
        if isinstance(message, dict) and message.get("role") == "assistant":
            reply = message.get("content")
    if isinstance(reply, str):
        if not reply.strip():
            raise InputError(f"expected a reply as {where}, found an empty text: fill or remove it")
        return given, reply
    said = parse_messages(reply, where)
    if not said or said[-1][0] != "assistant":
        raise InputError(f"expected {where} to end with a reply of the assistant, found none: add one")
    if given and said[:-1][-len(given) :] != given:
        raise InputError(f"expected {where} to begin with the prompt, found another beginning: correct it")
    return said[:-1], said[-1][1]
