"""Other tools on the models that are bundled here, beside archcalc and the truth. Run by hand; it installs nothing.

    python benchmarks/peers.py FOLDER [--only NAME...] [--models NAME...] [--write]

FOLDER holds a virtual environment for each tool, named as it is below (`python -m venv FOLDER/kvfit && FOLDER/kvfit/bin/pip install
kvfit`). Tools without one are listed as not run. With --write the tables of docs/peers.md are written anew, else they are printed.

No network is needed. Most tools read a repository on the Hub: a server on loopback stands in for it, with the bundled config.json and
the headers of the checkpoint that archcalc predicts, and requests to the Hub are sent there. So a tool that counts what headers hold
counts what the published checkpoint holds, and a tool that counts by formula is given the same config as all others.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from archcalc import zoo
from archcalc.engines._allocation import Workload
from archcalc.engines.transformers import cache as transformers
from archcalc.engines.vllm import cache as vllm
from archcalc.figures.checkpoint import expand, storage_bytes, summary
from archcalc.loader import load

ROOT = Path(__file__).resolve().parent.parent
T = 32768
GIB = 1 << 30
MIB = 1 << 20


class Model(NamedTuple):
    """A model and the truth about it, none of it archcalc's.

    `params` are the element counts that a right answer may give: of the reference implementation (transformers 5.23 built on the meta
    device), and of the published checkpoint as the Hub counts it, with and without MTP layers and scales. `active` is what the
    publisher states, in billions. `kv` is the cache of one sequence of 32,768 tokens in bf16, every token a layer can see once, from the
    dimensions in the paper or model card; `weights` the bytes of the published checkpoint's tensors.
    """

    name: str
    params: tuple[int, ...]
    active: float | None
    kv: int
    weights: int


MODELS = (
    Model("llama-3.1-8b", (8030261248,), None, 32 * 2 * 8 * 128 * 2 * T, 2 * 8030261248),
    Model("phi-3-mini", (3821079552,), None, 32 * 2 * 32 * 96 * 2 * T, 2 * 3821079552),
    # A window of 4,096 in all 32 layers.
    Model("mistral-7b-v0.1", (7241732096,), None, 32 * 2 * 8 * 128 * 2 * 4096, 2 * 7241732096),
    # A window of 1,024 in 52 of 62 layers.
    Model("gemma-3-27b", (27432406640,), None, 2 * 16 * 128 * 2 * (10 * T + 52 * 1024), 2 * 27432406640),
    # A window of 4,096 in 48 of 64 layers.
    Model("olmo-3.1-32b", (32233522176,), None, 2 * 8 * 128 * 2 * (16 * T + 48 * 4096), 2 * 32233522176),
    Model("mixtral-8x7b", (46702792704,), 12.9, 32 * 2 * 8 * 128 * 2 * T, 2 * 46702792704),
    Model("qwen3-30b-a3b", (30532122624,), 3.3, 48 * 2 * 4 * 128 * 2 * T, 2 * 30532122624),
    # A window of 128 in 12 of 24 layers; experts in MXFP4, whose 597,196,800 scales the Hub counted until 2026. The bytes are
    # `total_size` of the published index.
    Model("gpt-oss-20b", (20914757184, 20914757184 + 597196800), 3.61, 2 * 8 * 64 * 2 * 12 * (T + 128), 13761264768),
    # Chunks of 8,192 in 36 of 48 layers.
    Model("llama-4-scout", (108641793536,), 17, 2 * 8 * 128 * 2 * (12 * T + 36 * 8192), 2 * 108641793536),
    # 61 layers of a latent of 512 and a rotary key of 64. FP8 with an fp32 scale for each block of 128 x 128, MTP beside.
    Model(
        "deepseek-v3",
        (671026419200, 671026419200 + 11610068224, 684489845504, 684531386000),
        37,
        61 * (512 + 64) * 2 * T,
        680571043840 + 2 * 3918786560 + 4 * (684531386000 - 684489845504 + 15104),
    ),
    Model("kimi-k2", (1026408232448, 1026470731056, 1026470727640), 32, 61 * (512 + 64) * 2 * T, 0),
    # Eight layers of attention, 24 of Gated DeltaNet: 32 matrices of 128 x 128 in fp32, and three columns of a convolution.
    Model(
        "qwen3.5-9b",
        (9409813744, 9653104368),
        None,
        8 * 2 * 4 * 256 * 2 * T + 24 * (32 * 128 * 128 * 4 + (2 * 16 * 128 + 32 * 128) * 3 * 2),
        2 * 9653104368,
    ),
)


# The stand-in for the Hub


class Repo:
    """What a repository on the Hub would hold: its config, an index, and one safetensors file of which only the header exists."""

    def __init__(self, name: str) -> None:
        entry = zoo.find(name)
        assert entry is not None
        self.id = entry.repo
        self.config = zoo.config(name)
        head: dict[str, Any] = {}
        self.by_dtype: dict[str, int] = {}
        self.names: list[str] = []
        end = 0
        architecture = load(name, offline=True).architecture
        for tensor, shape, dtype in expand(architecture):
            n = math.prod(shape)
            size = storage_bytes(dtype, n)
            self.names.append(tensor)
            head[tensor] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
            self.by_dtype[dtype] = self.by_dtype.get(dtype, 0) + n
            end += size
        text = json.dumps(head, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self.header = struct.pack("<Q", len(text)) + text
        self.size = len(self.header) + end
        index = {"metadata": {"total_size": end}, "weight_map": dict.fromkeys(self.names, SHARD)}
        self.texts = {"config.json": json.dumps(self.config).encode(), "model.safetensors.index.json": json.dumps(index).encode()}
        # What the Hub states: packed weights unpacked, scales left out.
        self.total = summary(architecture).elements

    def files(self) -> list[dict[str, Any]]:
        lfs = {"oid": "2", "size": self.size, "pointerSize": 1}
        small = [{"type": "file", "path": name, "oid": "1", "size": len(text)} for name, text in self.texts.items()]
        return [*small, {"type": "file", "path": SHARD, "oid": "2", "size": self.size, "lfs": lfs}]

    def info(self) -> dict[str, Any]:
        return {
            "_id": "0", "id": self.id, "modelId": self.id, "sha": SHA, "private": False, "gated": False, "disabled": False, "downloads": 0,
            "likes": 0, "tags": ["transformers", "safetensors"], "pipeline_tag": "text-generation", "library_name": "transformers",
            "config": {key: self.config.get(key) for key in ("architectures", "model_type")},
            "siblings": [{"rfilename": f["path"], "size": f["size"]} for f in self.files()],
            "safetensors": {"parameters": self.by_dtype, "total": self.total},
            "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
        }  # fmt: skip


SHA = "0" * 40
SHARD = "model-00001-of-00001.safetensors"


@cache
def repo(id_: str) -> Repo | None:
    entry = zoo.find(id_)
    return Repo(entry.name) if entry is not None else None


CODE_ASKED: list[str] = []
"""Python files that were asked for: the repository's own code, which the stand-in does not have."""


class Hub(BaseHTTPRequestHandler):
    """The few addresses of the Hub that tools read."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        at = re.match(r"/api/models/([^/]+/[^/]+)/paths-info/", unquote(urlsplit(self.path).path))
        found = repo(at[1]) if at else None
        if found is None:
            self._send(404, b"{}")
        else:
            self._send(200, json.dumps([f for f in found.files() if f["path"] in json.loads(body).get("paths", [])]).encode())

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        at = re.fullmatch(r"/api/models/([^/]+/[^/]+?)(/revision/[^/]+|/tree/[^/]+)?/?", path)
        if at and (found := repo(at[1])):
            made: Any = found.files() if (at[2] or "").startswith("/tree") else found.info()
            self._send(200, json.dumps(made).encode())
            return
        if (at := re.fullmatch(r"/([^/]+/[^/]+)/(?:resolve|raw)/[^/]+/(.+)", path)) and (found := repo(at[1])):
            if at[2] in found.texts:
                self._send(200, found.texts[at[2]], ETag=f'"{at[2]}"', X_Repo_Commit=SHA)
                return
            if at[2] == SHARD:
                self._range(found)
                return
        if path.endswith(".py"):
            CODE_ASKED.append(path)
        self._send(404, b'{"error": "Entry not found"}', X_Error_Code="EntryNotFound")

    def _range(self, found: Repo) -> None:
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        first = int(asked[1]) if asked else 0
        last = int(asked[2]) if asked and asked[2] else len(found.header) - 1
        data = found.header[first : last + 1]
        self._send(
            206 if asked else 200, data, ETag='"2"', X_Repo_Commit=SHA, X_Linked_Size=str(found.size), Accept_Ranges="bytes",
            Content_Range=f"bytes {first}-{first + len(data) - 1}/{found.size}",
        )  # fmt: skip


# Runs a tool's command in its own environment, with what it asks of the Hub sent to the stand-in.
SHIM = r"""
import importlib.metadata, os, sys, urllib.request as request
HERE, HUB = os.environ["PEER_HUB"], "https://huggingface.co"
def to(url):
    text = str(url)
    return HERE + text[len(HUB):] if text.startswith(HUB) else None
plain = request.OpenerDirector.open
def opened(self, asked, *args, **named):
    url = asked if isinstance(asked, str) else asked.full_url
    if to(url):
        asked = to(url) if isinstance(asked, str) else request.Request(
            to(url), data=asked.data, headers=dict(asked.header_items()), method=asked.get_method())
    return plain(self, asked, *args, **named)
request.OpenerDirector.open = opened
for name in ("httpx", "httpx2"):
    try:
        module = __import__(name)
    except ImportError:
        continue
    def init(self, method, url, *args, _init=module.Request.__init__, **named):
        _init(self, method, to(url) or url, *args, **named)
    module.Request.__init__ = init
try:
    import requests
except ImportError:
    pass
else:
    asked = requests.Session.request
    requests.Session.request = lambda self, method, url, *args, **named: asked(self, method, to(url) or url, *args, **named)
name, sys.argv = sys.argv[1], sys.argv[1:]
(entry,) = [e for e in importlib.metadata.entry_points(group="console_scripts") if e.name == name]
sys.exit(entry.load()())
"""


# The tools


class Printed(NamedTuple):
    """A number as a tool prints it: the value, and half a unit of its last digit."""

    value: float
    half: float

    def is_(self, truth: float) -> bool:
        return abs(self.value - truth) <= self.half * 1.001

    def error(self, truth: float) -> float:
        return self.value / truth - 1


def printed(text: str, unit: float = 1) -> Printed:
    """`14.96` of a unit, `8,030,261,248`, `1.6061e10`."""
    digits = text.replace(",", "").lower()
    number, _, power = digits.partition("e")
    places = len(number.partition(".")[2])
    scale = unit * 10.0 ** int(power or 0)
    return Printed(float(digits) * unit, 0.0 if scale == 1 and not places else 0.5 * 10.0**-places * scale)


def exactly(value: float | None) -> Printed | None:
    return None if value is None else Printed(value, 0.5)


class Answer(NamedTuple):
    """What a tool says of a model; None is a figure that it does not give."""

    params: Printed | None = None
    active: Printed | None = None
    kv: Printed | None = None
    weights: Printed | None = None


class Peer(NamedTuple):
    """A tool: its distribution, the arguments for a model (by its repository and a folder with its config), and how its output reads.

    `shimmed` tools run through the stand-in; others read the folder, or a database of their own.
    """

    name: str
    arguments: Callable[[str, str], list[str]]
    read: Callable[[str], Answer]
    shimmed: bool = True
    venv: str = ""


def _json(text: str) -> Any:
    """The last JSON object of an output that may have notes before it."""
    return json.loads(text[text.index("{") :])


def _hf_mem(text: str) -> Answer:
    d = _json(text)
    parts = d["memory"]["components"].values()
    kv = d.get("kv_cache")
    return Answer(
        exactly(sum(p["param_count"] for p in parts)), None, exactly(kv["bytes"]) if kv else None, exactly(d["memory"]["bytes"])
    )


def _kvfit(text: str) -> Answer:
    d = _json(text)
    weights = d.get("model", {}).get("weight_bytes") or d.get("weights", {}).get("bytes")
    return Answer(kv=exactly(d["cache"]["bytes_per_sequence"]), weights=exactly(weights))


def _vramcalc(text: str) -> Answer:
    e = _json(text)["estimate"]
    return Answer(exactly(e["weights"] / 2), None, exactly(e["kv_cache"]), exactly(e["weights"]))


def _fitcheck(text: str) -> Answer:
    d = _json(text)
    weights = d["memory_mib"]["weights"]
    return Answer(exactly(d["model"]["num_params"]), weights=Printed(weights * MIB, 0.005 * MIB))


def _find(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(pattern, text)


_DECIMAL = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "G": 1e9}


def _llm_cal(text: str) -> Answer:
    params = _find(r"estimated total params\s+([\d.]+)\s*([KMBT])", text)
    weights = _find(r"safetensors bytes\s+([\d.]+) ([KMGT])B", text)
    kv = _find(r"32,768 tokens\s+([\d.]+) ([KMGT])B", text)
    return Answer(
        printed(params[1], _DECIMAL[params[2]]) if params else None,
        None,
        printed(kv[1], _DECIMAL[kv[2]]) if kv else None,
        printed(weights[1], _DECIMAL[weights[2]]) if weights else None,
    )


def _ridgepoint(text: str) -> Answer:
    d = _json(text)
    weights = re.search(r'"weights_bytes": \{"best": ([\d.e]+)', text)
    return Answer(
        exactly(d["model"]["params"]), None, exactly(d["capacity"]["bytes_per_seq"]), printed(weights[1]) if weights else None
    )


def _vramscout(text: str) -> Answer:
    d = _json(text)
    parts = d["parts_gib"]
    cache = sum(size for name, size in parts.items() if not re.search("weights|runtime|scratch|reserve", name, re.IGNORECASE))
    weights = next((size for name, size in parts.items() if "weights" in name.lower()), None)
    return Answer(
        exactly(d["profile"]["num_params"]), None, exactly(cache * GIB), None if weights is None else Printed(weights * GIB, 1.0)
    )


def _modelinfo(text: str) -> Answer:
    params = _find(r"Parameters:\s+([\d,]+) ", text)
    weights = _find(r"Weights:\s+([\d.]+) (GB|MB)", text)
    kv = _find(r"KV Cache:\s+([\d.]+) (GB|MB)", text)
    unit = {"GB": GIB, "MB": MIB}
    return Answer(
        printed(params[1]) if params else None,
        None,
        printed(kv[1], unit[kv[2]]) if kv else None,
        printed(weights[1], unit[weights[2]]) if weights else None,
    )


def _hf_vram_calc(text: str) -> Answer:
    params = _find(r"Parameters: ([\d,]+)", text)
    row = _find(r"│\s+(?:BF16|FP16|FP8|FP32|MXFP4)\s+│\s+([\d.,]+)\s+│\s+[\d.,]+\s+│\s+([\d.,]+)\s+│", text)
    return Answer(
        printed(params[1]) if params else None,
        None,
        printed(row[2], GIB) if row else None,
        printed(row[1], GIB) if row else None,
    )


def _accelerate(text: str) -> Answer:
    row = _find(r"float16\s*│[^│]*│\s*([\d.]+) (GB|TB|MB)\s*│", text)
    unit = {"MB": MIB, "GB": GIB, "TB": GIB * 1024}
    size = printed(row[1], unit[row[2]]) if row else None
    return Answer(Printed(size.value / 2, size.half / 2) if size else None, weights=size)


def _llm_flops(text: str) -> Answer:
    d = _json(text)
    weights = d["details"]["memory"]["weights"]
    return Answer(exactly(d["parameters"]), exactly(d["active_parameters"]), exactly(d["kv_cache"]), exactly(weights))


def _llmfit(text: str) -> Answer:
    return Answer(Printed(_json(text)["models"][0]["params_b"] * 1e9, 0.5e7))


def _llm_mem_planner(text: str) -> Answer:
    params = _find(r"TOTAL:\s+([\d.]+)B params", text)
    kv = _find(r"kv_unique=([\d.]+) GiB", text)
    weights = _find(r"weights_unique: ([\d.]+) GiB", text)
    return Answer(
        printed(params[1], 1e9) if params else None,
        None,
        printed(kv[1], GIB) if kv else None,
        printed(weights[1], GIB) if weights else None,
    )


def _archcalc(text: str) -> Answer:
    d = _json(text)
    p = d["params"]
    return Answer(exactly(p["total"]), exactly(p["active"]), exactly(d["kv_cache"]["bytes"]), exactly(d["checkpoint"]["bytes"]))


PEERS = (
    Peer("archcalc", lambda repo, _: ["inspect", repo, "--ctx", str(T), "--kv-dtype", "bf16", "--format", "json"], _archcalc, False),
    Peer(
        "hf-mem",
        lambda repo, _: ["--model-id", repo, "--experimental", "--max-model-len", str(T), "--kv-cache-dtype", "bfloat16", "--json-output",
                         "--details"],
        _hf_mem,
    ),
    Peer("kvfit", lambda repo, _: [repo, "--hardware", "h100", "--gpus", "8", "--context", str(T), "--kv-dtype", "bf16", "--json"], _kvfit),
    Peer("vramcalc", lambda _, folder: ["estimate", folder, "--seq", str(T), "--dtype", "bf16", "--json"], _vramcalc, False),
    Peer("fitcheck-llm", lambda repo, _: [repo, "--seq-len", str(T), "--gpu", "h100", "--json"], _fitcheck),
    Peer("llm-cal", lambda repo, _: [repo, "--gpu", "H100", "--context-length", str(T), "--lang", "en"], _llm_cal),
    Peer(
        "ridgepoint",
        lambda repo, _: ["fit", repo, "--gpu", "h100-80gb:8", "--kv-cache-dtype", "bf16", "--ctx", str(T), "--json"],
        _ridgepoint,
    ),
    Peer(
        "vramscout",
        lambda repo, _: [repo, "--context", str(T), "--kv-dtype", "bf16", "--vram-gib", "2000", "--json"],
        _vramscout,
    ),
    Peer("modelinfo-cli", lambda repo, _: [repo, "--context", str(T), "--tensors"], _modelinfo),
    Peer("hf-vram-calc", lambda repo, _: ["--model", repo, "--max_seq_len", str(T)], _hf_vram_calc),
    Peer(
        "accelerate",
        lambda repo, _: [repo, "--library_name", "transformers", "--dtypes", "float16"],
        _accelerate,
        venv="hf-vram-calc",
    ),
    Peer("llm-flops", lambda repo, _: ["estimate", repo, "-s", str(T), "-g", "none", "-p", "bf16", "--no-backward", "--json"], _llm_flops),
    Peer("llm-mem-planner", lambda _, folder: ["--config", f"{folder}/config.json", "--seq-len", str(T)], _llm_mem_planner, False),
    Peer("llmfit", lambda repo, _: ["--max-context", str(T), "info", repo, "--json"], _llmfit, False),
)  # fmt: skip
COMMANDS = {
    "fitcheck-llm": "fitcheck",
    "modelinfo-cli": "modelinfo",
    "llm-mem-planner": "llm-mem",
    "accelerate": "accelerate-estimate-memory",
}
_LIMIT = 8 * GIB
_SECONDS = 300


class Said(NamedTuple):
    """What came of one run: an answer, or why there is none."""

    answer: Answer | None
    problem: str = ""


def limited() -> None:
    """Some tools build the model: none may take this machine down with it."""
    resource.setrlimit(resource.RLIMIT_DATA, (_LIMIT, _LIMIT))


def command(peer: Peer, folder: Path, model: str, configs: Path) -> list[str]:
    """The process that answers for a model."""
    entry = zoo.find(model)
    assert entry is not None
    arguments = peer.arguments(entry.repo, str(configs / model))
    name = COMMANDS.get(peer.name, peer.name)
    if peer.name == "archcalc":
        return [sys.executable, "-m", "archcalc", *arguments]
    bin_ = folder / (peer.venv or peer.name) / "bin"
    return [str(bin_ / "python"), "-c", SHIM, name, *arguments] if peer.shimmed else [str(bin_ / name), *arguments]


def environment(base: str, home: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING", "PYTHON"))}
    return {
        **clean, "PEER_HUB": base, "HF_HOME": home, "HOME": home, "XDG_CACHE_HOME": home, "HF_HUB_DISABLE_TELEMETRY": "1", "NO_COLOR": "1",
        "COLUMNS": "160", "LANG": "C.UTF-8",
    }  # fmt: skip


def ask(peer: Peer, call: list[str], env: dict[str, str]) -> Said:
    """Run a tool once."""
    CODE_ASKED.clear()
    try:
        done = subprocess.run(
            call,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env=env,
            preexec_fn=limited if peer.shimmed else None,
        )
    except subprocess.TimeoutExpired:
        return Said(None, f"no answer in {_SECONDS} s")
    last = reason(done.stderr + "\n" + done.stdout) or f"exit {done.returncode}"
    try:
        answer = peer.read(done.stdout)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        answer = Answer()
    if answer == Answer():
        if CODE_ASKED or re.search("allow custom code|contains custom code", done.stderr):
            return Said(None, REMOTE_CODE)
        return Said(None, f"traceback: {done.stderr.strip().splitlines()[-1]}" if "Traceback" in done.stderr else last)
    return Said(answer)


REMOTE_CODE = "not run: wants the repository's own code, which the stand-in does not have"
_SAYS_WHY = re.compile(r"error|no model|refus|not supported|unsupported|unknown|cannot|could not|missing", re.IGNORECASE)


def reason(text: str) -> str:
    """The first line that says why there is no answer, else the last."""
    lines = [line.strip(" │╰╯╭╮─❌") for line in text.splitlines() if line.strip(" │╰╯╭╮─{}") and "libc.so" not in line]
    return next((line for line in lines if _SAYS_WHY.search(line) and not line.endswith("{")), lines[-1] if lines else "")


def version(peer: Peer, folder: Path) -> str | None:
    """The version that is installed in the tool's environment, or None where there is none."""
    python = sys.executable if peer.name == "archcalc" else str(folder / (peer.venv or peer.name) / "bin" / "python")
    code = f"import importlib.metadata as m; print(m.version({peer.name!r}))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def seconds(call: list[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=env)
    return time.perf_counter() - start


# The tables


def judged(found: Printed | None, truths: tuple[float, ...], slack: float = 0, nearest: bool = True) -> str | None:
    """`right`, or by how much it is off; None where a tool gives no such figure."""
    if found is None:
        return None
    if any(found.is_(truth) or abs(found.error(truth)) <= slack for truth in truths):
        return "right"
    # Of counts the nearest; caches are held against the textbook's, which stands first.
    error = min((found.error(truth) for truth in truths), key=abs) if nearest else found.error(truths[0])
    if error > 1:
        return f"{1 + error:.3g} times"
    return f"{error:+.1%}" if abs(error) >= 0.0005 else f"{error:+.1e}"


def engine_bytes(model: str) -> tuple[int, int]:
    """What vLLM 0.33 and transformers 5.23 hold for one sequence, for tools that follow an engine.

    Tests hold both equal to the engines' own plans and to measured caches (tests/test_engines_vllm.py, test_engines_transformers.py).
    """
    architecture, work = load(model, offline=True).architecture, Workload(T, 1, "bf16")
    return vllm.allocate(architecture, work).bytes, transformers.allocate(architecture, work).bytes


FIGURES: dict[str, tuple[str, Callable[[Model], tuple[float, ...]]]] = {
    "params": ("Parameters", lambda m: tuple(map(float, m.params))),
    "kv": (f"KV cache of {T:,} tokens in bf16", lambda m: (m.kv, *engine_bytes(m.name))),
    "weights": ("Weights", lambda m: (m.weights,) if m.weights else ()),
}


def table(figure: str, results: dict[str, dict[str, Said]], models: list[Model]) -> str:
    """A row for each tool: how many are right, what is off, what was refused."""
    title, truths = FIGURES[figure]
    models = [m for m in models if truths(m)]
    lines = [f"### {title}", "", f"| tool | right of {len(models)} | off | no answer |", "| --- | ---: | --- | --- |"]
    for name, said in results.items():
        right, off, none = 0, [], []
        for m in models:
            one = said[m.name]
            # Files are a little larger than the tensors in them.
            slack = 1e-4 if figure == "weights" else 0
            verdict = judged(getattr(one.answer, figure), truths(m), slack, figure != "kv") if one.answer else None
            if verdict == "right":
                right += 1
            elif verdict is not None:
                off.append(f"{m.name} {verdict}")
            else:
                none.append(m.name)
        if len(none) == len(models):
            shown = "gives no such figure" if any(one.answer for one in said.values()) else "all"
            lines.append(f"| {name} | | | {shown} |")
        else:
            lines.append(f"| {name} | {right} | {', '.join(off)} | {', '.join(none)} |")
    return "\n".join(lines) + "\n"


def active_table(results: dict[str, dict[str, Said]], models: list[Model]) -> str:
    """The few tools that say how many parameters a token visits."""
    lines = [
        "### Active parameters",
        "",
        "In billions. Publishers count in several conventions ([Accuracy](accuracy.md#active-parameters)).",
        "",
    ]
    tools = {name: said for name, said in results.items() if any(one.answer and one.answer.active for one in said.values())}
    rows = [m for m in models if m.active is not None]
    lines += [f"| model | published | {' | '.join(tools)} |", f"| --- | ---: |{' ---: |' * len(tools)}"]
    for m in rows:
        cells = []
        for said in tools.values():
            one = said[m.name].answer
            cells.append(f"{one.active.value / 1e9:.2f}" if one and one.active else "")
        lines.append(f"| {m.name} | {m.active:g} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def problems(results: dict[str, dict[str, Said]]) -> str:
    """What tools said where they gave no answer, by message."""
    lines = ["### What was said where there is no answer", "", "| tool | models | message |", "| --- | --- | --- |"]
    for name, said in results.items():
        grouped: dict[str, list[str]] = {}
        for model, one in said.items():
            if one.problem:
                entry = zoo.find(model)
                text = one.problem.replace(entry.repo if entry else model, "MODEL").replace("|", "\\|")
                text = re.sub(r"<[^>]*>", "", re.sub(r"model_type '\w+'", "model_type TYPE", text))
                grouped.setdefault(text if len(text) <= 160 else f"{text[:160].rpartition(' ')[0]} …", []).append(model)
        lines += [f"| {name} | {', '.join(found)} | {text} |" for text, found in grouped.items()]
    return "\n".join(lines) + "\n"


def timing(times: dict[str, list[float]], nothing: list[float]) -> str:
    """Medians of whole processes, as multiples of starting Python."""
    base = statistics.median(nothing)
    lines = [
        "### Time",
        "",
        f"Whole processes on llama-3.1-8b, medians of {len(nothing)}, as multiples of `python -c pass` ({base * 1000:.0f} ms here). "
        "What a tool asks of the Hub is answered on loopback at once.",
        "",
        "| tool | times `python -c pass` |",
        "| --- | ---: |",
    ]
    ordered = sorted(times.items(), key=lambda item: statistics.median(item[1]))
    lines += [f"| {name} | {statistics.median(found) / base:.1f} |" for name, found in ordered]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a virtual environment for each tool")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these tools")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these models")
    parser.add_argument("--runs", type=int, default=5, help="processes to time of each tool; 0 times none")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/peers.md")
    args = parser.parse_args()
    models = [m for m in MODELS if not args.models or m.name in args.models]
    wanted = [p for p in PEERS if not args.only or p.name in args.only]
    versions = {p.name: version(p, args.folder) for p in wanted}
    peers = [p for p in wanted if versions[p.name]]

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    results: dict[str, dict[str, Said]] = {}
    times: dict[str, list[float]] = {}
    nothing: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        configs = Path(home) / "configs"
        for m in models:
            (configs / m.name).mkdir(parents=True)
            (configs / m.name / "config.json").write_text(json.dumps(zoo.config(m.name)), encoding="utf-8")
            repo(m.name)
        env = environment(base, home)
        for p in peers:
            label = f"{p.name} {versions[p.name]}"
            results[label] = {m.name: ask(p, command(p, args.folder, m.name, configs), env) for m in models}
            print(
                f"{label}: {sum(s.answer is not None for s in results[label].values())} of {len(models)} answered", file=sys.stderr
            )
            for one in results[label].items():
                print(f"  {one}", file=sys.stderr)
        for _ in range(args.runs):
            nothing.append(seconds([sys.executable, "-c", "pass"], env))
            for p in peers:
                times.setdefault(p.name, []).append(seconds(command(p, args.folder, "llama-3.1-8b", configs), env))
    server.shutdown()

    parts = [table(figure, results, models) for figure in FIGURES]
    if any(one.answer and one.answer.active for said in results.values() for one in said.values()):
        parts.append(active_table(results, models))
    text = "\n".join([*parts, problems(results)])
    if times:
        text += "\n" + timing(times, nothing)
    missing = [p.name for p in wanted if not versions[p.name]]
    if missing:
        text += f"\nNot installed, so not run: {', '.join(missing)}.\n"
    text = f"Python {platform.python_version()}, {os.cpu_count()} cores.\n\n{text}"
    if args.write:
        page = ROOT / "docs" / "peers.md"
        old = page.read_text(encoding="utf-8")
        page.write_text(
            re.sub(r"(<!-- peers -->\n).*?(<!-- end -->)", lambda at: at[1] + text + at[2], old, flags=re.DOTALL), encoding="utf-8"
        )
    else:
        print(text)


if __name__ == "__main__":
    main()
