"""Which classes and methods a release of vLLM serves.

Source: vLLM 0.33, model_executor/models/registry.py `_normalize_arch`, `_try_resolve_transformers`, `_raise_for_unsupported`,
config/model.py `_SUFFIX_TO_DEFAULTS`, model_executor/models/transformers/base.py (attention alone has a cache there).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.engines._kernels import MARLIN_GROUPS, marlin_alone
from archcalc.engines.served import Registry, listed, served, spans
from archcalc.engines.vllm.rules import ENGINE, NEWEST, RELEASES, at_least
from archcalc.errors import json_text
from archcalc.quant import method_of

REGISTRY = Registry(
    ENGINE, "vllm", NEWEST, RELEASES,
    suffixes=(
        "ForCausalLM", "ForConditionalGeneration", "ChatModel", "LMHeadModel", "ForTextEncoding", "EmbeddingModel",
        "ForSequenceClassification", "ForTokenClassification", "ForAudioClassification", "ForImageClassification",
        "ForVideoClassification", "ClassificationModel", "ForRewardModeling", "RewardModel", "Model",
    ),
    generate=("ForCausalLM", "ForConditionalGeneration", "ChatModel", "LMHeadModel"),
    # model_executor/models/registry.py, `TransformersModel`.
    backend="0.7.0", asks_version=True,
    # The same, `_normalize_archs` in 0.10.0, and not in 0.9.2.
    converts="0.10.0",
)  # fmt: skip
_METHODS = {
    "awq": ("awq", "auto_awq"),
    "gptq": ("gptq", "auto_gptq"),
    "autoround": ("auto-round", "inc"),
    "auto-round": ("auto-round", "inc"),
    "inc": ("auto-round", "inc"),
}
_OTHERWISE = frozenset({"mxfp8", "nvfp4", "modelopt", "modelopt_fp4", "modelopt_mixed", "gguf", "bitsandbytes"})
"""Methods that configs name otherwise than vLLM does, or that a plugin reads."""
WHOLE_GPTQ = (0, 22)
"""Since then one method reads all of GPTQ, with Marlin's kernels alone: 4 and 8 bits, symmetric (layers/quantization/auto_gptq.py
`TYPE_MAP`); before, gptq.py read 2, 3, 4 and 8 bits."""


PACKED_EXPERTS = (0, 10)
"""Since then bitsandbytes reads routed experts; before, its config has no method for them (layers/quantization/bitsandbytes.py
`get_quant_method`, read in 0.8.5 and 0.9.2)."""


_ROUNDED = (("mx_fp", (0, 27)), ("nv_fp", None), ("fp", (0, 29)))
"""Since when auto-round's number types are read beside int (layers/quantization/inc/inc.py `SUPPORTED_DTYPES`, 0.9.0 to 0.33)."""


def lacks_format(version: str | None, quantization: Mapping[str, Any], *, experts: bool = False) -> str | None:
    """Why the release does not load weights of these bits; None where it does, or where it is not known."""
    if experts and quantization.get("quant_method") == "bitsandbytes":
        return _lacks_packed_experts(version, quantization)
    if method_of(quantization) in ("auto-round", "autoround", "inc"):
        kind = str(quantization.get("data_type") or "int")
        first = next((since for named, since in _ROUNDED if named in kind), None)
        if kind != "int" and (first is None or not at_least(version, *first)):
            return f"vLLM {version or NEWEST} reads no {kind} weights of auto-round"
    for name in _named_formats(quantization):
        first = next((since for known, since in _FORMATS if name.startswith(known)), None)
        if first is not None and not at_least(version, *first):
            return f"vLLM {version} reads no {name} weights: {'.'.join(map(str, first))}.0 and later do"
    stated = quantization.get("quant_type")
    if (
        quantization.get("quant_method") == "torchao"
        and stated is not None
        and not (isinstance(stated, Mapping) and list(stated) == ["default"])
    ):
        # 0.21 to 0.33, layers/quantization/torchao.py `TorchAOConfig.from_config`: "Expected only one key 'default'".
        return (
            f"vLLM reads a quant_type of torchao with one key, default, and quantization_config.quant_type is {json_text(stated)}"
        )
    if quantization.get("quant_method") != "gptq" or not at_least(version, *WHOLE_GPTQ):
        return None
    return marlin_alone("vLLM", quantization, MARLIN_GROUPS)


_FORMATS = (("NVFP4", (0, 8)), ("MXFP8", (0, 16)), ("nvfp4-pack", (0, 9)), ("mxfp4-pack", (0, 14)))
"""What an algorithm of ModelOpt's and a format of compressed-tensors begin with, and the release that brought it: layers/quantization/
modelopt.py; compressed_tensors/compressed_tensors.py `_get_scheme_from_parts`."""


def _named_formats(quantization: Mapping[str, Any]) -> list[str]:
    level, groups = quantization.get("quantization"), quantization.get("config_groups")
    algorithm = str((level if isinstance(level, Mapping) else quantization).get("quant_algo", "")).upper()
    each = groups.values() if isinstance(groups, Mapping) else ()
    formats = [quantization.get("format"), *(group.get("format") for group in each if isinstance(group, Mapping))]
    return [algorithm, *(str(name) for name in formats if name)]


def _lacks_packed_experts(version: str | None, quantization: Mapping[str, Any]) -> str | None:
    """Routed experts that bitsandbytes packed: those of 8 bits are refused at loading in every release that reads the method itself
        (vLLM 0.10.0 to 0.27, model_loader/bitsandbytes_loader.py `_get_bnb_target_modules`), and by the plugin that does since
    (vllm-bnb-plugin 0.0.3, the same function)."""
    if not at_least(version, *PACKED_EXPERTS):
        return f"vLLM {version} has no bitsandbytes for routed experts: 0.10.0 and later have it"
    if quantization.get("load_in_8bit"):
        return f"vLLM {version or NEWEST} refuses routed experts that bitsandbytes packed in 8 bits"
    return None


def lacks_method(version: str | None, method: str) -> str | None:
    """Why the release does not load weights stored so; None where it does, or where it is not known."""
    names = _METHODS.get(method, () if method in _OTHERWISE else (method,))
    lists = served("vllm").methods
    found = [lists[name] for name in names if name in lists]
    if names and not found:
        return f"no release of vLLM lists {method} among its quantization methods"
    if not found or any(listed(text, ENGINE, RELEASES, version) for text in found):
        return None
    first = spans(found[0])[0].first
    if not at_least(version, *map(int, first.split("."))):
        return f"vLLM loads {method} weights from {first} on, and {version} is asked for"
    return f"vLLM {version or NEWEST} loads no {method} weights: {spans(found[0])[-1]} did"
