"""The server of pages: what it serves, to whom, and how it ends."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

import pytest

from archcalc import server, zoo
from conftest import listen

Answer = tuple[int, str]


@pytest.fixture(scope="module")
def made() -> list[tuple[str, ...]]:
    """The pages that were made, in order."""
    return []


@pytest.fixture(scope="module")
def serving(made: list[tuple[str, ...]]) -> Iterator[server.Server]:
    def make(names: Sequence[str]) -> str:
        made.append(tuple(names))
        return f"<title>{', '.join(names)}</title>"

    running = server.Server(0, make)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join(5)


def get(serving: server.Server, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", serving.server_address[1], timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, (gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body).decode()


def test_the_list_has_every_model_and_a_search_box(serving: server.Server) -> None:
    response, body = get(serving, "/")
    assert response.status == 200
    assert all(f'href="/model/{name}"' in body for name in zoo.names())
    assert 'type="search"' in body


def test_search_without_script(serving: server.Server) -> None:
    _, body = get(serving, "/?q=QWEN3+coder")
    found = re.findall(r'href="/model/([^"]+)"', body)
    assert found
    assert all("qwen3" in name and "coder" in name for name in found)
    assert f"{len(found)} of {len(zoo.names())} models" in body
    _, body = get(serving, "/?q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in body


def test_pages_are_made_once(serving: server.Server, made: list[tuple[str, ...]]) -> None:
    for _ in range(2):
        response, body = get(serving, "/model/gpt2", **{"Accept-Encoding": "gzip"})
        assert (response.status, body) == (200, "<title>gpt2</title>")
        assert response.headers["Content-Encoding"] == "gzip"
    _, body = get(serving, "/compare?m=gpt2&m=llama-3.1-8b")
    assert body == "<title>gpt2, llama-3.1-8b</title>"
    assert made.count(("gpt2",)) == 1


def test_kept_pages_are_few() -> None:
    pages = server.Pages(lambda names: names[0])
    for n in range(100):
        pages.get([str(n)])
    assert len(pages._kept) <= 64


@pytest.mark.parametrize(
    "path",
    ["/model/../../etc/passwd", "/model/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/model//etc/passwd", "/../../../etc/passwd", "/model/",
     "/page.css", "/model/meta-llama/Llama-3.1-8B", "/compare?m=../../../etc/passwd", "/compare?m=./config.json", "/model/-",
     "/model/gpt2%00"],
)  # fmt: skip
def test_no_path_leaves_the_list(path: str, serving: server.Server, made: list[tuple[str, ...]]) -> None:
    before = list(made)
    response, body = get(serving, path)
    assert response.status == 404
    assert "root:" not in body
    assert made == before


@pytest.mark.parametrize("path", ["/compare", "/compare?m=gpt2&m=gpt2&m=gpt2&m=gpt2&m=gpt2", "/?" + "&".join(["q=x"] * 30)])
def test_what_cannot_be_answered_is_said(path: str, serving: server.Server) -> None:
    assert get(serving, path)[0].status == 400


def test_it_answers_to_its_own_name_alone(serving: server.Server) -> None:
    """A page of another site whose name was pointed here (DNS rebinding) reads nothing."""
    assert get(serving, "/", Host="evil.example")[0].status == 403
    assert get(serving, "/", Host=f"localhost:{serving.server_address[1]}")[0].status == 200


def test_it_listens_on_loopback_alone(serving: server.Server) -> None:
    assert serving.server_address[0] == "127.0.0.1"


def test_other_methods_are_refused(serving: server.Server) -> None:
    assert get(serving, "/", "POST")[0].status == 501
    response, body = get(serving, "/", "HEAD")
    assert (response.status, body) == (200, "")


def test_ctrl_c_ends_it_cleanly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "archcalc", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen,  # noqa: PLW1509
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    assert found is not None, line
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
    connection.request("GET", "/model/gpt2")
    body = connection.getresponse().read().decode()
    assert "<h1>gpt2</h1>" in body
    # A connection that is kept open does not hold it up.
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert "ended" in out
    connection.close()


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "archcalc", "serve", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port 0" in done.stderr


def test_a_client_that_leaves_shows_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    made = server.Server(0, lambda names: "<h1>x</h1>" * 10**6)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    for sent in (b"GET /mod", b"GET /model/gpt2 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % made.server_address[1]):
        with socket.create_connection(made.server_address[:2]) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves with a reset
            client.sendall(sent)
    made.shutdown()
    made.server_close()
    for error in (ConnectionResetError(), BrokenPipeError(), TimeoutError()):
        try:
            raise error
        except OSError:
            made.handle_error(None, None)
    assert "Traceback" not in capsys.readouterr().err
