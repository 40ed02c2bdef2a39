"""What a run's kernels ask of a GPU: said, or refused by key and GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Run
from test_training_words import said

AXOLOTL = "base_model: x\nadapter: lora\nlora_r: 8\nlora_target_linear: true\nmicro_batch_size: 1\n"
TRL = "model_name_or_path: x\nper_device_train_batch_size: 1\nmax_length: 512\nuse_peft: true\n"
FACTORY = "model_name_or_path: x\nstage: sft\nfinetuning_type: lora\ntemplate: llama3\ndataset: a\nper_device_train_batch_size: 1\n"

# flash-attn 2.8, csrc/flash_attn/flash_api.cpp: "FlashAttention only supports Ampere GPUs or newer"; transformers 5.24,
# modeling_flash_attention_utils.py: FlashAttention 3 from compute capability 8, 4 from 9.
FILES = [
    (AXOLOTL, "flash_attention: true", 8.0),
    (AXOLOTL, "attn_implementation: flash_attention_2", 8.0),
    (AXOLOTL, "attn_implementation: sdpa", 0),
    (AXOLOTL, "sdp_attention: true", 0),
    (AXOLOTL, "attn_implementation: flex_attention", 0),
    (TRL, "attn_implementation: flash_attention_2", 8.0),
    (TRL, "attn_implementation: kernels-community/flash-attn2", 8.0),
    (TRL, "attn_implementation: flash_attention_3", 8.0),
    (TRL, "attn_implementation: flash_attention_4", 9.0),
    (TRL, "attn_implementation: sdpa", 0),
    (FACTORY, "flash_attn: fa2", 8.0),
    (FACTORY, "flash_attn: auto", 0),
    (FACTORY, "flash_attn: sdpa", 0),
]
GPUS = {"t4": 7.5, "rtx-2080-ti": 7.5, "v100-sxm2-32gb": 7.0, "a100-sxm4-80gb": 8.0, "rtx-4090": 8.9, "h100-sxm-80gb": 9.0}


@pytest.mark.parametrize(("base", "line", "least"), FILES, ids=[line for _, line, _ in FILES])
def test_flash_attention_is_refused_where_it_does_not_run(cli: Run, tmp_path: Path, base: str, line: str, least: float) -> None:
    (tmp_path / "run.yaml").write_text(f"{base}{line}\n", encoding="utf-8")
    for gpu in ("t4", "a100-sxm4-80gb", "h100-sxm-80gb"):
        compute = GPUS[gpu]
        done = cli("train", "llama-3.2-1b", "--recipe", str(tmp_path / "run.yaml"), "--gpu", gpu, "--offline", "--format", "json")
        if compute >= least:
            assert done.stdout and done.returncode in (0, 1), done.stderr
        else:
            assert done.returncode == 2 and gpu in done.stderr and f"capability {least}" in done.stderr and "sdpa" in done.stderr


@pytest.mark.parametrize(("gpu", "compute"), [*GPUS.items(), ("mi300x", 0), ("", 0)])
def test_options_and_defaults_by_gpu(cli: Run, gpu: str, compute: float) -> None:
    """A kernel that is asked for is refused, one that is a default is PyTorch's own; bf16 has units from 8.0 on (PyTorch 2.13,
    cuda/__init__.py `is_bf16_supported`)."""
    words = ("llama-3.2-1b", "--lora", "8", "--seq", "512", "--framework", "axolotl", *(("--gpu", gpu) if gpu else ()))
    old = 0 < compute < 8
    r = said(cli, *words)
    assert r["plan"]["attention"] == ("sdpa" if old else "flash")
    assert any("FlashAttention 2 needs" in note for note in r["notes"]) == old
    assert any("no bf16 units" in note for note in r["notes"]) == old
    done = cli("train", *words, "--attention", "flash", "--offline")
    assert (done.returncode == 2 and "--attention sdpa" in done.stderr) == old
    assert not any("bf16 units" in note for note in said(cli, *words, "--precision", "fp32", "--attention", "sdpa")["notes"])


@pytest.mark.parametrize(
    ("call", "stages", "told"),
    [
        # 126 layers: 7, 9 and 18 are no powers of two, and divide them; 6 as typed has sequence parallelism as every other split has.
        ("llama-3.1-405b --gpu 63x8xH100", 7, False),
        ("llama-3.1-405b --gpu 18x8xH100", 9, False),
        ("llama-3.1-405b --gpu 48x8xH100 --tp 8 --pp 6", 6, False),
        # Megatron-LM, core/transformer/transformer_block.py `get_num_layers_to_build`: layers divide over stages, or their number is given.
        ("llama-3.1-405b --gpu 64x8xH100", 8, True),
        ("deepseek-v3 --gpu 32x8xH100 --pp 16", 16, True),
    ],
)
def test_stages_are_what_the_layers_divide_over(call: str, stages: int, told: bool, cli: Run) -> None:
    done = cli("train", *call.split(), "--seq", "4k", "--framework", "megatron", "--format", "json", "--offline")
    answer = json.loads(done.stdout)
    assert answer["fits"] and answer["plan"]["pp"] == stages
    assert answer["plan"]["sp"] is (answer["plan"]["tp"] > 1)
    assert any("do not divide over" in note for note in answer["notes"]) is told
