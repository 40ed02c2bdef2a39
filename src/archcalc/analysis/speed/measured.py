"""What benchmark programs wrote of their measurements, read.

Formats: llama-bench's JSON and table (llama.cpp 0c1e57098, tools/llama-bench/llama-bench.cpp `json_printer`, `markdown_printer`), the
JSON and the text of `vllm bench serve` (vLLM 0.33, benchmarks/serve.py `calculate_metrics`), the JSON lines of SGLang with the same keys
(0.5.14, bench_serving.py `benchmark`), genai-perf's JSON (genai-perf 0.0.16, export_data/json_exporter.py).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Literal

from archcalc import files
from archcalc.analysis.speed.forecast import MOST_SEQUENCES
from archcalc.errors import UsageError
from archcalc.records import NamedTuple

LARGEST = 64 << 20
_HINT = (
    "llama-bench -o json, vllm bench serve --save-result, sglang.bench_serving --output-file, genai-perf's"
    " profile_export_genai_perf.json, or what the first two print"
)
_FAILED = 0.05
"""The share of the requests that may fail: with more, others ran faster than they would have."""
_MOST = 1e15
"""No count, time or rate of a benchmark is more."""
_ABOVE = 1e-9
"""And no time or rate is less."""
_LONGEST = 1 << 24
"""No request is longer, in tokens."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Of(NamedTuple):
    """What a file says was measured; None and empty where it does not say.

    `params` is how many parameters the model has, `size` what its weights take in bytes, `storage` their type and `arch` the model's
    architecture as GGUF names them. `gpu_layers` is how many layers were on the GPUs, `beside` where else a part ran. `engine` is
    the one that the tool measures, where it measures one alone, `model` what the file calls the model, `gpu` the first of `gpus` that
    `backends` ran on. `ubatch` is how many tokens of a prompt were multiplied at once, `kv` the type of the cache. `quantized` is what a
    server was told to quantize the weights to.
    """

    params: int | None = None
    size: int | None = None
    storage: str = ""
    arch: str = ""
    gpu_layers: int | None = None
    off_gpu: str = ""
    engine: str = ""
    model: str = ""
    gpu: str = ""
    gpus: int | None = None
    backends: tuple[str, ...] = ()
    ubatch: int | None = None
    kv: str = ""
    quantized: str = ""


class Measurement(NamedTuple):
    """`seconds` between two tokens of a request (decode), or of a whole prompt (prefill, and ttft of a server), and of what."""

    phase: Literal["decode", "prefill", "ttft"]
    isl: int
    osl: int
    concurrency: int
    seconds: float
    of: Of = Of()


def read_text(path: str) -> str:
    try:
        with files.open_regular(path) as file:
            held = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "give the name of a file") from None
    if len(held) > LARGEST:
        raise UsageError(f"{path} is larger than {LARGEST >> 20} MiB", "give the result of one benchmark")
    return held.decode("utf-8", errors="replace")


def read_bench(path: str, notes: list[str] | None = None) -> list[Measurement]:
    """The measurements of a benchmark's file; what of it is left out is added to `notes`. Raises `UsageError` for a file of another tool,
    or one without any."""
    said: list[str] = [] if notes is None else notes
    text = read_text(path)
    held = _objects(text)
    found = (
        [*_llama_table(text, path, said), *_served_text(text, path, said)]
        if held is None
        else [m for raw in held for m in _of_json(raw, path, said)]
    )
    if not found:
        raise UsageError(f"{path}: no measurement that is known was found", f"it reads {_HINT}")
    return found


def _objects(text: str) -> list[Any] | None:
    """The objects of a JSON file: one, a list of them, or several one after the other, as `--append-result` and JSON lines have them; what
    a tool logs before them is passed over. None where there are none."""
    decoder, found, at = json.JSONDecoder(), list[Any](), re.search(r"^\s*[\[{]", text, re.MULTILINE)
    place = at.start() if at else len(text)
    while place < len(text):
        start = len(text) - len(text[place:].lstrip(" \t\r\n,"))
        if start >= len(text):
            break
        try:
            raw, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return None
        found += raw if isinstance(raw, list) else [raw]
    return found if found and all(isinstance(raw, dict) for raw in found) else None


def _of_json(raw: dict[str, Any], path: str, notes: list[str]) -> Iterable[Measurement]:
    if "avg_ts" in raw:
        return _llama_bench(raw, path, notes)
    if "mean_tpot_ms" in raw or "median_tpot_ms" in raw:
        return _served(raw, path, notes)
    if "inter_token_latency" in raw:
        return _genai_perf(raw, path)
    raise UsageError(f"{path}: no benchmark that is known wrote this", f"it reads {_HINT}")


def _number(raw: Any, key: str, path: str, least: float = 0.0, most: float = _MOST) -> float:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not least <= value <= most:
        number = "above 0" if least == _ABOVE else f"from {least:g}"
        up = f" up to {most:,.0f}" if most < _MOST else ""
        raise UsageError(
            f"{path}: {key} is {value!r}: a number {number}{up} was expected",
            "write the file again with the tool, and leave it as it is",
        )
    return float(value)


def _whole(raw: Any, key: str, path: str, least: int = 0, most: float = _MOST) -> int:
    value = _number(raw, key, path, least, most)
    if value != int(value):
        raise UsageError(f"{path}: {key} is {value:g}: a whole number was expected", "write the file again with the tool")
    return int(value)


# llama-bench


def _llama_bench(r: dict[str, Any], path: str, notes: list[str]) -> Iterable[Measurement]:
    prompt, output = _whole(r, "n_prompt", path, most=_LONGEST), _whole(r, "n_gen", path, most=_LONGEST)
    depth = _whole(r, "n_depth", path, most=_LONGEST) if "n_depth" in r else 0
    rate = _number(r, "avg_ts", path, _ABOVE)
    if (prompt and output) or (depth and prompt):
        test = f"pp{prompt}" + (f"+tg{output}" if output else "") + (f" @ d{depth}" if depth else "")
        notes.append(
            f"{test} is left out: a rate of prompts and outputs together, or of a prompt behind another, is compared with nothing"
        )
        return
    of = _of_llama(r, path)
    if prompt:
        yield Measurement("prefill", prompt, 1, 1, prompt / rate, of)
    elif output:
        yield Measurement("decode", max(1, depth), output, 1, 1 / rate, of._replace(ubatch=None))


def _of_llama(r: dict[str, Any], path: str) -> Of:
    layers = r.get("n_gpu_layers")
    layers = layers if isinstance(layers, int) and not isinstance(layers, bool) and layers >= 0 else None  # below zero: all
    backends = tuple(each.strip() for each in str(r.get("backends") or "").split(",") if each.strip())
    overrides = str(r.get("tensor_buft_overrides") or "none")
    off_gpu = ""
    if r.get("n_cpu_moe"):
        off_gpu = f"on the CPU (n_cpu_moe {r['n_cpu_moe']})"
    elif r.get("no_kv_offload") not in (None, False, 0, "0", "false"):
        off_gpu = "on the CPU (no_kv_offload)"
    elif backends == ("CPU",) or backends == ("BLAS",):
        off_gpu = f"on the CPU (backends {backends[0]})"
    elif "RPC" in backends:
        off_gpu = "on other machines (backends RPC)"
    elif "CPU" in overrides:
        off_gpu = f"on the CPU (tensor_buft_overrides {overrides[:40]})"
    elif str(r.get("split_mode") or "layer") in ("row", "tensor"):
        off_gpu = f"cut across GPUs (split_mode {r['split_mode']})"
    arch, storage = _model_type(str(r.get("model_type") or ""))
    named = [name.strip() for name in str(r.get("gpu_info") or "").split(",") if name.strip()]
    # A run on one of several, or on those that it names, does not say how many they were.
    whole = str(r.get("split_mode") or "layer") == "layer" and str(r.get("devices") or "auto") == "auto"
    kinds = {str(r[key]) for key in ("type_k", "type_v") if r.get(key)}
    return Of(
        params=_whole(r, "model_n_params", path, 1) if r.get("model_n_params") else None,
        size=_whole(r, "model_size", path, 1) if r.get("model_size") else None,
        storage=storage,
        arch=arch,
        gpu_layers=layers,
        off_gpu=off_gpu,
        engine="llama.cpp",
        gpu=named[0] if named else "",
        gpus=len(named) if named and whole else None,
        backends=backends,
        ubatch=_whole(r, "n_ubatch", path, 1) if r.get("n_ubatch") else None,
        kv=kinds.pop() if len(kinds) == 1 else "",
    )


_SIZES = {"small": "_s", "medium": "_m", "large": "_l"}
# What llama_model_ftype_name calls a type otherwise than llama-quantize does (llama.cpp 0c1e57098, src/llama-model-loader.cpp).
_TYPES = {"q2_k_m": "q2_k", "iq3_s mix": "iq3_m", "mxfp4 moe": "mxfp4_moe", "all f32": "f32"}


def _model_type(text: str) -> tuple[str, str]:
    """The architecture and the file type of such as "llama 8B Q4_K - Medium"; empty where they are not known.

    >>> _model_type("qwen3moe 30B.A3B IQ4_XS - 4.25 bpw"), _model_type("llama 8B Q2_K - Medium")
    (('qwen3moe', 'iq4_xs'), ('llama', 'q2_k'))
    """
    arch, _, rest = text.strip().partition(" ")
    kind = re.sub(r"^\S+\s+", "", rest).removeprefix("(guessed) ").lower()
    name, _, more = (part.strip() for part in kind.partition(" - "))
    name += _SIZES.get(more, "")
    name = _TYPES.get(name, name)
    return arch, name if re.fullmatch(r"(?:i?q\d\w*|tq\d_0|mxfp4_moe|nvfp4|b?f16|f32)", name) else ""


_COLUMNS = {
    "model": "model_type", "size": "model_size", "params": "model_n_params", "backend": "backends", "ngl": "n_gpu_layers",
    "sm": "split_mode", "nkvo": "no_kv_offload", "ot": "tensor_buft_overrides", "dev": "devices", "test": "test", "t/s": "avg_ts",
}  # fmt: skip
"""llama-bench's columns whose names are others than those of its JSON (llama-bench.cpp `markdown_printer`)."""
_UNITS = {"": 1, "M": 10**6, "B": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DEVICES = (
    # What ggml's back ends log of the devices that they find, before the table (0c1e57098, ggml/src/ggml-cuda, ggml-vulkan, ggml-metal).
    re.compile(r"^\s*Device \d+: (.+?), (?:compute capability|gfx)", re.MULTILINE),
    re.compile(r"^ggml_vulkan: \d+ = (.+?) \(", re.MULTILINE),
    re.compile(r"^ggml_metal_\w+: (?:GPU name:|found device:|picking default device:)\s+(.+?)\s*$", re.MULTILINE),
)


def _llama_table(text: str, path: str, notes: list[str]) -> Iterable[Measurement]:
    """Rows such as `| llama 8B Q4_K | … | pp512 | 1234.5 ± 6.7 |`, `tg128 @ d4096` with tokens in the cache before."""
    devices = next((found for pattern in _DEVICES if (found := pattern.findall(text))), [])
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if "test" in cells and "t/s" in cells:
            header = [_COLUMNS.get(cell, cell) for cell in cells]
        # A table without its header ends with the test and the rate.
        row = dict(zip(header, cells, strict=False)) if len(header) == len(cells) else {"test": cells[-2:][0], "avg_ts": cells[-1]}
        test = re.fullmatch(r"(pp|tg) ?(\d+)(?:\+tg ?(\d+))?(?: @ d(\d+))?", row["test"])
        rate = _NUMBER.match(row["avg_ts"])
        if len(cells) < 3 or not test:
            continue
        if not rate:
            raise UsageError(
                f"{path}: t/s of {row['test']} is {row['avg_ts'][:40]!r}: a number was expected",
                "write the file again with the tool",
            )
        made: dict[str, Any] = {"n_prompt": 0, "n_gen": 0, "avg_ts": float(rate[0]), "n_depth": int(test[4] or 0)}
        made["n_prompt" if test[1] == "pp" else "n_gen"] = int(test[2])
        made["n_gen"] = int(test[3] or made["n_gen"])
        for key in ("model_size", "model_n_params"):
            size = re.fullmatch(r"([\d.]+) ?(|M|B|[KMGT]iB)", row.get(key, ""))
            if size and size[1].count(".") < 2:
                made[key] = round(float(size[1]) * _UNITS[size[2]])
        for key in ("n_gpu_layers", "n_cpu_moe", "n_ubatch"):
            if re.fullmatch(r"-?\d{1,9}", row.get(key, "")):
                made[key] = int(row[key])
        made |= {
            key: row[key]
            for key in ("model_type", "backends", "split_mode", "no_kv_offload", "tensor_buft_overrides")
            if key in row
        }
        made |= {key: row[key] for key in ("devices", "type_k", "type_v") if key in row}
        yield from _llama_bench({**made, "gpu_info": ", ".join(devices)}, path, notes)


# Servers


def _served(r: dict[str, Any], path: str, notes: list[str]) -> Iterable[Measurement]:
    """A run of `vllm bench serve` or of SGLang's bench_serving, at one concurrency."""
    done = _whole(r, "completed", path, 1)
    failed = _whole(r, "failed", path) if r.get("failed") is not None else 0
    if failed > _FAILED * (done + failed):
        raise UsageError(
            f"{path}: failed is {failed:,} of {done + failed:,} requests: those that ended ran with fewer at once than is stated",
            "see the server's log for why, and run it again",
        )
    if failed:
        notes.append(f"{failed:,} of {done + failed:,} requests failed")
    most, rate = r.get("max_concurrency"), r.get("request_rate")
    if not most:
        raise UsageError(
            f"{path}: the concurrency is not stated (max_concurrency)", "run `vllm bench serve` with --max-concurrency"
        )
    concurrency = _whole(r, "max_concurrency", path, 1, MOST_SEQUENCES)
    if isinstance(rate, (int, float)) and not isinstance(rate, bool) and math.isfinite(rate):
        raise UsageError(
            f"{path}: request_rate is {rate:g}: how many requests ran at once is not stated",
            "run it with --request-rate inf, which keeps --max-concurrency of them running",
        )
    if done < concurrency:
        raise UsageError(
            f"{path}: completed is {done:,}: max_concurrency {concurrency:,} was never reached",
            "run it with several times as many prompts as run at once (--num-prompts)",
        )
    if (drafted := _drafted(r)) is not None:
        raise UsageError(
            f"{path}: {drafted}: tokens were drafted, and such a run cannot be compared with a forecast of plain decoding",
            "measure it without drafts (--speculative-config, --speculative-algorithm)",
        )
    running = _number(r, "concurrency", path) if isinstance(r.get("concurrency"), (int, float)) else concurrency
    if running < _RUNNING * concurrency:
        raise UsageError(
            f"{path}: concurrency is {running:g}: so many ran at once on average, and max_concurrency is {concurrency:,}",
            "run it with several times as many prompts as run at once (--num-prompts)",
        )
    into, out = (_number(r, key, path, done) for key in ("total_input_tokens", "total_output_tokens"))
    isl, osl = max(1, round(into / done)), max(1, round(out / done))
    _lengths(isl, osl, path, "total_input_tokens", "total_output_tokens")
    # SGLang's own names itself; "openai" may be any server.
    engine = next((name for name in ("sglang", "vllm") if str(r.get("backend") or "").startswith(name)), "")
    info = r.get("server_info")
    info = info if isinstance(info, dict) else {}
    of = Of(
        engine=engine,
        model=str(r.get("model_id") or ""),
        gpus=_ranks(info, path),
        quantized=str(info.get("quantization") or ""),
    )
    if osl > 1:
        name = "median_tpot_ms" if "median_tpot_ms" in r else "mean_tpot_ms"
        yield Measurement("decode", isl, osl, concurrency, _number(r, name, path, _ABOVE) / 1000, of)
    name = "median_ttft_ms" if "median_ttft_ms" in r else "mean_ttft_ms"
    if name in r:
        yield Measurement("ttft", isl, osl, concurrency, _number(r, name, path, _ABOVE) / 1000, of)


_RUNNING = 0.75
"""The share of the requests that ran at once on average, at least: at a run's start and end there are fewer."""


def _drafted(r: dict[str, Any]) -> str | None:
    """The key and value that say of a run that tokens were drafted.

    Sources: SGLang 0.5.23, benchmark/serving.py `benchmark` (`accept_length`, `server_info`); vLLM 0.33, benchmarks/serve.py `benchmark`
    (`spec_decode_*`, written where the server counted drafts).
    """
    info = r.get("server_info")
    info = info if isinstance(info, dict) else {}
    states = info.get("internal_states")
    state = states[0] if isinstance(states, list) and states and isinstance(states[0], dict) else {}
    keys = [key for key in r if key == "accept_length" or key.startswith("spec_")]
    said = [(key, r[key]) for key in keys]
    said += [(f"server_info.{key}", info.get(key)) for key in ("speculative_algorithm", "speculative_draft_model_path")]
    said += [("server_info.internal_states.avg_spec_accept_length", state.get("avg_spec_accept_length"))]
    return next((f"{key} is {str(value)[:40]}" for key, value in said if value and str(value).lower() != "none"), None)


def _ranks(info: dict[str, Any], path: str) -> int | None:
    """The GPUs of a server of SGLang: `tp_size` counts the ranks of data-parallel attention too (server_args.py)."""
    if not info.get("tp_size"):
        return None
    sizes = [_whole(info, key, path, 1) for key in ("tp_size", "pp_size") if info.get(key)]
    if info.get("dp_size") and not info.get("enable_dp_attention"):
        sizes.append(_whole(info, "dp_size", path, 1))
    return math.prod(sizes)


def _lengths(isl: int, osl: int, path: str, into: str, out: str) -> None:
    if max(isl, osl) > _LONGEST:
        key, tokens = (into, isl) if isl > _LONGEST else (out, osl)
        raise UsageError(f"{path}: {key} makes {tokens:,} tokens a request", "write the file again with the tool")


def _genai_perf(r: dict[str, Any], path: str) -> Iterable[Measurement]:
    def average(key: str, *names: str) -> float | None:
        part = r.get(key)
        held = part if isinstance(part, dict) else {}
        name = next((name for name in (*names, "avg") if held.get(name) is not None), None)
        if name is None:
            return None
        return _number({f"{key}.{name}": held[name]}, f"{key}.{name}", path, _ABOVE)

    config = r.get("input_config")
    config = config if isinstance(config, dict) else {}
    places = ((config.get("perf_analyzer") or {}).get("stimulus"), config.get("loadgen"), config)
    stated = next((place["concurrency"] for place in places if isinstance(place, dict) and place.get("concurrency")), None)
    isl, osl = average("input_sequence_length"), average("output_sequence_length")
    # The middle, as of the other tools.
    gap, first = average("inter_token_latency", "p50"), average("time_to_first_token", "p50")
    if not isinstance(stated, int) or isinstance(stated, bool):
        raise UsageError(f"{path}: the concurrency is not stated (input_config)", "run genai-perf with --concurrency")
    concurrency = _whole({"concurrency": stated}, "concurrency", path, 1, MOST_SEQUENCES)
    if isl is None or osl is None or gap is None:
        raise UsageError(
            f"{path}: input_sequence_length, output_sequence_length or inter_token_latency has no avg", f"it reads {_HINT}"
        )
    lengths = max(1, round(isl)), max(1, round(osl))
    _lengths(*lengths, path, "input_sequence_length", "output_sequence_length")
    yield Measurement("decode", *lengths, concurrency, gap / 1000)
    if first is not None:
        yield Measurement("ttft", *lengths, concurrency, first / 1000)


_PRINTED = {
    "successful requests": "completed", "maximum request concurrency": "max_concurrency", "max request concurrency": "max_concurrency",
    "total input tokens": "total_input_tokens", "total generated tokens": "total_output_tokens", "median tpot (ms)": "median_tpot_ms",
    "mean tpot (ms)": "mean_tpot_ms", "median ttft (ms)": "median_ttft_ms", "mean ttft (ms)": "mean_ttft_ms",
    "concurrency": "concurrency", "failed requests": "failed", "accept length": "accept_length",
    "acceptance length": "spec_decode_acceptance_length",
    "request rate configured (rps)": "request_rate", "traffic request rate": "request_rate",
}  # fmt: skip
"""What vLLM's and SGLang's tools print, and the keys of their JSON."""


def _served_text(text: str, path: str, notes: list[str]) -> Iterable[Measurement]:
    """The blocks that `vllm bench serve` and SGLang's bench_serving print, one for each run."""
    for block in re.split(r"^=+ *Serving Benchmark Result *=+\s*$", text, flags=re.MULTILINE)[1:]:
        values: dict[str, Any] = {}
        for name, value in re.findall(r"^([A-Z][A-Za-z ()]+):\s+(\S+)\s*$", block, re.MULTILINE):
            key = _PRINTED.get(name.strip().lower())
            if key and _NUMBER.fullmatch(value) and key not in values:
                values[key] = float(value)
            elif name.strip().lower() == "backend":
                values["backend"] = value
        yield from _served(values, path, notes)
