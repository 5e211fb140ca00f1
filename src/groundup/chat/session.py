"""A conversation as it goes: lines that a person types in, events out. It knows no terminal."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from groundup.chat.conversation import Conversation, Message, forget_oldest
from groundup.chat.encoding import encode_chat
from groundup.chat.reply import Reply, draw_reply
from groundup.chat.settings import change_setting, nearest, settings, shown
from groundup.chat.template import ChatTemplate
from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation.prefix import Prefix
from groundup.weights.pretrained import Pretrained


@dataclass(frozen=True)
class Event:
    """Something to show."""

    kind: Literal["text", "end", "note", "problem", "quit"]
    """text: a piece of the reply, whole characters. end: the reply is over. note: a line for the person. problem: a
    line that says what cannot be done. quit: the person wants to leave."""
    text: str = ""
    """What to show."""


COMMANDS = {
    "help": "/help                show this",
    "reset": "/reset               begin anew; the system message stays",
    "system": '/system [TEXT]       show the system message, or set it; "" removes it',
    "save": "/save FILE           write the conversation to a file",
    "load": "/load FILE           go on with a conversation from a file",
    "set": "/set [NAME [VALUE]]  show how text is drawn, or change it: /set temperature 0.7",
    "stats": "/stats               tokens, speed and context of the last reply and of the session",
    "quit": "/quit                leave (also Ctrl-D)",
}
_ALIASES = {"exit": "quit", "bye": "quit", "?": "help"}


class Session:
    """A conversation between a person and a model.

    `take` a line at a time and show the events. All that was said is kept and can be saved; what no longer fits into
    the context is only not shown to the model any more.

    Args:
        found: the model, prepared or not, with its tokenizer and chat template.
        config: how text is drawn; reply k draws with seed + k.
        system: tells the assistant how to be. Empty: what the template says by itself.

    Raises:
        InputError: the model was not taught to converse, or its template is damaged or takes no system message.
    """

    def __init__(self, found: Pretrained, config: GenerationConfig, *, system: str = "") -> None:
        if found.chat_template is None:
            raise InputError(
                f"expected a model that was taught to converse, found {found.source}, which only continues text (it "
                f'has no chat template): use groundup generate {found.source} "PROMPT"'
            )
        self.config = config
        self.conversation = Conversation()
        """All that was said."""
        self._model, self._tokenizer = found.model, found.tokenizer
        self._template = ChatTemplate(found.chat_template, found.template_tokens)
        self._prefix = Prefix(found.model)
        self._n_forgotten = 0  # of conversation.turns: the oldest, which the model does not see any more
        self._replies: list[Reply] = []
        self._own_files: set[Path] = set()
        self._stop = threading.Event()
        self._set_system(system)

    def take(self, line: str) -> Generator[Event, None, None]:
        """Yield what to show after a line: of a message the reply, of a command (it begins with /) its answer.

        Closed half-way, the reply is kept as far as it went. Whatever cannot be done is a `problem`, and changes
        nothing.
        """
        line = line.strip()
        try:
            if line.startswith("//"):
                yield from self._say(line[1:])
            elif line.startswith("/"):
                yield from self._obey(line[1:])
            elif line:
                yield from self._say(line)
        except InputError as error:
            yield Event("problem", str(error))

    def stop(self) -> None:
        """End the reply that is being drawn, after its present token; any thread or signal handler may call it."""
        self._stop.set()

    def load(self, path: Path) -> None:
        """Go on with the conversation in a file; a system message of its own replaces the present one.

        Raises:
            InputError: as `Conversation.load`, or the template refuses it; then nothing has changed.
        """
        loaded = Conversation.load(path)
        if not loaded.system:
            loaded = Conversation(messages=self.conversation.system + loaded.messages)
        if len(loaded.turns) % 2:
            raise InputError(
                f"expected a conversation that ends with an answer in {path}, found one that ends with the user's "
                "message: take it out of the file, and type it here"
            )
        self._encode(loaded if loaded.turns else _greeted(loaded))
        self.conversation, self._n_forgotten = loaded, 0
        self._own_files.add(path.resolve())

    def _say(self, text: str) -> Iterator[Event]:
        self._stop.clear()
        said = Message(role="user", content=text)
        context, n_forgotten = self._model.context_length, self._n_forgotten
        whole = Conversation(messages=(*self.conversation.system, *self.conversation.turns[n_forgotten:], said))
        # An answer has room, and if it is short of what was asked for, at least a quarter of the context.
        room = max(1, context - min(self.config.max_new_tokens, context // 4))
        shown = forget_oldest(whole, lambda one: len(self._encode(one)), room=room)
        n_left_out = len(whole.turns) - len(shown.turns)
        config = replace(self.config, seed=self.config.seed + len(self.conversation.turns) // 2)
        reply, texts = draw_reply(
            self._model,
            self._tokenizer,
            self._encode(shown),
            config,
            prefix=self._prefix,
            is_stopped=self._stop.is_set,
        )
        if n_left_out:
            self._n_forgotten += n_left_out
            yield Event(
                "note",
                f"(the context of {context:,} tokens is full: the oldest {n_left_out} messages are out of sight)",
            )
        is_broken = is_whole = False
        try:
            for piece in texts:
                yield Event("text", piece)
            is_whole = not self._stop.is_set() or reply.is_ended
        except InputError:  # a model that gives no numbers: nothing was said
            is_broken = True
            raise
        finally:  # also when whoever shows it went away
            if not is_broken:
                answer = Message(role="assistant", content=reply.text, is_stopped=not is_whole)
                self.conversation = Conversation(messages=(*self.conversation.messages, said, answer))
                self._replies.append(reply)
        yield Event("end")
        if not is_whole:
            yield Event("note", "(stopped; what was said so far is kept)")
        elif not reply.is_ended:
            yield Event("note", self._why_cut(reply))
        elif not reply.text.strip():
            yield Event("note", "(the model said nothing)")

    def _why_cut(self, reply: Reply) -> str:
        if reply.n_drawn < self.config.max_new_tokens:
            return f"(cut: the context of {self._model.context_length:,} tokens is full)"
        return f"(cut after {reply.n_drawn:,} tokens: /set max_new_tokens to change that, or ask it to go on)"

    def _encode(self, conversation: Conversation) -> list[int]:
        return encode_chat(self._tokenizer, self._template, conversation.messages)

    def _obey(self, line: str) -> Iterator[Event]:
        name, _, rest = line.partition(" ")
        name, rest = name.lower(), rest.strip()
        name = _ALIASES.get(name, name)
        if name not in COMMANDS:
            known = nearest(name, COMMANDS)
            raise InputError(f"there is no command /{name}: perhaps /{known} (/help; // begins a message with a slash)")
        if name == "quit":
            yield Event("quit")
            return
        commands: dict[str, Callable[[str], str | Sequence[str]]] = {
            "help": lambda rest: [*COMMANDS.values(), "//…                  a message that begins with a slash"],
            "reset": self._reset,
            "system": self._system,
            "save": self._save,
            "load": self._load,
            "set": self._set,
            "stats": self._stats,
        }
        said = commands[name](rest)
        yield from (Event("note", text) for text in ([said] if isinstance(said, str) else said))

    def _reset(self, rest: str) -> str:
        self.conversation, self._n_forgotten = Conversation(messages=self.conversation.system), 0
        return "(forgotten: a new conversation)"

    def _system(self, text: str) -> str:
        if not text:
            system = self.conversation.system
            return f"system message: {system[0].content}" if system else "(no system message: the template decides)"
        self._set_system("" if text in ('""', "''") else text)
        return "(system message set; the conversation goes on)" if self.conversation.system else "(no system message)"

    def _set_system(self, text: str) -> None:
        system = (Message(role="system", content=text),) if text else ()
        changed = Conversation(messages=system + self.conversation.turns)
        self._encode(changed if changed.turns else _greeted(changed))  # refused now, not at the first message
        self.conversation = changed

    def _save(self, name: str) -> str:
        path = _path(name, "save")
        if path.exists() and path.resolve() not in self._own_files:
            raise InputError(f"expected a new file to save to, found {path}, which exists: name another")
        self.conversation.save(path)
        self._own_files.add(path.resolve())
        return f"(saved {len(self.conversation.messages)} messages to {path})"

    def _load(self, name: str) -> str:
        path = _path(name, "load")
        self.load(path)
        return f"(loaded {len(self.conversation.messages)} messages from {path})"

    def _set(self, rest: str) -> str | list[str]:
        name, _, value = rest.partition(" ")
        if not name:
            return [f"{field:<22}{shown(value)}" for field, value in settings(self.config).items()]
        if not value.strip():
            found = settings(self.config)
            known = name.replace("-", "_")
            known = known if known in found else nearest(known, found)
            return f"{known} is {shown(found[known])}: /set {known} VALUE changes it"
        self.config = change_setting(self.config, name, value.strip())
        name = name.replace("-", "_")
        return f"({name} is now {shown(settings(self.config)[name])})"

    def _stats(self, rest: str) -> list[str]:
        if not self._replies:
            return ["(nothing was said yet)"]
        last, context = self._replies[-1], self._model.context_length
        speed = last.tokens_per_second
        used = last.n_prompt + last.n_drawn
        return [
            f"last reply     {last.n_drawn:,} tokens" + (f", {speed:.1f} tokens/s" if speed else ""),
            f"first token    after {last.seconds_to_first:.2f} s",
            f"prompt         {last.n_prompt:,} tokens, {last.n_reused:,} of them reused from the turns before",
            f"context used   {used:,} of {context:,} tokens ({used / context:.0%})",
            f"session        {len(self._replies):,} replies, {sum(one.n_drawn for one in self._replies):,} tokens",
        ]


def _greeted(conversation: Conversation) -> Conversation:
    """Return the conversation with a message in it, as templates expect one."""
    return Conversation(messages=(*conversation.messages, Message(role="user", content="Hello!")))


def _path(name: str, command: str) -> Path:
    if not name:
        raise InputError(f"expected a file name, found none: /{command} FILE")
    return Path(name).expanduser()
