"""How checkpoints store quantized weights: one module per method, each with a `plan` for a quantization config.

A method is found by the name that `quantization_config.quant_method` gives it; its module is imported only then.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archcalc.errors import ConfigError, UnsupportedError, UsageError, json_text

if TYPE_CHECKING:
    from archcalc.model import Architecture
    from archcalc.quant._plan import Plan

METHODS = {
    "fp8": "fp8", "mxfp8": "fp8", "fbgemm_fp8": "fbgemm_fp8", "compressed-tensors": "compressed_tensors",
    "modelopt": "modelopt", "modelopt_fp4": "modelopt", "modelopt_mixed": "modelopt", "nvfp4": "modelopt", "mxfp4": "mxfp4",
    "awq": "awq", "gptq": "gptq", "auto-round": "auto_round", "autoround": "auto_round", "bitsandbytes": "bitsandbytes",
    "intel/auto-round": "auto_round", "inc": "auto_round", "exl2": "exl2", "exl3": "exl3", "hqq": "hqq", "aqlm": "aqlm", "eetq": "eetq",
    "torchao": "torchao", "quark": "quark", "bitnet": "bitnet", "mlx": "mlx", "gguf": "gguf",
}  # fmt: skip
"""Which module of this package reads the config of which method."""
OPEN = frozenset({"aqlm", "auto_round", "bitnet", "eetq", "exl2", "exl3", "gguf", "hqq", "mlx", "quark", "torchao"})
"""Modules of methods whose configs describe themselves freely: a key that is not known in one of the others is told of."""


def is_closed(method: object) -> bool:
    """Whether the keys of a method's config are a closed set."""
    return isinstance(method, str) and METHODS.get(method, "gguf") not in OPEN


def stated(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The quantization that a config states, at the top or in a nested config; None where it states none.

    `expert_dtype`, which DeepSeek-V4 states beside it, is taken along, and `within` tells which nested config holds it: that of
    the text model says nothing of the towers. MLX's `quantization` is read where nothing else is there.
    """
    found, within = config.get("quantization_config") or config.get("compression_config"), ""
    for key, inner in config.items():
        if not found and isinstance(inner, Mapping) and inner.get("quantization_config"):
            found, within = inner["quantization_config"], key
    if not found and isinstance(config.get("quantization"), Mapping):
        found = config["quantization"]
    if not found:
        return None
    if not isinstance(found, Mapping):
        raise ConfigError(f"quantization_config is {json_text(found)}: an object was expected", "correct it", "quantization_config")
    if "bits" in found and "group_size" in found and method_of(found) == "mlx" and "quantization" not in config:
        raise ConfigError(
            "quantization_config names no quant_method: how its weights are stored is not known",
            'give "quant_method" in it, as in --set quantization_config.quant_method=gptq',
            "quantization_config.quant_method",
        )
    extra = {"within": within} if within else {}
    if "expert_dtype" in config:
        extra["expert_dtype"] = config["expert_dtype"]
    return {**found, **extra} if extra else found


def method_of(quantization: Mapping[str, Any]) -> str:
    """The name of the method, also where the config is of a kind that leaves it out."""
    if "quantization" in quantization or "quant_algo" in quantization:
        # ModelOpt's own file, hf_quant_config.json, or its export; `quant_method` there may name what the rest is stored in.
        return "modelopt"
    method = quantization.get("quant_method")
    if method is None:
        if quantization.get("load_in_4bit") or quantization.get("load_in_8bit"):
            return "bitsandbytes"
        if "bits" in quantization and "group_size" in quantization:
            return "mlx"
    if method is None:
        return ""
    return method.lower() if isinstance(method, str) else json_text(method)


def read(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    """What a quantization config does to the weights of an architecture whose other tensors are stored in `dtype`.

    Raises `UnsupportedError` that names the method where archcalc does not know it.
    """
    method = method_of(quantization)
    module = METHODS.get(method)
    if module is None:
        stated = quantization.get("quant_method")
        said = (
            f"quant_method is {json_text(method if stated is None else stated)}"
            if method
            else "quantization_config names no quant_method"
        )
        raise UnsupportedError(f"{said}: archcalc does not know how it stores weights", f"known are {', '.join(sorted(METHODS))}")
    plan: Plan = importlib.import_module(f"archcalc.quant.{module}").plan(quantization, architecture, dtype)
    if str(quantization.get("within", "")).endswith("text_config"):
        linear = plan.linear
        return plan._replace(linear=lambda tensor, part: part not in ("vision", "audio") and linear(tensor, part))
    return plan


_EXPERTS = r"re:.*\.experts\..*"
_LOADED = frozenset({"fp8-tensor", "int8-experts", "nvfp4-experts"})
"""Storages that no checkpoint has, and engines make as they load: read in their commands, and not among the names to ask for."""
# What each method's own tool does when it is given no more than a model: the config that it would write.
_SYNTHETIC: dict[str, dict[str, Any]] = {
    "fp8": {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"},
    "fp8-dynamic": {
        "quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["lm_head"],
        "config_groups": {"group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True, "dynamic": False},
            "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "symmetric": True, "dynamic": True},
        }},
    },
    "fp8-tensor": {"quant_method": "fp8", "activation_scheme": "dynamic"},
    "int8-experts": {
        "quant_method": "compressed-tensors", "format": "int-quantized",
        "config_groups": {"group_0": {
            "targets": [_EXPERTS],
            "weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True, "dynamic": False},
        }},
    },
    "nvfp4-experts": {
        "quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized",
        "config_groups": {"group_0": {
            "targets": [_EXPERTS],
            "weights": {
                "num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": True, "dynamic": False,
            },
        }},
    },
    "mxfp8": {"quant_method": "mxfp8", "weight_block_size": [1, 32], "activation_scheme": "dynamic"},
    "int8": {
        "quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ["lm_head"],
        "config_groups": {"group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True, "dynamic": False},
            "input_activations": {"num_bits": 8, "type": "int", "strategy": "token", "symmetric": True, "dynamic": True},
        }},
    },
    "w4a16": {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
        "config_groups": {"group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True, "dynamic": False},
        }},
    },
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
    "gptq-int8": {"quant_method": "gptq", "bits": 8, "group_size": 128, "desc_act": False, "sym": True},
    "bnb-int8": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "nf4": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "nf4-dq": {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
    },
    "mxfp4": {
        "quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized", "ignore": ["lm_head"],
        "config_groups": {"group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32, "symmetric": True, "dynamic": False},
        }},
    },
    "mlx-int8": {"bits": 8, "group_size": 64},
    "mlx-int6": {"bits": 6, "group_size": 64},
    "mlx-int5": {"bits": 5, "group_size": 64},
    "mlx-int4": {"bits": 4, "group_size": 64},
    "mlx-int3": {"bits": 3, "group_size": 64},
    # Gated DeltaNet is left alone: by nvidia's list of Qwen3.5-122B, and by a log of RedHatAI's Qwen3.6-35B (21.86 GiB).
    "nvfp4": {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head", "*linear_attn*"]},
}  # fmt: skip
_SPARE_TOWERS = frozenset({"fp8", "fp8-tensor", "fp8-dynamic", "int8", "w4a16", "mxfp4", "mxfp8", "nvfp4"})
"""Storages whose published checkpoints leave towers for images and audio alone: the lists of all those of vision models that were found
name them (nvidia's NVFP4 of Qwen3.5-122B, Kimi-K2.6 and GLM-5.3-Flash, RedHatAI's FP8 of Llama-4-Scout, Qwen's and Z.ai's own FP8)."""
_ALIASES = {
    "w8a8": "int8", "fp8-block": "fp8", "w8a8-fp8": "fp8-dynamic", "int4": "w4a16", "bnb": "nf4", "bnb-4bit": "nf4",
    "bnb-8bit": "bnb-int8", "bitsandbytes": "nf4", "gptq-int4": "gptq", "awq-int4": "awq", "fp4": "nvfp4", "qlora": "nf4-dq",
    "mlx-8bit": "mlx-int8", "mlx-4bit": "mlx-int4", "mlx-6bit": "mlx-int6", "mlx-5bit": "mlx-int5",
    "mlx-3bit": "mlx-int3",
}  # fmt: skip
_PLAIN = {
    "bf16": "BF16",
    "bfloat16": "BF16",
    "fp16": "F16",
    "float16": "F16",
    "f16": "F16",
    "fp32": "F32",
    "float32": "F32",
    "f32": "F32",
}


def quantizations() -> tuple[str, ...]:
    """The names that `quantize_as` takes."""
    from archcalc.quant.gguf import FILE_TYPES

    return (*sorted({*_PLAIN, *_SYNTHETIC, *_ALIASES} - _LOADED), *(name for name in FILE_TYPES if name not in _PLAIN))


def check_name(name: str) -> None:
    """Raise `UsageError` where `quantize_as` would not take the name."""
    from archcalc.quant.gguf import FILE_TYPES, nearest_file_type

    wanted = canonical(name)
    if wanted not in _PLAIN and wanted not in _SYNTHETIC and _file_type(name) not in FILE_TYPES:
        if near := nearest_file_type(name):
            raise UsageError(
                f"{name!r} is a mixture that its publisher chose for each model: its size does not follow from the config",
                f"give the .gguf file, whose header says it, or --quant {near}, llama.cpp's own type "
                "(such files of DeepSeek-V3 are from 7% smaller to 25% larger)",
            )
        raise UsageError(f"{name!r} is no quantization archcalc knows", f"one of {', '.join(quantizations())}")


def check_file_type(name: str) -> None:
    """Raise `UsageError` for what is no type of a GGUF file, naming those that are, the likest first."""
    from difflib import SequenceMatcher

    from archcalc.quant.gguf import FILE_TYPES, nearest_file_type

    if is_plain(name) or file_type_of(name) or nearest_file_type(name):
        return check_name(name)
    known = dict.fromkeys((*FILE_TYPES, "f16", "bf16", "f32"))
    order = sorted(known, key=lambda each: -SequenceMatcher(None, name.lower(), each).ratio())
    raise UsageError(f"{name!r} is no type of GGUF files", f"one of {', '.join(order)}")


def canonical(name: str) -> str:
    """The name that all of a quantization's names stand for."""
    wanted = name.lower().replace("_", "-")
    return _ALIASES.get(wanted, wanted)


def _file_type(name: str) -> str:
    """A file type as `FILE_TYPES` names it."""
    from archcalc.quant.gguf import FILE_TYPES

    plain = name.lower().replace("-", "_")
    return plain if plain in FILE_TYPES else plain.removeprefix("gguf_")


def file_type_of(name: str) -> str:
    """The GGUF file type that a name stands for; empty where it is another storage."""
    from archcalc.quant.gguf import FILE_TYPES

    wanted = canonical(name)
    found = _file_type(wanted) if wanted not in _PLAIN and wanted not in _SYNTHETIC else ""
    return found if found in FILE_TYPES else ""


def made_as_loaded(quantization: Mapping[str, Any]) -> bool:
    """Whether a config is what an engine makes of experts as it loads them, activations in four bits too.

    Source: vLLM 0.33, config/quantization.py (`nvfp4_per_token`).
    """
    return bool(quantization.get("config_groups") == _SYNTHETIC["nvfp4-experts"]["config_groups"])


def is_plain(name: str) -> bool:
    """Whether a name is a float's, and so no quantization."""
    return canonical(name) in _PLAIN


def plain(name: str | None) -> str | None:
    """The short name of a float's dtype, None of what is no float's.

    >>> plain("float16"), plain("awq")
    ('fp16', None)
    """
    found = _PLAIN.get(canonical(name)) if name else None
    return {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}[found] if found else None


def quantize_as(architecture: Architecture, name: str) -> Architecture:
    """The same architecture as a checkpoint quantized so would hold it: `fp8`, `awq`, `gptq`, `nf4`, `nvfp4`, `q4_k_m`, …

    Whatever quantization its own config states is put aside; `bf16` and the like do no more than that. A method that keeps what
    it leaves alone in half precision finds BF16 there unless the config states F16. What an engine makes of it is the engine's to say.
    """
    check_name(name)
    wanted = canonical(name)
    if wanted in _PLAIN:
        return architecture._replace(quantization=None, dtype=_PLAIN[wanted])
    half = "F16" if architecture.dtype == "F16" else "BF16"
    if wanted in _SYNTHETIC:
        config = _SYNTHETIC[wanted]
        if wanted in _SPARE_TOWERS and any(s.part in ("vision", "audio") for s in architecture.stacks):
            config = {**config, "within": "text_config"}
        return architecture._replace(quantization=config, dtype=half)
    return architecture._replace(quantization={"quant_method": "gguf", "file_type": _file_type(wanted)}, dtype=half)
