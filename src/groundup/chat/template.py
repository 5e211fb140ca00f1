"""Chat templates: the Jinja text that comes with a model and lays a conversation out as the model was taught."""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.chat.conversation import Message
from groundup.errors import InputError

PATIENCE = 10.0
"""Seconds after which a rendering is ended from outside: it bounds itself to two of processor time where it can."""

_SAYS = {
    "syntax": "is not Jinja: {found}",
    "refusal": "refuses this conversation: {found}",
    "python": "reaches for Python ({found}), which is refused",
    "time": "does not come to an end",
    "memory": "asks for more memory than half a gigabyte",
    "size": "writes {found}",
    "error": "fails: {found}",
    "ended": "ended the program that renders it",
}
_HELP = {"refusal": "change the messages", "ended": "check the template, and that jinja2 is installed"}


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template, rendered as `transformers` renders it (apply_chat_template).

    It is rendered in Jinja's sandbox, in a process of its own with a limit on time and memory: see `renderer.py`.
    Templates see messages, add_generation_prompt, the special tokens' spellings, and tools and documents, which are
    none here.

    Example:
        >>> turns = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{{ eos }}{% endfor %}"
        >>> template = ChatTemplate(turns + "{% if add_generation_prompt %}<assistant>{% endif %}", {"eos": "</s>"})
        >>> template.render([Message(role="user", content=" Hello! ")])
        '<user>Hello!</s><assistant>'
    """

    source: str
    """The template."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Spellings of special tokens under the names that templates use: bos_token, eos_token."""

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = True) -> str:
        """Return the conversation as one text; with `add_generation_prompt` it ends where the assistant begins.

        To encode it use `encode_chat`: in this text a special token that a person typed looks like the template's own.

        Raises:
            InputError: the template refuses the messages, is not Jinja, fails, reaches for Python, or does not end;
                named with its line.
        """
        variables = {
            **self.tokens,
            "messages": [{"role": one.role, "content": one.content} for one in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        answer = _RENDERER.ask({"source": self.source, "variables": variables})
        if "text" in answer:
            text: str = answer["text"]
            return text
        problem, found = answer["problem"], " ".join(str(answer["found"]).split())
        where = "" if answer["line"] is None else f" (line {answer['line']})"
        raise InputError(
            f"this model's chat template{where} {_SAYS[problem].format(found=found)}: "
            f"{_HELP.get(problem, 'use another model, or another file of it')}"
        )


class _Renderer:
    """The program that renders, started when it is first needed, and again if it had to be ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        atexit.register(self._end)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = _start()
            process = self._process
            assert process.stdin is not None
            assert process.stdout is not None
            is_late = threading.Event()

            def end() -> None:
                is_late.set()
                process.kill()

            timer = threading.Timer(PATIENCE, end)
            timer.start()
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            except BaseException:  # Ctrl-C: the answer is still to come, and would be taken for the next one
                self._end()
                raise
            finally:
                timer.cancel()
            if not line:
                self._end()
                return {"problem": "time" if is_late.is_set() else "ended", "line": None, "found": ""}
            answer: dict[str, Any] = json.loads(line)
            return answer

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            with self._process:  # closes its pipes and waits for it
                self._process = None


def _start() -> "subprocess.Popen[str]":
    # Run as a file, not as a module: a package would import what stands above it, torch among it. -P: nor do the
    # files beside it shadow Python's own.
    return subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).with_name("renderer.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONIOENCODING": "ascii"},
    )


_RENDERER = _Renderer()
