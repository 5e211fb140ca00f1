"""What a model learns of a conversation: its ids as the chat template lays them out, and which of them are replies."""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from groundup.chat.conversation import Conversation, Message
from groundup.chat.encoding import encode_chat
from groundup.chat.template import ChatTemplate
from groundup.data.packing import Example
from groundup.errors import InputError
from groundup.tokenization.base import Tokenizer
from groundup.weights.pretrained import Pretrained


def template_of(found: Pretrained) -> ChatTemplate:
    """Return the chat template that a model came with.

    Raises:
        InputError: it has none: then it knows no marker between what is asked and what is answered.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> model = GPT(GPTConfig(vocab_size=257, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> template_of(Pretrained(model=model, tokenizer=ByteBPE([]), source="mine"))
        Traceback (most recent call last):
        groundup.errors.InputError: expected a model with a chat template, found mine, which only continues text and \
has no tokens that say who speaks: take an instructed model (smollm2), or groundup finetune text
    """
    if found.chat_template is None:
        raise InputError(
            f"expected a model with a chat template, found {found.source}, which only continues text and has no tokens "
            "that say who speaks: take an instructed model (smollm2), or groundup finetune text"
        )
    return ChatTemplate(found.chat_template, found.template_tokens)


def learn_replies(
    tokenizer: Tokenizer, template: ChatTemplate, messages: Sequence[Message], *, only_last: bool = False
) -> Example:
    """Return the ids of a conversation, and of each whether the model is to learn to say it.

    Learned are the assistant's replies with the token that ends them: exactly what a model says from where the template
    asks it to speak. Not learned: what others say, the header before a reply, what follows its end. The ids are those
    of `encode_chat`, up to the end of the last reply; contents are ordinary text there, so nothing that a person typed
    is a marker, or ends a reply.

    Args:
        tokenizer: the model's.
        template: the model's.
        messages: the conversation; it ends with a reply.
        only_last: learn the last reply alone.

    Raises:
        InputError: what `encode_chat` refuses; messages out of turn, or that do not end with a reply; a template that
            lays out what was said otherwise once a reply follows (so that a model would learn what it never reads), or
            that ends a reply with no special token (so that it would not learn to stop).

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> tokenizer = ByteBPE([], special_tokens=["<end>"])
        >>> turns = "{% for m in messages %}{{ m.role[0] + ':' + m.content + '<end>' }}{% endfor %}"
        >>> template = ChatTemplate(turns + "{% if add_generation_prompt %}a:{% endif %}")
        >>> said = [Message(role="user", content="Hi"), Message(role="assistant", content="Oh")]
        >>> found = learn_replies(tokenizer, template, said)
        >>> tokenizer.decode(found.ids.tolist()), tokenizer.decode(found.ids[found.is_learned].tolist())
        ('u:Hi<end>a:Oh<end>', 'Oh<end>')
    """
    messages = Conversation(messages=tuple(messages)).messages
    if not messages or messages[-1].role != "assistant":
        raise InputError("expected a conversation that ends with a reply of the assistant, found another: add one")
    whole = encode_chat(tokenizer, template, messages, add_generation_prompt=False)
    special = set(tokenizer.special_tokens.values())
    is_learned = np.zeros(len(whole), np.bool_)
    end = 0
    for n, message in enumerate(messages):
        is_last = n == len(messages) - 1
        if message.role != "assistant" or (only_last and not is_last):
            continue
        before = encode_chat(tokenizer, template, messages[:n])
        after = whole if is_last else encode_chat(tokenizer, template, messages[: n + 1], add_generation_prompt=False)
        start = _where_reply_begins(tokenizer, before, after)
        if start is None or whole[: len(after)] != after:
            raise InputError(
                "expected a chat template that leaves what was said as it was when more is said, found one that "
                f"rewrites it around message {n + 1}: take a model with another template"
            )
        n_said = max((k for k, token in enumerate(after[start:], 1) if token in special), default=0)
        if not n_said:
            raise InputError(
                "expected a chat template that ends a reply with a special token, found one that does not: a model "
                "would not learn to stop; take a model with another template"
            )
        end = start + n_said
        is_learned[start:end] = True
    return Example(np.array(whole[:end], np.int64), is_learned[:end])


def _where_reply_begins(tokenizer: Tokenizer, before: list[int], after: list[int]) -> int | None:
    """Return how many ids `after` has in common with `before`, or None if it does not go on where `before` ends."""
    n_common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    # A token may hold the header's last characters and the reply's first ones; then it is the reply's.
    ours, theirs = (b"".join(map(tokenizer.token_bytes, ids[n_common:])) for ids in (before, after))
    return n_common if theirs.startswith(ours) else None
