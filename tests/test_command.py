"""The printed command starts the plan: every choice is a flag, the checkpoint is the one judged, and it can be pasted."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware
from archcalc.analysis.command import start, wrapped
from archcalc.analysis.fit import Ask, plans
from archcalc.analysis.verdict import fit_report
from archcalc.engines.engine import server
from archcalc.errors import ArchcalcError
from archcalc.loader import load
from conftest import Run

# What engines call each choice of a plan: vLLM 0.33, engine/arg_utils.py; SGLang 0.5.23, srt/arg_groups/fields/.
VLLM = {
    "tp": "--tensor-parallel-size", "pp": "--pipeline-parallel-size", "dp": "--data-parallel-size",
    "dcp": "--decode-context-parallel-size", "context": "--max-model-len", "kv": "--kv-cache-dtype",
    "utilization": "--gpu-memory-utilization", "tokens": "--max-num-batched-tokens",
}  # fmt: skip
SGLANG = {
    "pp": "--pp-size", "dp": "--dp-size", "ep": "--ep-size", "dcp": "--dcp-size", "context": "--context-length",
    "kv": "--kv-cache-dtype", "utilization": "--mem-fraction-static",
}  # fmt: skip
# Choices of `--kv-cache-dtype` (config/cache.py `CacheDType`; srt/arg_groups/fields/model.py).
CACHES = {
    "vllm": {"bfloat16", "float16", "fp8", "fp8_e5m2", "auto"},
    "sglang": {"bf16", "bfloat16", "fp8_e4m3", "fp8_e5m2", "auto"},
}


def flags(command: str) -> dict[str, str]:
    """Each flag and its value, empty where it has none."""
    found: dict[str, str] = {}
    last = ""
    for word in shlex.split(command):
        if word.startswith("-") and not word[1:2].isdigit():
            last = word
            found[last] = ""
        elif last:
            found[last] = word
    return found


def every_plan() -> list[Any]:
    asks = []
    for model in ("llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3", "gemma-3-4b"):
        for engine in ("vllm", "sglang"):
            for gpu in ("1xh200", "8xh200", "16xh200"):
                asks += [(model, engine, gpu, kv, extra) for kv in (None, "bf16", "fp8") for extra in ({}, {"utilization": 0.8})]
    return asks


@pytest.mark.parametrize(("model", "engine", "gpu", "kv", "extra"), every_plan())
def test_every_choice_of_a_plan_is_in_its_command(model: str, engine: Any, gpu: str, kv: str | None, extra: dict[str, Any]) -> None:
    loaded, spec = load(model, offline=True), hardware.parse_spec(gpu)
    more = {"batched_tokens": 4096, **extra} if engine == "vllm" and extra else extra
    ask = Ask(spec, engine, context_tokens=4096, kv_dtype=kv, **more)
    try:
        found = plans(loaded.architecture, ask)
    except ArchcalcError as error:
        pytest.skip(error.message)
    for chosen in (found.best, *found.others):
        p, got = chosen.placement, flags(start(loaded, ask, found._replace(best=chosen)).command)
        names = VLLM if engine == "vllm" else SGLANG
        shared = engine == "sglang" and p.dp > 1 and loaded.architecture.facts.moe is not None
        if shared:
            # The name of 0.5.22 and later (srt/arg_groups/fields/parallel.py).
            names = {**names, "dp": "--attn-dp-size"}
        for key, ways in (("tp", p.tp), ("pp", p.pp), ("dp", p.dp), ("dcp", p.dcp), ("ep", p.ep)):
            if key in names:
                assert int(got.get(names[key], "1")) == ways, key
        if engine == "vllm":
            assert ("--enable-expert-parallel" in got) == (p.ep > 1)
        else:
            # Attention in data parallelism divides the ranks of --tp; replicas of a dense model have ranks of their own.
            assert int(got.get("--tp", "1")) == (p.tp * p.dp if shared else p.tp)
            assert "--enable-dp-attention" not in got
        assert int(got[names["context"]]) == 4096
        assert (got.get(names["kv"]) in CACHES[engine]) == (kv is not None)
        assert float(got.get(names["utilization"], "0")) == (extra.get("utilization") or 0)
        assert got.get("--max-num-batched-tokens") == (str(more["batched_tokens"]) if "batched_tokens" in more else None)
        machines = -(-spec.count // spec.device.per_machine)
        assert int(got.get("--nnodes", "1")) == machines
        assert ("--master-addr" in got or "--dist-init-addr" in got) == (machines > 1)
        assert "--quantization" not in got


def one(model: str, gpu: str, quant: str | None = None, **asked: Any) -> Any:
    loaded = load(model, offline=True, overrides=asked.pop("overrides", ()))
    return fit_report(loaded, Ask(hardware.parse_spec(gpu), context_tokens=2048, quant=quant, **asked), brief=True)


@pytest.mark.parametrize(
    ("engine", "version", "quant", "words"),
    [
        # vLLM: fp8 quantizes nothing as it loads since 0.31 (layers/quantization/fp8.py); shorthands by block since 0.20.
        ("vllm", None, "fp8", "--quantization fp8_per_block"), ("vllm", "0.31.0", "fp8", "--quantization fp8_per_block"),
        ("vllm", "0.19.0", "fp8", "--quantization fp8"), ("vllm", "0.11.0", "fp8", "--quantization fp8"),
        ("vllm", None, "fp8-dynamic", "--quantization fp8_per_channel"), ("vllm", "0.23.0", "fp8-dynamic", None),
        ("vllm", "0.27.0", "nf4", "--quantization bitsandbytes"), ("vllm", "0.19.0", "mxfp8", None),
        ("vllm", None, "mxfp8", "--quantization mxfp8"), ("vllm", None, "awq", None), ("vllm", None, "w4a16", None),
        ("vllm", None, "int8", None), ("vllm", None, "nvfp4", None), ("vllm", None, "bnb-int8", None),
        ("sglang", None, "fp8", "--quantization fp8"), ("sglang", None, "gptq", None),
        ("sglang", None, "nf4", "--quantization bitsandbytes --load-format bitsandbytes"),
        ("transformers", None, "nf4", 'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")'),
        ("transformers", None, "bnb-int8", "BitsAndBytesConfig(load_in_8bit=True)"), ("transformers", None, "awq", None),
    ],
)  # fmt: skip
def test_a_storage_is_a_flag_or_a_placeholder(engine: Any, version: str | None, quant: str, words: str | None) -> None:
    r = one("llama-3.1-8b", "h100", quant, engine=engine, version=version)
    made = server(engine).loading(version, quant)
    assert (made and " ".join(made)) == words
    if words is not None:
        assert words in r.command
        assert "meta-llama/Llama-3.1-8B" in r.command
    else:
        assert f"<Llama-3.1-8B-in-{quant}>" in r.command
        assert "meta-llama/" not in r.command
        assert any("needs a checkpoint" in note and quant in note for note in r.notes)


def test_a_placeholder_runs_nothing(tmp_path: Path) -> None:
    command = one("llama-3.1-70b", "h100", "awq", engine="vllm").command
    script = f"vllm() {{ echo ran; }}\n{command}\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout, list(tmp_path.iterdir())) == ("", [])
    assert done.returncode
    with pytest.raises(SyntaxError):
        ast.parse(one("llama-3.1-70b", "h100", "awq", engine="transformers").command)


@pytest.mark.parametrize("quant", [None, "fp8"])
def test_a_checkpoint_that_is_stored_so_needs_no_flag(quant: str | None) -> None:
    command = one("deepseek-v3", "8xb200", quant, engine="vllm").command
    assert "--quantization" not in command
    assert command.startswith("vllm serve deepseek-ai/DeepSeek-V3 ")


@pytest.mark.parametrize(
    ("quant", "flag"), [("bf16", ""), ("fp16", " --dtype float16"), ("fp32", " --dtype float32")]
)  # fmt: skip
def test_another_float_is_a_dtype(quant: str, flag: str) -> None:
    r = one("llama-3.1-8b", "h100", quant, engine="vllm")
    assert r.command == f"vllm serve meta-llama/Llama-3.1-8B --max-model-len 2048{flag}"
    # 8.03 B weights, and nothing kept in half precision where float32 was asked for.
    assert r.per_gpu.weights_bytes / 8.03e9 == pytest.approx(4 if quant == "fp32" else 2, rel=0.01)


def test_keys_that_were_set_are_set_in_the_engine() -> None:
    command = one("llama-3.1-8b", "h100", engine="vllm", overrides=["rope_scaling.factor=4"]).command
    # An engine replaces the dictionary whole.
    assert json.loads(flags(command)["--hf-overrides"])["rope_scaling"]["rope_type"] == "llama3"
    assert json.loads(flags(command)["--hf-overrides"])["rope_scaling"]["factor"] == 4
    nested = one("gemma-3-4b", "h100", engine="sglang", overrides=["text_config.sliding_window=512"]).command
    assert json.loads(flags(nested)["--json-model-override-args"]) == {"text_config": {"sliding_window": 512}}
    r = one("llama-3.1-8b", "h100", engine="transformers", overrides=["rope_scaling.factor=4"])
    assert any("sets rope_scaling" in note for note in r.notes)


@pytest.mark.parametrize(("name", "model"), [("config.json", "a folder; x"), ("other.json", "<the-model-of-other.json>")])
def test_a_local_model_is_its_folder(name: str, model: str, tmp_path: Path) -> None:
    from archcalc.zoo import config

    folder = tmp_path / "a folder; x"
    folder.mkdir()
    (folder / name).write_text(json.dumps(config("llama-3.1-8b")))
    words = shlex.split(one(str(folder / name), "h100", engine="vllm").command)
    assert words[2] == (str(folder) if name == "config.json" else model)


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "quant"),
    [
        ("deepseek-v3", "16xh100", "vllm", None), ("deepseek-v3", "16xh100", "sglang", None),
        ("llama-3.1-8b", "h100", "transformers", "nf4"), ("llama-3.1-8b", "h100", "llama.cpp", "q4_k_m"),
        ("llama-3.1-70b", "h100", "vllm", "awq"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_wrapped_command_is_the_same_command(model: str, gpu: str, engine: Any, quant: str | None, width: int) -> None:
    command = one(model, gpu, quant, engine=engine).command
    lines = wrapped(command, width)
    text = "\n".join(lines)
    if engine == "transformers":
        assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(command))
    else:
        assert shlex.split(text.replace("\\\n", " ")) == shlex.split(command)
        assert all(line.endswith(" \\") for line in lines[:-1])
    assert max(map(len, lines)) <= max(width, 66)
    assert "\n" not in command


def test_what_is_printed_can_be_pasted(run: Run) -> None:
    wanted = json.loads(run("fit", "deepseek-v3", "--gpu", "16xh100", "--ctx", "8k", "--format", "json").stdout)["command"]
    for form in ("table", "markdown"):
        text = run("fit", "deepseek-v3", "--gpu", "16xh100", "--ctx", "8k", "--format", form, env={"COLUMNS": "80"}).stdout
        at = text.index("vllm serve")
        lines = text[at:].split("\n")
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
        assert shlex.split("\n".join(lines[: end + 1]).replace("\\\n", " ")) == shlex.split(wanted)
        assert max(map(len, lines[: end + 1])) <= 80


def test_several_machines_are_told_of() -> None:
    r = one("deepseek-v3", "32xh100", engine="vllm")
    assert "--nnodes 4 --node-rank 0 --master-addr <address-of-the-first-machine>" in r.command
    assert any("--node-rank 1 to 3 --headless" in note for note in r.notes)
    replicas = one("deepseek-v3", "32xh100", engine="vllm", version="0.11.0")
    here = replicas.plan.dp // 4
    assert f"--data-parallel-size-local {here} --data-parallel-address <address-of-the-first-machine>" in replicas.command
    assert any(f"--headless --data-parallel-start-rank {here}" in note for note in replicas.notes)
    old = one("llama-3.1-70b", "32xh100", engine="vllm", version="0.11.0")
    assert "--distributed-executor-backend ray" in old.command
    assert any("ray start" in note for note in old.notes)


def test_a_gguf_file_is_loaded_as_it_is(tmp_path: Path) -> None:
    from checkpoints import gguf_bytes
    from test_formats import QWEN3, QWEN3_CONFIG, gguf_tensors

    path = tmp_path / "a model.gguf"
    path.write_bytes(gguf_bytes({**QWEN3, "general.file_type": 15}, gguf_tensors(QWEN3_CONFIG, "q4_k_m")))
    r = one(str(path), "4090", engine="llama.cpp")
    assert (flags(r.command)["-m"], r.plan.quant) == (str(path), "q4_k_m")
    assert any("vllm-gguf-plugin" in note for note in one(str(path), "4090", engine="vllm").notes)
    with pytest.raises(ArchcalcError, match="widens"):
        one(str(path), "4090", engine="transformers")


def test_further_flags_go_behind_the_plans() -> None:
    loaded, ask = load("llama-3.1-8b", offline=True), Ask(hardware.parse_spec("h100"), "vllm", context_tokens=2048)
    found = plans(loaded.architecture, ask)
    taken = found.best._replace(taken=found.best.taken.with_flag("--max-num-seqs 8", ""))
    made = start(loaded, ask, found._replace(best=taken))
    assert flags(made.command)["--max-num-seqs"] == "8"


@pytest.mark.parametrize(("pinned", "engine"), [(True, "vllm"), (False, "vllm"), (True, "sglang"), (True, "transformers")])
def test_a_revision_that_was_named_is_started(pinned: bool, engine: Any) -> None:
    from archcalc.loader import Loaded
    from archcalc.report import SourceInfo

    architecture = load("llama-3.1-8b", offline=True).architecture
    loaded = Loaded(SourceInfo("org/name", "hub", "hf-config", "0e9e39f2"), architecture, pinned=pinned)
    ask = Ask(hardware.parse_spec("h100"), engine, context_tokens=2048)
    command = start(loaded, ask, plans(architecture, ask)).command
    assert "org/name" in command
    assert ("0e9e39f2" in command) == pinned
    assert ('revision="0e9e39f2"' if engine == "transformers" else "--revision 0e9e39f2") in command or not pinned


def test_a_bundled_checkpoint_in_the_storage_asked_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from archcalc import zoo
    from archcalc.quant import quantize_as

    entry = zoo.find("llama-3.1-8b")
    plain = zoo.spec("llama-3.1-8b")
    assert entry is not None
    assert plain is not None
    twin = entry._replace(name="llama-3.1-8b-awq", repo="meta-llama/Llama-3.1-8B-AWQ", aliases=())
    monkeypatch.setattr(zoo, "entries", lambda: (entry, twin))
    monkeypatch.setattr(zoo, "spec", lambda name: quantize_as(plain, "awq") if name == twin.name else plain)
    r = one("llama-3.1-8b", "h100", "awq", engine="vllm")
    assert r.command == "vllm serve meta-llama/Llama-3.1-8B-AWQ --max-model-len 2048"
    assert any("is the checkpoint in awq" in note for note in r.notes)


def test_advice_says_where_another_checkpoint_is_needed(run: Run) -> None:
    for engine, word in (("vllm", "a checkpoint in w4a16"), ("transformers", "weights quantized to nf4")):
        done = run("fit", "llama-3.1-70b", "--gpu", "1xl40s", "--engine", engine, "--ctx", "2k", "--format", "json")
        assert word in [change["what"] for change in json.loads(done.stdout)["would_fit"]]
