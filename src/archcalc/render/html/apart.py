"""Texts that do not depend on each other, made side by side."""

from __future__ import annotations

import marshal
import os
import threading
from collections.abc import Callable, Iterable, Sequence

Made = Callable[[], Iterable[str]]


def each(makers: Sequence[Made]) -> list[Iterable[str]]:
    """What each of them makes. The first is made here and each other one in a process of its own, where the system has a way to copy this
    one and there are processors for it. What a process could not make is made here, so that its error is this one's."""
    # A copy has one thread alone: locks that others hold would stay locked in it.
    if not hasattr(os, "fork") or (os.cpu_count() or 1) < 2 or threading.active_count() > 1:
        return [make() for make in makers]
    started = [_started(make) for make in makers[1:]]
    found: list[Iterable[str]] = [list(makers[0]())]
    for make, (process, source) in zip(makers[1:], started, strict=True):
        with open(source, "rb") as file:
            sent = file.read()
        _, status = os.waitpid(process, 0)
        found.append(marshal.loads(sent) if status == 0 else make())
    return found


def _started(make: Made) -> tuple[int, int]:
    """The number of the process, and where what it makes is read."""
    source, target = os.pipe()
    process = os.fork()
    if process:
        os.close(target)
        return process, source
    # Nothing of the process that was copied is to be run to its end here: no handlers, no buffers written twice.
    status = 1
    try:
        with open(target, "wb") as file:
            file.write(marshal.dumps(list(make())))
        status = 0
    finally:
        os._exit(status)
