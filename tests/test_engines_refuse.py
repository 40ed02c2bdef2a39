"""What engines refuse at loading, by their own source: a class that none has, packed experts, a chip without code for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.arch import parse
from archcalc.engines.served import check
from archcalc.engines.vllm.served import REGISTRY, lacks_format
from archcalc.engines.vllm.start import not_built
from archcalc.errors import UnsupportedError
from archcalc.zoo import config
from conftest import Run

_EIGHT, _FOUR = ({"quant_method": "bitsandbytes", key: True} for key in ("load_in_8bit", "load_in_4bit"))


# vLLM, model_executor/model_loader/bitsandbytes_loader.py `_get_bnb_target_modules`: "Prequant BitsAndBytes 8bit models with FusedMoE is
# not supported yet." in 0.10.1, 0.20.0 and 0.27.0, and in vllm-bnb-plugin 0.0.3; before 0.10.0 its config has no method for experts.
@pytest.mark.parametrize("version", ["0.10.1", "0.16.0", "0.20.0", "0.27.0", None])
def test_vllm_loads_no_experts_of_8_bits_that_bitsandbytes_packed(version: str | None) -> None:
    assert "routed experts" in str(lacks_format(version, _EIGHT, experts=True))
    assert lacks_format(version, _EIGHT) is None
    assert lacks_format(version, _FOUR, experts=True) is None


def test_vllm_before_0_10_has_no_bitsandbytes_for_experts() -> None:
    assert "0.10.0" in str(lacks_format("0.9.2", _FOUR, experts=True))
    assert lacks_format("0.9.2", _FOUR) is None


def test_packed_experts_do_not_fit(cli: Run) -> None:
    asked = ("--gpu", "h100", "--engine", "vllm", "--engine-version", "0.20.0", "--quant", "bnb-int8", "--offline")
    done = cli("fit", "qwen3-30b-a3b", *asked)
    assert done.returncode == 1
    assert "8 bits" in done.stdout
    assert cli("fit", "qwen3-8b", *asked).returncode == 0


def test_vllm_does_not_run_on_a_mac_by_the_rules_of_others(cli: Run) -> None:
    done = cli("fit", "qwen3-8b", "--gpu", "m4-max", "--engine", "vllm", "--offline")
    assert done.returncode == 2
    assert "vLLM-Metal" in done.stderr
    assert "not modelled" in done.stderr


def _config(name: str, **changes: Any) -> dict[str, Any]:
    found = config(name)
    assert found is not None
    return {**found, **changes}


def test_a_class_that_nobody_has_is_named_anew_or_does_not_start(cli: Run, tmp_path: Path) -> None:
    """vLLM 0.33, models/registry.py `_try_resolve_transformers`: no attribute of transformers, and no AutoModel in `auto_map`."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(_config("llama-3.1-8b", architectures=["NobodysForCausalLM"])))
    done = cli("fit", str(path), "--gpu", "h100", "--engine", "vllm")
    assert '--hf-overrides \'{"architectures": ["LlamaForCausalLM"]}\'' in " ".join(done.stdout.split())
    done = cli("fit", "--gpu", "h100", "--", "vllm", "serve", str(path))
    assert done.returncode == 1 and "vLLM has no NobodysForCausalLM" in " ".join(done.stdout.split())
    path.write_text(
        json.dumps(_config("llama-3.1-8b", architectures=["NobodysForCausalLM"], auto_map={"AutoModelForCausalLM": "m.N"}))
    )
    done = cli("fit", str(path), "--gpu", "h100", "--engine", "vllm")
    assert "it starts if its Transformers backend takes the model" in " ".join(done.stdout.split())


def test_a_class_without_any_like_it_is_refused() -> None:
    made = parse(_config("llama-3.1-8b"))._replace(model_type="nobodys", classes=("NobodysForCausalLM",))
    with pytest.raises(UnsupportedError, match="it does not start"):
        check(REGISTRY, made, None)
    assert "Transformers backend" in check(REGISTRY, made._replace(coded=True), None)[0]
    # transformers makes it, whatever its task.
    assert "Transformers backend" in check(REGISTRY, made._replace(classes=("CLIPTextModelWithProjection",)), None)[0]


def _packed(method: str, group: int, intermediate: int = 12288) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 4096, "num_hidden_layers": 4, "head_dim": 128,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": intermediate, "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": method, "bits": 4, "group_size": group, "zero_point": True, "sym": True, "version": "gemm"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "method", "group", "intermediate", "said"),
    [
        # AutoAWQ 0.2.9, awq/modules/linear/gemm.py: the width is asserted to be a multiple of the group, so there is no such file.
        ("inspect", "awq", 100, 12288, "quantization_config.group_size is 100"),
        ("fit --gpu h100 --engine vllm --ctx 4k", "awq", 128, 12300, "quantization_config.group_size is 128"),
        # vLLM 0.22 to 0.33, auto_gptq.py: `verify_marlin_supported` takes four groups, and the shapes whole ones.
        ("fit --gpu h100 --engine vllm --ctx 4k", "gptq", 16, 12288, "quantization_config.group_size is 16"),
        ("fit --gpu h100 --engine vllm --ctx 4k", "gptq", 128, 12300, "12,300 columns of mlp.down_proj.weight"),
        # Before, other groups ran on kernels of their own, whole ones alone.
        ("fit --gpu h100 --engine vllm --ctx 4k --engine-version 0.21.0", "gptq", 16, 12288, ""),
        (
            "fit --gpu h100 --engine vllm --ctx 4k --engine-version 0.21.0",
            "gptq",
            128,
            12300,
            "12,300 columns of mlp.down_proj.weight",
        ),
        # SGLang 0.5.23, quantization/gptq/schemes/gptq_linear.py.
        ("fit --gpu h100 --engine sglang --ctx 4k", "gptq", 128, 12300, "12,300 columns of mlp.down_proj.weight"),
        ("fit --gpu h100 --engine vllm --ctx 4k", "gptq", -1, 12300, ""),
        ("fit --gpu h100 --engine vllm --ctx 4k", "awq", 64, 12288, ""),
    ],
)
def test_groups_that_do_not_divide(
    command: str, method: str, group: int, intermediate: int, said: str, cli: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(_packed(method, group, intermediate)))
    done = cli(*command.split(), "config.json")
    told = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode != 0) == bool(said), told[:400]
    assert said in told


@pytest.mark.parametrize(
    ("arguments", "padded"),
    [("qwen2.5-72b-instruct --quant awq --tp 8", True), ("qwen2.5-72b-instruct --quant fp8 --tp 8", False)],
)
def test_a_published_checkpoint_may_be_padded(arguments: str, padded: bool, cli: Run) -> None:
    """Widths of the model are not those of a checkpoint that was padded to be quantized: its config.json states its own."""
    done = cli("fit", "--gpu", "8xh100", *arguments.split())
    assert ("may be padded" in done.stderr and "config.json" in done.stderr) == padded


@pytest.mark.parametrize(
    ("version", "capability", "refused"),
    [
        (None, (7, 0), True),
        (None, (6, 1), True),
        ("0.19.0", (6, 1), True),
        ("0.19.0", (7, 0), False),
        (None, (7, 5), False),
        (None, None, False),
    ],
)
def test_gpus_older_than_published_builds(version: str | None, capability: tuple[int, int] | None, refused: bool) -> None:
    said = not_built(version, capability)
    assert (said is not None) == refused
    # Volta has a way out; what is older never had code.
    assert said is None or ("up to 0.19" in said) == (capability == (7, 0))


_HOPPER, _B200, _B300, _THOR, _RTX_50, _GB10 = (9, 0), (10, 0), (10, 3), (11, 0), (12, 0), (12, 1)


@pytest.mark.parametrize(
    ("version", "built", "not_yet"),
    [
        # docker/Dockerfile `torch_cuda_arch_list`: '7.0 7.5 8.0 8.6 8.9 9.0+PTX' in 0.6.3, 0.8.0 and 0.8.5 (CUDA 12.4).
        *((v, ((8, 9), _HOPPER), (_B200, _B300, _THOR, _RTX_50, _GB10)) for v in ("0.6.3", "0.7.3", "0.8.0", "0.8.5")),
        # '7.0 7.5 8.0 8.9 9.0 10.0+PTX' in 0.9.0 and 0.9.1; cmake/utils.cmake drops +PTX.
        *((v, (_HOPPER, _B200, _B300), (_THOR, _RTX_50, _GB10)) for v in ("0.9.0", "0.9.1")),
        # '7.0 7.5 8.0 8.9 9.0 10.0 12.0' from 0.9.2 to 0.16; '7.5 8.0 8.6 8.9 9.0 10.0 11.0 12.0' in 0.20.0 and to 0.33.
        *((v, (_HOPPER, _B200, _B300, _RTX_50, _GB10), (_THOR,)) for v in ("0.9.2", "0.10.0", "0.16.0", "0.19.1")),
        *((v, (_HOPPER, _B200, _B300, _THOR, _RTX_50, _GB10), ()) for v in ("0.20.0", "0.33.0", None)),
    ],
)
def test_gpus_newer_than_published_builds(
    version: str | None, built: tuple[tuple[int, int], ...], not_yet: tuple[tuple[int, int], ...]
) -> None:
    for capability in built:
        assert not_built(version, capability) is None
    for capability in not_yet:
        since = {10: "0.9", 11: "0.20", 12: "0.9.2"}[capability[0]]
        assert f"those since {since} do" in (not_built(version, capability) or "")


@pytest.mark.parametrize(
    ("gpu", "version", "fits"),
    [("b200", "0.6.3", False), ("b200", "0.9.0", True), ("5090", "0.8.0", False), ("5090", "0.9.1", False), ("5090", "0.10.0", True),
     ("rtx-pro-6000", "0.7.3", False), ("gb10", "0.8.5", False), ("h100", "0.6.3", True)],
)  # fmt: skip
def test_no_plan_where_published_builds_hold_no_code(gpu: str, version: str, fits: bool, cli: Run) -> None:
    done = cli("fit", "llama-3.1-8b", "--gpu", gpu, "--ctx", "4k", "--engine-version", version)
    assert (done.returncode == 0) == fits
    assert fits or "hold no code for compute capability" in " ".join((done.stdout + done.stderr).split())


# vLLM 0.33, models/registry.py `_normalize_arch`, config/model.py `_SUFFIX_TO_DEFAULTS`; 0.10.0 `_normalize_archs`, and nothing alike in
# 0.9.2, whose registry lists classes of its own for two.
@pytest.mark.parametrize(
    ("model", "name", "version", "served"),
    [
        ("qwen3-8b", "Qwen3ForSequenceClassification", None, True), ("qwen3-8b", "Qwen3ForSequenceClassification", "0.10.0", True),
        ("qwen3-8b", "Qwen3ForSequenceClassification", "0.9.2", True), ("qwen3-8b", "Qwen3ForSequenceClassification", "0.9.1", False),
        ("qwen2.5-7b", "Qwen2ForSequenceClassification", None, True), ("qwen2.5-7b", "Qwen2ForSequenceClassification", "0.6.0", False),
        ("llama-3.1-8b", "LlamaForTokenClassification", None, True), ("llama-3.1-8b", "LlamaRewardModel", None, True),
        ("gemma-2-9b", "Gemma2ForSequenceClassification", None, True), ("qwen3-30b-a3b", "Qwen3MoeForSequenceClassification", None, True),
        ("qwen3-8b", "Qwen3ForRewardModel", None, False),
    ],
)  # fmt: skip
def test_a_class_for_another_task_is_made_of_the_one_that_generates(
    model: str, name: str, version: str | None, served: bool
) -> None:
    architecture = parse(_config(model))._replace(classes=(name,))
    if served:
        assert not check(REGISTRY, architecture, version)
        return
    try:
        told = check(REGISTRY, architecture, version)
    except UnsupportedError:
        return
    assert any(name in note for note in told)
