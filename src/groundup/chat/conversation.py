"""A conversation as data: its messages, kept in a file, and cut to what a context holds."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from groundup.configs.codec import from_dict, to_dict
from groundup.errors import InputError
from groundup.tokenization.tokenizer_json import write_text

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one side said."""

    role: Role
    """Who: the system message tells the assistant how to be."""
    content: str
    """What, as it was typed or drawn."""
    is_stopped: bool = False
    """The person stopped the assistant here."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Messages in order: perhaps a system message, then user and assistant by turns.

    Example:
        >>> Conversation(messages=(Message(role="assistant", content="Hello!"),))
        Traceback (most recent call last):
        groundup.errors.InputError: Conversation.messages[0] must be of the user, found one of the assistant
    """

    messages: tuple[Message, ...] = ()
    """The messages."""

    def __post_init__(self) -> None:
        """Refuse another order.

        Raises:
            InputError: naming the message.
        """
        n_system = 1 if self.system else 0
        for place, message in enumerate(self.messages[n_system:]):
            expected = "assistant" if place % 2 else "user"
            if message.role != expected:
                raise InputError(
                    f"Conversation.messages[{place + n_system}] must be of the {expected}, "
                    f"found one of the {message.role}"
                )

    @property
    def system(self) -> tuple[Message, ...]:
        """The system message, if there is one."""
        return self.messages[:1] if self.messages and self.messages[0].role == "system" else ()

    @property
    def turns(self) -> tuple[Message, ...]:
        """All other messages."""
        return self.messages[len(self.system) :]

    def save(self, path: Path) -> None:
        """Write the conversation as JSON; an interrupted write leaves the old file as it was.

        Raises:
            InputError: the file cannot be written.
        """
        document = to_dict(self)
        for message in document["messages"]:  # others who read role and content need not know more
            if not message["is_stopped"]:
                del message["is_stopped"]
        try:
            write_text(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
        except OSError as error:
            raise InputError(f"expected a file to write at {path}, found: {error.strerror}: name another") from None

    @classmethod
    def load(cls, path: Path) -> "Conversation":
        """Read what `save` wrote, or a bare list of messages.

        Raises:
            InputError: no such file, a damaged one, or another kind of JSON.
        """
        try:
            document: Any = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            found = error.strerror
        except (ValueError, RecursionError) as error:
            found = f"no JSON ({error})"
        else:
            try:
                return from_dict(cls, {"messages": document} if isinstance(document, list) else document)
            except InputError as error:
                found = str(error)
            except TypeError:  # a field without a default is missing
                found = "a message without role or content"
        raise InputError(f"expected a saved conversation at {path}, found: {found}: name another file")


def forget_oldest(conversation: Conversation, n_tokens: Callable[[Conversation], int], *, room: int) -> Conversation:
    """Return `conversation` as it is if it fits into `room` tokens, else without its oldest turns.

    What a user said and what was answered go together; the system message and the last message stay. Three quarters
    of the room are filled at most then: what a model has read of a conversation is of use only as long as its
    beginning stays, so it is better to forget seldom and more.

    Args:
        conversation: ends with what the user says now.
        n_tokens: counts the tokens that a conversation takes.
        room: how many there may be.

    Raises:
        InputError: the last message alone, with the system message, takes more.

    Example:
        >>> said = [Message(role=("user", "assistant")[k % 2], content="x" * 10) for k in range(7)]
        >>> short = forget_oldest(
        ...     Conversation(messages=tuple(said)), lambda c: sum(len(m.content) for m in c.messages), room=60
        ... )
        >>> len(short.messages)
        3
    """
    n_needed = n_tokens(conversation)
    if n_needed <= room:
        return conversation
    while len(conversation.turns) > 1 and n_needed > room * 3 // 4:
        conversation = Conversation(messages=conversation.system + conversation.turns[2:])
        n_needed = n_tokens(conversation)
    if n_needed > room:
        raise InputError(
            f"expected a message and a system message of at most {room:,} tokens, "
            f"which leave this model's context room for an answer, found {n_needed:,}: shorten it"
        )
    return conversation
