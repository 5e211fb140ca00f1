"""Conversations and pairs of replies as examples to learn from, none longer than asked for; what was cut is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from groundup.chat.conversation import Message
from groundup.chat.learning import learn_replies
from groundup.chat.template import ChatTemplate
from groundup.data.chats import Chat
from groundup.data.packing import Example
from groundup.data.preferences import Preference
from groundup.errors import InputError
from groundup.tokenization.base import Tokenizer


class Pair(NamedTuple):
    """Two replies to the same prompt, each laid out behind it."""

    chosen: Example
    """The better one."""
    rejected: Example
    """The other one."""


@dataclass(frozen=True, kw_only=True)
class EncodedChats:
    """What is learned from."""

    examples: tuple[Example, ...]
    """One for each conversation of which something to learn is left."""
    n_cut: int
    """Conversations that were longer, and are cut at the end."""
    n_left_out: int
    """Conversations whose first reply lies behind the cut."""


@dataclass(frozen=True, kw_only=True)
class EncodedPairs:
    """What is compared."""

    pairs: tuple[Pair, ...]
    """One for each pair of replies of which a difference is left."""
    n_cut: int
    """Pairs of which one was longer, and is cut at the end."""
    n_left_out: int
    """Pairs whose replies lie behind the cut, or are alike before it."""


def encode_chats(
    tokenizer: Tokenizer, template: ChatTemplate, chats: Sequence[Chat], *, max_tokens: int
) -> EncodedChats:
    """Return what is learned from conversations, each cut to its first `max_tokens` tokens.

    Raises:
        InputError: what `learn_replies` refuses, with the beginning of the conversation; nothing left to learn.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> template = ChatTemplate("{% for m in messages %}{{ m.content + '<e>' }}{% endfor %}")
        >>> chats = [(("user", "Hi"), ("assistant", said)) for said in ("Oh", "Oh, hello", "")]
        >>> found = encode_chats(ByteBPE([], special_tokens=["<e>"]), template, chats, max_tokens=6)
        >>> [len(example.ids) for example in found.examples], found.n_cut, found.n_left_out
        ([6, 6, 4], 1, 0)
    """
    whole = [_learned(tokenizer, template, chat) for chat in chats]
    examples = [cut for example in whole if (cut := _cut(example, max_tokens)) is not None]
    if not examples:
        raise _nothing_left("conversation", max_tokens)
    n_cut = sum(len(example.ids) > max_tokens for example in whole)
    return EncodedChats(examples=tuple(examples), n_cut=n_cut, n_left_out=len(chats) - len(examples))


def encode_pairs(
    tokenizer: Tokenizer, template: ChatTemplate, preferences: Sequence[Preference], *, max_tokens: int
) -> EncodedPairs:
    """Return pairs of replies as ids, each with its prompt cut to `max_tokens` tokens; only the reply is learned.

    Raises:
        InputError: what `learn_replies` refuses, with the beginning of the conversation; nothing left to compare.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> template = ChatTemplate("{% for m in messages %}{{ m.content + '<e>' }}{% endfor %}")
        >>> preferences = [Preference((("user", "Hi"),), "Hello", "Help")]
        >>> tokenizer = ByteBPE([], special_tokens=["<e>"])
        >>> found = encode_pairs(tokenizer, template, preferences, max_tokens=7)
        >>> [tokenizer.decode(example.ids[example.is_learned].tolist()) for example in found.pairs[0]]
        ['Hell', 'Help']
    """
    whole = [
        [_learned(tokenizer, template, (*one.prompt, ("assistant", reply)), only_last=True) for reply in replies]
        for one in preferences
        for replies in [(one.chosen, one.rejected)]
    ]
    pairs = []
    for both in whole:
        chosen, rejected = (_cut(example, max_tokens) for example in both)
        if chosen is not None and rejected is not None and not np.array_equal(chosen.ids, rejected.ids):
            pairs.append(Pair(chosen, rejected))
    if not pairs:
        raise _nothing_left("pair of replies", max_tokens)
    n_cut = sum(any(len(example.ids) > max_tokens for example in both) for both in whole)
    return EncodedPairs(pairs=tuple(pairs), n_cut=n_cut, n_left_out=len(preferences) - len(pairs))


def _learned(tokenizer: Tokenizer, template: ChatTemplate, chat: Chat, *, only_last: bool = False) -> Example:
    messages = [Message(role=role, content=content) for role, content in chat]
    try:
        return learn_replies(tokenizer, template, messages, only_last=only_last)
    except InputError as error:
        opening = next(content for role, content in chat if role != "system")
        opening = opening if len(opening) <= 40 else f"{opening[:39]}…"
        raise InputError(f"{error} (in the conversation that begins {opening!r})") from None


def _cut(example: Example, max_tokens: int) -> Example | None:
    """Return the first tokens of an example, or None if none that can be predicted is learned there."""
    is_learned = example.is_learned[:max_tokens]
    return Example(example.ids[:max_tokens], is_learned) if is_learned[1:].any() else None


def _nothing_left(name: str, max_tokens: int) -> InputError:
    return InputError(
        f"expected a {name} with something to learn in its first {max_tokens:,} tokens, found none: raise max_tokens"
    )
