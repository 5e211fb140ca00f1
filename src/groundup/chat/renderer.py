"""A program that renders chat templates in a process of its own, so that a bad one can take neither time nor memory.

It reads JSON objects, one a line, and answers each with one. Templates come with downloaded models: they may be made
to do harm. Jinja's sandbox keeps them from Python; a processor and memory limit keeps them from everything else, which
no list of forbidden filters could promise (`'a' * 10**12`, `'%999999999d' % 1`, nested loops, lists of lists of lists).
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MEMORY = 512 * 2**20
"""Bytes of address space this program may have, where the system can hold it to that (Linux)."""
SECONDS = 2.0
"""Processor time that one rendering may take, where the system has such a clock (not on Windows)."""
LARGEST = 10_000_000
"""Characters that a template may write: more than any context holds."""


class _TooLong(BaseException):
    """Raised by the clock; no template catches it."""


class _RefusedError(TemplateError):
    """What a template says through raise_exception."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which refuses at once instead of going on with an undefined value."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - Jinja's own signature
        raise SecurityError(f"attribute {attribute!r} of {type(obj).__name__}")


class _Names(Namespace):
    """A namespace in which a template cannot store what Python would take for its own: __class__ and the like."""

    def __init__(*args: Any, **names: Any) -> None:  # noqa: ANN401 - a template may call a name `self`
        Namespace.__init__(*args, **names)
        for name in dict(*args[1:], **names):
            _check_name(name)

    def __setitem__(self, name: str, value: Any) -> None:  # noqa: ANN401
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: str) -> None:
    if name.startswith("_"):
        raise SecurityError(f"name {name!r} in a namespace")


class _Generation(Extension):
    """{% generation %} … {% endgeneration %} marks what the model said, for training; here only its inside counts."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own attribute

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _raise_exception(message: str) -> None:
    raise _RefusedError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _to_json(
    value: Any,  # noqa: ANN401 - anything JSON has
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own writes for web pages, with < and > spelled out.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=8)
def _compiled(source: str) -> Template:
    sandbox = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    sandbox.filters["tojson"] = _to_json
    sandbox.globals |= {"raise_exception": _raise_exception, "strftime_now": _now, "namespace": _Names}
    return sandbox.from_string(source)


def answer(source: str, variables: dict[str, Any]) -> dict[str, Any]:
    r"""Return {"text": …}, or {"problem": kind, "line": in the template or None, "found": what}.

    Example:
        >>> answer("{{ a + 1 }}", {"a": 1}), answer("\n{{ 1 / 0 }}", {})
        ({'text': '2'}, {'problem': 'error', 'line': 2, 'found': 'division by zero'})
    """
    try:
        with _limited_time():
            template = _compiled(source)
            pieces, n_written = [], 0
            for piece in template.root_render_func(template.new_context(variables)):
                pieces.append(piece)
                n_written += len(piece)
                if n_written > LARGEST:
                    return {"problem": "size", "line": None, "found": f"more than {LARGEST:,} characters"}
            return {"text": "".join(pieces)}
    except TemplateSyntaxError as error:
        return {"problem": "syntax", "line": error.lineno, "found": str(error.message)}
    except BaseException as error:
        return {"problem": _kind(error), "line": _line(error), "found": str(error)}


def _kind(error: BaseException) -> str:
    kinds: dict[type[BaseException], str] = {
        _TooLong: "time",
        MemoryError: "memory",
        SecurityError: "python",
        _RefusedError: "refusal",
    }
    return next((kind for cls, kind in kinds.items() if isinstance(error, cls)), "error")


def _line(error: BaseException) -> int | None:
    """Return the line of the template that was being rendered."""
    line, trace = None, error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


@contextmanager
def _limited_time() -> Iterator[None]:
    if not _has_clock():
        yield
        return

    def end(number: int, frame: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _has_clock() -> bool:
    return hasattr(signal, "setitimer")


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # a system without it; the time alone then bounds what is taken
        pass


def _serve(read: Callable[[], str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the program that started this one
    while line := read():
        request = json.loads(line)
        print(json.dumps(answer(request["source"], request["variables"])), flush=True)


if __name__ == "__main__":
    _limit_memory()
    _serve(sys.stdin.readline)
