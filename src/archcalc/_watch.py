"""Bounds on what the network may send: bytes and time of every answer, and what its headers may name.

A call runs in a thread of its own. When its time is up the sockets that it opened are shut down, so that the thread ends too: a timeout of
the HTTP library starts anew with each byte, and a server that sends one a second would keep it for ever.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from archcalc.errors import HubError

T = TypeVar("T")

THREAD = "archcalc-hub"
_MOST_OF_AN_ERROR = 2**16
# The cache names files by these. The Hub's are SHA-1 and SHA-256; other servers add a count of parts or a length.
_ETAG = re.compile(r'(W/)?"?[0-9A-Za-z_+=-]{1,128}"?')
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HINT = "check HF_ENDPOINT: what answers is not a Hub"
_local = threading.local()


class Watch:
    """What one call may take. `most` is the bytes of one answer."""

    def __init__(self, seconds: float, most: int) -> None:
        self.until = time.monotonic() + seconds
        self.most = most
        self._sockets: list[Any] = []
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise `TimeoutError` when the time is up."""
        if time.monotonic() > self.until:
            raise TimeoutError

    def enter(self) -> None:
        """Make this the watch of the running thread."""
        _local.watch = self

    def traced(self, event: str, info: Any) -> None:
        """Keep each socket that the HTTP library opens."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete", "connect_unix_socket.complete")):
            stream = info.get("return_value")
            found = stream.get_extra_info("socket") if hasattr(stream, "get_extra_info") else None
            if found is not None:
                with self._lock:
                    self._sockets.append(found)

    def stop(self) -> None:
        """Shut down what is still open: who waits for it is woken."""
        self.until = 0.0
        with self._lock:
            for each in self._sockets:
                with contextlib.suppress(OSError, ValueError):
                    each.shutdown(2)


def within(seconds: float, most: int, call: Callable[[Watch], T]) -> T:
    """What `call` returns or raises, or `TimeoutError`; its thread ends with it."""
    watch = Watch(seconds, most)
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        watch.enter()
        try:
            results.append(call(watch))
        except BaseException as error:
            errors.append(error)

    _hook()
    # Looking up a name cannot be broken off: the thread must not keep the process.
    thread = threading.Thread(target=run, name=THREAD, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        late = thread.is_alive()
        if late:
            watch.stop()
            thread.join(2)
    if late:
        raise TimeoutError
    if errors:
        raise errors[0]
    return results[0]


def _hook() -> None:
    """Have every client that huggingface_hub makes ask the watch of its thread, if there is one."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    made = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None) or _http.default_client_factory
    if getattr(made, "watched", False):
        return

    def factory() -> Any:
        client: Any = made()
        client.event_hooks = {
            "request": [*client.event_hooks["request"], _asked],
            "response": [_answered, *client.event_hooks["response"]],
        }
        return client

    factory.watched = True  # type: ignore[attr-defined]
    set_client_factory(factory)


def _asked(request: Any) -> None:
    watch: Watch | None = getattr(_local, "watch", None)
    if watch is None:
        return
    watch.check()
    request.extensions = {**request.extensions, "trace": watch.traced}
    if request.method == "GET":
        # What is unpacked has no bound that its length would tell.
        request.headers["Accept-Encoding"] = "identity"


def _answered(response: Any) -> None:
    watch: Watch | None = getattr(_local, "watch", None)
    if watch is None:
        return
    watch.check()
    # A redirect's body is not read, and its headers count as those of what it leads to.
    failed = response.status_code >= 300
    for name in ("etag", "x-linked-etag"):
        value = response.headers.get(name)
        if value is not None and not _ETAG.fullmatch(value.strip()):
            raise HubError(f"{_host(response)} answers with an ETag that names no file: {value[:60]!r}", _HINT)
    commit = response.headers.get("x-repo-commit")
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise HubError(f"{_host(response)} answers with a commit that is none: {commit[:60]!r}", _HINT)
    if response.headers.get("content-encoding", "identity") != "identity":
        if not failed and response.request.method == "GET":
            raise HubError(f"{_host(response)} packs what was to be sent as it is", _HINT)
        del response.headers["content-encoding"]
    response.stream = _bounded(response.stream, watch, _MOST_OF_AN_ERROR if failed else watch.most, failed, _host(response))


def _host(response: Any) -> str:
    return str(response.request.url.host)


def _bounded(stream: Any, watch: Watch, most: int, failed: bool, host: str) -> Any:
    """The body of an answer, as far as it may go. Of an error its beginning is enough."""
    library = type(stream).__module__.split(".")[0]
    base: Any = getattr(importlib.import_module(library), "SyncByteStream", object)

    class Bounded(base):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            got = 0
            for piece in stream:
                watch.check()
                got += len(piece)
                if got > most:
                    if failed:
                        return
                    raise HubError(f"{host} sends more than {most // 2**20} MiB", _HINT)
                yield piece

        def close(self) -> None:
            stream.close()

    return Bounded()
