"""Conversations with a model that was taught to converse: laid out as text, kept, held turn by turn."""

from groundup.chat.conversation import Conversation as Conversation
from groundup.chat.conversation import Message as Message
from groundup.chat.encoding import encode_chat as encode_chat
from groundup.chat.session import Event as Event
from groundup.chat.session import Session as Session
from groundup.chat.template import ChatTemplate as ChatTemplate
