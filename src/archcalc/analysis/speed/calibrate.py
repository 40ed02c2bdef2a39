"""What a host's own measurements say of its forecasts: benchmark files read, and the factors that make forecasts agree with them.

Formats: llama-bench's JSON and table (llama.cpp 0c1e57098, tools/llama-bench/llama-bench.cpp `json_printer`, `markdown_printer`), the
JSON and the text of `vllm bench serve` (vLLM 0.33, benchmarks/serve.py `calculate_metrics`), the JSON lines of SGLang with the same keys
(0.5.14, bench_serving.py `benchmark`), genai-perf's JSON (genai-perf 0.0.16, export_data/json_exporter.py).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from statistics import median
from typing import Any, Literal, NamedTuple

from archcalc import files, report, units
from archcalc.analysis.fit import Ask, plans
from archcalc.analysis.speed.coefficients import within
from archcalc.analysis.speed.forecast import Calibration, Forecast
from archcalc.analysis.speed.plan import Wanted, of_fit
from archcalc.analysis.speed.terms import SERVED
from archcalc.errors import UsageError
from archcalc.loader import Loaded
from archcalc.model import Architecture

LARGEST = 64 << 20
ENOUGH = 5
"""Measurements of a phase whose own scatter is the interval; of fewer it is at least what rows of one source had around their middle."""
_HINT = (
    "llama-bench -o json, vllm bench serve --save-result, sglang.bench_serving --output-file, genai-perf's"
    " profile_export_genai_perf.json, or what the first two print"
)
_MOST = 1e15
"""No count, time or rate of a benchmark is more."""
SLOWEST = 20.0
"""What takes so many times the forecast ran elsewhere than on the GPU; rows of published measurements take up to 6 times as long."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Measurement(NamedTuple):
    """`seconds` between two tokens of a request (decode), or of a whole prompt (prefill, and ttft of a server).

    `params` is how many parameters the file says that the model has, `beside` what it says that ran on the CPU; None and empty where it
    does not say. `engine` is the one that the tool measures, where it measures one alone, `model` and `gpu` what the file calls them.
    """

    phase: Literal["decode", "prefill", "ttft"]
    isl: int
    osl: int
    concurrency: int
    seconds: float
    params: int | None = None
    gpu_layers: int | None = None
    beside: str = ""
    engine: str = ""
    model: str = ""
    gpu: str = ""


def _text(path: str) -> str:
    try:
        with files.open_regular(path) as file:
            held = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "give the name of a file") from None
    if len(held) > LARGEST:
        raise UsageError(f"{path} is larger than {LARGEST >> 20} MiB", "give the result of one benchmark")
    return held.decode("utf-8", errors="replace")


def read_bench(path: str) -> list[Measurement]:
    """The measurements of a benchmark's file. Raises `UsageError` for a file of another tool, or one without any."""
    text = _text(path)
    try:
        raw = json.loads(text)
    except ValueError:
        if lines := _json_lines(text):
            found = [m for raw in lines for m in _of_json(raw, path)]
        else:
            found = [*_llama_table(text), *_vllm_text(text)]
    else:
        found = list(_of_json(raw, path))
    if not found:
        raise UsageError(f"{path}: no measurement that is known was found", f"it reads {_HINT}")
    return found


def _json_lines(text: str) -> list[Any]:
    """The objects of JSON lines, as llama-bench -o jsonl and SGLang's bench_serving write them; none where a line is anything else."""
    try:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return []
    return found if all(isinstance(raw, dict) for raw in found) else []


def _of_json(raw: Any, path: str) -> Iterable[Measurement]:
    if isinstance(raw, dict) and "avg_ts" in raw:
        raw = [raw]
    if isinstance(raw, list) and raw and all(isinstance(r, dict) and "avg_ts" in r for r in raw):
        return [m for r in raw for m in _llama_bench(r, path)]
    if isinstance(raw, dict) and ("mean_tpot_ms" in raw or "median_tpot_ms" in raw):
        return _vllm_bench(raw, path)
    if isinstance(raw, dict) and "inter_token_latency" in raw:
        return _genai_perf(raw, path)
    raise UsageError(f"{path}: no benchmark that is known wrote this", f"it reads {_HINT}")


def _number(raw: Any, key: str, path: str, least: float = 0.0) -> float:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not least <= value <= _MOST:
        raise UsageError(f"{path}: {key} is {value!r}: a number from {least:g} was expected", "write the file again with the tool")
    return float(value)


def _llama_bench(r: dict[str, Any], path: str) -> Iterable[Measurement]:
    prompt, output = int(_number(r, "n_prompt", path)), int(_number(r, "n_gen", path))
    rate = _number(r, "avg_ts", path)
    depth = int(_number(r, "n_depth", path)) if "n_depth" in r else 0
    if rate <= 0 or (prompt and output) or (depth and prompt):
        return  # A mix of both says neither.
    params = int(_number(r, "model_n_params", path)) if r.get("model_n_params") else None
    layers = r.get("n_gpu_layers")
    layers = layers if isinstance(layers, int) and not isinstance(layers, bool) and layers >= 0 else None  # below zero: all
    beside = f"n_cpu_moe {r['n_cpu_moe']}" if r.get("n_cpu_moe") else "no_kv_offload" if r.get("no_kv_offload") is True else ""
    if str(r.get("backends", "")).upper() == "CPU":
        beside = beside or "backends CPU"
    said = params, layers, beside, "llama.cpp", "", str(r.get("gpu_info") or "")
    if prompt:
        yield Measurement("prefill", prompt, 1, 1, prompt / rate, *said)
    elif output:
        yield Measurement("decode", max(1, depth), output, 1, 1 / rate, *said)


def _vllm_bench(r: dict[str, Any], path: str) -> Iterable[Measurement]:
    done = int(_number(r, "completed", path, 1))
    isl, osl = round(_number(r, "total_input_tokens", path) / done), round(_number(r, "total_output_tokens", path) / done)
    most = r.get("max_concurrency") or r.get("request_rate")
    if not isinstance(most, (int, float)) or not math.isfinite(most) or most < 1 or not r.get("max_concurrency"):
        raise UsageError(f"{path}: the concurrency is not stated", "run `vllm bench serve` with --max-concurrency")
    tpot = _number(r, "median_tpot_ms" if "median_tpot_ms" in r else "mean_tpot_ms", path)
    # SGLang's own names itself; "openai" may be any server.
    engine = next((name for name in ("sglang", "vllm") if str(r.get("backend") or "").startswith(name)), "")
    said = None, None, "", engine, str(r.get("model_id") or "")
    if tpot > 0 and osl > 1:
        yield Measurement("decode", max(1, isl), osl, int(most), tpot / 1000, *said)
    name = "median_ttft_ms" if "median_ttft_ms" in r else "mean_ttft_ms"
    if name in r and _number(r, name, path) > 0:
        yield Measurement("ttft", max(1, isl), max(1, osl), int(most), _number(r, name, path) / 1000, *said)


def _genai_perf(r: dict[str, Any], path: str) -> Iterable[Measurement]:
    def average(key: str) -> float | None:
        part = r.get(key)
        return _number(part, "avg", path) if isinstance(part, dict) and part.get("avg") is not None else None

    config = r.get("input_config")
    stimulus = (config.get("perf_analyzer") or {}).get("stimulus") if isinstance(config, dict) else None
    concurrency = stimulus.get("concurrency") if isinstance(stimulus, dict) else None
    if concurrency is None and isinstance(config, dict):
        concurrency = config.get("concurrency")
    isl, osl, gap = average("input_sequence_length"), average("output_sequence_length"), average("inter_token_latency")
    if not isinstance(concurrency, int) or concurrency < 1:
        raise UsageError(f"{path}: the concurrency is not stated", "run genai-perf with --concurrency")
    if isl is None or osl is None or not gap:
        raise UsageError(
            f"{path}: input_sequence_length, output_sequence_length or inter_token_latency has no avg", f"it reads {_HINT}"
        )
    yield Measurement("decode", max(1, round(isl)), max(1, round(osl)), concurrency, gap / 1000)
    first = average("time_to_first_token")
    if first:
        yield Measurement("ttft", max(1, round(isl)), max(1, round(osl)), concurrency, first / 1000)


def _llama_table(text: str) -> Iterable[Measurement]:
    """Rows such as `| llama 8B Q4_K | … | pp512 | 1234.5 ± 6.7 |`, `tg128 @ d4096` with tokens in the cache before."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) < 3:
            continue
        test = re.fullmatch(r"(pp|tg)(\d+)(?: @ d(\d+))?", cells[-2])
        rate = _NUMBER.match(cells[-1])
        if not test or not rate or float(rate[0]) <= 0:
            continue
        tokens, depth = int(test[2]), int(test[3] or 0)
        if test[1] == "tg":
            yield Measurement("decode", max(1, depth), tokens, 1, 1 / float(rate[0]))
        elif not depth:
            yield Measurement("prefill", tokens, 1, 1, tokens / float(rate[0]))


def _vllm_text(text: str) -> Iterable[Measurement]:
    """The block that `vllm bench serve` prints at its end."""
    values = {
        name.strip().lower(): float(value)
        for name, value in re.findall(r"^([A-Z][A-Za-z ()]+):\s+([\d.]+)\s*$", text, re.MULTILINE)
        if _NUMBER.fullmatch(value)
    }
    done, concurrency = values.get("successful requests", 0), values.get("maximum request concurrency", 0)
    tpot = values.get("median tpot (ms)", 0)
    into, out = values.get("total input tokens", 0), values.get("total generated tokens", 0)
    if done >= 1 and concurrency >= 1 and tpot > 0 and into and out:
        isl, osl = max(1, round(into / done)), max(1, round(out / done))
        yield Measurement("decode", isl, osl, int(concurrency), tpot / 1000)
        if values.get("median ttft (ms)", 0) > 0:
            yield Measurement("ttft", isl, osl, int(concurrency), values["median ttft (ms)"] / 1000)


def engine_of(measured: list[Measurement], asked: str | None) -> str | None:
    """The engine that the tool measures, where it measures one alone; else the one asked for. Raises `UsageError` for another."""
    found = next((m.engine for m in measured if m.engine), None)
    if found and asked is not None and asked != found:
        raise UsageError(f"--engine {asked}: the file's tool measures {found}", f"--engine {found}, or leave it out")
    return found or asked


def calibrate(loaded: Loaded, ask: Ask, wanted: Wanted, measured: list[Measurement]) -> report.CalibrationReport:
    """How measurements stand to forecasts, and the factors of each phase. Raises `UsageError` where nothing is forecast to compare with."""
    from archcalc.analysis.verdict import could_have_more

    rows: list[report.Calibrated] = []
    why = ""
    for m in measured:
        _is_of(m, loaded, ask)
        one = wanted._replace(isl=m.isl, osl=m.osl, tpot=None, ttft=None, calibration=None)
        asked = ask._replace(context_tokens=m.isl + m.osl, concurrency=m.concurrency)
        found = plans(loaded.architecture, asked, alternatives=0)
        # What ran has the memory that it takes.
        made = of_fit(found, found.best, asked, one, raised=could_have_more(found.best, asked))
        _possible(m, made, loaded, asked)
        prompt = made.prompt_tokens_per_s
        times = {
            "decode": made.tpot.value if made.tpot else None,
            "prefill": m.isl / prompt.value if prompt else None,
            "ttft": made.ttft.value if made.ttft else None,
        }
        time = times[m.phase]
        why = made.why or why
        ratio = None if time is None else round(m.seconds / time, 4)
        if ratio is not None and ratio > SLOWEST:
            raise UsageError(
                f"{units.format_seconds(m.seconds)} ({m.phase}) is {ratio:,.3g} times the forecast: that did not run on"
                f" {asked.gpus.count} x {asked.gpus.device.name} alone",
                "name the GPUs, the storage and the engine that were measured",
            )
        rows.append(
            report.Calibrated(
                m.phase,
                m.isl,
                m.osl,
                m.concurrency,
                round(1000 * m.seconds, 4),
                None if time is None else round(1000 * time, 4),
                ratio,
            )
        )
    known: dict[str, list[float]] = {}
    for row in rows:
        if row.ratio:
            known.setdefault("decode" if row.phase == "decode" else "prefill", []).append(row.ratio)
    if not known:
        raise UsageError(f"nothing is forecast that these measurements could be compared with: {why}", "see docs/speed.md")
    factors = {phase: round(math.exp(median(map(math.log, ratios))), 4) for phase, ratios in known.items()}
    served = (wanted.engine or ask.engine) in SERVED
    spreads = {phase: round(_spread(ratios, factors[phase], within(phase, served)), 4) for phase, ratios in known.items()}
    return report.CalibrationReport(
        report.SCHEMA_VERSION,
        loaded.source.name,
        ask.gpus.device.id,
        wanted.engine or ask.engine,
        factors,
        max(spreads.values()),
        spreads,
        len(rows),
        rows,
    )


def _is_of(m: Measurement, loaded: Loaded, ask: Ask) -> None:
    """Raises `UsageError` for a measurement of another model or GPU, or of one that ran on the CPU in part."""
    from archcalc import zoo
    from archcalc.hardware import parse_spec

    a = loaded.architecture
    total, text = _counted(a)
    # A tuned release has its base's speed.
    named = zoo.find(m.model)
    if named is not None and (other := zoo.spec(named.name)) is not None and _counted(other) != (total, text):
        raise UsageError(
            f"the file is of {m.model} (model_id), and {loaded.source.name} is asked about", "name the model that was measured"
        )
    try:
        seen = parse_spec(m.gpu.partition(",")[0].strip()).device if m.gpu else None
    except UsageError:
        seen = None
    device = ask.gpus.device
    # What drivers call a card that is sold with several sizes of memory says nothing of the size.
    if seen is not None and device.id != "custom" and _SIZE.sub("", seen.id) != _SIZE.sub("", device.id):
        raise UsageError(f"the file is of {m.gpu} (gpu_info), and --gpu is {device.name}", "name the GPU that was measured")
    if m.params is not None and not any(abs(m.params - each) <= each // 100 for each in (total, text)):
        raise UsageError(
            f"the file is of a model of {m.params / 1e9:.3g} B parameters (model_n_params),"
            f" and {loaded.source.name} has {total / 1e9:.3g} B",
            "name the model that was measured",
        )
    layers = sum(sum(stack.counts()) for stack in a.stacks if stack.part == "decoder")
    if m.beside or (m.gpu_layers is not None and m.gpu_layers < layers):
        said = m.beside or f"n_gpu_layers {m.gpu_layers} of {layers}"
        raise UsageError(
            f"part of the model ran on the CPU ({said}), and a forecast is of a GPU alone", "measure it with all layers on the GPU"
        )


_SIZE = re.compile(r"-\d+gb$")


def _counted(a: Architecture) -> tuple[int, int]:
    """Parameters in all, and those that a GGUF file has: it may leave out towers and layers of MTP, and adds no more than the factors of
    rotary embeddings."""
    of = [(part, t.elements * n) for part, t, n in a.each_tensor() if t.counted]
    return sum(n for _, n in of), sum(n for part, n in of if part in ("embedding", "decoder", "head"))


def _possible(m: Measurement, made: Forecast, loaded: Loaded, ask: Ask) -> None:
    """Raises `UsageError` for a measurement that the device's bandwidth or its matrix units rule out."""
    most, least = made.bound_tokens_per_s, made.floor_s
    hint = "name the GPUs, the storage and the engine that were measured; tokens that were drafted cannot be compared"
    where = f"{loaded.source.name} in {ask.quant or 'its own storage'} on {ask.gpus.count} x {ask.gpus.device.name}"
    if m.phase == "decode" and most is not None and m.concurrency / m.seconds > most:
        raise UsageError(
            f"{1000 * m.seconds:.3g} ms a token at {m.concurrency} at once is faster than the bandwidth lets {where} be"
            f" ({1000 * m.concurrency / most:.3g} ms)",
            hint,
        )
    if m.phase != "decode" and least is not None and m.seconds < least:
        raise UsageError(
            f"{1000 * m.seconds:.3g} ms for a prompt of {m.isl:,} tokens is less than the matrix units need for {where}"
            f" ({1000 * least:.3g} ms)",
            hint,
        )


def _spread(ratios: list[float], factor: float, usual: float) -> float:
    """The end of 80 % around the factor; a tenth at least."""
    off = sorted(abs(math.log(ratio / factor)) for ratio in ratios)
    own = max(1.1, math.exp(off[min(len(off) - 1, 8 * len(off) // 10)]))
    return own if len(off) >= ENOUGH else max(own, usual)


def read_calibration(path: str, other: str = "") -> Calibration | None:
    """What `archcalc calibrate --format json` wrote; None for a file with the key `other`. Raises `UsageError` for anything else."""
    hint = "write it with `archcalc calibrate BENCH … --format json`"
    try:
        raw = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}", hint) from None
    if other and isinstance(raw, dict) and other in raw:
        return None
    held = raw if isinstance(raw, dict) else {}
    factors, spreads, rows = held.get("factors"), held.get("spreads"), held.get("rows")
    if not isinstance(factors, dict) or not factors or not factors.keys() <= {"decode", "prefill"}:
        raise UsageError(f"{path} holds no factors of `archcalc calibrate`", hint)
    if not isinstance(spreads, dict) or spreads.keys() != factors.keys():
        raise UsageError(f"{path}: spreads: one for each of the factors was expected", hint)
    for name, values, least in (("factors", factors, 0.001), ("spreads", spreads, 1)):
        for key, value in values.items():
            if not _within(value, least):
                raise UsageError(f"{path}: {name}.{key}: {str(value)[:40]}: a number from {least:g} to 1,000 was expected", hint)
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise UsageError(f"{path}: rows: {str(rows)[:40]}: a number of measurements was expected", hint)
    for key in ("gpu", "engine", "source"):
        if not isinstance(held.get(key), str):
            raise UsageError(f"{path}: {key}: {str(held.get(key))[:40]}: a name was expected", hint)
    return Calibration(factors, spreads, rows, held["gpu"], held["engine"], held["source"])


def _within(value: Any, least: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < 1000
