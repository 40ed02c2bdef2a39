"""Compare what archcalc predicts of a GPU's memory with what engines logged, and write docs/engine-logs.md.

What counts is asked through the command line, as a user would: the engine's own command, the GPU and the release. Beside it stands what
the budget says where the log's own activation and overhead are put into it.

    python scripts/engine_log_report.py           write the page
    python scripts/engine_log_report.py --rows    print every row instead

The rows are tests/data/engine_logs.jsonl: log lines of public issues, posts and repositories, each with its source. `read_as` says which
config a row's model is read by; `device` and `compute` which GPU of the catalog it ran on.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from archcalc import hardware, zoo
from archcalc.arch import parse
from archcalc.engines._allocation import Workload
from archcalc.engines.budget import Budget, Serving, budget
from archcalc.engines.placement import Placement, RankWeights, rank_weights
from archcalc.engines.sglang import cache as sglang
from archcalc.engines.vllm import cache as vllm
from archcalc.engines.weights import WeightOptions
from archcalc.errors import ArchcalcError
from archcalc.hardware import Device
from archcalc.model import Architecture
from archcalc.quant import quantize_as

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
PAGE = ROOT / "docs" / "engine-logs.md"
GIB = 1 << 30

# Releases of vLLM by the month of logs that print them (0.19.0 in April, 0.27.1 in August, 0.29.1 in September, 0.31.0 in October).
_BY_MONTH = {"2026-04": "0.19.0", "2026-07": "0.24.0", "2026-08": "0.27.0", "2026-09": "0.29.0", "2026-10": "0.31.0"}
_KV = {"fp8": "fp8", "fp8_e4m3": "fp8_e4m3", "nvfp4": "nvfp4", "bfloat16": "bf16"}


Held = Callable[[int], "tuple[int, float]"]
"""From the room to the tokens it holds, and to how many requests of the longest length."""


class Result(NamedTuple):
    """One row: what was logged, what was predicted, in bytes and tokens; None where there is nothing to compare.

    `given` is the tokens or bytes with the logged activation and overhead, `predicted` with the predicted ones, `logged` the truth of
    both. `why` says why a row cannot be compared.
    """

    row: dict[str, Any]
    weights: RankWeights | None = None
    budget: Budget | None = None
    logged_weights: float | None = None
    what: str = ""
    logged: float | None = None
    given: float | None = None
    predicted: float | None = None
    fits: bool | None = None
    why: str = ""

    @property
    def strict(self) -> bool:
        return bool(self.row["strict"])

    @property
    def weights_error(self) -> float | None:
        return _error(self.weights.bytes if self.weights else None, self.logged_weights)

    @property
    def given_error(self) -> float | None:
        return _error(self.given, self.logged)

    @property
    def predicted_error(self) -> float | None:
        return _error(self.predicted, self.logged)


def _error(found: float | None, truth: float | None) -> float | None:
    return None if found is None or not truth else found / truth - 1


def rows() -> list[dict[str, Any]]:
    """All rows, in the order of the file."""
    return [json.loads(line) for line in (DATA / "engine_logs.jsonl").read_text(encoding="utf-8").splitlines()]


def architecture_of(row: dict[str, Any]) -> Architecture:
    """The model of a row, by the bundled config or the one beside the rows, with what is known to differ."""
    read_as = row["read_as"]
    if "config" in read_as:
        config = dict(read_as["config"])
    elif "config_file" in read_as:
        config = json.loads((DATA / "engine_configs" / read_as["config_file"]).read_text(encoding="utf-8"))
    else:
        config = dict(zoo.config(read_as["base"]))
    for key, value in read_as.get("set", {}).items():
        _set(config, key.split("."), value)
    architecture = parse(config)
    return quantize_as(architecture, read_as["quant"]) if "quant" in read_as else architecture


def _set(config: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        config[step] = dict(config[step])
        config = config[step]
    config[path[-1]] = value


def version_of(row: dict[str, Any]) -> str | None:
    """The release, where the row names one or a month; None is the newest."""
    text = row["engine_version"]
    if row["engine"] == "vllm" and text[:7] in _BY_MONTH:
        return _BY_MONTH[text[:7]]
    found = re.search(r"\b0\.(\d+)(\.\d+)?", text)
    return found[0] if found and found[1] != "1" else None


def device_of(row: dict[str, Any]) -> Device | None:
    """The GPU, with the memory that the log itself says CUDA sees."""
    found = hardware.device(row["device"]) if "device" in row else None
    total = row["measured"].get("gpu_total_gib")
    if total is not None:
        found = (found or hardware.custom(0))._replace(visible_bytes=int(total * GIB))
    if found is not None and "compute" in row:
        found = found._replace(vendor="nvidia", compute=row["compute"])
    return found


def serving_of(row: dict[str, Any]) -> Serving:
    version = version_of(row)
    if row["engine"] == "vllm" and "V0" in row["engine_version"] and version and version >= "0.8":
        version = "0.7.9"  # The first engine, in a release that has the second too.
    return Serving(
        engine=row["engine"],
        version=version,
        utilization=row.get("gpu_mem_util") or row.get("mem_fraction_static"),
        context_tokens=row.get("max_model_len"),
        batched_tokens=row.get("max_num_batched_tokens"),
        sequences=row.get("max_num_seqs"),
        eager=bool(row.get("eager")),
    )


def evaluate(row: dict[str, Any]) -> Result:
    """The row against the prediction."""
    measured = row["measured"]
    if row["engine"] not in ("vllm", "sglang"):
        return Result(row, why="another engine: its caches are compared in the tests of archcalc kv")
    if "all" in row.get("reasons", {}):
        return Result(row, why=row["reasons"]["all"])
    if "read_as" not in row:
        return Result(row, why="the config of this model is not to be had")
    engine: str = row["engine"]
    try:
        architecture = architecture_of(row)
        device, serving = device_of(row), serving_of(row)
        placement = Placement(row["tp"], row["pp"], row.get("ep") or 1, row["dp"], row.get("dcp") or 1)
        weights = rank_weights(architecture, placement, WeightOptions(engine, version_of(row), device))
    except ArchcalcError as error:
        return Result(row, why=error.message)
    logged_weights = measured.get("weights_gib_per_gpu")
    result = Result(row, weights, None, logged_weights * GIB if logged_weights else None)
    if device is None:
        return result._replace(why="the log does not say which GPU it was")
    made = budget(device, architecture, placement, weights, serving)
    result = result._replace(budget=made)
    tokens = measured.get("kv_tokens") or measured.get("num_gpu_blocks", 0) * measured.get("block_size", 0)
    room = measured.get("kv_available_gib_per_gpu", measured.get("kv_allocated_gib_per_gpu"))
    logged, given_room = (tokens, "tokens") if tokens else (room * GIB if room is not None else None, "room")
    held = _held(architecture, placement, serving, made, row)
    try:
        result = result._replace(fits=held(made.kv_room_bytes)[1] >= 1)
        if not logged or (room is not None and room <= 0):
            return result
        from_log = _room_from_log(row, made, weights, room)
        given, predicted = (size if size is None or not tokens else held(size)[0] for size in (from_log, made.kv_room_bytes))
        return result._replace(what=given_room, logged=logged, given=given, predicted=predicted)
    except ArchcalcError as error:
        return result._replace(why=error.message)


def _room_from_log(row: dict[str, Any], made: Budget, weights: RankWeights, room: float | None) -> int | None:
    """The room that logged activation and overhead leave beside the predicted weights; the logged room where those are not logged."""
    m = row["measured"]
    whole = made.budget_bytes
    if row["engine"] == "vllm" and m.get("activation_peak_gib") is not None and m.get("non_torch_gib") is not None:
        if row.get("reasons", {}).get("room") and "rank" in row["reasons"]["room"]:
            return None
        return int(whole - weights.bytes - (m["activation_peak_gib"] + m["non_torch_gib"]) * GIB)
    if m.get("activation_and_graph_gib") is not None:
        other = m["weights_plus_non_torch_gib"] - m["weights_gib_per_gpu"]
        return int(whole - weights.bytes - (m["activation_and_graph_gib"] + other) * GIB)
    if (
        m.get("avail_after_load_gib") is not None
        and made.utilization
        and row["engine"] == "sglang"
        and m.get("avail_before_load_gib")
    ):
        return int((m["avail_before_load_gib"] * made.utilization) * GIB - weights.bytes)
    return int(room * GIB) if room is not None else None


def _held(architecture: Architecture, placement: Placement, serving: Serving, made: Budget, row: dict[str, Any]) -> Held:
    """What a room holds."""
    dtype = _KV.get(str(row.get("kv_dtype")))
    context = serving.context_tokens or architecture.facts.context_tokens or 4096
    if row["engine"] == "sglang":
        options = sglang.CacheOptions(tp=placement.tp)

        def pools(room: int) -> tuple[int, float]:
            found = sglang.pools(architecture, room, context, dtype, options).tokens
            return found, found / context

        return pools
    device = device_of(row)
    capability = None
    if device is not None and device.vendor == "nvidia" and device.compute:
        major, _, minor = device.compute.partition(".")
        capability = int(major), int(minor)
    of_vllm = vllm.CacheOptions(
        tp=placement.tp, pp=placement.pp, dcp=placement.dcp, max_num_batched_tokens=made.batched_tokens, capability=capability,
        prefix_caching=row.get("prefix_caching"), version=_known(version_of(row)),
    )  # fmt: skip

    def blocks(room: int) -> tuple[int, float]:
        details = vllm.allocate(architecture, Workload(context, 1, dtype), of_vllm, max(0, room)).details
        return int(details["kv_tokens"]), float(details["max_concurrency"])

    return blocks


def _known(version: str | None) -> str | None:
    """Before 0.6 blocks were as in 0.6."""
    return "0.6.0" if version and version.startswith(("0.4", "0.5")) else version


# Through the command line


class Answer(NamedTuple):
    """What `archcalc fit` says of a row's command: figures and their errors, or why there is none. `weights` and `room` in bytes."""

    row: dict[str, Any]
    command: str = ""
    weights: int | None = None
    room: int | None = None
    tokens: int | None = None
    fits: bool | None = None
    why: str = ""

    @property
    def logged_tokens(self) -> int:
        m = self.row["measured"]
        return int(m.get("kv_tokens") or m.get("num_gpu_blocks", 0) * m.get("block_size", 0))

    @property
    def logged_room(self) -> float | None:
        m = self.row["measured"]
        room = m.get("kv_available_gib_per_gpu", m.get("kv_allocated_gib_per_gpu"))
        return None if room is None or room <= 0 else room * GIB

    @property
    def weights_error(self) -> float | None:
        logged = self.row["measured"].get("weights_gib_per_gpu")
        return _error(self.weights, logged * GIB if logged else None)

    @property
    def room_error(self) -> float | None:
        if self.logged_tokens:
            return _error(self.tokens, self.logged_tokens)
        return _error(self.room, self.logged_room)

    @property
    def wrong_verdict(self) -> bool:
        outcome = self.row["measured"].get("outcome", "")
        started = True if outcome.startswith("ok") else False if outcome in ("oom", "fail") else None
        return started is not None and self.fits is not None and started != self.fits

    @property
    def apart(self) -> float:
        """How far off the row is: a wrong verdict before any error."""
        return 10.0 * self.wrong_verdict + max(abs(self.weights_error or 0.0), abs(self.room_error or 0.0))


def words_of(row: dict[str, Any]) -> list[str]:
    """The engine's command, as far as the log says it."""
    vllm_words = {
        "tp": "--tensor-parallel-size", "pp": "--pipeline-parallel-size", "dp": "--data-parallel-size",
        "dcp": "--decode-context-parallel-size", "max_model_len": "--max-model-len", "gpu_mem_util": "--gpu-memory-utilization",
        "max_num_batched_tokens": "--max-num-batched-tokens", "max_num_seqs": "--max-num-seqs", "eager": "--enforce-eager",
        "language_model_only": "--language-model-only",
    }  # fmt: skip
    sglang_words = {
        "tp": "--tp-size", "pp": "--pp-size", "dp": "--dp-size", "max_model_len": "--context-length",
        "mem_fraction_static": "--mem-fraction-static",
    }  # fmt: skip
    spelled = vllm_words if row["engine"] == "vllm" else sglang_words
    words = []
    for key, flag in spelled.items():
        value = row.get(key)
        if value is True:
            words.append(flag)
        elif value and not (key in ("tp", "pp", "dp", "dcp") and value == 1):
            words += [flag, str(value)]
    if dtype := _KV.get(str(row.get("kv_dtype"))):
        words += ["--kv-cache-dtype", {"bf16": "bfloat16"}.get(dtype, dtype)]
    if row.get("dtype") == "float16" and row["engine"] == "vllm":
        # A log says what a model is served in; checkpoints state bfloat16 mostly.
        words += ["--dtype", "float16"]
    if row.get("prefix_caching") and row["engine"] == "vllm":
        words.append("--enable-prefix-caching")
    if (row.get("ep") or 1) > 1:
        words += ["--enable-expert-parallel"] if row["engine"] == "vllm" else ["--ep-size", str(row["ep"])]
    return words


def ask(row: dict[str, Any], folder: Path) -> Answer:
    """The row's command, put to `archcalc fit`."""
    if row["engine"] not in ("vllm", "sglang"):
        return Answer(row, why="another engine: its caches are compared in the tests of archcalc kv")
    if "all" in row.get("reasons", {}):
        return Answer(row, why=row["reasons"]["all"])
    if "read_as" not in row:
        return Answer(row, why="the config of this model is not to be had")
    read_as, measured = row["read_as"], row["measured"]
    config = folder / row["id"] / "config.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    if "config" in read_as:
        stated = read_as["config"]
    elif "config_file" in read_as:
        stated = json.loads((DATA / "engine_configs" / read_as["config_file"]).read_text(encoding="utf-8"))
    else:
        stated = zoo.config(read_as["base"])
    config.write_text(json.dumps(dict(stated)), encoding="utf-8")
    options = [f"--set={key}={json.dumps(value)}" for key, value in read_as.get("set", {}).items()]
    options += ["--quant", read_as["quant"]] if "quant" in read_as else []
    total = measured.get("gpu_total_gib")
    count = row["tp"] * row["pp"] * row["dp"]
    if "device" in row:
        options += ["--gpu", f"{count}x{row['device']}" if count > 1 else row["device"]]
    if total is not None:
        options += ["--vram", f"{total}GiB"]
    if "device" not in row and total is None:
        return Answer(row, why="the log does not say which GPU it was")
    version = serving_of(row).version
    options += ["--engine-version", version] if version else []
    start = ["vllm", "serve"] if row["engine"] == "vllm" else ["python", "-m", "sglang.launch_server", "--model-path"]
    words = words_of(row)
    out, err = _run(["fit", "--offline", "--format", "json", *options, "--", *start, str(config.parent), *words])
    shown = " ".join([*start, row["model"].split(" ")[0], *words])
    try:
        got = json.loads(out)
    except ValueError:
        said = " ".join((err or out).split()).replace(str(config.parent), row["id"])
        return Answer(row, shown, why=said[:200])
    return Answer(
        row, shown, got["per_gpu"]["weights_bytes"], got["per_gpu"]["kv_room_bytes"], got["kv_tokens"],
        got["fits"] if row.get("max_model_len") else None,
    )  # fmt: skip


def _run(arguments: list[str]) -> tuple[str, str]:
    """The command line in this process: what it prints, and what it says of errors."""
    from archcalc.cli import main as command_line

    out, err = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", ["archcalc", *arguments]), redirect_stdout(out), redirect_stderr(err), suppress(SystemExit):
        command_line()
    return out.getvalue(), err.getvalue()


def answers() -> list[Answer]:
    """All rows, those that are most wrong first."""
    with tempfile.TemporaryDirectory() as folder:
        return sorted((ask(row, Path(folder)) for row in rows()), key=lambda a: (bool(a.why), -a.apart, a.row["id"]))


def _commands(found: Sequence[Answer]) -> list[str]:
    """What users get: every row that can be asked, strict or not, the wrong ones first."""
    weights = [abs(a.weights_error) for a in found if a.weights_error is not None]
    rooms = [abs(a.room_error) for a in found if a.room_error is not None]
    judged = [a for a in found if a.fits is not None and a.row["measured"].get("outcome", "")[:2] in ("ok", "oo", "fa")]
    lines = [
        "## Through the command line",
        "",
        "Each row is asked as a user would ask: `archcalc fit --gpu GPU --engine-version V -- COMMAND`, with what the log says of the",
        "command and nothing else. Flags that a log does not show are not known, so some of these rows are wrong at their source. All rows",
        "count, strict or not; the most wrong are first, a wrong verdict before any error.",
        "",
        "| figure | rows | reached |",
        "| --- | ---: | --- |",
        _row("weights within 1.5 %", str(len(weights)), f"{100 * sum(e <= 0.015 for e in weights) / len(weights):.0f} %"),
        _row(
            "tokens, or room", str(len(rooms)),
            f"median {100 * statistics.median(rooms):.1f} %, 90th percentile {100 * percentile(rooms, 0.9):.1f} %",
        ),
        _row("verdicts", str(len(judged)), f"{sum(not a.wrong_verdict for a in judged)} agree"),
        "",
        *_table("row | strict | command | weights | room or tokens | verdict | why", "---|---|---|---:|---:|---|---"),
    ]  # fmt: skip
    for a in found:
        if a.why:
            continue
        wrong = "wrong" if a.wrong_verdict else "" if a.fits is None else "agrees"
        off = a.wrong_verdict or _over(a.weights_error, 0.015) or _over(a.room_error, 0.05)
        reasons = " ".join(
            f"{text}." for text in [*a.row.get("reasons", {}).values(), *([a.row["said"]] if "said" in a.row else [])]
        )
        why = reasons or "not explained" if off else ""
        strict = "yes" if a.row["strict"] else ""
        lines.append(_row(a.row["id"], strict, f"`{a.command}`", _percent(a.weights_error), _percent(a.room_error), wrong, why))
    lines += ["", "Not asked:", ""]
    lines += [f"- `{a.row['id']}`: {a.why.rstrip('.')}." for a in found if a.why]
    return lines


# The page


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed."""
    found = sorted(values)
    return found[max(0, -(-int(share * 1000) * len(found) // 1000) - 1)]


class Score(NamedTuple):
    """Errors of the strict rows that give a figure, and what is asked of them."""

    weights: list[float]
    given: list[float]
    predicted: list[float]


def score(results: Sequence[Result]) -> Score:
    strict = [r for r in results if r.strict]
    return Score(
        [abs(r.weights_error) for r in strict if r.weights_error is not None],
        [abs(r.given_error) for r in strict if r.given_error is not None],
        [abs(r.predicted_error) for r in strict if r.predicted_error is not None],
    )


def wrong_verdicts(results: Sequence[Result]) -> list[Result]:
    """Rows that ran out of memory and are called a fit, and rows that ran and are called impossible."""
    out = []
    for r in results:
        outcome = r.row["measured"].get("outcome", "")
        if r.fits is None:
            continue
        if (outcome in ("oom", "fail") and r.fits) or (outcome.startswith("ok") and not r.fits):
            out.append(r)
    return out


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.2f} %" if abs(value) < 0.0995 else f"{100 * value:+.1f} %"


def _gib(value: float | None) -> str:
    return "-" if value is None else f"{value / GIB:.2f}"


def page(results: Sequence[Result], asked: Sequence[Answer]) -> str:
    """docs/engine-logs.md."""
    s = score(results)
    within = sum(e <= 0.015 for e in s.weights)
    wrong = wrong_verdicts(results)
    checked = [r for r in results if r.fits is not None and r.row["measured"].get("outcome", "")[:2] in ("ok", "oo", "fa")]
    lines = [
        "# Engine logs: what was predicted, and what was logged",
        "",
        "<!-- Made by scripts/engine_log_report.py: do not edit. -->",
        "",
        "Rows are log lines of vLLM and SGLang on real GPUs, from public issues, posts and repositories",
        "(`tests/data/engine_logs.jsonl`, each with its source).",
        "",
        *_commands(asked),
        "",
        "## The terms by themselves",
        "",
        "What the budget says where the log's own activation and overhead are put in. This table counts strict rows: those whose model,",
        "GPU, version and split are beyond doubt.",
        "",
        "| figure | rows | asked | reached |",
        "| --- | ---: | --- | --- |",
        f"| weights per GPU within 1.5 % | {len(s.weights)} | 95 % of rows | {100 * within / len(s.weights):.0f} % |",
        _asked("room for the cache, logged activation and overhead", s.given, 0.03, 0.10),
        _asked("room for the cache, all predicted", s.predicted, 0.05, 0.15),
        "",
        "The room is compared in tokens where the log has them, else in bytes. Logged activation and overhead are those of the log's own",
        "account; where it has none, its room is taken, and the tokens that it holds are compared.",
        "",
        "## Verdicts",
        "",
        f"{len(checked)} rows say whether the engine started; {len(checked) - len(wrong)} verdicts agree.",
        "",
    ]
    for r in wrong:
        called = "a fit" if r.fits else "impossible"
        lines.append(f"- `{r.row['id']}`: {r.row['measured']['outcome']}, called {called}. {_reason(r)}".rstrip())
    lines += ["", "## Weights", "", *_table("row | strict | logged GiB | predicted GiB | error", "---|---|---:|---:|---:")]
    for r in results:
        if r.logged_weights and r.weights:
            error = _percent(r.weights_error)
            lines.append(_row(r.row["id"], _strict(r), _gib(r.logged_weights), _gib(r.weights.bytes), error))
    heads = "row | strict | | logged | with logged activation | error | predicted | error"
    lines += ["", "## Room for the cache", "", *_table(heads, "---|---|---|---:|---:|---:|---:|---:")]
    for r in results:
        if r.logged is not None:
            logged, given, predicted = (_room(v, r.what) for v in (r.logged, r.given, r.predicted))
            unit = "GiB" if r.what == "room" else "tokens"
            errors = _percent(r.given_error), _percent(r.predicted_error)
            lines.append(_row(r.row["id"], _strict(r), unit, logged, given, errors[0], predicted, errors[1]))
    lines += ["", "## llama.cpp's compute buffers", "", *_buffers()]
    lines += ["", "## What the fitted terms rest on", "", *_fits(results), "", *_stands(results), "", "## Exceptions", ""]
    for r in results:
        if r.strict and (_over(r.weights_error, 0.015) or _over(r.given_error, 0.10) or _over(r.predicted_error, 0.15)):
            lines.append(f"- `{r.row['id']}`: {_reason(r) or 'not explained'}")
    lines += ["", "## Read otherwise", ""]
    lines += [f"- `{r.row['id']}`: {text}." for r in results if (text := r.row.get("said") or r.row.get("read_as", {}).get("why"))]
    lines += ["", "## Not compared", ""]
    lines += [f"- `{r.row['id']}`: {r.why}." for r in results if r.why]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(heads: str, rules: str) -> list[str]:
    return [f"| {heads} |", f"| {' | '.join(rules.split('|'))} |"]


def _strict(r: Result) -> str:
    return "yes" if r.strict else ""


def _room(value: float | None, what: str) -> str:
    return "-" if value is None else _gib(value) if what == "room" else f"{int(value):,}"


def _asked(name: str, errors: list[float], median: float, tail: float) -> str:
    reached = f"{100 * statistics.median(errors):.1f} %, {100 * percentile(errors, 0.9):.1f} %"
    return _row(name, str(len(errors)), f"median {100 * median:.0f} %, 90th percentile {100 * tail:.0f} %", reached)


# Compute buffers that llama.cpp logged on GPUs: model, context, options, MiB. Builds before June 2026 where none is said.
_BUFFERS: tuple[tuple[str, int, dict[str, Any], str, float], ...] = (
    ("qwen3.5-9b", 262144, {}, "a 12 GB card, 2026", 808.02),
    ("qwen3.5-27b", 262144, {}, "b9026", 836),
    ("gpt-oss-20b", 131072, {}, "an M5, 2026-03", 420),
    ("qwen3.5-9b", 8192, {}, "Vulkan, 2026", 498),
    ("llama-3.1-70b", 4096, {"flash_attn": False}, "RPC, 2025", 588.01),
    ("qwen3-8b", 131072, {"flash_attn": False}, "LM Studio, 2025, layers in the CPU's memory", 9240),
    ("phi-3-mini", 4096, {"flash_attn": False, "n_ubatch": 256}, "text-generation-webui, 2025-07, -b 256", 150),
    ("llama-3.1-8b", 32768, {"wide_masks": False, "n_outputs": 1}, "Ollama, 2026-06", 140),
    ("smollm2-135m", 8192, {"wide_masks": False, "n_outputs": 4, "copies": 4}, "two A40, four slots, 2026", 48.91),
    ("qwen3.5-27b", 32768, {"wide_masks": False, "n_outputs": 4}, "drafts with MTP, 2026", 154.02),
    ("qwen3.5-122b-a10b", 32768, {"n_ubatch": 1586}, "the last of four GPUs, 2026", 1558.12),
    ("llama-3.1-8b", 8192, {"streamed_head_bytes": 128256 * 4096 * 210 // 256}, "the head in the CPU's memory", 669.48),
)


def _buffers() -> list[str]:
    """llama.cpp's compute buffers: what was logged, and what llama.cpp reserves for other models when it is asked."""
    from archcalc.engines.llamacpp import cache as llamacpp

    def mib(name: str, context: int, options: dict[str, Any]) -> float:
        model = zoo.spec(name)
        assert model is not None
        made = llamacpp.allocate(model, Workload(context, 1), llamacpp.CacheOptions(**options))
        return made.details["compute_buffer_bytes"] / 2**20

    lines = _table("model | context | | logged MiB | predicted MiB | error", "---|---:|---|---:|---:|---:")
    for name, context, options, where, logged in _BUFFERS:
        found = mib(name, context, options)
        lines.append(_row(name, f"{context:,}", where, f"{logged:,.2f}", f"{found:,.2f}", _percent(found / logged - 1)))
    errors = []
    for line in (DATA / "llamacpp_reserved.tsv").read_text().splitlines():
        if not line.startswith("#"):
            release, name, context_text, flash, outputs, size = line.split("\t")
            options = {"flash_attn": flash == "1", "n_outputs": int(outputs), "wide_masks": release == "63d93d17"}
            errors.append(abs(mib(name, int(context_text), options) * 2**20 / int(size) - 1))
    near = sum(e <= 0.001 for e in errors)
    lines += [
        "",
        f"Of {len(errors)} buffers that llama.cpp's own scheduler and allocator reserve for {_models()} models in two releases "
        f"(`tests/data/llamacpp_reserved.tsv`), {near} are met within 0.1 %; the largest error is {100 * max(errors):.0f} %.",
    ]
    return lines


def _models() -> int:
    rows = (line.split("\t") for line in (DATA / "llamacpp_reserved.tsv").read_text().splitlines())
    return len({row[1] for row in rows if not row[0].startswith("#")})


def _stands(results: Sequence[Result]) -> list[str]:
    """How many logs with other memory than weights and activations each fitted term is in, and of how many sources."""
    found: dict[str, set[tuple[str, str]]] = {}
    for r in results:
        if r.budget is None:
            continue
        m = r.row["measured"]
        split = m.get("non_torch_gib") is not None or m.get("weights_plus_non_torch_gib") is not None
        for term in r.budget.overhead_terms:
            logged = m.get("cuda_graph_gib") is not None if term.name == "CUDA graphs" else split
            if term.basis == "fitted" and logged:
                found.setdefault(f"{r.row['engine']}: {term.name}", set()).add((r.row["id"], r.row["source_url"]))
    lines = ["Each fitted constant, the logs that say something of it, and their sources:", ""]
    lines += _table("constant | logs | sources", "---|---:|---:")
    lines += [_row(name, str(len(rows)), str(len({url for _, url in rows}))) for name, rows in sorted(found.items())]
    return lines


def _over(error: float | None, limit: float) -> bool:
    return error is not None and abs(error) > limit


def _reason(r: Result) -> str:
    return " ".join(f"{text}." for text in [*r.row.get("reasons", {}).values(), *([r.row["said"]] if "said" in r.row else [])])


def _fits(results: Sequence[Result]) -> list[str]:
    """Activation and overhead of every row that logs them. Newer versions count the graphs with the activation."""
    heads = "row | activation logged | predicted | | other memory logged | predicted | graphs logged"
    lines = _table(heads, "---|---:|---:|---|---:|---:|---:")
    for r in results:
        m = r.row["measured"]
        other = m.get("non_torch_gib")
        if other is None and m.get("weights_plus_non_torch_gib") and m.get("weights_gib_per_gpu"):
            other = m["weights_plus_non_torch_gib"] - m["weights_gib_per_gpu"]
        active = m.get("activation_peak_gib", m.get("activation_and_graph_gib"))
        if r.budget is None or (other is None and active is None):
            continue
        graphs = sum(t.bytes for t in r.budget.overhead_terms if t.name == "CUDA graphs")
        counted = graphs if "activation_and_graph_gib" in m else 0
        why = r.budget.activation_terms[0].name if r.budget.activation_terms else ""
        predicted = _gib(r.budget.activation_bytes + counted), _gib(r.budget.overhead_bytes - graphs)
        captured = _number(m.get("cuda_graph_gib"))
        lines.append(_row(r.row["id"], _number(active), predicted[0], why, _number(other), predicted[1], captured))
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description="Compare predictions with engine logs.")
    parser.add_argument("--rows", action="store_true", help="print every row instead of writing the page")
    args = parser.parse_args()
    results = [evaluate(row) for row in rows()]
    text = page(results, answers())
    if args.rows:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
        s = score(results)
        print(f"{PAGE.name}: weights {sum(e <= 0.015 for e in s.weights)}/{len(s.weights)} within 1.5 %")
        for name, errors in (("given", s.given), ("predicted", s.predicted)):
            median, tail = 100 * statistics.median(errors), 100 * percentile(errors, 0.9)
            print(f"  room {name}: median {median:.1f} %, 90th percentile {tail:.1f} % of {len(errors)} rows")


if __name__ == "__main__":
    main()
