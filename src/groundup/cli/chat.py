"""`groundup chat MODEL`: a conversation in the terminal, or line by line through a pipe."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groundup.cli.parse import parse
from groundup.configs.generation import GenerationConfig

if TYPE_CHECKING:  # torch: not for --help
    from types import FrameType

    from groundup.chat import Event, Session
    from groundup.models.gpt import GPT


def _defaults() -> GenerationConfig:
    # Tried with SmolLM2-135M: nine questions, two seeds each, eight settings. The penalty is for circles: without it
    # 4 of 18 answers ran in them (greedy: 3 of 9), with 1.05 two, with 1.1 none; 1.2 wrote broken code, and ended 9
    # answers where 1.1 ended 13. Of 14 facts 9 held the right word at 0.2, with 1.1 or without, 8 at 0.7 and 6 at 1:
    # too few to tell the first three apart.
    return GenerationConfig(temperature=0.2, top_p=0.9, repetition_penalty=1.1, max_new_tokens=512)


@dataclass(frozen=True, kw_only=True)
class Chat:
    """Talk with a model that was taught to converse. /help there shows the commands; Ctrl-D leaves."""

    model: tyro.conf.Positional[str]
    """A short name, a folder or .gguf file, or a repository OWNER/NAME on the hub: groundup models."""
    system: str = ""
    """Tells the assistant how to be. Empty: what the model's template says by itself."""
    load: Path | None = None
    """Go on with a conversation that /save wrote."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the matrices. auto: a half-width one where this processor reads it faster; else float32."""
    config: Annotated[GenerationConfig, tyro.conf.arg(name="")] = field(default_factory=_defaults)
    """How tokens are drawn."""


def command(arguments: list[str]) -> int:
    """Parse, load, and converse until the person leaves."""
    chosen = parse(Chat, arguments, program="groundup chat")
    from groundup.chat import Session
    from groundup.generation import prepare_for_inference, suggest_precision
    from groundup.generation.prepared import advice
    from groundup.resolve import open_model
    from groundup.training.devices import choose_device

    device = choose_device()
    found = open_model(chosen.model, packed=chosen.precision != "float32" and device.type == "cpu")
    model = found.model.to(device)
    if (told := advice(model)) is not None:
        print(told, file=sys.stderr)
    precision = suggest_precision(model) if chosen.precision == "auto" else chosen.precision
    prepared = replace(found, model=prepare_for_inference(model, precision))
    session = Session(prepared, chosen.config, system=chosen.system)
    if chosen.load is not None:
        session.load(chosen.load)
    show = _Screen()
    if not sys.stdin.isatty():
        return _answer_lines(session, show)
    show.line(_banner(chosen.model, model, precision))
    with _history():
        _converse(session, show)
    return 0


def _banner(name: str, model: "GPT", precision: str) -> str:
    size = f"{model.n_parameters():,} parameters, {precision}, context of {model.context_length:,} tokens"
    return f"{name}: {size}\nType a message. /help shows the commands, Ctrl-C stops a reply, Ctrl-D leaves."


def _converse(session: "Session", show: "_Screen") -> None:
    """Read lines with editing until the person leaves."""
    n_interrupts = 0
    while True:
        try:
            line = show.ask()
        except EOFError:
            show.line("")
            return
        except KeyboardInterrupt:  # once may be a slip
            n_interrupts += 1
            show.line("" if n_interrupts == 2 else "\n(Ctrl-C again, or Ctrl-D, leaves)")
            if n_interrupts == 2:
                return
            continue
        n_interrupts = 0
        with _ctrl_c_stops(session):
            events = session.take(line)
            try:
                for event in events:
                    if event.kind == "quit":
                        return
                    show.event(event)
            except KeyboardInterrupt:  # pressed twice: not even the present token is waited for
                events.close()
                show.end()
                show.line("(stopped; what was said so far is kept)")


def _answer_lines(session: "Session", show: "_Screen") -> int:
    """Answer what comes through a pipe; return 2 if something could not be done."""
    code = 0
    for line in sys.stdin:
        for event in session.take(line):
            if event.kind == "quit":
                return code
            show.event(event)
            code = 2 if event.kind == "problem" else code
    return code


class _Screen:
    """Shows events: in a terminal with words kept whole and notes set apart, elsewhere as plain text."""

    def __init__(self) -> None:
        from rich.console import Console

        from groundup.chat.wrapping import WordWrapper

        self._console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())  # files get whole lines
        self._errors = Console(highlight=False, soft_wrap=not sys.stderr.isatty(), stderr=True)
        self._wrapper = WordWrapper(self._console.width) if self._console.is_terminal else None

    def event(self, event: "Event") -> None:
        if event.kind == "text":
            self._write(event.text if self._wrapper is None else self._wrapper.push(event.text))
        elif event.kind == "end":
            self.end()
        elif event.kind == "note":
            self.line(event.text)
        else:
            self._errors.print(event.text, style=self._style("red", self._errors.color_system), markup=False)

    def end(self) -> None:
        """End the reply's line, with the word that was held back."""
        self._write("\n" if self._wrapper is None else self._wrapper.push("\n"))

    def line(self, text: str) -> None:
        """Print a line that the model did not say."""
        self._console.print(text, style=self._style("dim", self._console.color_system), markup=False)

    def ask(self) -> str:
        """Return the line that the person types; the prompt is only for a terminal."""
        if not self._console.is_terminal:  # the answers go to a file
            sys.stderr.write("> ")
            return input()
        # \001 and \002 tell readline that what is between takes no room.
        is_plain = self._style("bold", self._console.color_system) is None
        return input("> " if is_plain else "\001\033[1;36m\002> \001\033[0m\002")

    def _style(self, style: str, color_system: str | None) -> str | None:
        return None if color_system is None or self._console.no_color else style

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def _ctrl_c_stops(session: "Session") -> Iterator[None]:
    """While a reply is drawn Ctrl-C ends it after the present token; a second one at once."""

    def stop(number: int, frame: "FrameType | None") -> None:
        session.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Let lines be edited and called back with the arrow keys, those of earlier conversations too."""
    try:
        import readline
    except ImportError:  # Windows: its console does both
        yield
        return
    from groundup.download import cache_folder

    path = cache_folder() / "chat_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(1000)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)
