"""`groundup studio [MODEL]`: a page in the browser that writes with any model, served to this machine alone."""

import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least, between


@dataclass(frozen=True, kw_only=True)
class Studio:
    """Write with a model in the browser; only this machine can open the page."""

    model: tyro.conf.Positional[str] = ""
    """The model chosen at first: groundup models. Empty: the first that is here."""
    port: int = 7860
    """Where to listen, on 127.0.0.1."""
    runs: Path = Path("runs")
    """Folder of your runs, which the page offers."""
    open_browser: bool = False
    """Open the page in the browser."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "port", 1)
        between(self, "port", 1, 65_535)


def command(arguments: list[str]) -> int:
    """Parse, serve, and wait for Ctrl-C."""
    chosen = parse(Studio, arguments, program="groundup studio")
    from functools import partial

    from groundup.available import known_models
    from groundup.resolve import find_model, open_model
    from groundup.serving import Writer, serve

    if chosen.model:
        find_model(chosen.model)
    writer = Writer(partial(open_model, packed=True))
    with serve(lambda: known_models(chosen.runs), writer, model=chosen.model, port=chosen.port) as address:
        print(f"the studio is at {address}     Ctrl-C ends it", flush=True)
        if chosen.open_browser:
            import webbrowser

            webbrowser.open(address)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            print("\nthe studio has ended")
    return 0
