"""What the commands print: the contract's keys, formats, widths, and what is imported on the way."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import archcalc
from archcalc import report, zoo
from archcalc.api import schema_model
from archcalc.cli.schema import reports
from conftest import Run, imported

CONTRACT = {
    "": ["schema_version", "source", "status", "unmodelled_keys", "architecture", "params", "checkpoint", "kv_cache", "notes"],
    "source": ["name", "kind", "format", "revision"],
    "architecture": [
        "model_type", "kind", "layers", "hidden_size", "vocab_size", "context_tokens", "attention", "heads", "kv_heads", "head_dim", "norm",
        "activation", "position", "sliding_window", "tied_embeddings", "moe", "mtp_layers", "layer_kinds",
    ],
    "architecture.moe": ["experts", "active", "shared", "layers"],
    "params": ["total", "active", "mtp", "by_part", "by_role"],
    "params.by_part": ["embedding", "decoder", "head", "vision", "audio", "other"],
    "params.by_role": ["embedding", "attention", "mlp", "experts", "shared_experts", "router", "norm", "head", "other"],
    "checkpoint": ["elements", "bytes", "by_dtype"],
    "kv_cache": ["engine", "context_tokens", "batch", "dtype", "bytes", "bytes_per_token", "state_bytes"],
}  # fmt: skip


def test_inspect_json_keeps_the_contract(run: Run) -> None:
    done = run("inspect", "deepseek-v3", "--ctx", "128k", "--format", "json")
    got = json.loads(done.stdout)
    assert done.stderr == ""
    for path, keys in CONTRACT.items():
        node = got
        for step in filter(None, path.split(".")):
            node = node[step]
        assert set(keys) <= set(node), path
    assert got["architecture"]["moe"] == {"experts": 256, "active": 8, "shared": 1, "layers": 58, "intermediate_size": 2048}
    assert [kind["layers"] for kind in got["architecture"]["layer_kinds"]] == ["0-2", "3-60"]
    assert (got["kv_cache"]["bytes"], got["kv_cache"]["context_tokens"]) == (9210691584, 131072)
    # 61 layers of 512 + 64 numbers of two bytes.
    assert got["kv_cache"]["bytes_per_token"] == 61 * 576 * 2


@pytest.mark.parametrize("name", ["deepseek-v3", "gpt2", "gemma-3n-e2b", "qwen3-next-80b-a3b"])
def test_json_satisfies_its_schema(name: str, run: Run) -> None:
    model = schema_model(report.Inspection)
    model.model_validate_json(run("inspect", name, "--format", "json").stdout, strict=True)
    schema = json.loads(run("schema", "inspect").stdout)
    assert schema["properties"].keys() == model.model_json_schema()["properties"].keys()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sweep", ["llama-3.1-8b", "no-such-model", "--ctx", "4k", "--gpu", "4090", "--set", "num_hidden_layers=4,8"]),
        ("sweep", ["gpt2"]),
        ("models", ["--format", "jsonl"]),
        ("gpus", ["--format", "jsonl"]),
        ("compare", ["gpt2", "deepseek-v3", "no-such-model", "--baseline", "gpt2", "--format", "jsonl"]),
        ("pick", ["--gpu", "4090", "--ctx", "8k", "--format", "jsonl"]),
        ("train", ["gpt2", "--seq", "512", "--gpu", "4090", "--format", "jsonl"]),
        ("kv", ["gemma-3-27b", "--ctx", "8k", "--format", "jsonl"]),
        ("fit", ["gpt-oss-20b", "--gpu", "4090", "--ctx", "8k", "--format", "jsonl"]),
    ],
)
def test_lines_satisfy_their_schema(name: str, arguments: list[str], run: Run) -> None:
    model = schema_model(reports()[name])
    found = run(name, *arguments).stdout.splitlines()
    assert found
    for line in found:
        model.model_validate_json(line, strict=True)
    assert json.loads(run("schema", name).stdout)["properties"].keys() == model.model_json_schema()["properties"].keys()


def test_several_sources(run: Run) -> None:
    names = ["gpt2", "llama-3.1-8b"]
    as_json = json.loads(run("inspect", *names, "--format", "json").stdout)
    as_lines = [json.loads(line) for line in run("inspect", *names, "--format", "jsonl").stdout.splitlines()]
    as_csv = list(csv.DictReader(io.StringIO(run("inspect", *names, "--format", "csv").stdout)))
    assert as_json == as_lines
    assert [r["source"]["name"] for r in as_json] == names == [r["source"] for r in as_csv]
    assert [int(r["params_total"]) for r in as_csv] == [124439808, 8030261248]


def test_standard_input_and_overrides(run: Run) -> None:
    text = json.dumps({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
                       "intermediate_size": 128})  # fmt: skip
    got = json.loads(run("inspect", "-", "--set", "num_hidden_layers=3", "--format", "json", stdin=text).stdout)
    assert (got["source"]["kind"], got["architecture"]["layers"]) == ("stdin", 3)


def test_the_library_prints_what_the_command_prints(run: Run) -> None:
    got = json.loads(run("inspect", "gpt-oss-20b", "--ctx", "32k", "--format", "json").stdout)
    assert report.to_plain(archcalc.inspect("gpt-oss-20b", context="32k", offline=True, loaded=True)) == got


@pytest.mark.parametrize("name", ["deepseek-v3", "gemma-3n-e4b", "qwen3.5-397b-a17b", "llama-4-maverick", "gpt2"])
@pytest.mark.parametrize("command", ["inspect", "tensors"])
def test_pages_fit_80_columns_and_are_plain_in_a_pipe(name: str, command: str, run: Run) -> None:
    out = run(command, name, env={"COLUMNS": "80"}).stdout
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert not any(line != line.rstrip() for line in out.splitlines())


def test_lists_are_not_wrapped_in_a_pipe(run: Run) -> None:
    out = run("tensors", "deepseek-v3").stdout
    assert "model.layers.{}.mlp.experts.{}.gate_proj.weight_scale_inv " in out
    assert len(out.splitlines()) == 1 + len(json.loads(run("tensors", "deepseek-v3", "--format", "json").stdout))


def test_tensors_sum_to_the_checkpoint_and_to_the_parameters(run: Run) -> None:
    stored = json.loads(run("tensors", "deepseek-v3", "--format", "json").stdout)
    inspected = json.loads(run("inspect", "deepseek-v3", "--format", "json").stdout)
    assert sum(t["elements"] for t in stored) == inspected["checkpoint"]["stored_elements"]
    reference = json.loads(run("tensors", "deepseek-v3", "--names", "transformers", "--format", "json").stdout)
    assert sum(t["elements"] for t in reference if t["dtype"] != "tied") == inspected["params"]["total"]
    assert {t["name"] for t in reference} >= {"model.layers.{}.mlp.experts.gate_up_proj"}


def test_expand_names_every_tensor(run: Run) -> None:
    folded = json.loads(run("tensors", "gpt-oss-20b", "--format", "json").stdout)
    lines = [json.loads(line) for line in run("tensors", "gpt-oss-20b", "--expand", "--format", "jsonl").stdout.splitlines()]
    assert len(lines) == len({t["name"] for t in lines}) == sum(t["count"] for t in folded)
    assert "model.layers.23.mlp.experts.gate_up_proj_blocks" in {t["name"] for t in lines}


def test_models_filter_and_types(run: Run) -> None:
    got = json.loads(run("models", "qwen3-next-80b-a3b-t", "--format", "json").stdout)
    assert [(m["name"], m["repo"]) for m in got] == [("qwen3-next-80b-a3b-thinking", "Qwen/Qwen3-Next-80B-A3B-Thinking")]
    types = json.loads(run("models", "--types", "--format", "json").stdout)
    assert {"llama", "deepseek_v3", "gemma3n", "grok1"} <= {t["model_type"] for t in types}


def test_version_and_shell_completion(run: Run) -> None:
    assert run("--version").stdout == f"archcalc {archcalc.__version__}\n"
    words = {"_ARCHCALC_COMPLETE": "complete_bash", "COMP_WORDS": "archcalc inspect qwen3-next-80b-a3b-t", "COMP_CWORD": "2"}
    assert run(env=words).stdout.split() == ["qwen3-next-80b-a3b-thinking"]
    words = {"_ARCHCALC_COMPLETE": "complete_bash", "COMP_WORDS": "archcalc te", "COMP_CWORD": "1"}
    assert run(env=words).stdout.split() == ["tensors"]


def test_gpus(run: Run) -> None:
    found = json.loads(run("gpus", "h100", "--format", "json").stdout)
    assert {"h100-sxm-80gb", "h100-pcie-80gb"} <= {d["id"] for d in found}
    assert run("gpus", "voodoo2").stderr.startswith("archcalc: no device")
    assert run("gpus", "--min-memory", "24").returncode == 2


HEAVY = {"huggingface_hub", "yaml", "httpx", "requests", "numpy", "torch", "transformers", "asyncio", "markdown_it"}


def test_a_bundled_model_needs_neither_pydantic_nor_rich() -> None:
    assert not imported("inspect", "deepseek-v3", "--format", "json") & {
        *HEAVY,
        "pydantic",
        "pydantic_core",
        "rich",
        "archcalc.arch._schema",
    }


def test_a_file_needs_no_more_than_pydantic(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(zoo.config("llama-3.1-8b")), encoding="utf-8")
    loaded = imported("inspect", str(path), "--format", "json")
    assert "pydantic" in loaded
    assert not loaded & {*HEAVY, "rich"}
    # Only the adapter that is asked for, and the blocks it is made of.
    adapters = {m for m in loaded if m.startswith("archcalc.arch.") and not m.startswith("archcalc.arch._")}
    assert adapters == {"archcalc.arch.llama"}


def test_the_page_of_a_pipe_needs_neither_rich_nor_pydantic_nor_an_engines_rules() -> None:
    loaded = imported("inspect", "deepseek-v3")
    assert not loaded & {*HEAVY, "pydantic", "pydantic_core", "rich", "archcalc.analysis.fit", "archcalc.engines.vllm.cache"}


def test_a_file_says_what_holds_it_by_the_rules_of_fit(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(zoo.config("llama-3.1-8b")), encoding="utf-8")
    assert "archcalc.analysis.fit" in imported("inspect", str(path))


def test_importing_the_library_is_cheap() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, archcalc; print(*[m for m in sys.modules if m.startswith('archcalc')])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["archcalc"]


def test_every_type_says_where_it_was_read() -> None:
    from archcalc.analysis.explain import adapter_source
    from archcalc.arch import model_types

    assert [name for name in model_types() if not adapter_source(name)] == []


def test_explain_gives_formulas_that_come_out(run: Run) -> None:
    """Each formula of a parameter count is arithmetic over names and numbers: computed, it is the figure."""
    import re

    for name in ("llama-3.1-8b", "deepseek-v3", "gemma-3n-e2b", "qwen3-next-80b-a3b"):
        got = json.loads(run("inspect", name, "--explain", "--format", "json").stdout)
        figures = {f["name"]: f for f in got["explain"]}
        assert figures["total"]["value"] == got["params"]["total"]
        for figure in got["explain"]:
            if figure["unit"] == "parameters":
                bare = re.sub(
                    r"(?<![\w.])[A-Za-z_]+[\w.]*(?= )(?<!x)", "", figure["formula"].replace(",", "").replace(" x ", " * ")
                )
                assert eval(re.sub("layers?", "", bare)) == figure["value"], figure["formula"]
            assert figure["source"]
    page = run("inspect", "llama-3.1-8b", "--explain", env={"COLUMNS": "80"}).stdout
    assert "32 layers x (q_proj 4,096 x 4,096" in page
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of a shell")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("fit kimi-k2.5 --gpu 1xH100", 1),
        ("fit llama-3.1-8b --gpu 1xH100", 0),
        ("fit llama-3.1-8b kimi-k2.5 --gpu 1xH100 --explain", 1),
        ("fit kimi-k2.5 --gpu 1xH100 --format json", 1),
        ("train llama-3.1-8b --gpu 4090 --seq 2k", 1),
        ("pick --gpu 4090 --ctx 100m", 1),
        ("inspect llama-3.1-8b no-such-model", 1),
        ("tensors deepseek-v3 --expand", 0),
    ],
)
def test_a_closed_pipe_keeps_the_status(call: str, status: int, unbuffered: str) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(
        [sys.executable, "-m", "archcalc", *call.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == status
    assert "Traceback" not in said and "Broken" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of a shell")
def test_a_sweep_that_nobody_reads_stops() -> None:
    call = [
        "sweep",
        "gpt2",
        "--ctx",
        ",".join(map(str, range(1, 1000))),
        "--concurrency",
        ",".join(map(str, range(1, 200))),
        "--jobs",
        "1",
    ]
    with subprocess.Popen([sys.executable, "-m", "archcalc", *call], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    assert process.returncode == 141
