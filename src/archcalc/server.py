"""The pages on the bundled models, served to this machine alone.

Only names of the bundled models reach the loader: no path of a request ever reaches the file system. Requests that name another host are
refused, so that no page of another site can read these.
"""

from __future__ import annotations

import gzip
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from archcalc import __version__, zoo
from archcalc.errors import ArchcalcError
from archcalc.loader import load
from archcalc.render import html

HOST = "127.0.0.1"
MOST_MODELS = 4
"""Models that stand side by side on one page."""
_KEPT_PAGES = 64


class Pages:
    """Pages by the names on them, made when they are first asked for."""

    def __init__(self, make: Callable[[Sequence[str]], str]) -> None:
        self._make = make
        self._kept: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, names: Sequence[str]) -> bytes:
        """The page, compressed."""
        key = tuple(names)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            else:
                self._kept[key] = gzip.compress(self._make(key).encode(), 5)
                while len(self._kept) > _KEPT_PAGES:
                    self._kept.popitem(last=False)
            return self._kept[key]


def make_page(names: Sequence[str]) -> str:
    """The page on bundled models."""
    return html.write_page([load(name, offline=True) for name in names], home="/")


def find(query: str) -> list[zoo.Entry]:
    """The bundled models that hold every word, in the order of the list."""
    words = query.lower().split()
    return [e for e in zoo.entries() if all(word in text_of(e) for word in words)]


def text_of(entry: zoo.Entry) -> str:
    """What a search looks at."""
    return " ".join((entry.name, entry.repo, *entry.aliases, entry.family, entry.license or "")).lower()


def index(query: str = "") -> str:
    """The list of models with its search box."""
    found = find(query)
    rows = "".join(
        f'<tr data-text="{escape(text_of(e))}"><td><input type="checkbox" name="m" value="{escape(e.name)}" '
        f'aria-label="{escape(e.name)}"></td>'
        f'<th scope="row"><a href="/model/{quote(e.name)}">{escape(e.name)}</a></th><td>{escape(e.family)}</td>'
        f"<td>{escape(e.release or '')}</td><td>{escape(e.license or '')}</td></tr>"
        for e in found
    )
    main = f"""<form class="search" role="search" action="/" method="get"><label for="q">Search models</label>
<input id="q" name="q" type="search" value="{escape(query)}" autocomplete="off" aria-controls="models"></form>
<p id="found" role="status">{len(found)} of {len(zoo.entries())} models</p>
<form action="/compare" method="get">
<p><button type="submit">Show those ticked side by side</button> <span class="note">up to {MOST_MODELS}</span></p>
<div class="scroll" tabindex="0" role="region" aria-label="Models">
<table id="models"><caption>Bundled models</caption><thead><tr>
<th scope="col">side by side</th><th scope="col">model</th><th scope="col">family</th>
<th scope="col">release</th><th scope="col">license</th></tr></thead><tbody>{rows}</tbody></table></div></form>"""
    nav = '<li><a href="#models">Models</a></li>'
    header = "<h1>Bundled models</h1>"
    return html.document("Models - archcalc", header, nav, main, f"<script>\n{html.asset('index.js')}</script>")


def answer(path: str, pages: Pages) -> tuple[HTTPStatus, bytes]:
    """What a request for a path gets: a status and a compressed page."""
    url = urlsplit(path)
    asked = parse_qs(url.query, max_num_fields=20)
    if url.path == "/":
        return HTTPStatus.OK, gzip.compress(index(" ".join(asked.get("q", []))[:200]).encode(), 1)
    if url.path.startswith("/model/"):
        names = [url.path.removeprefix("/model/")]
    elif url.path == "/compare":
        names = asked.get("m", [])
        if not 1 <= len(names) <= MOST_MODELS:
            return _problem(HTTPStatus.BAD_REQUEST, f"From 1 to {MOST_MODELS} models can be shown side by side, not {len(names)}.")
    else:
        return _problem(HTTPStatus.NOT_FOUND, "There is no such page.")
    known = zoo.names()
    unknown = [name for name in names if name not in known]
    if unknown:
        return _problem(HTTPStatus.NOT_FOUND, f"{unknown[0][:80]!r} is not a bundled model.")
    try:
        return HTTPStatus.OK, pages.get(names)
    except ArchcalcError as error:
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, error.message)


def _problem(status: HTTPStatus, text: str) -> tuple[HTTPStatus, bytes]:
    main = f'<p>{escape(text)}</p><p><a href="/">All models</a></p>'
    page = html.document(f"{status.phrase} - archcalc", f"<h1>{status.phrase}</h1>", '<li><a href="/">All models</a></li>', main)
    return status, gzip.compress(page.encode(), 1)


class Server(ThreadingHTTPServer):
    """Bound to loopback; port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, make: Callable[[Sequence[str]], str] = make_page) -> None:
        self.pages = Pages(make)
        super().__init__((HOST, port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle is no news; anything else is told in a line."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"archcalc: a request failed: {type(error).__name__}: {ascii(str(error))[1:-1][:200]}", file=sys.stderr)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the index and of pages."""

    server: Server
    server_version = f"archcalc/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a page."""
        self._send(body=True)

    def do_HEAD(self) -> None:
        """Answer with a page's headers."""
        self._send(body=False)

    def _send(self, *, body: bool) -> None:
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            status, page = _problem(HTTPStatus.FORBIDDEN, f"This server answers as {HOST}:{port} alone.")
        else:
            try:
                status, page = answer(self.path, self.server.pages)
            except ValueError:
                status, page = _problem(HTTPStatus.BAD_REQUEST, "The address cannot be read.")
        if "gzip" not in self.headers.get("Accept-Encoding", ""):
            page, encoding = gzip.decompress(page), ""
        else:
            encoding = "gzip"
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if body:
            self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests of one's own browser are no news."""


def compare_path(names: Sequence[str]) -> str:
    """The address of models side by side.

    >>> compare_path(["gpt2", "qwen3-8b"])
    '/compare?m=gpt2&m=qwen3-8b'
    """
    return "/compare?" + urlencode([("m", name) for name in names])
