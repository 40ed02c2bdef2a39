"""What the page offers where a run does not fit: changes that the framework named takes, and that fit when they are asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from archcalc.analysis.params import components
from archcalc.analysis.training import Run
from archcalc.frameworks.framework import REGISTRY
from archcalc.frameworks.megatron import memory as mm
from archcalc.frameworks.megatron.source import modules
from archcalc.loader import load
from conftest import Run as Run_


@pytest.mark.parametrize("framework", sorted({*REGISTRY} - {"nanochat"}))
@pytest.mark.parametrize("words", [("yi-34b-chat", "--gpu", "1x4090"), ("dbrx", "--gpu", "16xH100")], ids=["yi-34b", "dbrx"])
def test_what_is_offered_is_taken(cli: Run_, framework: str, words: tuple[str, ...]) -> None:
    asked = ("train", *words, "--seq", "8k", "--framework", framework, "--offline", "--format", "json")
    first = cli(*asked)
    assert first.returncode in (0, 1), first.stderr
    for remedy in json.loads(first.stdout)["would_fit"][:2]:
        again = cli(*asked, *remedy["options"].split())
        assert again.returncode == 0, (remedy["options"], again.stderr)


@pytest.mark.parametrize("words", [
    "qwen2.5-vl-32b --gpu 8xH100 --seq 4k --fsdp 8 --checkpointing full", "phi-3-medium --gpu 64xH100 --seq 16k --checkpointing none",
    "llama-3.1-8b --gpu 4xH100 --seq 4k --zero 2", "llama-3.1-8b --gpu 1xH100 --seq 4k --checkpointing full",
    "llama-3.1-8b --gpu 1x4090 --seq 2k --lora 16", "qwen3-30b-a3b --gpu 8xH100 --seq 4k --fsdp 8 --checkpointing full",
    "gemma-2-9b --gpu 8xH100 --seq 8k --fsdp 8 --precision pure --checkpointing full", "gpt2 --gpu 1x4090 --seq 1k",
])  # fmt: skip
def test_a_run_by_options_alone_is_what_frameworks_take_or_says_what_it_has(cli: Run_, words: str) -> None:
    """Where all that are compared fit, the run does not fail to."""
    r = json.loads(cli("train", *words.split(), "--offline", "--format", "json").stdout)
    note = next(n for n in r["notes"] if n.startswith("by framework: "))
    (low, unit, _), (high, unit2, most) = re.findall(r"([\d.]+) (GiB|MiB) \((\w+)\)", note)
    assert unit == unit2
    total = r["per_gpu"]["total_bytes"] / (2**30 if unit == "GiB" else 2**20)
    outside = any(n.startswith("by options alone") for n in r["notes"])
    assert float(low) * 0.99 <= total <= float(high) * 1.01 or outside
    if not r["fits"]:
        reserved = float(high) * r["per_gpu"]["reserved_bytes"] / r["per_gpu"]["total_bytes"]
        capacity = (r["per_gpu"]["memory_bytes"] - r["per_gpu"]["overhead_bytes"]) / (2**30 if unit == "GiB" else 2**20)
        assert reserved > capacity, most


# LLaMA-Factory 0.9.3 takes transformers up to 4.52.4, 0.9.4 up to 4.57.1 (Requires-Dist), whose default is `adamw_torch_fused` with PyTorch
# 2.8 (training_args.py `default_optim`: from 4.54 on, not in 4.53.3).
@pytest.mark.parametrize(("framework", "version", "optimizer"), [
    ("llama-factory", None, "adamw-fused"), ("llama-factory", "0.9.4", "adamw-fused"), ("llama-factory", "0.9.3", "adamw"),
    ("transformers", None, "adamw-fused"), ("transformers", "4.54.1", "adamw-fused"), ("transformers", "4.53.3", "adamw"),
])  # fmt: skip
def test_the_optimizer_that_nobody_names(cli: Run_, tmp_path: Path, framework: str, version: str | None, optimizer: str) -> None:
    keys = {
        "llama-factory": "stage: sft\ndo_train: true\nfinetuning_type: full\ncutoff_len: 4096\nbf16: true\npure_bf16: true\n",
        "transformers": "bf16: true\n",
    }[framework]
    path = tmp_path / "run.yaml"
    path.write_text(f"model_name_or_path: meta-llama/Llama-3.1-8B\nper_device_train_batch_size: 1\n{keys}", encoding="utf-8")
    release = ("--framework-version", version) if version else ()
    for words in (("--recipe", str(path)), ("llama-3.1-8b", "--framework", framework)):
        done = cli("train", *words, *release, "--gpu", "1xH100", "--offline", "--format", "json")
        assert json.loads(done.stdout)["plan"]["optimizer"] == optimizer, done.stderr


def test_a_fused_optimizer_is_offered_where_copies_are_what_is_over(cli: Run_) -> None:
    words = ("llama-3.1-8b", "--gpu", "1xH100", "--seq", "4k", "--precision", "pure", "--checkpointing", "full", "--loss", "fused")
    done = cli("train", *words, "--optimizer", "adamw", "--offline", "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["would_fit"][0]["options"] == "--optimizer adamw-fused"


@pytest.mark.parametrize("name", ["dbrx", "mixtral-8x7b", "qwen3-30b-a3b"])
def test_megatron_s_modules_hold_all_experts(name: str) -> None:
    """DBRX keeps the rows of all experts in one matrix (its modeling_dbrx.py, `DbrxExpertGLU`), others in three dimensions."""
    a = load(name, offline=True).architecture
    held = mm.parameters(*modules(a, Run(128, implementation="megatron")))[0]
    assert held == pytest.approx(sum(c.total for c in components(a)), rel=1e-3)


def test_reserved_is_the_most_of_any_stage(cli: Run_) -> None:
    """Accumulating never reserves less; which stage is the fullest by what is allocated may change."""
    words = "llama-3.2-1b --framework deepspeed --tp 4 --pp 2 --lora 64 --qlora --optimizer paged-adamw --seq 2k --gpu 8xH100"
    sizes = []
    for number in ("1", "2"):
        done = cli("train", *words.split(), "--accumulate", number, "--offline", "--format", "json")
        sizes.append(json.loads(done.stdout)["per_gpu"]["reserved_bytes"])
    assert sizes == sorted(sizes)


def test_a_micro_batch_that_is_searched_for_is_told(cli: Run_, tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "model:\n  name: mpt_causal_lm\n  d_model: 768\n  n_heads: 12\n  n_layers: 12\n  expansion_ratio: 4\n  max_seq_len: 2048\n"
        "  vocab_size: 50368\nmax_seq_len: 2048\nprecision: amp_bf16\nglobal_train_batch_size: 64\ndevice_train_microbatch_size: auto\n",
        encoding="utf-8",
    )
    for more, told in (((), True), (("--micro-batch", "8"), False)):
        done = cli("train", "--recipe", str(path), "--gpu", "8xH100", *more, "--offline", "--format", "json")
        assert any("auto" in note for note in json.loads(done.stdout)["notes"]) == told, done.stderr


TRL = "accelerate launch --num_processes 8 trl/scripts/sft.py --model_name_or_path meta-llama/Llama-3.1-8B --per_device_train_batch_size 2"


# transformers 5.24, hf_argparser.py `_parse_dataclass_field`: `--no_NAME` and `--no-NAME` of flags that are on by default; TRL 1.16,
# trainer/base_config.py: `gradient_checkpointing` is.
@pytest.mark.parametrize(("flag", "checkpointing"), [
    ("", "full"), ("--no_gradient_checkpointing", "none"), ("--no-gradient-checkpointing", "none"),
    ("--gradient_checkpointing False", "none"), ("--no_remove_unused_columns", "full"), ("--no-dataloader-pin-memory", "full"),
    ("--no_gradient_checkpointing --gradient_checkpointing", "full"), ("--no_cuda", "full"),
])  # fmt: skip
def test_flags_that_switch_off(cli: Run_, tmp_path: Path, flag: str, checkpointing: str) -> None:
    path = tmp_path / "run.sh"
    path.write_text(f"{TRL} {flag} --dataset_name x\n", encoding="utf-8")
    r = json.loads(cli("train", "--recipe", str(path), "--gpu", "8xH100", "--offline", "--format", "json").stdout)
    assert r["plan"]["checkpointing"] == checkpointing
    assert r["recipe"]["unmodelled"] == (["no_cuda"] if flag == "--no_cuda" else [])


# torchtune 0.6.1, recipes/configs: q, k and v are modules of their own, and so are w1, w2 and w3 (models/phi3/_component_builders.py); each
# has rank x (in + out) in every layer.
@pytest.mark.parametrize(("component", "modules_", "trained"), [
    # Phi-4: 40 layers of 5,120, keys of 1,280, FFN of 17,920; Phi-3 mini: 32 layers of 3,072, FFN of 8,192.
    ("phi4.lora_phi4_14b", "[q_proj, v_proj, output_proj]", 40 * 8 * (10_240 + 6_400 + 10_240 + 3 * 23_040)),
    ("phi4.lora_phi4_14b", "[q_proj, k_proj]", 40 * 8 * (10_240 + 6_400 + 3 * 23_040)),
    ("phi3.lora_phi3_mini", "[q_proj, v_proj, output_proj]", 32 * 8 * (3 * 6_144 + 3 * 11_264)),
    ("phi3.qlora_phi3_mini", "[k_proj]", 32 * 8 * (6_144 + 3 * 11_264)),
    ("llama3_1.lora_llama3_1_8b", "[q_proj, v_proj]", 32 * 8 * (8_192 + 5_120 + 3 * 18_432)),
    ("gemma.lora_gemma_2b", "[q_proj, v_proj]", 18 * 8 * (4_096 + 2_304 + 3 * 18_432)),
])  # fmt: skip
def test_adapters_of_torchtune_go_on_its_own_modules(
    cli: Run_, tmp_path: Path, component: str, modules_: str, trained: int
) -> None:
    path = tmp_path / "u.yaml"
    path.write_text(
        f"model:\n  _component_: torchtune.models.{component}\n  lora_attn_modules: {modules_}\n  apply_lora_to_mlp: true\n"
        "  lora_rank: 8\ntokenizer:\n  max_seq_len: 2048\noptimizer:\n  _component_: torch.optim.AdamW\n",
        encoding="utf-8",
    )
    done = cli("train", "--recipe", str(path), "--gpu", "1xH100", "--offline", "--format", "json")
    r = json.loads(done.stdout)
    assert r["trainable_params"] == trained, done.stderr
    assert not any("no linear module" in note or "sliding" in note for note in r["notes"])


# liger-kernel 0.8.5, ops/rms_norm.py `save_for_backward(X, W, RSTD)`, ops/swiglu.py and geglu.py `save_for_backward(a, b)`. In steps an
# RMSNorm keeps its input in fp32 and what it normalized, in bf16 (Gemma's in fp32), beside the deviation; an activation its output.
@pytest.mark.parametrize(("model", "layers", "hidden", "inner", "norms", "plain_norm"), [
    ("meta-llama/Llama-3.1-8B", 32, 4096, 14_336, 2, 4 + 2), ("google/gemma-2-9b", 42, 3584, 14_336, 4, 4 + 4),
])  # fmt: skip
@pytest.mark.parametrize(("framework", "keys", "fused"), [
    ("axolotl", "plugins: [axolotl.integrations.liger.LigerPlugin]\nliger_rms_norm: true\n", "norms"),
    ("axolotl", "plugins: [axolotl.integrations.liger.LigerPlugin]\nliger_glu_activation: true\n", "glu"),
    ("axolotl", "liger_glu_activation: true\n", ""),
    ("llama-factory", "enable_liger_kernel: true\n", "norms glu"), ("transformers", "use_liger_kernel: true\n", "norms glu"),
    ("transformers", "use_liger_kernel: true\nliger_kernel_config:\n  rms_norm: false\n", "glu"),
])  # fmt: skip
def test_liger_s_kernels_keep_less(
    cli: Run_, tmp_path: Path, framework: str, keys: str, fused: str, model: str, layers: int, hidden: int, inner: int, norms: int,
    plain_norm: int,
) -> None:  # fmt: skip
    own = {
        "axolotl": "base_model: {}\nmicro_batch_size: 1\nsequence_len: 1024\nbf16: true\n",
        "llama-factory": "model_name_or_path: {}\nstage: sft\ndo_train: true\nfinetuning_type: full\ncutoff_len: 1024\npure_bf16: true\n"
        "per_device_train_batch_size: 1\ndisable_gradient_checkpointing: true\n",
        "transformers": "model_name_or_path: {}\nper_device_train_batch_size: 1\nmax_length: 1024\ndtype: bfloat16\nbf16: true\n"
        "gradient_checkpointing: false\n",
    }[framework].format(model)
    kept = []
    for text in (own, own + keys):
        path = tmp_path / "r.yaml"
        path.write_text(text, encoding="utf-8")
        # A fused loss is one of Liger's kernels too.
        done = cli("train", "--recipe", str(path), "--gpu", "8xH200", "--loss", "chunked", "--offline", "--format", "json")
        r = json.loads(done.stdout)
        assert not r["recipe"]["unmodelled"], done.stderr
        kept.append({t["name"]: t["bytes"] for t in r["terms"] if t["name"].startswith("activations")})
    before, after = kept
    glu = 2 * inner * 1024 * layers if "glu" in fused else 0
    assert before["activations: mlp"] - after["activations: mlp"] == glu
    # The last norm is one of them.
    per_norm = (plain_norm - 2) * hidden * 1024 if "norms" in fused else 0
    left = before["activations: norm"] - after["activations: norm"] - (norms * layers + 1) * per_norm
    assert 0 <= left <= 4 * hidden * (norms * layers + 1)


@pytest.mark.parametrize("budget", ["0.0", "1.0"])
def test_torchtitan_s_memory_budget_is_refused(cli: Run_, tmp_path: Path, budget: str) -> None:
    """torchtitan 0.2.2, distributed/activation_checkpoint.py `apply_ac`: the compiler decides what is made again."""
    path = tmp_path / "t.toml"
    path.write_text(
        '[model]\nname = "llama3"\nflavor = "8B"\n[training]\nlocal_batch_size = 1\nseq_len = 4096\n'
        f'[activation_checkpoint]\nmode = "memory_budget"\nmemory_budget = {budget}\n[compile]\nenable = true\n',
        encoding="utf-8",
    )
    done = cli("train", "--recipe", str(path), "--gpu", "8xH100", "--offline")
    assert done.returncode == 2 and "activation_checkpoint.mode 'memory_budget'" in done.stderr


@pytest.mark.parametrize(("words", "status"), [
    ("--tp 2 --sp", 0), ("--tp 2", 2), ("--tp 2 --gpu 8xH100", 0), ("--gpu 8xH100", 0),
])  # fmt: skip
def test_megatron_splits_a_model_of_experts_with_sequence_parallelism(cli: Run_, words: str, status: int) -> None:
    """Megatron-LM, main of 2026-08, core/transformer/moe/moe_layer.py `MoELayer.forward` raises in training where it is off."""
    done = cli("train", "qwen3-30b-a3b", "--framework", "megatron", "--seq", "4k", *words.split(), "--offline", "--format", "json")
    assert done.returncode == status and ("--sp" in done.stderr) == (status == 2)
    if status == 0:
        plan = json.loads(done.stdout)["plan"]
        assert plan["tp"] == 1 or plan["sp"]
