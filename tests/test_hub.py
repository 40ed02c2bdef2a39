"""The Hub as archcalc sees it: a real HTTP server on loopback that answers as the Hub does, well or badly."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLDER = "89abcdef0123456789abcdef0123456789abcdef"
CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "auto_map": {"AutoConfig": "configuration_evil.Config"}}
BODY = json.dumps(CONFIG).encode()
PARAMS = json.dumps(
    {"dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "vocab_size": 256, "multiple_of": 32, "norm_eps": 1e-5}
)
FILES = {
    ("org/params", "params.json"): PARAMS.encode(),
    ("org/adapter", "adapter_config.json"): b"{}",
    ("org/diffusers", "model_index.json"): b"{}",
    ("org/modelopt", "hf_quant_config.json"): b'{"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}',
}
"""What repositories hold beside or in place of config.json."""


LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
    "vocab_size": 128, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip
LLAMA_LAYER = {
    "input_layernorm": [64], "post_attention_layernorm": [64], "mlp.down_proj": [64, 96], "mlp.gate_proj": [96, 64],
    "mlp.up_proj": [96, 64], **{f"self_attn.{name}_proj": [64, 64] for name in "qkvo"},
}  # fmt: skip
LLAMA_TENSORS = {"model.embed_tokens.weight": [128, 64], "model.norm.weight": [64]} | {
    f"model.layers.{i}.{name}.weight": shape for i in range(2) for name, shape in LLAMA_LAYER.items()
}


def safetensors(**shapes: list[int]) -> bytes:
    """The bytes of a safetensors file of BF16 zeros, with its data."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * prod(shape)
        header[name.replace("__", ".")] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * end


PIPELINE: dict[str, Any] = {
    "model_index.json": {
        "_class_name": "FluxPipeline", "_diffusers_version": "0.30.0", "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "transformer": ["diffusers", "FluxTransformer2DModel"], "vae": ["diffusers", "AutoencoderKL"],
        "image_encoder": [None, None], "guard": ["custom", "Guard"],
    },
    "text_encoder/config.json": {"model_type": "clip_text_model", "hidden_size": 64},
    "transformer/config.json": {"_class_name": "FluxTransformer2DModel", "num_layers": 1},
    "vae/config.json": {"_class_name": "AutoencoderKL"},
    "scheduler/config.json": {"_class_name": "not asked for"},
}  # fmt: skip
"""A repository whose parts stand in folders; one of those that its index names has no config."""

WEIGHTS = {
    ("org/weights", "model.safetensors"): safetensors(wte__weight=[8, 4], h__0__w=[4, 4]),
    ("org/sharded", "model.safetensors.index.json"): json.dumps(
        {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    ).encode(),
    ("org/sharded", "model-1.safetensors"): safetensors(a=[2**19]),
    ("org/sharded", "model-2.safetensors"): safetensors(b=[3], **{"x" * 200_000: [1]}),
    ("org/whole", "model.safetensors"): safetensors(a=[2**23]),
    ("org/damaged", "model.safetensors"): b"\xff" * 64,
    ("org/newest", "model.safetensors"): safetensors(**{"model.embed_tokens.weight": [8, 4], "model.layers.0.w": [4, 4]}),
    ("org/real", "model.safetensors"): safetensors(**LLAMA_TENSORS),
    ("org/spoilt", "model.safetensors"): safetensors(**{**LLAMA_TENSORS, "model.norm.weight": [65], "odd": [1]}),
}
"""Files that are served by range; org/whole ignores the range."""

# Runs in a process of its own, since huggingface_hub reads its environment when it is imported.
RUNNER = """
import json, os, sys
from archcalc import sources
from archcalc.errors import ArchcalcError

if os.environ.get("TEST_NO_DISK"):
    import resource
    import huggingface_hub, huggingface_hub.file_download
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
for text, options in json.load(sys.stdin):
    try:
        if options.pop("headers", False):
            from archcalc import hub
            print(json.dumps(hub.headers(text, **options)._asdict()), flush=True)
            continue
        print(json.dumps(sources.resolve(text, **options)._asdict()), flush=True)
    except ArchcalcError as error:
        print(json.dumps({"error": error.code, "message": error.message, "hint": error.hint}), flush=True)
"""


class Hub(ThreadingHTTPServer):
    """The server, and what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.cdn: Hub | None = None
        self.fails = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self, repo: str) -> list[tuple[str, str]]:
        """Method and path of the requests for one repository."""
        return [(method, path) for method, path, _ in self.requests if f"/{repo}/" in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def refuse(self, status: int, code: str = "", message: str = "no", **headers: str) -> None:
        extra = {"X_Error_Code": code} if code else {}
        body = json.dumps({"error": message}).encode()
        self.reply(status, body, Content_Type="application/json", X_Error_Message=message, **extra, **headers)

    def file(self, body: bytes = BODY, commit: str = COMMIT, **options: Any) -> None:
        self.reply(200, body, X_Repo_Commit=commit, ETag=f'"{abs(hash(body)):x}{commit[:4]}"', **options)

    def part(self, body: bytes) -> None:
        """A file of which a range may be asked."""
        wanted = self.headers.get("Range", "")
        if not wanted.startswith("bytes=") or "org/whole" in self.path:
            return self.file(body)
        first, last = (int(number) for number in wanted[6:].split("-"))
        piece = body[first : last + 1]
        span = f"bytes {first}-{first + len(piece) - 1}/{len(body)}"
        return self.reply(206, piece, X_Repo_Commit=COMMIT, Content_Range=span, ETag='"part"')

    def answer(self) -> None:
        self.server.requests.append((self.command, unquote(self.path), dict(self.headers)))
        parts = unquote(self.path).strip("/").split("/")
        if parts[0] == "portal":
            return self.other_site()
        if parts[0] == "cached":  # where redirects lead to
            return self.file()
        if len(parts) < 5 or parts[2] != "resolve":
            return self.refuse(404, message="Not Found")
        repo, revision, name = f"{parts[0]}/{parts[1]}", "/".join(parts[3:-1]), parts[-1]
        authorized = self.headers.get("Authorization") == "Bearer good"
        if self.headers.get("Authorization") and not authorized:
            return self.refuse(401, message="Invalid credentials in Authorization header")
        if repo == "org/gone" or parts[0] == "nobody":
            return self.refuse(401 if not authorized else 404, "RepoNotFound", "Invalid username or password.")
        if repo == "org/gated" and not authorized:
            return self.refuse(401, "GatedRepo", "Access to model org/gated is restricted.")
        if repo in ("org/pipeline", "org/lacking"):
            return self.pipeline("/".join(parts[4:]))
        if revision not in ("main", "v1", "refs/pr/3", COMMIT, OLDER):
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if repo in ("org/params", "org/adapter", "org/empty", "org/diffusers") and name == "config.json":
            return self.refuse(404, "EntryNotFound", "Entry not found", X_Repo_Commit=COMMIT)
        if (repo, name) in WEIGHTS:
            return self.part(WEIGHTS[repo, name])
        if name != "config.json" and (repo, name) not in FILES:
            commit = OLDER if revision in ("v1", OLDER) else COMMIT
            return self.refuse(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
        behave = getattr(self, parts[1].replace("-", "_"), None)
        return behave() if behave else self.file(commit=OLDER if revision in ("v1", OLDER) else COMMIT)

    def pipeline(self, name: str) -> None:
        """Files in folders, the index of a pipeline among them."""
        held = PIPELINE.get(name)
        if held is None:
            self.refuse(404, "EntryNotFound", "Entry not found", X_Repo_Commit=COMMIT)
        elif name.startswith("vae") and "lacking" in self.path and self.server.fails:
            self.refuse(403)
        else:
            self.file(json.dumps(held).encode())

    # One method a repository: org/renamed, org/lfs and so on.

    def real(self) -> None:
        self.file(json.dumps(LLAMA).encode())

    spoilt = real

    def newest(self) -> None:
        self.file(b'{"model_type": "newest", "hidden_size": 4}')

    def params(self) -> None:
        self.file(FILES["org/params", "params.json"])

    def modelopt(self) -> None:
        quantized = self.path.endswith("hf_quant_config.json")
        self.file(FILES["org/modelopt", "hf_quant_config.json"] if quantized else BODY)

    def renamed(self) -> None:
        self.reply(307, Location=self.path.replace("org/renamed", "org/plain"))

    def redirected(self) -> None:
        etag = f'"{abs(hash(BODY)):x}{COMMIT[:4]}"'
        self.reply(307, Location="/cached/org/redirected", X_Repo_Commit=COMMIT, ETag=etag, X_Linked_Etag=etag)

    def lfs(self) -> None:
        assert self.server.cdn
        where = self.server.cdn.url.replace("127.0.0.1", "localhost") + "/cached/org/lfs"
        self.reply(302, Location=where, X_Repo_Commit=COMMIT, X_Linked_Etag='"1f5"', X_Linked_Size=str(len(BODY)))

    def busy(self) -> None:
        self.refuse(429, message="We had to rate limit you", Retry_After="3600")

    def busy_body(self) -> None:
        self.file() if self.command == "HEAD" else self.busy()

    def broken(self) -> None:
        self.refuse(500, message="Internal Error")

    def down(self) -> None:
        self.refuse(503, message="Service Unavailable")

    def forbidden(self) -> None:
        self.refuse(403, message="Forbidden")

    def slow(self) -> None:
        time.sleep(4)
        self.file()

    def slow_body(self) -> None:
        if self.command == "HEAD":
            return self.file()
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        for byte in BODY[:40]:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.2)
        return None

    def truncated(self) -> None:
        self.file(length=len(BODY) if self.command == "HEAD" else None, body=BODY if self.command == "HEAD" else BODY[:30])

    def cut(self) -> None:
        self.file(BODY, length=len(BODY) + (50 if self.command == "GET" else 0))
        self.close_connection = True

    def other_site(self) -> None:
        self.reply(200, b"<html>Welcome to the airport</html>", Content_Type="text/html")

    def huge(self) -> None:
        self.file(length=100_000_000)

    # What a hostile server does. The cache names its files by ETag and commit.

    def bad_etag(self) -> None:
        self.reply(200, BODY, X_Repo_Commit=COMMIT, ETag='"../../../../written"')

    def bad_linked_etag(self) -> None:
        where = "/cached/org/bad-linked-etag"
        self.reply(302, Location=where, X_Repo_Commit=COMMIT, ETag='"ab"', X_Linked_Etag='"/tmp/written"', X_Linked_Size="10")

    def bad_commit(self) -> None:
        self.reply(200, BODY, X_Repo_Commit="../../../../written", ETag='"ab"')

    def liar(self) -> None:
        if self.command == "HEAD":
            return self.file()
        self.send_response(200)
        self.send_header("Content-Length", str(3 * 10**9))
        self.end_headers()
        self.pour()
        return None

    def endless_error(self) -> None:
        self.send_response(500)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "GET":
            self.pour(b"10000\r\n" + b"a" * 65536 + b"\r\n")

    def packed(self) -> None:
        self.file(BODY if self.command == "HEAD" else gzip.compress(b"a" * 10**7), Content_Encoding="gzip")

    def slow_headers(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
            for _ in range(60):
                self.wfile.write(b"a")
                self.wfile.flush()
                time.sleep(0.5)
        self.close_connection = True

    def pour(self, piece: bytes = b"a" * 65536) -> None:
        with contextlib.suppress(OSError):
            for _ in range(1000):
                self.wfile.write(piece)
        self.close_connection = True

    def half_json(self) -> None:
        self.file(BODY[:-20])


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """The Hub, and a content network on another host name."""
    server, server.cdn = Hub(), Hub()
    for each in (server, server.cdn):
        threading.Thread(target=each.serve_forever, daemon=True).start()
    yield server
    for each in (server, server.cdn):
        each.shutdown()
        each.server_close()


def ask(endpoint: str, home: Path, *calls: Any, **env: str) -> list[dict[str, Any]]:
    """What `sources.resolve` says to each call, in a fresh process with a Hub and a cache of its own."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_")) and "proxy" not in k.lower()
    }
    environment = {**inherited, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", **env}
    pairs = [call if isinstance(call, (list, tuple)) else (call, {}) for call in calls]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(pairs),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no progress bars, no warnings of retries, no tracebacks
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(pairs)
    return answers


def test_a_config_comes_from_the_hub_once_and_then_from_its_cache(hub: Hub, tmp_path: Path) -> None:
    first, second, old = ask(hub.url, tmp_path, "org/plain", "org/plain", "org/plain@v1")
    assert (first["name"], first["repo"], first["kind"], first["revision"]) == ("org/plain", "org/plain", "hub", COMMIT)
    assert first["config"] == second["config"] == CONFIG
    assert old["revision"] == OLDER
    assert Path(first["path"]).parent.name == COMMIT
    main = [method for method, path in hub.asked("org/plain") if "/main/" in path]
    assert main.count("GET") == 1
    assert {path.rsplit("/", 1)[1] for _, path in hub.asked("org/plain")} == {"config.json", "hf_quant_config.json"}

    before = len(hub.requests)
    offline, by_variable = (
        ask(hub.url, tmp_path, ("org/plain", {"offline": True}))[0],
        ask(hub.url, tmp_path, "org/plain", HF_HUB_OFFLINE="1")[0],
    )
    commit = ask(hub.url, tmp_path, f"org/plain@{OLDER}")[0]
    assert len(hub.requests) == before
    assert (offline["kind"], offline["revision"], offline["config"]) == ("cache", COMMIT, CONFIG)
    assert "--offline" in offline["note"]
    assert (by_variable["kind"], by_variable["revision"]) == ("cache", COMMIT)
    assert "HF_HUB_OFFLINE" in by_variable["note"]
    assert (commit["kind"], commit["revision"]) == ("cache", OLDER)


def test_the_cache_stands_in_for_a_hub_that_does_not_answer_unless_asked_to_refresh(hub: Hub, tmp_path: Path) -> None:
    ask(hub.url, tmp_path, "org/plain")
    fallback, refreshed = ask(f"http://127.0.0.1:{closed_port()}", tmp_path, "org/plain", ("org/plain", {"refresh": True}))
    assert (fallback["kind"], fallback["revision"]) == ("cache", COMMIT)
    assert "connection refused" in fallback["note"]
    assert refreshed["error"] == "hub"
    elsewhere = hub.url + "/portal"  # every path below it is answered with a page of its own
    (behind_portal,) = ask(elsewhere, tmp_path, "org/plain")
    assert (behind_portal["kind"], behind_portal["config"]) == ("cache", CONFIG)


def test_refresh_downloads_again(hub: Hub, tmp_path: Path) -> None:
    before = hub.asked("org/plain").count(("GET", "/org/plain/resolve/main/config.json"))
    ask(hub.url, tmp_path, "org/plain", ("org/plain", {"refresh": True}))
    after = hub.asked("org/plain").count(("GET", "/org/plain/resolve/main/config.json"))
    assert after - before == 2


@pytest.mark.parametrize(
    "repo", ["org/renamed", "org/redirected", "org/plain@refs/pr/3", "https://huggingface.co/org/plain/tree/v1"]
)
def test_redirects_and_revisions_are_followed(hub: Hub, tmp_path: Path, repo: str) -> None:
    (got,) = ask(hub.url, tmp_path, repo)
    assert got["config"] == CONFIG
    assert got["revision"] == (OLDER if repo.endswith("v1") else COMMIT)


def test_the_token_goes_to_the_hub_and_not_to_other_hosts(hub: Hub, tmp_path: Path) -> None:
    assert hub.cdn
    (gated, lfs, wrong) = (
        *ask(hub.url, tmp_path, "org/gated", "org/lfs", HF_TOKEN="good"),
        *ask(hub.url, tmp_path / "other", "org/plain", HF_TOKEN="stale"),
    )
    assert gated["config"] == lfs["config"] == CONFIG
    assert lfs["revision"] == COMMIT
    assert hub.cdn.requests
    assert not any("authorization" in {name.lower() for name in headers} for _, _, headers in hub.cdn.requests)
    assert wrong["error"] == "hub"
    assert "token" in wrong["message"]


def test_a_bundled_snapshot_serves_its_repository_unless_refreshed_or_revised(hub: Hub, tmp_path: Path) -> None:
    bundled, refreshed, revised, by_name = ask(
        hub.url,
        tmp_path,
        "openai-community/gpt2",
        ("openai-community/gpt2", {"refresh": True}),
        "openai-community/gpt2@v1",
        ("gpt2", {"refresh": True}),
    )
    assert (bundled["name"], bundled["kind"], bundled["repo"]) == ("gpt2", "bundled", "openai-community/gpt2")
    assert bundled["config"]["model_type"] == "gpt2"
    assert "bundled" in bundled["note"]
    for got, revision in ((refreshed, COMMIT), (revised, OLDER), (by_name, COMMIT)):
        assert (got["name"], got["kind"], got["revision"], got["config"]) == ("openai-community/gpt2", "hub", revision, CONFIG)


FAILURES = {
    "org/gone": ("not-found", "no such repository", "HF_TOKEN"),
    "nobody/deepseek-v33": ("not-found", "no such repository", "did you mean deepseek-v3"),
    "org/gated": ("hub", "gated", "ask for access"),
    "org/plain@nope": ("not-found", "no revision 'nope'", "commits"),
    "org/empty": ("not-found", "holds no config.json", "tree"),
    "org/diffusers": ("unsupported", "a diffusers pipeline", "text_encoder"),
    "org/adapter": ("unsupported", "an adapter", "base model"),
    "org/busy": ("hub", "429", "wait"),
    "org/broken": ("hub", "500", "try again"),
    "org/down": ("hub", "503", "try again"),
    "org/forbidden": ("hub", "403", "token"),
    "org/other-site": ("hub", "not a Hub", "HF_ENDPOINT"),
    "org/huge": ("format", "95 MiB", "repository"),
    "org/truncated": ("hub", "broke off", "network"),
    "org/half-json": ("format", "truncated", "again"),
    "org/plain@../x": ("not-found", "not a revision", "branch"),
    "org/a--b": ("not-found", "not a Hub repository id", "org/name"),
}


@pytest.fixture(scope="module")
def failures(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Each failure's answer; one process asks for all, since starting one takes longer than the answers."""
    return dict(zip(FAILURES, ask(hub.url, tmp_path_factory.mktemp("hub"), *FAILURES), strict=True))


@pytest.mark.parametrize("repo", FAILURES)
def test_each_failure_is_one_message_with_a_hint(failures: dict[str, dict[str, Any]], repo: str) -> None:
    code, message, hint = FAILURES[repo]
    got = failures[repo]
    assert got.get("error") == code, got
    assert message in got["message"]
    assert repo.partition("@")[0] in got["message"] or "revision" in got["message"]
    assert hint in got["hint"]
    assert "\n" not in got["message"]


def test_a_pipeline_is_the_configs_of_its_parts(hub: Hub, tmp_path: Path) -> None:
    """Tools are not asked for; a part that could not be fetched is no part that is missing."""
    first, offline, again = ask(hub.url, tmp_path, "org/pipeline", ("org/pipeline", {"offline": True}), "org/pipeline")
    parts = {
        name.partition("/")[0]: config for name, config in PIPELINE.items() if "/" in name and not name.startswith("scheduler")
    }
    # What the index names and the repository does not hold has its class alone, so that it is named as not counted.
    assert first["config"] == {"model_type": "diffusers_pipeline", "parts": {**parts, "guard": {"absent_class": "Guard"}}}
    assert (first["kind"], offline["kind"], again["kind"], first["revision"]) == ("hub", "cache", "hub", COMMIT)
    assert offline["config"] == again["config"] == first["config"]
    assert not any("scheduler" in path or "tokenizer" in path for _, path in hub.asked("org/pipeline"))
    hub.fails = True
    failed, later = ask(hub.url, tmp_path, "org/lacking", ("org/lacking", {"offline": True}))
    hub.fails = False
    assert failed["error"] == "hub" and later["error"] == "offline" and "vae/config.json" in later["message"], (failed, later)
    assert ask(hub.url, tmp_path, "org/lacking")[0]["config"] == first["config"]


def test_params_json_where_there_is_no_config(hub: Hub, tmp_path: Path) -> None:
    first, again = ask(hub.url, tmp_path, "org/params", ("org/params", {"offline": True}))
    assert (first["format"], first["kind"], first["config"]) == ("meta-params", "hub", json.loads(PARAMS))
    assert (again["format"], again["kind"], again["revision"]) == ("meta-params", "cache", COMMIT)


def test_a_quantization_that_modelopt_states_beside_the_config(hub: Hub, tmp_path: Path) -> None:
    first, again, offline = ask(hub.url, tmp_path, "org/modelopt", "org/modelopt", ("org/modelopt", {"offline": True}))
    for got in (first, again, offline):
        assert got["config"]["quantization_config"]["quantization"]["quant_algo"] == "FP8"


def test_headers_come_by_range_and_weights_never(hub: Hub, tmp_path: Path) -> None:
    one, sharded, whole = ask(
        hub.url, tmp_path, *((repo, {"headers": True}) for repo in ("org/weights", "org/sharded", "org/whole")), HF_TOKEN="good"
    )
    assert one["tensors"] == {"wte.weight": [[8, 4], "BF16"], "h.0.w": [[4, 4], "BF16"]}
    assert sharded["tensors"] == {"a": [[2**19], "BF16"], "b": [[3], "BF16"], "x" * 200_000: [[1], "BF16"]}
    assert whole["tensors"] == {"a": [[2**23], "BF16"]}
    ranges = [
        headers["Range"] for method, path, headers in hub.requests if method == "GET" and path.endswith("model-2.safetensors")
    ]
    assert len(ranges) == 2  # the second header is longer than the first request
    for method, path, headers in hub.requests:
        assert method == "HEAD" or not path.endswith(".safetensors") or "Range" in headers


def archcalc(endpoint: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, asking this Hub."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING")) and "proxy" not in k.lower()}
    return subprocess.run(
        [sys.executable, "-m", "archcalc", *arguments],
        env={**clean, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=home,
    )


def test_a_repository_is_verified_by_its_headers(hub: Hub, tmp_path: Path) -> None:
    for arguments in (["org/real"], ["org/real", "--hub"]):
        done = archcalc(hub.url, tmp_path, "verify", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "agree (20 tensors expected, 20 found)" in done.stdout
    done = archcalc(hub.url, tmp_path, "verify", "org/spoilt", "--format", "json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [each["name"] for each in report["wrong_shape"]] == ["model.norm.weight"]
    assert [each["name"] for each in report["extra"]] == ["odd"]


def test_a_repository_that_no_adapter_reads_is_counted_from_its_headers(hub: Hub, tmp_path: Path) -> None:
    report = json.loads(archcalc(hub.url, tmp_path, "inspect", "org/newest", "--format", "json").stdout)
    assert (report["status"], report["params"]["total"], report["kv_cache"]) == ("header", 48, None)
    done = archcalc(hub.url, tmp_path, "inspect", "org/newest", "--offline")  # the config is cached, headers are not
    assert done.returncode == 2
    assert "newest" in done.stderr


@pytest.mark.parametrize(
    ("repo", "code", "message"),
    [
        ("org/damaged", "format", "header would have"),
        ("org/plain", "not-found", "holds no safetensors"),
        ("org/gone", "not-found", "no such repository"),
        ("org/gated", "hub", "gated"),
    ],
)
def test_headers_that_cannot_be_had(hub: Hub, tmp_path: Path, repo: str, code: str, message: str) -> None:
    (got,) = ask(hub.url, tmp_path, (repo, {"headers": True}))
    assert got["error"] == code, got
    assert message in got["message"]
    (offline,) = ask(hub.url, tmp_path, (repo, {"headers": True, "offline": True}))
    assert offline["error"] == "offline"


@pytest.mark.parametrize("repo", ["org/slow", "org/slow-body", "org/busy-body", "org/cut"])
def test_an_answer_that_does_not_end_is_given_up_within_bounds(hub: Hub, tmp_path: Path, repo: str) -> None:
    (got,) = ask(hub.url, tmp_path, repo, HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert got["error"] == "hub"
    assert repo in got["message"]
    late = ("in time" in got["message"] or "within 2 s" in got["message"]) and "TIMEOUT" in got["hint"]
    assert late or (repo == "org/cut" and "broke off" in got["message"])


@pytest.mark.parametrize(
    ("repo", "message"),
    [
        ("org/bad-etag", "an ETag that names no file"),
        ("org/bad-linked-etag", "an ETag that names no file"),
        ("org/bad-commit", "a commit that is none"),
        ("org/liar", "sends more than 16 MiB"),
        ("org/packed", "packs what was to be sent"),
        ("org/endless-error", "HTTP status 500"),
        ("org/slow-headers", "within 2 s"),
    ],
)
def test_a_hostile_answer_is_refused_and_writes_nothing_outside_the_cache(
    hub: Hub, tmp_path: Path, repo: str, message: str
) -> None:
    home = tmp_path / "a" / "home"
    answer = ask(hub.url, home, repo, HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1")[0]
    assert answer["error"] == "hub"
    assert message in answer["message"]
    assert [path for path in tmp_path.rglob("*") if path.is_file() and home not in path.parents] == []
    assert not Path("/tmp/written").exists()
    assert sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) < 2**25


def test_no_thread_outlives_an_answer_that_drips(hub: Hub, tmp_path: Path) -> None:
    script = (
        RUNNER + "import threading\nprint(json.dumps({'threads': [t.name for t in threading.enumerate() if 'hub' in t.name]}))\n"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path),
        "HF_HUB_ETAG_TIMEOUT": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], input='[["org/slow-headers", {}]]', env=environment, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == {"threads": []}


def test_no_connection_and_no_name(tmp_path: Path) -> None:
    (refused,) = ask(f"http://127.0.0.1:{closed_port()}", tmp_path, "org/plain")
    assert (refused["error"], "connection refused" in refused["message"]) == ("hub", True)
    (nameless,) = ask("http://hub.invalid", tmp_path, "org/plain")
    assert (nameless["error"], "DNS" in nameless["message"]) == ("hub", True)
    (malformed,) = ask("nonsense", tmp_path, "org/plain")
    assert malformed["error"] == "hub"


def test_offline_without_a_cached_copy(hub: Hub, tmp_path: Path) -> None:
    before = len(hub.requests)
    missing, refresh = (
        ask(hub.url, tmp_path, ("org/plain", {"offline": True}))[0],
        ask(hub.url, tmp_path, ("org/plain", {"refresh": True}), HF_HUB_OFFLINE="1")[0],
    )
    assert (missing["error"], refresh["error"]) == ("offline", "offline")
    assert "--offline" in missing["message"]
    assert "HF_HUB_OFFLINE" in refresh["message"]
    assert len(hub.requests) == before


def test_a_cache_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (blocked,) = ask(hub.url, tmp_path / "file", "org/plain")
    assert (blocked["error"], "cache" in blocked["message"], "HF_HOME" in blocked["hint"]) == ("hub", True, True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_disk_that_takes_no_more(hub: Hub, tmp_path: Path) -> None:
    (full,) = ask(hub.url, tmp_path, "org/plain", TEST_NO_DISK="1")
    assert (full["error"], "cache" in full["message"], "room" in full["hint"]) == ("hub", True, True)


def test_a_variable_that_does_not_parse(hub: Hub, tmp_path: Path) -> None:
    (got,) = ask(hub.url, tmp_path, "org/plain", HF_HUB_ETAG_TIMEOUT="soon")
    assert (got["error"], "soon" in got["message"]) == ("hub", True)


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
