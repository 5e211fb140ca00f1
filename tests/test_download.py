import functools
import gc
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundup.download import cache_folder, data_folder, find_file, look_for, sha256_of
from groundup.errors import InputError

FILE, TEXT = "plays/input.txt", b"To be, or not to be\n"
SHA256 = hashlib.sha256(TEXT).hexdigest()
NOWHERE = "http://127.0.0.1:9/plays/input.txt"  # port 9 answers nobody


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")  # the server is this machine
    (tmp_path / "data").mkdir()
    return tmp_path


def put(folder: Path, content: bytes = TEXT) -> Path:
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    put(tmp_path / "web")
    handler = functools.partial(Quiet, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_order_is_data_folder_then_cache_then_download(folders: Path, server: str):
    find = functools.partial(find_file, FILE, url=f"{server}/{FILE}", sha256=SHA256)
    assert find() == folders / "cache" / FILE
    assert (folders / "cache" / FILE).read_bytes() == TEXT
    assert find_file(FILE, url=NOWHERE, sha256=SHA256) == folders / "cache" / FILE  # no network the second time
    in_data = put(folders / "data")
    assert find() == in_data


def test_the_data_folder_needs_no_network(folders: Path):
    path = put(folders / "data")
    assert find_file(FILE, url=NOWHERE, sha256=SHA256) == path
    assert not (folders / "cache").exists()


@pytest.mark.parametrize("where", ["data", "cache"])
def test_a_wrong_checksum_is_named_and_never_used_or_replaced(folders: Path, server: str, where: str):
    path = put(folders / where, b"To be")
    with pytest.raises(
        InputError, match=rf"{path} to have SHA-256 {SHA256}, found .*: replace it by {server}"
    ) as caught:
        find_file(FILE, url=f"{server}/{FILE}", sha256=SHA256)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"To be"


def test_a_download_with_a_wrong_checksum_leaves_nothing(folders: Path, server: str):
    with pytest.raises(InputError, match="its checksum is wrong"):
        find_file(FILE, url=f"{server}/{FILE}", sha256="0" * 64)
    assert [path for path in (folders / "cache").rglob("*") if path.is_file()] == []


def test_without_network_it_says_what_to_put_where(folders: Path):
    with pytest.raises(
        InputError, match=rf"{NOWHERE}.* put input.txt at {folders}/data/{FILE}, or .*train tales"
    ) as caught:
        find_file(FILE, url=NOWHERE, sha256=SHA256)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_address_that_is_gone(folders: Path, server: str):
    with pytest.raises(InputError, match=r"found neither \(HTTPError\): put input.txt at") as caught:
        find_file(FILE, url=f"{server}/no/such/file", sha256=SHA256)
    del caught
    gc.collect()  # the downloader leaves the refused answer open: let its warning come here, not in another test


def test_without_network_or_data_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GROUNDUP_DATA")
    with pytest.raises(InputError, match=rf"put input.txt at \$GROUNDUP_DATA/{FILE}"):
        find_file(FILE, url=NOWHERE, sha256=SHA256)


def test_a_server_that_never_answers_is_given_up(folders: Path, monkeypatch: pytest.MonkeyPatch):
    # What a dropped connection looks like, without waiting for the real limit of 20 s.
    def slow(*arguments, **options):
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", slow)
    monkeypatch.setattr("urllib3.util.connection.create_connection", slow)
    with pytest.raises(InputError, match="found neither"):
        find_file(FILE, url=NOWHERE, sha256=SHA256)


def test_a_data_folder_that_does_not_exist(folders: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GROUNDUP_DATA", str(folders / "gone"))
    with pytest.raises(InputError, match=r"expected GROUNDUP_DATA to name a folder, found .*gone"):
        find_file(FILE, url=NOWHERE, sha256=SHA256)


@pytest.mark.parametrize("variable", ["GROUNDUP_DATA", "GROUNDUP_CACHE"])
@pytest.mark.parametrize("path", ["~nosuchuser/x", "x" * 300])
def test_folders_that_cannot_be_looked_up(variable: str, path: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(variable, path)
    with pytest.raises(InputError, match=f"expected a path that can be used, found '{path}'"):
        find_file(FILE, url=NOWHERE, sha256=SHA256)


def test_a_cache_that_cannot_be_written(folders: Path):
    (folders / "cache").write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"put input.txt at"):
        find_file(FILE, url=NOWHERE, sha256=SHA256)


def test_folders_from_the_environment(folders: Path, monkeypatch: pytest.MonkeyPatch):
    assert data_folder() == folders / "data"
    assert cache_folder() == folders / "cache"
    monkeypatch.delenv("GROUNDUP_DATA")
    monkeypatch.delenv("GROUNDUP_CACHE")
    assert data_folder() is None
    assert cache_folder().name == "groundup"
    monkeypatch.setenv("GROUNDUP_DATA", "~/texts")
    assert data_folder() == Path.home() / "texts"


def test_looking_changes_nothing(folders: Path):
    assert look_for(FILE) is None
    assert not (folders / "cache").exists()


def test_checksum_of_a_file_that_is_gone(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        sha256_of(tmp_path / "gone")
