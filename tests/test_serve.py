"""The server of pages: what it serves, to whom, and how it ends."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

import pytest

from archcalc import server, zoo
from archcalc.analysis.inspect import inspect
from archcalc.loader import load
from archcalc.render import html
from conftest import listen

Answer = tuple[int, str]


@pytest.fixture(scope="module")
def made() -> list[tuple[str, ...]]:
    """The pages that were made, in order."""
    return []


@pytest.fixture(scope="module")
def serving(made: list[tuple[str, ...]]) -> Iterator[server.Server]:
    def make(names: Sequence[str]) -> html.Page:
        made.append(tuple(names))
        return html.Page("default-src 'none'", iter(["<title>", ", ".join(names), "</title>"]))

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
    pages = server.Pages(lambda names: html.Page("", iter(names)))
    for n in range(100):
        list(pages.get([str(n)]).parts)
    assert len(pages._kept) <= 64
    assert list(pages.get(["99"]).parts) == ["99"]


def test_a_page_that_was_left_in_the_middle_is_made_on_from_there() -> None:
    made = []

    def make(names: Sequence[str]) -> html.Page:
        made.append(names)
        return html.Page("", iter(["a", "b"]), iter(["c", "d"]))

    pages = server.Pages(make)
    assert next(iter(pages.get(["x"]).parts)) == "a"
    # What is asked for later comes after the page, whichever is taken first.
    assert list(pages.more(["x"]).parts) == ["c", "d"]
    assert list(pages.get(["x"]).parts) == ["a", "b"]
    assert len(made) == 1


def test_a_page_that_failed_is_made_anew() -> None:
    def parts() -> Iterator[str]:
        yield "a"
        raise ValueError("once")

    made = [html.Page("", parts()), html.Page("", iter(["a", "b"]))]
    pages = server.Pages(lambda _: made.pop(0))
    with pytest.raises(ValueError, match="once"):
        list(pages.get(["x"]).parts)
    assert list(pages.get(["x"]).parts) == ["a", "b"]


@pytest.mark.parametrize(
    "path",
    ["/model/../../etc/passwd", "/model/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/model//etc/passwd", "/../../../etc/passwd", "/model/",
     "/page.css", "/model/meta-llama/No-Such-8B", "/compare?m=../../../etc/passwd", "/compare?m=./config.json", "/model/-",
     "/model/gpt2%00"],
)  # fmt: skip
def test_no_path_leaves_the_list(path: str, serving: server.Server, made: list[tuple[str, ...]]) -> None:
    before = list(made)
    response, body = get(serving, path)
    assert response.status == 404
    assert "root:" not in body
    assert made == before


FIVE = ("gpt2", "qwen3-8b", "llama-3.1-8b", "gemma-3-27b", "deepseek-v3")


@pytest.mark.parametrize("path", ["/compare", server.compare_path(FIVE), "/?" + "&".join(["q=x"] * 30)])
def test_what_cannot_be_answered_is_said(path: str, serving: server.Server) -> None:
    assert get(serving, path)[0].status == 400


def test_a_fifth_model_is_told_on_the_list(serving: server.Server) -> None:
    """With what was ticked still ticked, so that one can be taken off."""
    _, body = get(serving, server.compare_path(FIVE))
    assert "5 models are ticked, and up to 4 stand side by side: untick 1 of them." in body
    ticked = re.findall(r'<input type="checkbox" name="m" value="([^"]+)"[^>]* checked>', body)
    assert sorted(ticked) == sorted(FIVE)
    assert 'action="/compare"' in body


@pytest.mark.parametrize("key", ["total", "active", "context"])
def test_the_list_is_sorted_without_script(key: str, serving: server.Server) -> None:
    _, body = get(serving, f"/?sort={key}")
    values = [int(n) for n in re.findall(rf'data-{key}="(\d+)"', body)]
    assert values == sorted(values, reverse=True)
    assert len(values) == len(zoo.names())
    first = re.search(r'<tr data-text=.*?data-name="([^"]+)".*?</tr>', body)
    assert first is not None
    m = load(first[1])
    r = inspect(m.architecture, m.source)
    assert values[0] == {"total": r.params.total, "active": r.params.active, "context": r.architecture.context_tokens}[key]
    assert f'<th scope="col" class="n" aria-sort="descending"><a href="/?sort={key}"' in body


def test_nothing_frames_the_pages_or_runs_in_them(serving: server.Server) -> None:
    """The header allows the very styles and scripts of the page, none beside them, and no frame around it."""
    for path in ("/", "/model/gpt2", "/nothing"):
        headers = get(serving, path)[0].headers
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
    response, body = get(serving, "/")
    for tag in ("style", "script"):
        for text in re.findall(rf"<{tag}>(.*?)</{tag}>", body, re.DOTALL):
            known = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{known}'" in response.headers["Content-Security-Policy"]


CONFIG = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
    "intermediate_size": 128, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "torch_dtype": "bfloat16",
}  # fmt: skip


def post(
    serving: server.Server, fields: list[tuple[str, str]], path: str = "/config", **headers: str
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", serving.server_address[1], timeout=60)
    sent = {"Content-Type": "application/x-www-form-urlencoded", **{k.replace("_", "-"): v for k, v in headers.items()}}
    connection.request("POST", path, urlencode(fields), sent)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


def test_a_config_that_is_dropped_gets_its_page(serving: server.Server, made: list[tuple[str, ...]]) -> None:
    before = list(made)
    origin = f"http://127.0.0.1:{serving.server_address[1]}"
    fields = [("config", json.dumps(CONFIG)), ("name", "<b>mine.json"), ("m", "gpt2")]
    response, body = post(serving, fields, Origin=origin)
    assert response.status == 200
    assert "<h1>&lt;b&gt;mine.json, gpt2</h1>" in body
    assert "Dense, MHA, 2 layers" in body
    assert body.endswith("</html>\n")
    # It is kept nowhere: not by browsers, and not among the pages.
    assert response.headers["Cache-Control"] == "no-store"
    assert made == before
    assert all("mine.json" not in " ".join(key) for key in serving.pages._kept)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), ("[1]", "holds a list"), ("{", "JSON"), ('{"hidden_size": 8}', "mine.json"), ('{"weight_map": {}}', "not a config")],
)  # fmt: skip
def test_what_is_no_config_is_told_on_the_list(text: str, said: str, serving: server.Server) -> None:
    response, body = post(serving, [("config", text), ("name", "mine.json"), ("m", "gpt2")])
    assert response.status == 422
    found = re.search(r'<p id="wrong" role="alert">(.*?)</p>', body)
    assert found is not None
    assert said in found[1]
    assert 'value="gpt2" aria-label="compare gpt2" checked' in body


def test_only_its_own_list_sends_a_config(serving: server.Server) -> None:
    fields = [("config", json.dumps(CONFIG))]
    assert post(serving, fields, Origin="http://evil.example")[0].status == 403
    assert post(serving, fields, Origin="null")[0].status == 403
    assert post(serving, fields, Host="evil.example")[0].status == 403
    assert post(serving, fields, Content_Type="text/plain")[0].status == 415
    assert post(serving, fields, path="/model/gpt2")[0].status == 404
    assert post(serving, [*fields, ("m", "../../etc/passwd")])[0].status == 404
    assert post(serving, [*fields, *(("m", name) for name in FIVE[:4])])[0].status == 400
    assert post(serving, [("config", "x" * (9 << 20))])[0].status == 413


def test_the_page_has_the_plans_of_one_gpu_and_asks_for_the_others() -> None:
    """A page that is written holds all of them; what is asked for is the same."""
    page = server.make_page(["gpt2"])
    parts = list(page.parts)
    script = next(i for i, part in enumerate(parts) if part.startswith("<script>"))
    assert 'id="data" data-more="/plans?m=gpt2"' in parts[script - 2]
    assert '"device":"h100-sxm-80gb"' in parts[script - 1]
    pieces = [part for part in parts if 'class="piece"' in part]
    assert len(pieces) == 1
    assert "connect-src 'self'" in page.policy
    pages = server.Pages(server.make_page)
    asked = list(server.answer("/plans?m=gpt2", pages).parts)
    whole = re.findall(r'class="piece">(.*?)</script>', html.write_page([load("gpt2", offline=True)]))
    assert [line.rstrip("\n") for line in asked] == whole[1:]
    assert server.answer("/plans?m=nothing", pages).status == 404


def test_old_clients_get_the_page_to_its_end(serving: server.Server) -> None:
    with socket.create_connection(serving.server_address[:2], timeout=10) as client:
        client.sendall(b"GET /model/qwen3-8b HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n" % serving.server_address[1])
        got = b""
        while more := client.recv(65536):
            got += more
    assert got.endswith(b"\r\n\r\n<title>qwen3-8b</title>")


def test_it_answers_to_its_own_name_alone(serving: server.Server) -> None:
    """A page of another site whose name was pointed here (DNS rebinding) reads nothing."""
    assert get(serving, "/", Host="evil.example")[0].status == 403
    assert get(serving, "/", Host=f"localhost:{serving.server_address[1]}")[0].status == 200


def test_it_listens_on_loopback_alone(serving: server.Server) -> None:
    assert serving.server_address[0] == "127.0.0.1"


def test_other_methods_are_refused(serving: server.Server) -> None:
    assert get(serving, "/", "PUT")[0].status == 501
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
    made = server.Server(0, lambda names: html.Page("", iter(["<h1>x</h1>" * 10**6])))
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


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/model/Qwen3-8B", 200, ""),
        ("/model/LLAMA%203.1%208b", 200, ""),
        ("/compare?m=Qwen3-8B&m=qwen3-8b", 200, ""),
        ("/model/llama3.1", 404, "llama-3.1-8b"),
        ("/model/deepseek-r1:32b", 404, "deepseek-r1-distill-qwen-32b"),
        ("/compare?m=qwen2.5", 404, "qwen2.5-7b"),
        ("/model/%3Cb%3E", 404, "&lt;b&gt;"),
    ],
)
def test_names_are_taken_in_any_case_and_near_ones_named(path: str, status: int, said: str) -> None:
    asked: list[Sequence[str]] = []

    def make(names: Sequence[str]) -> html.Page:
        asked.append(names)
        return html.document("page", "", "", "made", "")

    got = server.answer(path, server.Pages(make))
    assert got.status == status
    if status == 200:
        assert asked and all(name in zoo.names() for name in asked[0]) and len(asked[0]) == 1
    else:
        assert said in gzip.decompress(got.whole).decode()
