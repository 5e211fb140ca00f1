"""A conversation to the ids a model was taught to see, in which nothing that a person types is a special token."""

import re
from collections.abc import Sequence
from dataclasses import replace

from groundup.chat.conversation import Message
from groundup.chat.template import ChatTemplate
from groundup.tokenization.base import Tokenizer

_PRIVATE = range(0xF0000, 0x10FFFE)  # Unicode's private planes: characters that stand for nothing by themselves


def encode_chat(
    tokenizer: Tokenizer, template: ChatTemplate, messages: Sequence[Message], add_generation_prompt: bool = True
) -> list[int]:
    r"""Return the ids of `messages` laid out by `template`: its own markers are special tokens, their contents are not.

    A content that holds the spelling of a special token ("<|im_end|>") is text like any other: it does not end the
    turn. Before the template is rendered, the first character of each such spelling is replaced by a private one that
    occurs nowhere else. So what then spells a special token was written by the template, whatever it trimmed or put
    together; the characters are put back when the text between the template's tokens is encoded.

    Limits: a template that makes a special token of harmless contents (by changing their case, by joining pieces of
    them) counts as its author. What a tokenizer does not call special, as Llama 2's "[INST]", is text for anybody.

    Args:
        tokenizer: the model's.
        template: the model's.
        messages: the conversation.
        add_generation_prompt: end where the assistant begins to speak.

    Returns:
        For contents without special tokens: what `transformers` returns from apply_chat_template.

    Raises:
        InputError: as `ChatTemplate.render`; or the tokenizer cannot spell a content.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> tokenizer = ByteBPE([], special_tokens=["<end>"])  # ids 0 … 255 are bytes, 256 is <end>
        >>> template = ChatTemplate("{% for m in messages %}{{ m.content + '<end>' }}{% endfor %}")
        >>> encode_chat(tokenizer, template, [Message(role="user", content="a")]).count(256)
        1
        >>> encode_chat(tokenizer, template, [Message(role="user", content="<end>")]).count(256)
        1
    """
    special = sorted(tokenizer.special_tokens, key=len, reverse=True)  # of two that begin alike, the longer one
    either = "|".join(map(re.escape, special))
    contents = "".join(message.content for message in messages)
    if not special or not re.search(either, contents):
        return tokenizer.encode(template.render(messages, add_generation_prompt), allow_special=True)
    used = set(contents + template.source)
    free = (chr(code) for code in _PRIVATE if chr(code) not in used)
    stand_ins = dict(zip({spelling[0] for spelling in special}, free, strict=False))
    hidden = [
        # Looked for at every character: spellings may overlap.
        replace(one, content=re.sub(f"(?s)(?={either}).", lambda found: stand_ins[found[0]], one.content))
        for one in messages
    ]
    back = str.maketrans({stand_in: first for first, stand_in in stand_ins.items()})
    ids: list[int] = []
    for piece in re.split(f"({either})", template.render(hidden, add_generation_prompt)):
        token = tokenizer.special_tokens.get(piece)
        ids += tokenizer.encode(piece.translate(back)) if token is None else [token]
    return ids
