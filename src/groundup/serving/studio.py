"""The page in the browser: a prompt, a model, how to draw, and the text as it comes; served to this machine alone."""

import importlib.metadata
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from groundup.errors import InputError
from groundup.serving.settings import first_choice, first_mode, generation_config, model_choices
from groundup.serving.writing import Writer, Written

if TYPE_CHECKING:
    from groundup.available import Available

LOOPBACK = "127.0.0.1"
"""The address that only this machine can reach."""
OLDEST = 6
"""Major version of gradio that the page is written for."""
TITLE = "groundup studio"

QUIET = {"show_progress": "hidden", "api_visibility": "private"}
"""Of every event: the status line tells how far it is, and there is no other interface than the page."""

Part = Any
"""A component of gradio, an event, or a value that a browser sent: gradio has no types to speak of."""
Models = Callable[[], "Sequence[Available]"]
"""What can be chosen, asked whenever the page is loaded."""
_READY = Written(text=None, status="Shift + Enter writes")


@contextmanager
def serve(models: Models, writer: Writer, *, model: str = "", port: int = 7860) -> Iterator[str]:
    """Serve the page for as long as the context lasts, to this machine alone, and yield its address.

    Nothing is fetched from or told to anyone else: no analytics, no fonts, no look for newer versions.

    Args:
        models: what can be chosen.
        writer: what writes.
        model: the one chosen at first. Empty: the first that is here.
        port: where to listen.

    Raises:
        InputError: gradio is missing or too old, or the port is taken.

    Example:
        >>> from groundup.resolve import open_model
        >>> with serve(list, Writer(open_model)) as address:  # doctest: +SKIP
        ...     print(address)
        http://127.0.0.1:7860/
    """
    _check_gradio()
    _refuse_taken(port)
    stops: dict[str, threading.Event] = {}
    page = build_page(models, writer, model=model, stops=stops)
    _, address, _ = page.launch(
        server_name=LOOPBACK,
        server_port=port,
        theme=_theme(),
        css=files("groundup.serving").joinpath("studio.css").read_text(encoding="utf-8"),
        footer_links=[],
        share=False,
        inline=False,
        pwa=False,
        ssr_mode=False,
        mcp_server=False,
        run_history=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    try:
        yield address
    finally:
        for stop in list(stops.values()):  # else the process would wait for the texts that are being written
            stop.set()
        # An open page keeps a server waiting for five seconds. Forced, it ends at once and logs a traceback, unless
        # it may not; the next server sets the level anew.
        page.server.force_exit = True
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        page.close(verbose=False)


def _theme() -> Part:
    """Return the colours and fonts: those of the system, so that none is fetched."""
    import gradio as gr

    system_fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.themes.Default(primary_hue="teal", neutral_hue="slate", radius_size="md", **system_fonts).set(
        body_text_color_subdued="*neutral_500",  # the theme's own are hard to read: text on them below 4.5 to 1
        body_text_color_subdued_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
    )


@dataclass(frozen=True)
class _Parts:
    """The parts of the page, each a component of gradio."""

    name: Part
    prompt: Part
    write: Part
    stop: Part
    clear: Part
    text: Part
    status: Part
    controls: dict[str, Part]
    """Those of drawing, by their names in `generation_config`."""
    mode: Part


def build_page(models: Models, writer: Writer, *, model: str = "", stops: dict[str, threading.Event]) -> Part:
    """Return the page, a gradio.Blocks; `stops` gets an event for each session that writes, which ends its text.

    Raises:
        InputError: gradio is missing or too old.
    """
    _check_gradio()
    import gradio as gr

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        parts = _lay_out(models(), model)
        _connect_writing(parts, writer, stops)
        parts.clear.click(
            lambda: ("", "", _line(_READY)), None, [parts.prompt, parts.text, parts.status], queue=False, **QUIET
        )
        parts.name.change(lambda name: first_mode(models(), name), parts.name, parts.mode, queue=False, **QUIET)
        page.load(lambda: gr.Dropdown(choices=model_choices(models())), None, parts.name, **QUIET)
    return page


def _lay_out(known: "Sequence[Available]", model: str) -> _Parts:
    """Place the parts: a column to write in beside one of settings; on a phone one below the other."""
    import gradio as gr

    chosen = first_choice(known, model)
    with gr.Row(elem_id="header"):
        with gr.Column(scale=3, min_width=320):
            gr.HTML(f"<h1>{TITLE}</h1>", elem_id="title")
        with gr.Column(scale=1, min_width=280):
            name = gr.Dropdown(
                model_choices(known),
                value=chosen or None,
                label="Model (or a path, or OWNER/NAME)",
                allow_custom_value=True,
                elem_id="model",
            )
    with gr.Row(elem_id="columns"):
        with gr.Column(scale=3, min_width=320):
            prompt = gr.Textbox(
                label="Prompt",
                lines=3,
                max_lines=8,
                placeholder="How the text begins. Empty: the model begins by itself.",
                autofocus=True,
                elem_id="prompt",
            )
            with gr.Row(elem_id="buttons"):
                write = gr.Button("Write", variant="primary", scale=3, min_width=80, elem_id="write")
                stop = gr.Button("Stop", interactive=False, scale=1, min_width=80, elem_id="stop")
                clear = gr.Button("Clear", scale=1, min_width=80, elem_id="clear")
            text = gr.Textbox(label="Text", lines=12, max_lines=24, buttons=["copy"], interactive=False, elem_id="text")
            status = gr.HTML(_line(_READY), elem_id="status")
        with gr.Column(scale=1, min_width=280, elem_id="settings"):
            modes = [("Goes on", "text"), ("Answers", "chat")]
            mode = gr.Radio(
                modes, value=first_mode(known, chosen), label="The model", elem_classes="choice", elem_id="mode"
            )
            controls = _controls()
    return _Parts(name, prompt, write, stop, clear, text, status, controls, mode)


def _connect_writing(parts: _Parts, writer: Writer, stops: dict[str, threading.Event]) -> None:
    """Let Write write and Stop stop; meanwhile the one that makes no sense cannot be pressed."""
    import gradio as gr

    def run(request: gr.Request, name: Part, prompt: Part, mode: Part, *values: Part) -> Iterator[Part]:
        event = stops[request.session_hash] = threading.Event()
        config = partial(generation_config, **dict(zip(parts.controls, values, strict=True)))
        moments = writer.write(name or "", prompt or "", config, event.is_set, is_chat=mode == "chat")
        try:
            for moment in moments:
                yield gr.skip() if moment.text is None else moment.text, _line(moment), *buttons(is_writing=True)
            yield gr.skip(), gr.skip(), *buttons(is_writing=False)
        finally:
            moments.close()
            stops.pop(request.session_hash, None)

    def buttons(*, is_writing: bool) -> list[Part]:
        return [gr.Button(interactive=is_on) for is_on in (not is_writing, is_writing, not is_writing)]

    def halt(request: gr.Request) -> None:
        if event := stops.get(request.session_hash):
            event.set()

    gr.on(
        [parts.write.click, parts.prompt.submit],
        run,
        [parts.name, parts.prompt, parts.mode, *parts.controls.values()],
        [parts.text, parts.status, parts.write, parts.stop, parts.clear],
        preprocess=False,  # values come as the browser sent them, and what is wrong with them is said in our line
        concurrency_limit=1,  # two texts at a time would each take twice as long
        **QUIET,
    )
    parts.stop.click(halt, queue=False, **QUIET)


def _controls() -> dict[str, Part]:
    """Return the controls of drawing by their names in `generation_config`; each strategy shows what it reads."""
    import gradio as gr

    strategies = [("Sample", "sample"), ("Greedy", "greedy"), ("Beams", "beam")]
    strategy = gr.Radio(strategies, value="sample", label="Strategy", elem_classes="choice", elem_id="strategy")
    drawing = {
        "temperature": _slider("Temperature", 0.05, 2.0, 0.8, step=0.05),
        "top_k": _slider("Top-k (0: all)", 0, 200, 50),
        "top_p": _slider("Top-p (1: all)", 0.05, 1.0, 1.0, step=0.05),
    }
    beams = _slider("Beams (text at the end)", 2, 8, 4, visible=False)
    length = _slider("Length in tokens", 1, 1024, 128)
    seed = _slider("Seed", 0, 9999, 0)

    def show(chosen: str) -> list[Part]:
        return [*(gr.Slider(visible=chosen == "sample") for _ in (*drawing, seed)), gr.Slider(visible=chosen == "beam")]

    strategy.change(show, strategy, [*drawing.values(), seed, beams], queue=False, **QUIET)
    return {"strategy": strategy, **drawing, "n_beams": beams, "length": length, "seed": seed}


def _slider(label: str, low: float, high: float, value: float, *, step: float = 1, visible: bool = True) -> Part:
    import gradio as gr

    name = label.partition(" ")[0].lower()
    return gr.Slider(low, high, value, step=step, label=label, visible=visible, buttons=[], elem_id=name)


def _line(moment: Written) -> str:
    """Return the status line; what a model or a file is called may hold any character."""
    kind = "error" if moment.is_error else "calm"
    return f'<p class="{kind}" role="status" aria-live="polite">{escape(moment.status)}</p>'


def _check_gradio() -> None:
    """Refuse to go on without gradio, and tell it to keep to itself before it is imported."""
    try:
        found = importlib.metadata.version("gradio")
    except importlib.metadata.PackageNotFoundError:
        raise InputError("expected gradio for the page, found none: pip install 'groundup[studio]'") from None
    if int(found.partition(".")[0]) < OLDEST:
        raise InputError(f"expected gradio {OLDEST} or newer, found {found}: pip install -U 'groundup[studio]'")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was closed a moment ago is free
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"expected a free port, found {port} {_why(error)}: give another, as --port {port + 1}"
            ) from None


def _why(error: OSError | OverflowError) -> str:
    return "not to be one" if isinstance(error, OverflowError) else (error.strerror or "taken").lower()
