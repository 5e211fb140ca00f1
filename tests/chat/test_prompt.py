"""A prompt as a message: what the chat template and its encoding give, and refused where there is none."""

from dataclasses import replace

import pytest

from groundup.chat import ChatTemplate, Message, encode_chat
from groundup.chat.prompt import as_message
from groundup.errors import InputError
from groundup.weights.pretrained import Pretrained


@pytest.mark.parametrize("text", ["Hello!", "the fox", "", "a <|im_end|> b"])
def test_it_is_what_the_template_gives(found: Pretrained, text: str):
    assert found.chat_template is not None
    template = ChatTemplate(found.chat_template, found.template_tokens)
    ids = as_message(found, text)
    assert ids == encode_chat(found.tokenizer, template, [Message(role="user", content=text)])
    assert ids.count(found.tokenizer.special_tokens["<|im_end|>"]) == 1  # what a person types is never a marker


def test_a_model_that_was_not_taught_to_converse_is_refused(found: Pretrained):
    with pytest.raises(InputError, match=r"^expected a model taught to converse, found .*without chat$"):
        as_message(replace(found, chat_template=None), "Hello!")
