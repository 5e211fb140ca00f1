"""One message of a person as a model that was taught to converse reads it."""

from groundup.chat.conversation import Message
from groundup.chat.encoding import encode_chat
from groundup.chat.template import ChatTemplate
from groundup.errors import InputError
from groundup.weights.pretrained import Pretrained


def as_message(found: Pretrained, text: str) -> list[int]:
    """Return the ids of a conversation that begins with `text`, up to where the model is to reply.

    Raises:
        InputError: the model has no chat template, or cannot spell the text.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> gpt = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> template = "{% for m in messages %}b{{ m.content }}c{% endfor %}"
        >>> tokenizer = CharacterTokenizer("abc")
        >>> as_message(Pretrained(model=gpt, tokenizer=tokenizer, source="", chat_template=template), "a")
        [1, 0, 2]
    """
    if found.chat_template is None:
        raise InputError(
            f"expected a model taught to converse, found {found.source}, which only continues text: let it do that, "
            "without chat"
        )
    template = ChatTemplate(found.chat_template, found.template_tokens)
    return encode_chat(found.tokenizer, template, [Message(role="user", content=text)])
