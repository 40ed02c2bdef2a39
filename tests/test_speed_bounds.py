"""What is told of a forecast beside it: bounds, targets, what stops at so many requests, and a host's own measurements."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from archcalc.analysis.kv import allocate
from archcalc.analysis.speed.measured import read_bench
from archcalc.analysis.speed.plan import element_bytes
from archcalc.analysis.speed.work import work
from archcalc.engines._allocation import Workload
from archcalc.engines.llamacpp.cache import TYPES
from archcalc.engines.placement import Placement
from archcalc.engines.sglang.cache import DTYPES as SGLANG_DTYPES
from archcalc.engines.vllm.rules import CHANGES
from archcalc.errors import UsageError
from archcalc.loader import load
from conftest import Run


def _fit(cli: Run, *words: str) -> Any:
    return json.loads(cli("fit", *words, "--offline", "--format", "json").stdout)


@pytest.mark.parametrize("osl", [1, 2, 4, 64])
@pytest.mark.parametrize(
    ("model", "isl", "machine"),
    [
        ("llama-3.1-8b", "4096", "--gpu 3090 --engine llama.cpp --quant q4_k_m"),
        ("gemma-3-12b-it", "2k", "--gpu 4090 --engine llama.cpp --quant q4_k_m"),
        ("llama-3.1-8b", "1k", "--gpu m4-max-64gb --engine llama.cpp --quant q4_k_m"),
        ("llama-3.1-8b", "2k", "--gpu h100"),
        ("qwen3-30b-a3b", "2k", "--gpu h100 --quant fp8"),
    ],
)
def test_more_requests_at_once_are_no_fewer_a_second(model: str, isl: str, osl: int, machine: str, cli: Run) -> None:
    """Eight prompts that are read one after another end no later than eight that are there at once: prompts take what they take."""
    made = [_fit(cli, model, *machine.split(), "--isl", isl, "--osl", str(osl), "--concurrency", str(n)) for n in (1, 2, 8, 16)]
    rates = [m["speed"]["requests_per_s"] for m in made]
    assert all(rates) and all(b >= 0.99 * a for a, b in pairwise(rates)), rates
    for m in made:
        s = m["speed"]
        assert s["requests_per_s"] * s["isl"] <= 1.001 * s["prefill_tokens_per_s"]
    if osl == 1:
        s = made[-1]["speed"]
        assert s["requests_per_s"] * s["isl"] >= 0.7 * s["prefill_tokens_per_s"]


@pytest.mark.parametrize(
    "words",
    [
        "llama-3.1-8b --gpu h100,4090 --ctx 8k --concurrency 16",
        "gpt-oss-120b --gpu 8xh100 --ctx 128k --concurrency 64",
        "llama-3.2-1b --gpu t4 --ctx 4k",
    ],
)
def test_no_forecast_is_above_the_ceiling_beside_it(words: str, cli: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("fit", *words.split(), "--offline", "--format", "csv").stdout)))
    made = _fit(cli, *words.split())
    for row, got in zip(rows, made if isinstance(made, list) else [made], strict=True):
        assert float(row["tokens_per_s"]) <= float(row["decode_tokens_per_s_ceiling"]) == got["decode_tokens_per_s_ceiling"]
        assert got["speed"]["bound_tokens_per_s"] == got["decode_tokens_per_s_ceiling"]
        # That of sequences which have reached the context is told apart.
        assert got["speed"]["bound_tokens_per_s_whole_context"] <= got["decode_tokens_per_s_ceiling"]


SLOW = [
    ("llama-3.1-70b", "4090", "64GiB", "50GB"),
    ("llama-3.1-405b", "4090", "512GiB", "60GB"),
    ("deepseek-v3", "4090", "512GiB", "20GB"),
]


@pytest.mark.parametrize(("model", "gpu", "ram", "rate"), SLOW)
def test_a_bound_that_is_printed_is_no_less_than_it_is(model: str, gpu: str, ram: str, rate: str, cli: Run) -> None:
    words = (model, "--gpu", gpu, "--engine", "llama.cpp", "--quant", "q4_k_m", "--ram", ram, "--ram-bandwidth", rate)
    got = _fit(cli, *words)
    bound = got["speed"]["bound_tokens_per_s"]
    said = re.search(r"at most ([\d.,]+) tokens/s", cli("fit", *words, "--offline").stdout)
    assert said and bound <= float(said[1].replace(",", "")) <= 1.01 * bound + 0.01
    table = cli("fit", *words, "--gpu", "4080", "--offline").stdout
    shown = re.search(r"<= ([\d.]+)", table)
    assert shown and float(shown[1]) > 0


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("llama-3.1-8b --gpu h100 --ctx 8k --tpot 1s", "no room for more of 8,192 tokens"),
        ("llama-3.2-1b --gpu h100 --tpot 10s", "graphs are captured"),
        ("llama-3.2-1b --gpu 4090 --engine llama.cpp --quant q4_k_m --tpot 10s", "up to 256 sequences"),
        ("llama-3.1-8b --gpu h100 --tpot 20ms", None),
        ("llama-3.1-8b --gpu h100 --tpot 20ms --concurrency 4", None),
    ],
)
def test_what_stops_at_so_many_requests_is_said(words: str, limit: str | None, cli: Run) -> None:
    target = _fit(cli, *words.split())["speed"]["target"]
    assert target["met"] and (limit in target["limit"] if limit else target["limit"] is None)
    assert limit is None or limit in " ".join(cli("fit", *words.split(), "--offline").stdout.split())


@pytest.mark.parametrize(("option", "unit"), [("--tpot", "ms a token"), ("--ttft", "to the first token")])
@pytest.mark.parametrize("scale", [0.9999, 0.999, 0.97])
def test_a_miss_is_never_told_as_the_target(option: str, unit: str, scale: float, cli: Run) -> None:
    load = ("llama-3.1-8b", "--gpu", "h100", "--isl", "1k", "--osl", "128", "--concurrency", "8")
    s = _fit(cli, *load)["speed"]
    ms = scale * (1.3 * s["tpot_ms"] if option == "--tpot" else s["ttft_ms_high"])
    why = _fit(cli, *load, option, f"{ms:.4f}ms")["speed"]["target"]["why"]
    told = re.search(r"([\d.]+) ms (?:with the margin|at the end of its 80 %)", why)
    assert unit in why and told and float(told[1]) > float(f"{ms:.4f}")


def test_smaller_weights_are_tried_for_a_target(cli: Run) -> None:
    """Eight billion weights of 16 bits over 1,008 GB/s take 16 ms a token, and in eight bits half of that."""
    words = ("--gpu", "4090", "--tpot", "20ms", "--offline", "--format", "json")
    plain = json.loads(cli("fit", "llama-3.1-8b", *words).stdout)
    assert not plain["speed"]["target"]["met"] and "--quant fp8 keeps it" in plain["speed"]["target"]["why"]
    least = json.loads(cli("fit", "llama-3.1-8b", *words, "--max-quant", "w4a16").stdout)
    asked = json.loads(cli("fit", "llama-3.1-8b", *words, "--quant", "fp8").stdout)
    assert least["speed"]["target"]["met"] and least["plan"] == asked["plan"] and least["command"] == asked["command"]
    same = json.loads(cli("fit", "llama-3.1-8b", *words, "--max-quant", "none").stdout)
    assert same["plan"]["quant"] == "bf16" and "--quant" not in same["speed"]["target"]["why"]
    listed = {r["source"]: r for r in json.loads(cli("fit", *words, "--family", "llama").stdout)}
    assert listed["llama-3.1-8b"]["quant"] == "fp8" and listed["llama-3.1-8b"]["target_met"]
    for target in (("--tpot", "20ms"), ("--max-tpot", "12ms")):
        made = json.loads(cli("pick", "--gpu", "4090", "--ctx", "8k", *target, "--all", "--offline", "--format", "json").stdout)
        picked = {p["name"]: p["plan"]["quant"] for p in [made["best"], *made["runners_up"]]}
        assert picked["llama-3.1-8b"] == "fp8"


def test_a_target_replaces_what_people_read_at(cli: Run) -> None:
    words = ("fit", "--gpu", "4090", "--family", "llama", "--offline")
    assert "10 tokens/s" in cli(*words).stdout
    assert "10 tokens/s" not in cli(*words, "--tpot", "20ms").stdout


@pytest.mark.parametrize("gpu", ["strix-halo", "m4-max-64gb"])
def test_no_memory_lets_more_sequences_run_than_a_server_has(gpu: str, cli: Run) -> None:
    """`LLAMA_MAX_SEQ` is 256 (llama.cpp 0c1e57098, src/llama-cparams.h)."""
    words = ("llama-3.2-1b", "--gpu", gpu, "--engine", "llama.cpp", "--quant", "q4_k_m", "--ctx", "8k", "--concurrency", "512")
    got = _fit(cli, *words)
    assert not got["fits"] and got["speed"]["tpot_ms"] is None and "up to 256 sequences" in got["verdict"]
    assert "if raised" not in cli("fit", *words, "--offline").stdout


RUN: dict[str, Any] = {"total_input_tokens": 102400, "total_output_tokens": 102400, "median_tpot_ms": 8.0, "median_ttft_ms": 120.0}


def _runs(isl: int, osl: int) -> str:
    made = [
        {
            **RUN,
            "completed": 100,
            "max_concurrency": n,
            "median_tpot_ms": ms,
            "total_input_tokens": 100 * isl,
            "total_output_tokens": 100 * osl,
        }
        for n, ms in ((1, 6.6), (2, 6.7), (4, 6.9), (8, 7.3), (16, 8.1), (32, 9.9))
    ]
    return "\n".join(map(json.dumps, made))


@pytest.mark.parametrize(
    ("words", "narrow"),
    [
        ("llama-3.1-8b --gpu h100 --concurrency 8", True),
        ("llama-3.1-8b --gpu 8xh100 --tp 8 --concurrency 8", False),  # messages between ranks were in no measurement
        ("qwen3-30b-a3b --gpu h100 --quant fp8 --concurrency 8", False),  # nor experts
        ("deepseek-v2-lite --gpu h100 --concurrency 8", False),
    ],
)
def test_a_calibration_narrows_what_was_measured_alone(words: str, narrow: bool, cli: Run, tmp_path: Path) -> None:
    bench, kept = tmp_path / "bench.json", tmp_path / "kept.json"
    bench.write_text(_runs(1024, 1024))
    kept.write_text(cli("calibrate", str(bench), "llama-3.1-8b", "--gpu", "h100", "--offline", "--format", "json").stdout)
    load = (*words.split(), "--isl", "1k", "--osl", "1k")
    with_it, without = _fit(cli, *load, "--calibration", str(kept))["speed"], _fit(cli, *load)["speed"]
    wide = [s["tpot_ms_high"] / s["tpot_ms_low"] for s in (with_it, without)]
    assert (wide[0] < 0.7 * wide[1]) if narrow else (wide[0] >= 0.99 * wide[1])
    assert with_it["tpot_ms"] != without["tpot_ms"]


def test_what_is_left_out_of_a_benchmark_is_said(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "bench"
    rows = [{"n_prompt": 0, "n_gen": 128}, {"n_prompt": 512, "n_gen": 0, "n_depth": 4096}, {"n_prompt": 512, "n_gen": 128}]
    table = "".join(
        f"| llama 8B Q4_K | 4.58 GiB | 8.03 B | CUDA | 99 | {t} | 111.7 ± 0.3 |\n"
        for t in ("tg128", "pp512 @ d4096", "pp512+tg128")
    )
    for text in (json.dumps([{**row, "avg_ts": 111.7} for row in rows]), f"\n{table}"):
        file.write_text(text)
        notes: list[str] = []
        assert [m.phase for m in read_bench(str(file), notes)] == ["decode"]
        assert [note.split(" is left out")[0] for note in notes] == ["pp512 @ d4096", "pp512+tg128"]
    words = ("calibrate", str(file), "llama-3-8b", "--gpu", "3090", "--engine", "llama.cpp", "--quant", "q4_k_m", "--offline")
    assert "pp512+tg128 is left out" in " ".join(cli(*words).stdout.split())
    assert len(json.loads(cli(*words, "--format", "json").stdout)["notes"]) == 2


@pytest.mark.parametrize(("failed", "read"), [(0, True), (2, True), (80, False)])
def test_a_run_whose_requests_failed_is_no_measurement(failed: int, read: bool, tmp_path: Path) -> None:
    file, notes = tmp_path / "bench.json", list[str]()
    file.write_text(json.dumps({**RUN, "completed": 80, "failed": failed, "max_concurrency": 16}))
    if read:
        assert len(read_bench(str(file), notes)) == 2 and bool(notes) is bool(failed)
    else:
        with pytest.raises(UsageError, match="failed is 80 of 160"):
            read_bench(str(file))


def test_the_middle_of_a_run_is_its_median_in_every_tool(tmp_path: Path) -> None:
    """Means of first tokens lie above their medians: one run says the same by either file."""
    file = tmp_path / "bench.json"
    times = {"inter_token_latency": {"avg": 9.0, "p50": 8.0}, "time_to_first_token": {"avg": 160.0, "p50": 120.0}}
    lengths = {"input_sequence_length": {"avg": 1024.0}, "output_sequence_length": {"avg": 1024.0}}
    file.write_text(json.dumps({**times, **lengths, "input_config": {"perf_analyzer": {"stimulus": {"concurrency": 16}}}}))
    perf = [m.seconds for m in read_bench(str(file))]
    file.write_text(json.dumps({**RUN, "completed": 100, "max_concurrency": 16}))
    assert perf == [m.seconds for m in read_bench(str(file))] == [0.008, 0.12]


@pytest.mark.parametrize(
    ("model", "gpu", "user"), [("llama-3.1-8b", "h100", 75), ("llama-3.1-70b", "8xh200", 30), ("qwen3-30b-a3b", "2xh100", 50)]
)
def test_a_front_misses_no_number_of_requests(model: str, gpu: str, user: int, cli: Run) -> None:
    """What the chart has at so many tokens of each user is the most that `fit` says of any number at once for its plans."""
    words = (model, "--gpu", gpu, "--ctx", "2k", "--offline", "--format", "json")
    (row,) = [r for r in json.loads(cli("plot", "pareto", *words).stdout) if r["at"] == str(user)]
    gpus = int(gpu.partition("x")[0]) if "x" in gpu else 1
    splits = [()] if gpus == 1 else [("--tp", str(gpus)), ("--dp", str(gpus))]
    for split in splits:
        for n in (24, 40, 48, 55, 60, 62, 96, 100, 120):
            s = _fit(cli, *words[:-3], *split, "--isl", "1k", "--osl", "1k", "--concurrency", str(n))["speed"]
            if s["tpot_ms"] is not None and 1000 / s["tpot_ms"] >= user:
                assert row["value"] >= 0.999 * 1024 * s["requests_per_s"] / gpus


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("llama-3.1-8b --gpu h100 --engine-version 0.6.0", "vllm 0.6.0 is not told from the releases that were measured"),
        ("llama-3.1-8b --gpu h100", None),
        ("llama-3.1-8b --gpu h100 --isl 100k --osl 128", "cut where the matrix units would run at their peak"),
        ("llama-3.1-8b --gpu h100 --isl 256 --osl 128", None),
    ],
)
def test_what_an_interval_does_not_stand_on_is_said(words: str, said: str | None, cli: Run) -> None:
    s = _fit(cli, *words.split())["speed"]
    whole = ("is not told from", "is cut where")
    assert said in s["stands_on"] if said else not any(part in s["stands_on"] for part in whole)
    if said and "peak" in said:
        # 2 x parameters x tokens over 989 TFLOPS is the floor of the products alone (NVIDIA H100 datasheet).
        assert (
            s["ttft_ms_low"] == pytest.approx(s["prefill_ms_floor"], rel=0.001)
            and s["ttft_ms_low"] > 2 * 7e9 * 100e3 / 989e12 * 1000
        )


@pytest.mark.parametrize(
    ("engine", "dtypes"),
    [
        ("vllm", [d for c in CHANGES if c.rule == "dtypes" for d in c.value] + ["auto", "fp16", "bf16", "fp8"]),
        ("sglang", SGLANG_DTYPES),
        ("llama.cpp", TYPES),
        ("mlx", ["bf16", "fp16", "int8", "int4"]),
        ("transformers", ["bf16", "fp16", "fp32"]),
    ],
)
def test_a_step_reads_what_a_cache_keeps(engine: str, dtypes: Iterable[str]) -> None:
    """Of each kind that an engine keeps a cache in, as its own pages have it; scales of each head alone are left out, 8 bytes a token."""
    plain, latent = load("llama-3.1-8b").architecture, load("deepseek-v3.2").architecture
    for dtype in dict.fromkeys(dtypes):
        model = latent if dtype.endswith("ds_mla") else plain
        short, long = (allocate(model, engine, Workload(n, 1, dtype)).bytes for n in (4096, 8192))
        keys, values = element_bytes(dtype)
        assert keys == values
        elements = sum(
            n * c.per_token for s in model.stacks for layer, n in zip(s.kinds, s.counts(), strict=True) for c in layer.caches
            if c.kind != "index" and s.part == "decoder"
        )  # fmt: skip
        index = 61 * 132 if model is latent else 0
        own = ((long - short) / 4096 - index) / elements
        assert keys <= own <= keys + 8 / 128, (dtype, own)


def test_keys_and_values_of_two_kinds_are_read_each_at_its_own(cli: Run) -> None:
    """ggml-common.h: a block of q8_0 is 34 bytes for 32 values. 32 layers x 8 heads x 128 of Llama 3.1 8B, keys and values."""
    a = load("llama-3.1-8b").architecture
    for dtype, row in (("f16", 4.0), ("q8_0/f16", 34 / 32 + 2), ("f16/q4_0", 2 + 18 / 32), ("f32", 8.0)):
        assert work(a, (), Placement(1, 1, 1, 1), element_bytes(dtype)).cache_bytes(1) == 32 * 8 * 128 * row
