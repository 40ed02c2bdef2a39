"""`fit -- COMMAND`: every flag goes through to the figures, against what engines logged, and what fit prints reads back as it was."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc.analysis.ask import understand
from archcalc.analysis.verdict import Given, fit_report
from archcalc.cli._command import question
from archcalc.commands.words import of_arguments
from archcalc.engines.plan import Ask
from archcalc.errors import ArchcalcError
from archcalc.hardware import parse_spec
from archcalc.loader import load
from conftest import Run

GIB, MIB = 1 << 30, 1 << 20


def fit(cli: Run, *words: str) -> dict[str, Any]:
    done = cli("fit", "--format", "json", "--offline", *words)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# What engines logged, each row from its own public log: the options beside the command, the command, a figure, what was logged of it, and
# how far from it a figure may lie.
LOGGED = [
    (
        "--gpu rtx-3090 --engine-version 0.6.4",
        "vllm serve llama-3.1-8b --max-model-len 20000 --gpu-memory-utilization 0.9",
        "kv_tokens",
        31232,
        0.05,
    ),
    (
        "--gpu rtx-3090 --engine-version 0.6.4",
        "vllm serve llama-3.1-8b --max-model-len 20000 --gpu-memory-utilization 0.9",
        "weights_bytes",
        14.9888 * GIB,
        0.002,
    ),
    (
        "--vram 12GiB --engine-version 0.7.9",
        "vllm serve qwen3-4b --max-model-len 10000 --gpu-memory-utilization 0.95 --max-num-seqs 1",
        "kv_tokens",
        22304,
        0.1,
    ),
    (
        "--gpu arc-pro-b60-24gb --engine-version 0.28.0",
        "vllm serve gpt-oss-20b --max-model-len 131072 --gpu-memory-utilization 0.8 --enforce-eager",
        "kv_tokens",
        131815,
        0.02,
    ),
    (
        "--gpu 4xrtx-pro-6000-blackwell-ws --engine-version 0.16.0",
        "vllm serve minimax-m2.5 --tensor-parallel-size 4 --max-model-len 196608",
        "kv_tokens",
        399424,
        0.05,
    ),
    (
        "--gpu a100-sxm4-80gb --engine-version 0.19.0",
        "vllm serve gpt-oss-20b --max-model-len 131072 --gpu-memory-utilization 0.65",
        "kv_room_bytes",
        36.56 * GIB,
        0.02,
    ),
    (
        "--gpu h100-sxm-80gb --engine-version 0.4.4",
        "python -m sglang.launch_server --model-path llama-3.1-8b",
        "kv_tokens",
        442750,
        0.005,
    ),
    (
        "--gpu h100-sxm-80gb --engine-version 0.4.1",
        "python -m sglang.launch_server --model-path llama-3.1-8b",
        "kv_tokens",
        444500,
        0.01,
    ),
    ("--gpu rtx-5080 --engine-version 0.4.10", "python -m sglang.launch_server --model-path qwen3-0.6b", "kv_tokens", 104273, 0.01),
    ("--gpu b200-180gb --engine-version 0.5.10", "python -m sglang.launch_server --model-path qwen3-8b", "kv_tokens", 992896, 0.01),
    (
        "--gpu b300-288gb --engine-version 0.5.12",
        "python -m sglang.launch_server --model-path qwen3-8b",
        "kv_tokens",
        1707904,
        0.01,
    ),
    (
        "--vram 12281MiB --quant q4_k_m",
        "llama-server -m qwen3.5-9b -c 262144 -ctk q8_0 -ctv q8_0 -np 2 -kvu -fa on -ngl 99",
        "kv_needed_bytes",
        4452.5 * MIB,
        0.0001,
    ),
    (
        "--vram 12281MiB --quant q4_k_m",
        "llama-server -m qwen3.5-9b -c 262144 -ctk q8_0 -ctv q8_0 -np 2 -kvu -fa on -ngl 99",
        "activation_bytes",
        808.02 * MIB,
        0.03,
    ),
    (
        "--gpu rtx-3090 --quant q4_k_m",
        "llama-server -m qwen3.5-27b -c 262144 -ctk q4_0 -ctv q4_0 -np 4 -kvu -ngl 99",
        "kv_needed_bytes",
        5206 * MIB,
        0.0001,
    ),
    ("--gpu apple-m5 --quant mxfp4", "llama-server -m gpt-oss-20b -c 131072 -np 1 -ngl 99", "kv_needed_bytes", 3090 * MIB, 0.01),
    ("--gpu apple-m5 --quant mxfp4", "llama-server -m gpt-oss-20b -c 131072 -np 1 -ngl 99", "activation_bytes", 420 * MIB, 0.02),
    (
        "--vram 24GiB --quant q4_k_m --set max_position_embeddings=131072",
        "llama-server -m qwen3-8b -c 131072 -fa off",
        "activation_bytes",
        9240 * MIB,
        0.1,
    ),
    (
        "--vram 5738MiB --quant q4_0 --engine-version b9479",
        "llama-server -m llama-3.1-8b -c 32768 -np 1 -ngl 99",
        "activation_bytes",
        140 * MIB,
        0.1,
    ),
]


@pytest.mark.parametrize(("options", "command", "figure", "logged", "share"), LOGGED, ids=[f"{c} {f}" for _, c, f, _, _ in LOGGED])
def test_what_engines_logged(cli: Run, options: str, command: str, figure: str, logged: float, share: float) -> None:
    found = fit(cli, *options.split(), "--", *shlex.split(command))
    value = found[figure] if figure in found else found["per_gpu"][figure]
    assert value == pytest.approx(logged, rel=share)


@pytest.mark.parametrize(
    ("machine", "command", "flag", "what"),
    [
        ("h100", "vllm serve llama-3.1-8b", "--max-num-seqs 16", "activation_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--enforce-eager", "overhead_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--max-cudagraph-capture-size 8", "overhead_bytes"),
        ("h100", "vllm serve llama-3.1-8b", '--compilation-config \'{"cudagraph_mode": "PIECEWISE"}\'', "overhead_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--kv-cache-memory-bytes 30G", "kv_room_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--cpu-offload-gb 4", "weights_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--gpu-memory-utilization 0.7", "budget_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--kv-cache-dtype fp8", "kv_needed_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--block-size 256 --max-model-len 1000", "kv_needed_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--enable-lora --max-lora-rank 64 --max-loras 4", "weights_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--dtype float32", "weights_bytes"),
        ("h100", "vllm serve llama-3.1-8b", "--quantization fp8 ", "weights_bytes"),
        ("h100", "vllm serve gemma-3-27b --max-model-len 32768", "--language-model-only", "weights_bytes"),
        ("h100", "vllm serve gemma-3-27b --max-model-len 32768", "--limit-mm-per-prompt '{\"image\": 0}'", "weights_bytes"),
        (
            "8xh200",
            "vllm serve deepseek-v3 -tp 8",
            '--speculative-config \'{"method": "mtp", "num_speculative_tokens": 1}\'',
            "weights_bytes",
        ),
        ("2xh100", "vllm serve qwen3.5-27b -tp 2 --max-model-len 32768", "--no-enable-prefix-caching", "kv_needed_bytes"),
        ("2xh100", "vllm serve qwen3.5-27b -tp 2 --max-model-len 32768", "--mamba-ssm-cache-dtype bfloat16", "kv_needed_bytes"),
        ("h100", "python -m sglang.launch_server --model-path llama-3.1-8b", "--mem-fraction-static 0.7", "kv_room_bytes"),
        ("h100", "python -m sglang.launch_server --model-path llama-3.1-8b", "--chunked-prefill-size 32768", "kv_room_bytes"),
        ("h100", "python -m sglang.launch_server --model-path llama-3.1-8b", "--cuda-graph-max-bs 2048", "kv_room_bytes"),
        ("h100", "python -m sglang.launch_server --model-path qwen3.5-9b", "--disable-radix-cache", "kv_needed_bytes"),
        (
            "h100",
            "python -m sglang.launch_server --model-path qwen3.5-9b --engine",
            "--mamba-radix-cache-strategy no_buffer",
            "kv_needed_bytes",
        ),
        ("4090", "llama-server -m qwen3-8b", "-fa off -c 32768", "activation_bytes"),
        ("4090", "llama-server -m qwen3-8b -c 32768", "-ub 2048", "activation_bytes"),
        ("4090", "llama-server -m gemma-3-12b -c 32768", "--swa-full", "kv_needed_bytes"),
        ("4090", "llama-server -m qwen3-8b -c 32768", "-ngl 10", "weights_bytes"),
        ("4090", "llama-server -m qwen3-30b-a3b -c 32768", "--n-cpu-moe 20", "weights_bytes"),
        ("4090", "llama-server -m qwen3-30b-a3b -c 32768", "-ot exps=CPU", "weights_bytes"),
        ("4090", "llama-server -m qwen3-8b -c 32768", "-ctk q8_0 -ctv q4_0", "kv_needed_bytes"),
        ("2x4090", "llama-server -m qwen3-8b -c 32768", "-ts 3,1", "weights_bytes"),
        ("4090", "llama-server -m qwen3.5-9b -c 32768 -np 1", "--kv-unified -np 4", "kv_needed_bytes"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_flag_changes_its_figure(cli: Run, machine: str, command: str, flag: str, what: str) -> None:
    command = command.removesuffix(" --engine")
    plain = shlex.split(command.replace(" -np 1", "") if "-np" in flag else command)
    before = fit(cli, "--gpu", machine, "--", *(plain if "-np" not in flag else shlex.split(command)))
    after = fit(cli, "--gpu", machine, "--", *plain, *shlex.split(flag))
    assert before["per_gpu"][what] != after["per_gpu"][what]
    assert after["options"]["used"] and not after["options"]["unmodelled"]


def test_tokens_are_capped(cli: Run) -> None:
    found = fit(
        cli, "--gpu", "h100", "--", *shlex.split("python -m sglang.launch_server --model-path llama-3.1-8b --max-total-tokens 5000")
    )
    assert found["kv_tokens"] == 5000


def test_experts_in_ram_are_a_budget_of_their_own(cli: Run) -> None:
    words = shlex.split("llama-server -m qwen3-30b-a3b -c 8192 --cpu-moe")
    found = fit(cli, "--gpu", "4090", "--ram", "128GiB", "--", *words)
    assert found["fits"] and found["ram"]["used_bytes"] > 50 * GIB
    short = fit(cli, "--gpu", "4090", "--ram", "16GiB", "--", *words)
    assert not short["fits"] and "CPU's memory" in short["start"]["limit"]


def test_mixed_cards(cli: Run) -> None:
    words = shlex.split("llama-server -m qwen3-30b-a3b -c 8192")
    found = fit(cli, "--gpu", "1x5090,1x3090", "--quant", "q4_k_m", "--", *words)
    assert (found["gpu"], found["gpus"]) == ("rtx-5090+rtx-3090", 2)
    done = cli("fit", "--gpu", "1x5090+1x3090", "--", "vllm", "serve", "llama-3.1-8b")
    assert done.returncode == 2 and "groups of GPUs" in done.stderr


def test_what_became_of_every_flag(cli: Run) -> None:
    words = shlex.split("vllm serve llama-3.1-8b --max-num-seqs 16 --port 80 --kv-transfer-config '{}' --no-enable-prefix-caching")
    found = fit(cli, "--gpu", "h100", "--", *words)
    assert found["options"] == {
        "used": {"--max-num-seqs": "16", "--enable-prefix-caching": "false"},
        "inert": ["--port"],
        "unmodelled": ["--kv-transfer-config"],
    }
    assert "--kv-transfer-config" in found["verdict"]
    assert found["command"] == " ".join(shlex.quote(w) for w in words)


def test_a_draft_model_that_is_not_counted_is_said(cli: Run) -> None:
    words = shlex.split(
        'vllm serve llama-3.1-8b --speculative-config \'{"method": "eagle3", "model": "x/y", "num_speculative_tokens": 3}\''
    )
    found = fit(cli, "--gpu", "h100", "--", *words)
    assert found["options"]["unmodelled"] == ["--speculative-config"] and any("x/y" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpu", "h100", "--", "vllm", "serve", "$MODEL"], "$MODEL stands for a value"),
        (["--gpu", "h100", "--", "vllm", "serve"], "names no model"),
        (["--gpu", "h100", "--", "vllm", "serve", "a", "b"], "names 2 models"),
        (["--gpu", "h100", "--", "ls"], "not the command of an engine"),
        (["--gpu", "h100", "--"], "no command stands after --"),
        (["--gpu", "h100", "--tp", "2", "--", "vllm", "serve", "llama-3.1-8b"], "--tp is not taken beside a command"),
        (["--gpu", "h100", "--", "vllm", "serve", "llama-3.1-8b", "-tp", "2"], "runs on 2 GPUs, and 1 is named"),
        (["--gpu", "h100", "--", "vllm", "serve", "llama-3.1-8b", "--max-model-len", "999999"], "beyond the model's"),
        (["--gpu", "h100", "--", "vllm", "serve", "llama-3.1-8b", "--max-modle-len", "9"], "no flag --max-modle-len"),
        (
            ["--gpu", "h100", "--engine-version", "0.3.0", "--", "sglang", "serve", "--model-path", "llama-3.1-8b"],
            "known from 0.3.6",
        ),
        (["--gpu", "h100", "--command-file", "nowhere.sh"], "no such file"),
        (["--gpu", "h100", "--command-file", "x", "--", "vllm", "serve", "a"], "another in --command-file"),
        (["--gpu", "h100", "--", "llama-server", "-m", "qwen3-8b", "-ot", "("], "--override-tensor"),
        (["--gpu", "h100", "--", "llama-server", "-m", "qwen3-8b", "-ts", "a"], "--tensor-split"),
        (["--gpu", "2xh100", "--", "vllm", "serve", "llama-3.1-8b", "-tp", "2", "--nnodes", "3"], "not lie evenly on 3 machines"),
        (["--gpu", "h100", "--", "transformers", "serve"], "archcalc fit MODEL --engine transformers"),
        (["--gpu", "h100", "--", "python", "local_chat.py"], "--kt-weight-path"),
        (["--gpu", "h100", "--", "trtllm-serve", "llama-3.1-8b"], "trtllm-serve: what its commands allocate"),
        (
            [
                "--gpu",
                "h100",
                "--",
                "docker",
                "run",
                "--gpus",
                "all",
                "ghcr.io/huggingface/text-generation-inference:3.3.5",
                "--model-id",
                "a/b",
            ],
            "text-generation-inference: what its commands allocate",
        ),
    ],
)
def test_one_message(cli: Run, arguments: list[str], said: str) -> None:
    done = cli("fit", "--offline", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and "internal error" not in done.stderr and len(done.stderr.splitlines()) <= 2


def test_a_variable_that_changes_no_figure_is_let_be(cli: Run) -> None:
    found = fit(cli, "--gpu", "h100", "--", "vllm", "serve", "llama-3.1-8b", "--api-key", "$KEY")
    assert found["options"]["inert"] == ["--api-key"]


def test_a_manifest_and_its_image_s_version(cli: Run, tmp_path: Any) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services:\n  llm:\n    image: vllm/vllm-openai:v0.11.0\n    command: --model qwen3-8b --max-model-len 8192"
        " --gpu-memory-utilization 0.9\n"
    )
    found = fit(cli, "--gpu", "a100-sxm4-40gb", "--command-file", "compose.yaml")
    same = fit(
        cli,
        "--gpu",
        "a100-sxm4-40gb",
        "--engine-version",
        "0.11.0",
        "--",
        *shlex.split("VLLM_USE_FLASHINFER_SAMPLER=1 vllm serve qwen3-8b --max-model-len 8192 --gpu-memory-utilization 0.9"),
    )
    # The image holds FlashInfer, whose sampler that release takes by itself where it is there.
    assert found["kv_tokens"] == same["kv_tokens"] and found["context_tokens"] == 8192


def test_kv_takes_the_same(cli: Run) -> None:
    done = cli("kv", "--format", "jsonl", "--", *shlex.split("llama-server -m qwen3.5-9b -c 262144 -ctk q8_0 -ctv q8_0 -np 2 -kvu"))
    assert json.loads(done.stdout)["bytes"] == 4452.5 * MIB


PLANS = st.tuples(
    st.sampled_from(["llama-3.1-8b", "qwen3-30b-a3b", "gpt-oss-20b", "qwen3.5-9b", "deepseek-v2-lite"]),
    st.sampled_from(["h100", "4xh100", "2x4090"]),
    st.sampled_from(["vllm", "sglang", "llama.cpp"]),
    st.sampled_from([4096, 32768]),
    st.sampled_from([1, 3]),
    st.sampled_from([None, 2]),
    st.sampled_from([None, "small"]),
)


@settings(max_examples=40)
@given(PLANS)
def test_what_fit_prints_gives_the_same_figures(plan: tuple[str, str, str, int, int, int | None, str | None]) -> None:
    """The command of a plan, read back, is that plan."""
    model, machine, engine, context, concurrency, dp, cache = plan
    quant = "q4_k_m" if engine == "llama.cpp" else None
    dtype = {"vllm": "fp8", "sglang": "fp8_e4m3", "llama.cpp": "q8_0"}[engine] if cache else None
    ask = Ask(
        gpus=parse_spec(machine), engine=engine, context_tokens=context, concurrency=concurrency, quant=quant, kv_dtype=dtype,
        dp=dp if engine != "llama.cpp" else None,
    )  # fmt: skip
    loaded = load(model)
    try:
        found = fit_report(loaded, ask, brief=True)
    except ArchcalcError:
        return
    if not found.fits:
        return
    read = understand(of_arguments(shlex.split(found.command)))
    assert not read.options.unmodelled
    again = fit_report(loaded, question(read, ask.gpus, quant, concurrency, None), brief=True, given=Given("", {}, [], []))
    assert (again.plan, again.per_gpu, again.kv_tokens) == (found.plan, found.per_gpu, found.kv_tokens)


EAGLE = {
    "architectures": ["LlamaForCausalLMEagle3"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 1,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "draft_vocab_size": 32000,
    "rms_norm_eps": 1e-05,
    "max_position_embeddings": 131072,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def test_a_draft_may_be_quantized(cli: Run, tmp_path: Any) -> None:
    """A config with a quantization is no key of a table: graphs were kept by the whole of the settings, and this ended in an error."""
    stored = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
        "max_position_embeddings": 131072, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "rope_theta": 500000.0,
    }  # fmt: skip
    taken = []
    for name, more in (("bf16", {}), ("gptq", {"quantization_config": stored})):
        (tmp_path / f"{name}.json").write_text(json.dumps(config | more))
        speculation = json.dumps({"method": "draft_model", "model": f"{name}.json", "num_speculative_tokens": 3})
        words = ("vllm", "serve", "llama-3.1-8b", "--max-model-len", "8k", "--speculative-config", speculation)
        taken.append(fit(cli, "--gpu", "h100", "--", *words)["per_gpu"]["weights_bytes"])
    # Seven matrices of a layer in half a byte a weight, with a scale and a zero point for 128 of them, instead of two bytes.
    matrices = 16 * (2048 * 2048 * 2 + 2 * 2048 * 512 + 3 * 2048 * 8192)
    assert taken[0] - taken[1] == pytest.approx(matrices * (2 - 0.5 - 2.5 / 128), rel=0.02)


def test_what_a_draft_takes_otherwise_than_published_is_told(cli: Run) -> None:
    """vLLM 0.33, config/speculative.py `SpeculativeConfig`: a storage of the draft's own, and its ranks (`_verify_and_get_draft_tp`)."""

    def asked(**keys: Any) -> Any:
        speculation = json.dumps({"method": "draft_model", "model": "llama-3.2-1b", "num_speculative_tokens": 4} | keys)
        words = ("vllm", "serve", "llama-3.1-8b", "-tp", "2", "--max-model-len", "8k", "--speculative-config", speculation)
        return cli("fit", "--offline", "--format", "json", "--gpu", "2xh100", "--", *words)

    # A storage that is made as it loads is counted (test_remedies_beside_commands.py).
    plain, stored = json.loads(asked().stdout), json.loads(asked(kv_cache_dtype="fp8").stdout)
    assert plain["options"]["unmodelled"] == [] and stored["options"]["unmodelled"] == ["--speculative-config.kv_cache_dtype"]
    assert "--speculative-config.kv_cache_dtype" in stored["verdict"]
    assert asked(draft_tensor_parallel_size=2).returncode == 0 and asked(draft_tensor_parallel_size=1).returncode == 0
    for key, value in (("draft_tensor_parallel_size", 3), ("tensor_parallel_size", 2)):
        refused = asked(**{key: value})
        assert refused.returncode == 2 and key in refused.stderr


@pytest.mark.parametrize(
    ("draft", "version", "keys", "starts"),
    [
        # Llama 3 has 128,256 tokens, Qwen3 151,936: config/speculative.py `verify_equal_vocab_size_if_draft_model`, from 0.16 on.
        ("qwen3-0.6b", "0.33.0", {}, False),
        ("qwen3-0.6b", "0.18.0", {}, False),
        ("qwen3-0.6b", "0.33.0", {"use_heterogeneous_vocab": True}, True),
        ("llama-3.2-1b", "0.33.0", {}, True),
        ("qwen3-0.6b", "0.9.2", {}, True),
    ],
)
def test_a_draft_has_the_vocabulary_of_its_model(draft: str, version: str, keys: dict[str, Any], starts: bool, cli: Run) -> None:
    speculation = json.dumps({"model": draft, "num_speculative_tokens": 4} | keys)
    words = ("vllm", "serve", "llama-3.1-8b", "--max-model-len", "8192", "--speculative-config", speculation)
    done = cli("fit", "--offline", "--format", "json", "--gpu", "h100", "--engine-version", version, "--", *words)
    assert done.returncode == (0 if starts else 1), done.stdout[:400] + done.stderr
    assert starts or "128,256" in json.loads(done.stdout)["verdict"]


def test_a_draft_model_takes_its_weights_and_a_layer_of_cache(cli: Run, tmp_path: Any) -> None:
    (tmp_path / "draft.json").write_text(json.dumps(EAGLE))
    speculation = json.dumps({"method": "eagle3", "model": "draft.json", "num_speculative_tokens": 3})
    alone = fit(cli, "--gpu", "h100", "--", "vllm", "serve", "llama-3.1-8b")
    found = fit(cli, "--gpu", "h100", "--", "vllm", "serve", "llama-3.1-8b", "--speculative-config", speculation)
    assert found["options"]["unmodelled"] == []
    # One layer more than the 32 of the target, of the same heads.
    assert found["per_gpu"]["kv_needed_bytes"] / alone["per_gpu"]["kv_needed_bytes"] == pytest.approx(33 / 32, rel=1e-4)
    assert 0.6 * GIB < found["per_gpu"]["weights_bytes"] - alone["per_gpu"]["weights_bytes"] < 1.2 * GIB
    words = ["--", *shlex.split("python -m sglang.launch_server --model-path llama-3.1-8b")]
    before = fit(cli, "--gpu", "h100", *words)
    after = fit(
        cli, "--gpu", "h100", *words, "--speculative-algorithm", "EAGLE3", "--speculative-draft-model-path", "draft.json",
    )  # fmt: skip
    room = after["per_gpu"]["kv_room_bytes"]
    assert before["per_gpu"]["kv_room_bytes"] / before["kv_tokens"] * 33 / 32 == pytest.approx(room / after["kv_tokens"], rel=1e-3)


@pytest.mark.parametrize(
    ("command", "used"),
    [
        # vLLM 0.33, config/cache.py: the size is that of all ranks together; config/offload.py: weights of each GPU.
        ("vllm serve qwen3-8b --tensor-parallel-size 2 --kv-offloading-size 20", 20 * GIB),
        ("vllm serve qwen3-8b --tensor-parallel-size 2 --cpu-offload-gb 2", 4 * GIB),
        # SGLang 0.5.23, srt/mem_cache/pool_host/base.py: GB of each rank.
        ("python -m sglang.launch_server --model-path qwen3-8b --tp 2 --enable-hierarchical-cache --hicache-size 30", 60 * 10**9),
    ],
)
def test_what_a_cache_takes_of_the_cpu_s_memory(cli: Run, command: str, used: int) -> None:
    found = fit(cli, "--gpu", "2xh100", "--ram", "64GiB", "--", *command.split())
    assert (found["fits"], found["ram"]["used_bytes"], found["options"]["unmodelled"]) == (True, used, [])
    short = fit(cli, "--gpu", "2xh100", "--ram", "3GiB", "--", *command.split())
    assert not short["fits"] and "memory is too small" in short["start"]["limit"]


def test_a_hierarchical_cache_is_a_multiple_of_the_gpus(cli: Run) -> None:
    command = "python -m sglang.launch_server --model-path qwen3-8b --tp 2 --enable-hierarchical-cache"
    found = fit(cli, "--gpu", "2xh100", "--", *command.split(), "--hicache-ratio", "1.5")
    assert found["ram"]["used_bytes"] == 2 * int(1.5 * found["per_gpu"]["kv_room_bytes"])
    # Since 0.5.21 it is a share of what is free in the machine where no size is given (srt/arg_groups/hicache_hook.py).
    assert fit(cli, "--gpu", "2xh100", "--", *command.split())["options"]["unmodelled"] == ["--enable-hierarchical-cache"]
    older = fit(cli, "--gpu", "2xh100", "--engine-version", "0.5.15", "--", *command.split())
    assert older["ram"]["used_bytes"] == 4 * older["per_gpu"]["kv_room_bytes"]


@pytest.mark.parametrize(
    ("quant", "command"),
    [
        # vLLM makes FP8 and bitsandbytes as it loads (config/quantization, `--quantization`); AWQ has to be published.
        ("fp8", "vllm serve Qwen/Qwen3-8B --max-model-len 4096 --quantization fp8_per_block"),
        ("nf4", "vllm serve Qwen/Qwen3-8B --max-model-len 4096 --quantization bitsandbytes"),
        ("awq", "vllm serve <Qwen3-8B-in-awq> --max-model-len 4096"),
        ("bf16", "vllm serve Qwen/Qwen3-8B --max-model-len 4096"),
    ],
)
def test_a_storage_named_beside_a_command_is_in_the_command(quant: str, command: str, cli: Run) -> None:
    found = fit(cli, "--gpu", "4090", "--quant", quant, "--", *"vllm serve Qwen/Qwen3-8B --max-model-len 4096".split())
    assert found["command"] == command
    assert len(set(found["notes"])) == len(found["notes"])
    assert any("<Qwen3-8B-in-awq>" in note for note in found["notes"]) == (quant == "awq")


@pytest.mark.parametrize(
    ("quant", "line"),
    [
        ("bitsandbytes-nf4", "vllm serve qwen3-8b --quantization fp8"),
        ("bf16", "vllm serve qwen3-8b --quantization fp8"),
        ("fp8", "vllm serve qwen3-8b --quantization bitsandbytes"),
        ("q8_0", "llama-server -m Qwen3-8B-Q4_K_M.gguf -c 8192"),
        ("q8_0", "llama-server -hf Qwen/Qwen3-8B-GGUF:Q4_K_M -c 8192"),
    ],
)
def test_two_storages_of_one_command_are_refused(quant: str, line: str, cli: Run) -> None:
    done = cli("fit", "--gpu", "h100", "--offline", "--quant", {"bitsandbytes-nf4": "nf4"}.get(quant, quant), "--", *line.split())
    assert done.returncode == 2 and "--quant is" in done.stderr and not done.stdout


@pytest.mark.parametrize(
    ("quant", "text", "command"),
    [
        # A program's call takes arguments, and a folder that holds the model's name is another word.
        (
            "fp8",
            "from vllm import LLM\nllm = LLM(model='Qwen/Qwen3-8B', max_model_len=4096)\n",
            "LLM(model='Qwen/Qwen3-8B', max_model_len=4096, quantization='fp8_per_block')",
        ),
        (
            "awq",
            "CUDA_VISIBLE_DEVICES=0 vllm serve Qwen/Qwen3-8B --download-dir /data/Qwen/Qwen3-8B --max-model-len 4096\n",
            "CUDA_VISIBLE_DEVICES=0 vllm serve <Qwen3-8B-in-awq> --download-dir /data/Qwen/Qwen3-8B --max-model-len 4096",
        ),
        (
            "awq",
            "vllm serve --download-dir /data/Qwen/Qwen3-8B --model Qwen/Qwen3-8B --max-model-len 4096\n",
            "vllm serve --download-dir /data/Qwen/Qwen3-8B --model <Qwen3-8B-in-awq> --max-model-len 4096",
        ),
    ],
)
def test_a_storage_named_beside_a_file(quant: str, text: str, command: str, cli: Run, tmp_path: Path) -> None:
    file = tmp_path / ("run.py" if "import" in text else "run.sh")
    file.write_text(text)
    found = fit(cli, "--gpu", "4090", "--quant", quant, "--command-file", str(file))
    assert found["command"].replace('"', "'") == command


def test_a_storage_that_the_command_names_too_is_not_added_again(cli: Run) -> None:
    line = "vllm serve qwen3-8b --quantization fp8"
    assert fit(cli, "--gpu", "h100", "--quant", "fp8-tensor", "--", *line.split())["command"] == line
