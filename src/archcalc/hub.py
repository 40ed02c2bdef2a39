"""The only file that talks to the Hub: it fetches configs and the headers of weights, never weights, through `huggingface_hub`.

`HF_TOKEN`, `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE` and the timeouts work as they do there. Code in a repository
(`auto_map`) is never fetched. Every failure becomes one message with what to do about it, within a bounded time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archcalc._watch import THREAD, Watch, within
from archcalc.errors import ArchcalcError, FormatError, HubError, OfflineError, SourceNotFoundError, UnsupportedError
from archcalc.formats.headers import MAX_HEADER
from archcalc.jsonfile import MAX_BYTES
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.formats.headers import Header

_CONFIG = "config.json"
_PARAMS = "params.json"
_QUANT = "hf_quant_config.json"
_INDEX = "model_index.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REVISION = re.compile(r"(?!.*\.\.)(?!/)[\w./+-]{1,200}(?<!/)", re.ASCII)
_ENDPOINT_HINT = "check the network, the proxy and HF_ENDPOINT; --offline uses what is on disk"


class RepositoryNotFoundError(SourceNotFoundError):
    """The Hub has no such repository, or does not show it."""


class Fetched(NamedTuple):
    """A config.json in the Hub's cache, or what a repository has that has none: a params.json, or a pipeline's model_index.json with the
    config.json of each part below it.

    `revision` is its commit. `cached` is true where the Hub was not asked or did not answer; `note` says why. `quantization` is the
    path of the repository's hf_quant_config.json, where it has one.
    """

    path: str
    revision: str | None
    cached: bool
    note: str
    name: str = _CONFIG
    quantization: str | None = None


def fetch(repo: str, revision: str | None = None, *, offline: bool = False, refresh: bool = False) -> Fetched:
    """The config.json of a repository, from the Hub or, offline, from its cache on disk.

    With `refresh` the cache does not stand in for a Hub that does not answer.
    """
    try:
        from huggingface_hub import constants
        from huggingface_hub.errors import HFValidationError
    except Exception as error:  # a broken installation, or an HF_ variable that does not parse
        raise HubError(
            f"huggingface_hub cannot be used: {_first_line(error)}", "check the installation and the HF_ variables"
        ) from None
    if revision is not None and not _REVISION.fullmatch(revision):
        raise SourceNotFoundError(
            f"{revision!r} is not a revision", "a revision is a branch, a tag or a commit, as in org/name@main"
        )
    try:
        path = next((held for name in (_CONFIG, _PARAMS, _INDEX) if (held := _in_cache(repo, name, revision))), None)
    except HFValidationError as error:
        raise SourceNotFoundError(f"{repo!r} is not a Hub repository id: {_first_line(error)}", "as in org/name") from None
    except OSError as error:
        raise _disk_error(error, constants.HF_HUB_CACHE) from None
    at = f"{repo}@{revision}" if revision else repo

    if offline or constants.HF_HUB_OFFLINE:
        why = "--offline" if offline else "HF_HUB_OFFLINE is set"
        if refresh:
            raise OfflineError(f"{at} cannot be refreshed: {why}", "allow the network, or leave --refresh out")
        if path is None:
            raise OfflineError(
                f"config.json of {at} is not in the Hub's cache ({constants.HF_HUB_CACHE}), and the network may not be used: {why}",
                "run once with the network allowed, or give a file",
            )
        return _from_cache(repo, path, why)
    if path is not None and revision is not None and _COMMIT.fullmatch(revision) and not refresh:
        return _from_cache(repo, path, "a commit does not change")

    # Twice the timeout of one answer: the library's own retries can add up to minutes, or to whatever Retry-After says.
    limit = 2.0 * max(constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT)
    try:
        return within(limit, MAX_BYTES, lambda _: _ask(repo, revision, path, refresh))
    except Exception as error:
        if isinstance(error, ArchcalcError) and not isinstance(error, HubError):
            raise
        explained = error if isinstance(error, HubError) else _explain(error, repo, revision, limit)
        if path is None or refresh or isinstance(explained, SourceNotFoundError):
            raise explained from None
        return _from_cache(repo, path, explained.message)


def _in_cache(repo: str, name: str, revision: str | None) -> str | None:
    import huggingface_hub

    found = huggingface_hub.try_to_load_from_cache(repo, name, revision=revision)
    return found if isinstance(found, str) else None


def _from_cache(repo: str, path: str, why: str) -> Fetched:
    commit = _commit_of(path)
    if _name_of(path) == _INDEX:
        _parts_in_cache(repo, path, commit, why)
    return Fetched(path, commit, True, f"from the Hub's cache: {why}", _name_of(path), _in_cache(repo, _QUANT, commit))


def _ask(repo: str, revision: str | None, cached: str | None, refresh: bool) -> Fetched:
    """Ask the Hub which commit is meant, and download config.json where that commit is not in the cache."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    from archcalc import __version__

    def head(name: str) -> Any:
        url = hf_hub_url(repo, name, revision=revision)
        return get_hf_file_metadata(url, library_name="archcalc", library_version=__version__)

    name = _CONFIG
    with _quiet():
        try:
            found = head(_CONFIG)
        except EntryNotFoundError:
            name = _what_it_holds(repo, head)
            if not name:
                raise
            found = head(name)
        if found.commit_hash is None:
            raise HubError(f"what answered for {repo} is not a Hub: it names no commit", _ENDPOINT_HINT)
        if found.size is not None and found.size > MAX_BYTES:
            raise FormatError(
                f"{name} of {repo} has {found.size / 2**20:,.0f} MiB: no config is that large", "check the repository"
            )
        commit = found.commit_hash
        if cached is not None and _name_of(cached) == name and _commit_of(cached) == commit and not refresh:
            if name == _INDEX:
                _parts(repo, cached, commit)
            return Fetched(cached, commit, False, "", name, _in_cache(repo, _QUANT, commit))
        path = hf_hub_download(
            repo, name, revision=revision, force_download=refresh, library_name="archcalc", library_version=__version__
        )
        commit = _commit_of(path) or commit
        quantization = _quantization(repo, path, commit) if name == _CONFIG else None
        if name == _INDEX:
            _parts(repo, path, commit)
    return Fetched(path, commit, False, "", name, quantization)


def _part_files(path: str) -> list[str]:
    """The configs of a pipeline's parts, as its index names them."""
    from archcalc.formats import diffusers
    from archcalc.jsonfile import read_json

    names = [f"{name}/{_CONFIG}" for name in diffusers.named_in(read_json(path, _INDEX))]
    if len(names) > _MOST_PARTS:
        raise FormatError(f"{_INDEX} names {len(names):,} parts: no pipeline has so many", "give the config.json of one of them")
    return names


def _parts(repo: str, path: str, commit: str) -> None:
    """Download the config.json of each part of a pipeline that has one."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from archcalc import __version__

    for name in _part_files(path):
        try:
            hf_hub_download(repo, name, revision=commit, library_name="archcalc", library_version=__version__)
        except LocalEntryNotFoundError:  # the Hub did not say that there is none: it did not answer
            raise
        except EntryNotFoundError:
            continue


def _parts_in_cache(repo: str, path: str, commit: str | None, why: str) -> None:
    """Raise `OfflineError` where a part's config is neither in the cache nor known not to exist: the sum would lack it."""
    import huggingface_hub

    for name in _part_files(path):
        if huggingface_hub.try_to_load_from_cache(repo, name, revision=commit) is None:
            raise OfflineError(f"{name} of {repo} is not in the Hub's cache: {why}", "run once with the network allowed")


_MOST_PARTS = 32


def _quantization(repo: str, path: str, commit: str) -> str | None:
    """The hf_quant_config.json beside a config that states no quantization, where there is one."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from archcalc import __version__

    with open(path, "rb") as file:
        if b'"quantization_config"' in file.read():
            return None
    try:
        return hf_hub_download(repo, _QUANT, revision=commit, library_name="archcalc", library_version=__version__)
    except LocalEntryNotFoundError:  # the Hub did not say that there is none: it did not answer
        raise
    except EntryNotFoundError:
        return None


def _what_it_holds(repo: str, head: Callable[[str], Any]) -> str:
    """What stands in place of config.json, or nothing. Formats that are no model's are named."""
    for name, message, hint in (
        (_PARAMS, "", ""),
        (
            "adapter_config.json",
            f"{repo} holds an adapter, not a model",
            "give the base model that its adapter_config.json names",
        ),
        (_INDEX, "", ""),
    ):
        try:
            head(name)
        except Exception:  # it is not there, or cannot be asked for: the first answer stands
            continue
        if message:
            raise UnsupportedError(message, hint)
        return name
    return ""


def headers(repo: str, revision: str | None = None, *, offline: bool = False) -> Header:
    """The tensors of a repository's safetensors files, from the first bytes of each by range request.

    A server that ignores the range is cut off after the header: weights are never read.
    """
    try:
        from huggingface_hub import constants
    except Exception as error:
        raise HubError(
            f"huggingface_hub cannot be used: {_first_line(error)}", "check the installation and the HF_ variables"
        ) from None
    if offline or constants.HF_HUB_OFFLINE:
        why = "--offline" if offline else "HF_HUB_OFFLINE is set"
        raise OfflineError(f"the headers of {repo} are on the Hub, and the network may not be used: {why}", "give local files")
    limit = 2.0 * max(constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT)
    try:
        with _quiet():
            names = within(limit, MAX_HEADER, lambda _: _weight_files(repo, revision))
            # Eight at a time, each with a time limit of its own; all of them together with one too.
            rounds = min(-(-len(names) // _AT_ONCE), _MOST_ROUNDS)
            found = within(limit * rounds, _MOST_SENT, lambda watch: _all_headers(repo, revision, names, limit / 2, watch))
    except Exception as error:
        if isinstance(error, ArchcalcError):
            raise
        raise _explain(error, repo, revision, limit) from None
    from archcalc.formats.headers import merged

    return merged(found, repo)


_AT_ONCE = 8
_MOST_ROUNDS = 30
_MOST_FILES = 4096
"""The largest published checkpoints have some hundreds of files."""
_MOST_SENT = MAX_HEADER + 2**24
"""A header, and what a server that ignores the range sends before it."""
_FIRST_BYTES = 2**17
"""Most headers are shorter; a longer one takes a second request."""


def _weight_files(repo: str, revision: str | None) -> list[str]:
    """The safetensors files of a repository: one, or those that its index names."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    from archcalc import __version__
    from archcalc.formats.headers import weight_map
    from archcalc.jsonfile import read_json

    for name in (
        "model.safetensors",
        "model.safetensors.index.json",
        "consolidated.safetensors",
        "consolidated.safetensors.index.json",
    ):
        url = hf_hub_url(repo, name, revision=revision)
        try:
            found = get_hf_file_metadata(url, library_name="archcalc", library_version=__version__)
        except EntryNotFoundError:
            continue
        if name.endswith(".safetensors"):
            return [name]
        if found.size is not None and found.size > MAX_HEADER:
            raise FormatError(f"{name} of {repo} has {found.size / 2**20:,.0f} MiB: no index is that large", "check the repository")
        path = hf_hub_download(repo, name, revision=revision, library_name="archcalc", library_version=__version__)
        label = f"{name} of {repo}"
        names = sorted(set(weight_map(read_json(path, label, limit=MAX_HEADER), label).values()))
        if len(names) > _MOST_FILES:
            raise FormatError(f"{label} names {len(names):,} files: no checkpoint has so many", "give local files")
        if not all(each.endswith(".safetensors") for each in names):
            raise FormatError(f"{label} names files that are no safetensors", "give local files")
        return names
    raise SourceNotFoundError(f"{repo} holds no safetensors", "give local files: .safetensors, .gguf, or an index")


def _all_headers(repo: str, revision: str | None, names: list[str], timeout: float, watch: Watch) -> list[Header]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE, THREAD, watch.enter) as pool:
        return list(pool.map(lambda name: _header(repo, revision, name, timeout), names))


def _header(repo: str, revision: str | None, name: str, timeout: float) -> Header:
    """The header of one file, in one request or two."""
    from huggingface_hub import hf_hub_url, utils

    from archcalc import __version__
    from archcalc.formats import safetensors

    exported: Any = utils  # it does not declare these names as exported

    label = f"{name} of {repo}"
    url = hf_hub_url(repo, name, revision=revision)
    own = exported.build_hf_headers(library_name="archcalc", library_version=__version__)
    start = _range(url, own, 0, _FIRST_BYTES, timeout)
    length = int.from_bytes(start[:8], "little") if len(start) >= 8 else 0
    safetensors.check_length(length, label)
    data = start[8 : 8 + length]
    if len(data) < length and len(start) >= _FIRST_BYTES:
        data += _range(url, own, 8 + len(data), length - len(data), timeout)
    if len(data) < length:
        raise FormatError(f"{label} is truncated: its header should have {length:,} bytes", "check the repository")
    return safetensors.parse(data, label)


def _range(url: str, headers: dict[str, str], at: int, n: int, timeout: float) -> bytes:
    """`n` bytes of a file from `at` on, or fewer where it ends."""
    from huggingface_hub import utils

    exported: Any = utils  # it does not declare these names as exported
    wanted = {**headers, "Range": f"bytes={at}-{at + n - 1}", "Accept-Encoding": "identity"}
    with exported.get_session().stream("GET", url, headers=wanted, timeout=timeout, follow_redirects=True) as response:
        if response.status_code >= 400:
            response.read()
            exported.hf_raise_for_status(response)
        skip = at if response.status_code == 200 else 0
        if skip > _FIRST_BYTES * 16:
            raise HubError(f"{url} is served whole: a range of it cannot be had", "give local files")
        data = bytearray()
        for piece in response.iter_bytes():
            data += piece
            if len(data) >= skip + n:
                break
    return bytes(data[skip : skip + n])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and warnings of retries off stderr: one message says what went wrong.

    The filter stays, since a call that was given up goes on retrying; it drops nothing but what such threads of ours say.
    """
    import logging
    import os

    from huggingface_hub import constants, utils

    if not constants.HF_DEBUG and not os.environ.get("HF_HUB_VERBOSITY"):
        for handler in logging.getLogger("huggingface_hub").handlers:
            handler.addFilter(_not_ours)
    exported: Any = utils  # it does not declare these names as exported
    bars = constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not exported.are_progress_bars_disabled()
    if bars:
        exported.disable_progress_bars()
    try:
        yield
    finally:
        if bars:
            exported.enable_progress_bars()


def _not_ours(record: Any) -> bool:
    return not str(record.threadName).startswith(THREAD)


def _explain(error: Exception, repo: str, revision: str | None, limit: float) -> HubError | SourceNotFoundError:
    """One message and a hint for whatever went wrong."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.errors import RepositoryNotFoundError as NoRepositoryError

    # The library wraps the answer it got in one of these when the cache holds nothing either.
    while isinstance(error, (LocalEntryNotFoundError, ValueError)) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    endpoint = constants.ENDPOINT
    page = f"{endpoint}/{repo}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        return HubError(
            f"{repo} is gated: the Hub gives its config.json only to accounts that were granted access",
            f"ask for access at {page}, then set HF_TOKEN or run `hf auth login`",
        )
    if isinstance(error, RevisionNotFoundError):
        return SourceNotFoundError(f"{repo} has no revision {revision!r}", f"see {page}/commits/main")
    if isinstance(error, EntryNotFoundError):
        where = f"{repo}@{revision}" if revision else repo
        return SourceNotFoundError(
            f"{where} holds no config.json",
            f"see {page}/tree/{revision or 'main'}; quantized copies often leave it to the original",
        )
    if isinstance(error, NoRepositoryError):
        return RepositoryNotFoundError(
            f"{repo}: no such repository on {endpoint}, or a private one",
            "check the spelling; for a private one set HF_TOKEN or run `hf auth login`",
        )
    if isinstance(error, HFValidationError):
        return SourceNotFoundError(f"{repo!r} is not a Hub repository id: {_first_line(error)}", "as in org/name")
    if isinstance(error, HfHubHTTPError) and status is not None:
        message, hint = _STATUS.get(status, (f"answered with HTTP status {status}", "try again later"))
        return HubError(f"{repo}: {endpoint} {message}", hint)
    if _is_disk(error):
        return _disk_error(error, constants.HF_HUB_CACHE, repo)
    reason = f"did not give config.json within {limit:g} s" if isinstance(error, TimeoutError) else _reason(error)
    hint = _ENDPOINT_HINT
    if "within" in reason or "in time" in reason:
        hint = "try again, or allow more with HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT (seconds)"
    return HubError(f"{repo}: {endpoint} {reason}", hint)


_STATUS = {
    400: ("refused the request as malformed (HTTP status 400)", "check the repository id and the revision"),
    401: ("does not accept the token (HTTP status 401)", "set HF_TOKEN to a valid token, or unset it; `hf auth login` makes one"),
    403: ("forbids this (HTTP status 403)", "the token may lack the right to read this repository: see its settings"),
    404: ("does not have it (HTTP status 404)", "check the spelling, and HF_ENDPOINT"),
    429: ("is limiting the rate of requests (HTTP status 429)", "wait some minutes, or set HF_TOKEN: accounts have a higher limit"),
    451: ("may not give it for legal reasons (HTTP status 451)", "give a config.json of your own"),
    **{
        status: (f"is out of order (HTTP status {status})", "try again later; --offline uses what is on disk")
        for status in (500, 502, 503, 504)
    },
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _reason(error: Exception) -> str:
    """Why no answer came. HTTP libraries differ between versions of huggingface_hub; what lies beneath them does not."""
    import socket
    import ssl

    chain = list(_causes(error))
    names = " ".join(base.__name__ for cause in chain for base in type(cause).__mro__)
    if any(isinstance(cause, socket.gaierror) for cause in chain):
        return "cannot be reached: its name does not resolve (DNS)"
    if any(isinstance(cause, ssl.SSLError) for cause in chain):
        return "cannot be reached: the secure connection failed (TLS)"
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain):
        return "cannot be reached: connection refused"
    if "ProxyError" in names:
        return "cannot be reached: the proxy failed"
    if "Timeout" in names:
        return "did not answer in time"
    text = " ".join(str(cause) for cause in chain)
    if (
        "Consistency check failed" in text
        or "RemoteProtocolError" in names
        or "IncompleteRead" in names
        or "ChunkedEncoding" in names
    ):
        return "broke off in the middle of config.json"
    if "ConnectionError" in names or "NetworkError" in names:
        return f"cannot be reached: {_first_line(error)}"
    return f"could not be asked: {type(error).__name__}: {_first_line(error)}"


def _is_disk(error: Exception) -> bool:
    """Whether the operating system refused a file. The HTTP libraries' errors are OSErrors too, without a file name."""
    return isinstance(error, OSError) and error.errno is not None and not isinstance(error, (ConnectionError, TimeoutError))


def _disk_error(error: Any, cache: str, repo: str = "") -> HubError:
    return HubError(
        f"{repo + ': ' if repo else ''}the Hub's cache {cache} cannot be used: {error.strerror or _first_line(error)}",
        "make room or permission there, or set HF_HOME to another folder",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def _commit_of(path: str) -> str | None:
    """The commit in the path of a file in the cache: .../snapshots/COMMIT/config.json."""
    import os

    commit = os.path.basename(os.path.dirname(path))
    return commit if _COMMIT.fullmatch(commit) else None


def _name_of(path: str) -> str:
    import os

    return os.path.basename(path)
