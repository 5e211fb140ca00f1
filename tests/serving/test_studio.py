"""The page builds, answers on loopback and only there, and keeps to itself; what is missing is said in a line."""

import gc
import importlib.metadata
import json
import os
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from groundup.errors import InputError
from groundup.serving import studio
from groundup.serving.studio import LOOPBACK, OLDEST, build_page, serve
from groundup.serving.writing import Writer, Written
from groundup.weights.pretrained import Pretrained


def has_gradio() -> bool:
    try:
        return int(importlib.metadata.version("gradio").partition(".")[0]) >= OLDEST
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Collect now the event loops that gradio leaves open, or a later test would be blamed for them."""
    yield
    gc.collect()


def needs_gradio(test: Callable[..., None]) -> Callable[..., None]:
    """Skip where gradio is not; let it leave event loops and sockets to the collector. Its import alone takes 5 s."""
    test = pytest.mark.slow(test)
    test = pytest.mark.usefixtures("nothing_left")(test)
    test = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")(test)
    missing = not has_gradio()
    return pytest.mark.skipif(missing, reason="the page needs gradio: pip install 'groundup[studio]'")(test)


def no_model(name: str) -> Pretrained:
    raise InputError(f"expected a model, found {name}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("version", "said"), [(None, "found none: pip install 'groundup"), ("3.18.0", "found 3.18.0: pip install -U")]
)
def test_without_gradio_it_says_how_to_get_it(version: str | None, said: str, monkeypatch: pytest.MonkeyPatch):
    def found(name: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", found)
    with pytest.raises(InputError, match=said), serve(list, Writer(no_model)):
        pass


def test_a_port_that_is_taken_is_said_with_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(studio, "_check_gradio", lambda: None)
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"found {port} .*in use: give another, as --port"):
            studio._refuse_taken(port)


def test_a_status_is_text_and_never_markup():
    line = studio._line(Written(text=None, status='<img src=x onerror="a">', is_error=True))
    assert "<img" not in line
    assert 'class="error"' in line


@needs_gradio
def test_the_page_holds_what_was_asked_for():
    page = build_page(list, Writer(no_model), model="runs/mine", stops={})
    parts = {block["props"].get("elem_id"): block["props"] for block in page.get_config_file()["components"]}
    wanted = {"prompt", "model", "mode", "strategy", "temperature", "top-k", "top-p", "beams", "length", "seed"}
    assert wanted | {"write", "stop", "clear", "text", "status"} <= set(parts)
    assert parts["model"]["value"] == "runs/mine"
    assert not parts["stop"]["interactive"]
    assert all(event["api_visibility"] == "private" for event in page.get_config_file()["dependencies"])


@needs_gradio
def test_it_answers_on_loopback_only_and_stops_what_it_writes(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    port, threads = free_port(), threading.active_count()
    with serve(list, Writer(no_model), model="mine", port=port) as address:
        assert address == f"http://{LOOPBACK}:{port}/"
        with urllib.request.urlopen(address) as answer:
            served = answer.read().decode()
        assert "groundup studio" in served
        assert "fonts.googleapis" not in served
        with urllib.request.urlopen(f"{address}config") as answer:
            config = json.load(answer)
        assert config["analytics_enabled"] is False
        assert config["footer_links"] == []
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        with socket.socket() as outside, pytest.raises(OSError, match="refused"):
            outside.connect(
                ("127.0.0.2", port)
            )  # this machine, by an address that 0.0.0.0 would answer and ours does not
        with pytest.raises(InputError, match="in use"), serve(list, Writer(no_model), port=port):
            pass
    with socket.socket() as probe, pytest.raises(OSError, match="refused"):
        probe.connect((LOOPBACK, port))
    assert threading.active_count() <= threads + 1
