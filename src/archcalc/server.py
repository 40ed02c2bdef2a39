"""The pages on the bundled models, and on a config that is dropped on the list, served to this machine alone.

Only names of the bundled models reach the loader: no path of a request ever reaches the file system, and a config that is sent is read in
memory and kept nowhere. Requests that name another host, or come from a page of another, are refused, so that no page of another site can
read these or have them made.
"""

from __future__ import annotations

import gzip
import sys
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from archcalc import __version__, units, zoo
from archcalc.errors import ArchcalcError, ConfigError, UnsupportedError
from archcalc.loader import Loaded, load, read
from archcalc.records import NamedTuple
from archcalc.render import html
from archcalc.report import SourceInfo

HOST = "127.0.0.1"
MOST_MODELS = 4
"""Models that stand side by side on one page."""
MOST_BYTES = 8 << 20
"""Of a request's body. The largest configs that are published have about 100 KB."""
_KEPT_PAGES = 32
"""A page on four models, with the plans of all GPUs, is a megabyte."""


class Answer(NamedTuple):
    """What a request gets: a page whole and compressed, or in parts as they are made."""

    status: HTTPStatus
    policy: str
    whole: bytes = b""
    parts: Iterable[str] = ()
    stored: bool = True
    kind: str = "text/html"


class Shared:
    """Parts that are made once, whoever takes them first, and that each taker gets from the first on."""

    def __init__(self, parts: Iterator[str]) -> None:
        self._parts, self._made, self._lock = parts, list[str](), threading.Lock()
        self.broken = False

    def __iter__(self) -> Iterator[str]:
        at = 0
        while True:
            with self._lock:
                if at == len(self._made) and not self._make():
                    return
                part = self._made[at]
            yield part
            at += 1

    def _make(self) -> bool:
        try:
            part = next(self._parts, None)
        except Exception:
            # An iterator that failed has no more to give, and would look like one at its end.
            self.broken = True
            raise
        if part is not None:
            self._made.append(part)
        return part is not None


class Kept(NamedTuple):
    """A page as it is made, and what it asks for once it is there."""

    policy: str
    parts: Shared
    more: Shared


class Pages:
    """Pages by the names on them, made when they are first asked for."""

    def __init__(self, make: Callable[[Sequence[str]], html.Page]) -> None:
        self._make = make
        self._kept: OrderedDict[tuple[str, ...], Kept] = OrderedDict()
        self._lock = threading.Lock()

    def _page(self, names: Sequence[str]) -> Kept:
        key = tuple(names)
        with self._lock:
            found = self._kept.get(key)
            if found is None or found.parts.broken or found.more.broken:
                made = self._make(key)
                parts = Shared(made.parts)
                # The plans of the first GPU come before the others', and are made with the page.
                found = self._kept[key] = Kept(made.policy, parts, Shared(_after(parts, made.more)))
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT_PAGES:
                self._kept.popitem(last=False)
            return found

    def get(self, names: Sequence[str]) -> Answer:
        """The page, in parts that are made once."""
        page = self._page(names)
        return Answer(HTTPStatus.OK, page.policy, parts=page.parts)

    def more(self, names: Sequence[str]) -> Answer:
        """What its script asks for, a line after the other."""
        page = self._page(names)
        return Answer(HTTPStatus.OK, page.policy, parts=page.more, kind="application/x-ndjson")


def _after(first: Iterable[str], then: Iterator[str]) -> Iterator[str]:
    """One after all of the other was made."""
    for _ in first:
        pass
    yield from then


def make_page(names: Sequence[str]) -> html.Page:
    """The page on bundled models."""
    return html.make_page([load(name, offline=True) for name in names], home="/", more="/plans?" + _query(names))


# The list


class Listed(NamedTuple):
    """A model of the list, its figures as they are sorted by."""

    entry: zoo.Entry
    total: int
    active: int
    context: int


@lru_cache(maxsize=1)
def listed() -> tuple[Listed, ...]:
    """The bundled models with their sizes, in their own order."""
    from archcalc.analysis.params import components
    from archcalc.arch import parse

    out = []
    for entry in zoo.entries():
        a = zoo.spec(entry.name) or parse(zoo.config(entry.name))
        parts = [c for c in components(a) if c.part != "mtp"]
        total, active = sum(c.total for c in parts), sum(c.active for c in parts)
        out.append(Listed(entry, total, active, a.facts.context_tokens or 0))
    return tuple(out)


SORTED: dict[str, tuple[str, Callable[[Listed], str | int]]] = {
    "name": ("model", lambda m: m.entry.name),
    "total": ("parameters", lambda m: m.total),
    "active": ("active", lambda m: m.active),
    "context": ("context", lambda m: m.context),
    "release": ("release", lambda m: m.entry.release or ""),
}
"""What the list is sorted by: names from their first letter, all else from the largest or newest."""


def find(query: str) -> list[zoo.Entry]:
    """The bundled models that hold every word, in the order of the list."""
    words = query.lower().split()
    return [e for e in zoo.entries() if all(word in text_of(e) for word in words)]


def text_of(entry: zoo.Entry) -> str:
    """What a search looks at."""
    return " ".join((entry.name, entry.repo, *entry.aliases, entry.family, entry.license or "")).lower()


def index(query: str = "", sort: str = "release", ticked: Sequence[str] = (), wrong: str = "") -> html.Page:
    """The list of models with its search box, and where a config of one's own is dropped; `wrong` is what cannot be answered."""
    sort = sort if sort in SORTED else "release"
    names = {e.name for e in find(query)} | set(ticked)
    found = sorted((m for m in listed() if m.entry.name in names), key=SORTED[sort][1], reverse=sort != "name")
    heads = "".join(_head(key, query, sort) for key in SORTED)
    main = f"""<p id="wrong" role="alert">{escape(wrong)}</p>
<form class="search" role="search" action="/" method="get"><label for="q">Search models</label>
<input id="q" name="q" type="search" value="{escape(query)}" autocomplete="off" aria-controls="models"></form>
<form id="compare" action="/compare" method="get">
<p class="bar-of-list"><button type="submit">Compare those ticked</button>
<span id="ticked" role="status" data-most="{MOST_MODELS}">{len(ticked)} of up to {MOST_MODELS}</span>
<span id="found" role="status">{len(found)} of {len(zoo.entries())} models</span></p>
<div class="scroll" tabindex="0" role="region" aria-label="Models">
<table id="models" class="list"><caption>Bundled models</caption><thead><tr><th scope="col">compare</th>{heads}
<th scope="col">license</th></tr></thead><tbody>{"".join(_row(m, ticked) for m in found)}</tbody></table></div></form>
<section aria-labelledby="own-title"><h2 id="own-title">A model of your own</h2>
<form id="own" action="/config" method="post"><label for="config">Drop a config.json anywhere on this page, or paste its text</label>
<textarea id="config" name="config" rows="6" required spellcheck="false" autocomplete="off"></textarea>
<input type="hidden" name="name" value="config.json">
<p><button type="submit">Show its page</button> <span class="note">It is read on this machine, and kept nowhere; models ticked above
stand beside it.</span></p></form></section>"""
    nav = '<li><a href="#models">Models</a></li><li><a href="#own">A model of your own</a></li>'
    return html.document("Models - archcalc", "<h1>Models</h1>", nav, main, html.asset("index.js"), forms=True)


def _head(key: str, query: str, sort: str) -> str:
    where = "?" + urlencode([*([("q", query)] if query else []), ("sort", key)])
    order = ' aria-sort="ascending"' if key == sort == "name" else ' aria-sort="descending"' if key == sort else ""
    number = ' class="n"' if key in ("total", "active", "context") else ""
    return f'<th scope="col"{number}{order}><a href="/{escape(where)}" data-sort="{key}">{SORTED[key][0]}</a></th>'


def _row(m: Listed, ticked: Sequence[str]) -> str:
    e = m.entry
    data = "".join(f' data-{key}="{escape(str(of(m)))}"' for key, (_, of) in SORTED.items())
    box = f'<input type="checkbox" name="m" value="{escape(e.name)}" aria-label="compare {escape(e.name)}"'
    cells = "".join(
        f'<td class="n">{text}</td>'
        for text in (
            units.format_count(m.total),
            units.format_count(m.active),
            units.format_tokens(m.context) if m.context else "",
        )
    )
    return (
        f'<tr data-text="{escape(text_of(e))}"{data}><td>{box}{" checked" if e.name in ticked else ""}></td>'
        f'<th scope="row"><a href="/model/{quote(e.name)}">{escape(e.name)}</a></th>{cells}'
        f"<td>{escape(e.release or '')}</td><td>{escape(e.license or '')}</td></tr>"
    )


# Requests


def answer(path: str, pages: Pages) -> Answer:
    """What a request for a path gets."""
    url = urlsplit(path)
    asked = parse_qs(url.query, max_num_fields=20)
    if url.path == "/":
        return _whole(HTTPStatus.OK, index(" ".join(asked.get("q", []))[:200], asked.get("sort", [""])[0]))
    if url.path.startswith("/model/"):
        names = _bundled([unquote(url.path.removeprefix("/model/"))])
    elif url.path in ("/compare", "/plans"):
        names = _bundled(asked.get("m", []))
        if wrong := _unknown(names):
            return wrong
        if not names:
            return _whole(HTTPStatus.BAD_REQUEST, index(wrong=f"Tick up to {MOST_MODELS} models to see them side by side."))
        if len(names) > MOST_MODELS:
            return _whole(HTTPStatus.BAD_REQUEST, index(ticked=names, wrong=_too_many(len(names))))
    else:
        return _problem(HTTPStatus.NOT_FOUND, "There is no such page.")
    if wrong := _unknown(names):
        return wrong
    try:
        return pages.more(names) if url.path == "/plans" else pages.get(names)
    except ArchcalcError as error:
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, error.message)


def answer_config(body: str) -> Answer:
    """The page on a config that was sent, beside the bundled models that were named with it."""
    sent = parse_qs(body, max_num_fields=20, strict_parsing=False)
    names = _bundled(sent.get("m", []))
    if wrong := _unknown(names):
        return wrong
    if len(names) >= MOST_MODELS:
        return _whole(HTTPStatus.BAD_REQUEST, index(ticked=names, wrong=_too_many(len(names) + 1)))
    name = (sent.get("name", [""])[0] or "config.json")[:80]
    try:
        made = html.make_page([_own("".join(sent.get("config", [])), name), *(load(n, offline=True) for n in names)], home="/")
    except ArchcalcError as error:
        hint = f" {error.hint[0].upper()}{error.hint[1:]}." if error.hint else ""
        said = _whole(HTTPStatus.UNPROCESSABLE_ENTITY, index(ticked=names, wrong=f"{error.message}.{hint}"))
        return said._replace(stored=False)
    return Answer(HTTPStatus.OK, made.policy, parts=made.parts, stored=False)


def _own(text: str, name: str) -> Loaded:
    from archcalc import sources

    source = sources.given(text.encode(), name)
    try:
        return read(source, source.config, SourceInfo(source.name, source.kind, source.format, None), offline=True)
    except (ConfigError, UnsupportedError) as error:
        error.message = f"{name}: {error.message}"
        raise


def _too_many(n: int) -> str:
    return f"{n} models are ticked, and up to {MOST_MODELS} stand side by side: untick {n - MOST_MODELS} of them."


def _bundled(names: Sequence[str]) -> list[str]:
    """The names, each once, as they are bundled where they are other spellings of those."""
    return list(dict.fromkeys(entry.name if (entry := zoo.find(name[:200])) else name for name in names))


def _unknown(names: Sequence[str]) -> Answer | None:
    unknown = [name[:80] for name in names if name not in zoo.names()]
    if not unknown:
        return None
    from archcalc.sources import near_names

    near = near_names(unknown[0])[:4]
    return _problem(
        HTTPStatus.NOT_FOUND, f"{unknown[0]!r} is not a bundled model." + (f" Is it {' or '.join(near)}?" if near else "")
    )


def _problem(status: HTTPStatus, text: str) -> Answer:
    main = f'<p>{escape(text)}</p><p><a href="/">All models</a></p>'
    nav = '<li><a href="/">All models</a></li>'
    return _whole(status, html.document(f"{status.phrase} - archcalc", f"<h1>{escape(status.phrase)}</h1>", nav, main))


def _whole(status: HTTPStatus, page: html.Page) -> Answer:
    return Answer(status, page.policy, gzip.compress("".join(page.parts).encode(), 1))


class Server(ThreadingHTTPServer):
    """Bound to loopback; port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, make: Callable[[Sequence[str]], html.Page] = make_page) -> None:
        self.pages = Pages(make)
        super().__init__((HOST, port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle is no news; anything else is told in a line."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"archcalc: a request failed: {type(error).__name__}: {ascii(str(error))[1:-1][:200]}", file=sys.stderr)

    @staticmethod
    def warm() -> None:
        """Loads what pages need, beside the first request: most of its time would go into that."""
        threading.Thread(target=_warm, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


def _warm() -> None:
    listed()
    # What a page takes to be made is loaded with the first one.
    for _ in make_page(zoo.names()[:1]).parts:
        pass


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the index and of pages, and POST of a config."""

    server: Server
    server_version = f"archcalc/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a page."""
        self._send(self._got(), body=True)

    def do_HEAD(self) -> None:
        """Answer with a page's headers."""
        self._send(self._got(), body=False)

    def do_POST(self) -> None:
        """Answer with the page on a config that was sent from the list."""
        self._send(self._posted(), body=True)

    def _hosts(self) -> tuple[str, str]:
        port = self.server.server_address[1]
        return f"{HOST}:{port}", f"localhost:{port}"

    def _elsewhere(self) -> Answer | None:
        """Refuses requests by another name (DNS rebinding)."""
        if self.headers.get("Host") in self._hosts():
            return None
        return _problem(HTTPStatus.FORBIDDEN, f"This server answers as {self._hosts()[0]} alone.")

    def _got(self) -> Answer:
        if refused := self._elsewhere():
            return refused
        try:
            return answer(self.path, self.server.pages)
        except ValueError:
            return _problem(HTTPStatus.BAD_REQUEST, "The address cannot be read.")

    def _posted(self) -> Answer:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.close_connection = True
            return _problem(HTTPStatus.LENGTH_REQUIRED, "The length of what is sent has to be told.")
        if refused := self._elsewhere() or self._unwanted(int(length)):
            # Browsers show an answer only once all was taken that they send.
            left = min(int(length), 8 * MOST_BYTES)
            while left > 0 and (taken := len(self.rfile.read(min(left, 1 << 16)))):
                left -= taken
            self.close_connection = True
            return refused
        try:
            return answer_config(self.rfile.read(int(length)).decode("ascii"))
        except ValueError:
            return _problem(HTTPStatus.BAD_REQUEST, "The form cannot be read.")

    def _unwanted(self, length: int) -> Answer | None:
        """Why what is sent is not read: it comes from a page of another site, or is no form of the list."""
        if self.headers.get("Origin") not in (None, *(f"http://{host}" for host in self._hosts())):
            return _problem(HTTPStatus.FORBIDDEN, "Only the list of models may send a config here.")
        if self.path != "/config":
            return _problem(HTTPStatus.NOT_FOUND, "There is no such page.")
        if self.headers.get_content_type() != "application/x-www-form-urlencoded":
            return _problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A config is sent with the form of the list.")
        if length > MOST_BYTES:
            return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A config of more than {MOST_BYTES >> 20} MiB is none.")
        return None

    def _send(self, made: Answer, *, body: bool) -> None:
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        # A client of HTTP/1.0 reads parts up to the end of the connection.
        chunked = not made.whole and self.request_version != "HTTP/1.0"
        self.close_connection |= not made.whole and not chunked
        whole = made.whole if packed or not made.whole else gzip.decompress(made.whole)
        self.send_response(made.status)
        self.send_header("Content-Type", f"{made.kind}; charset=utf-8")
        if made.whole:
            self.send_header("Content-Length", str(len(whole)))
        elif chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.send_header("Content-Security-Policy", f"{made.policy}; frame-ancestors 'none'")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        # With no referrer at all browsers hide from this server that its own form was sent.
        self.send_header("Referrer-Policy", "same-origin")
        self.send_header("Cache-Control", "no-cache" if made.stored else "no-store")
        self.end_headers()
        if body and made.whole:
            self.wfile.write(whole)
        elif body:
            for part in _packed(made.parts) if packed else (part.encode() for part in made.parts):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n" if chunked else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests of one's own browser are no news."""


def _packed(parts: Iterable[str]) -> Iterator[bytes]:
    """Each part compressed so that it can be read when it is there."""
    packer = zlib.compressobj(5, zlib.DEFLATED, 31)
    for part in parts:
        yield packer.compress(part.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


def compare_path(names: Sequence[str]) -> str:
    """The address of models side by side.

    >>> compare_path(["gpt2", "qwen3-8b"])
    '/compare?m=gpt2&m=qwen3-8b'
    """
    return f"/compare?{_query(names)}"


def _query(names: Sequence[str]) -> str:
    return urlencode([("m", name) for name in names])
