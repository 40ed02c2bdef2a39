"""NVIDIA ModelOpt: NVFP4, FP8 and mixtures of them, from `quantization_config` or from `hf_quant_config.json`.

NVFP4 packs two E2M1 values in a byte; 16 values of a row share an FP8 scale, and the tensor has one scale more for its weight and
one for its input (none where only weights are quantized). FP8 has one scale for the weight and one for the input. An FP8 cache
adds a scale to each key and value projection. Packed weights stay one element a byte in the Hub's count.

Sources: ModelOpt 0.37, modelopt/torch/export/quant_utils.py `postprocess_state_dict`, `get_weight_scaling_factor` and
export/convert_hf_config.py; 0.47, export/unified_export_hf.py `export_hf_checkpoint`; transformers 4.57,
modeling_utils.py `save_pretrained` (the index's `total_parameters`); vLLM 0.11, model_executor/layers/quantization/modelopt.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Architecture, Kind, Part, Tensor
from archcalc.quant import fp8
from archcalc.quant._names import Layers, Names
from archcalc.quant._plan import (
    FP8,
    Module,
    Plan,
    Scheme,
    Split,
    Stored,
    by_names,
    ceil_div,
    integer,
    is_linear_or_head,
    names,
    scalar,
    section,
)


def _fp8(out: int, width: int) -> tuple[Stored, ...]:
    return Stored("weight", (out, width), FP8), scalar("weight_scale"), scalar("input_scale")


def _fp8_rows(out: int, width: int) -> tuple[Stored, ...]:
    return Stored("weight", (out, width), FP8), scalar("weight_scale", "F32", (out,))


def _fp8_blocks(out: int, width: int) -> tuple[Stored, ...]:
    return Stored("weight", (out, width), FP8), scalar("weight_scale", "F32", (ceil_div(out, 128), 1, ceil_div(width, 128), 1))


def _mxfp8(out: int, width: int) -> tuple[Stored, ...]:
    return Stored("weight", (out, width), FP8), scalar("weight_scale", "U8", (out, ceil_div(width, 32)))


def _nvfp4(group: int, *, inputs: bool) -> Scheme:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        pieces = (
            Stored("weight", (out, ceil_div(width, 2)), "U8"),
            scalar("weight_scale", FP8, (out, ceil_div(width, group))),
            scalar("weight_scale_2"),
        )
        return (*pieces, scalar("input_scale")) if inputs else pieces

    return scheme


def _scheme(algorithm: str, group: int) -> Scheme | None:
    simple: dict[str, Scheme] = {
        "FP8": _fp8, "FP8_PER_CHANNEL_PER_TOKEN": _fp8_rows, "FP8_PB_WO": _fp8_blocks, "FP8_PB_REAL": _fp8_blocks, "MXFP8": _mxfp8,
    }  # fmt: skip
    if algorithm in ("NONE", ""):
        return None
    if algorithm in simple:
        return simple[algorithm]
    if algorithm in ("NVFP4", "NVFP4_AWQ", "W4A8_NVFP4_FP8"):
        return _nvfp4(group, inputs=True)
    if algorithm in ("W4A16_NVFP4", "NVFP4_W4A16"):
        return _nvfp4(group, inputs=False)
    raise UnsupportedError(
        f"quant_algo is {json_text(algorithm)}: archcalc does not know how ModelOpt stores it",
        "known are NVFP4, FP8 and their variants",
    )


def _uncounted(plan: Plan) -> Plan:
    """The Hub reads config.json only: where it states no quantization, scales are elements like any other."""
    split = plan.split

    def as_elements(scheme: Scheme) -> Scheme:
        return lambda out, width: tuple(s._replace(parameters=None) for s in scheme(out, width))

    return plan._replace(
        split=lambda module, layers: ((as_elements(s) if s else None, chosen) for s, chosen in split(module, layers))
    )


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    own_file = "quantization" in quantization
    config = section(quantization, "quantization") if own_file else quantization
    algorithm = str(config.get("quant_algo") or "").upper()
    group = integer(config, "group_size", 16)
    excluded = names(config, "exclude_modules", "ignore")
    groups: list[tuple[Names | None, Scheme | None]] = []
    layers = section(config, "quantized_layers")
    if layers:
        by_scheme: dict[tuple[str, int], list[str]] = {}
        for name in layers:
            how = section(layers, name)
            key = str(how.get("quant_algo", "")), integer(how, "group_size", group)
            if key in by_scheme:
                by_scheme[key].append(name)
            else:
                by_scheme[key] = [name]
        groups += [(Names(named, "quantized_layers"), _scheme(how.upper(), size)) for (how, size), named in by_scheme.items()]
    elif algorithm == "MIXED_PRECISION":
        raise ConfigError(
            "quant_algo is MIXED_PRECISION, but quantized_layers is missing", "add quantized_layers", "quantized_layers"
        )
    else:
        groups.append((None, _scheme(algorithm, group)))
    if config.get("quant_method") == "fp8":
        return _over_fp8(by_names(groups, excluded), fp8.plan(quantization, architecture, dtype))
    cache = config.get("kv_cache_quant_algo") or config.get("kv_cache_scheme")
    scales = (("k_proj", scalar("k_scale")), ("v_proj", scalar("v_scale"))) if cache else ()
    # MTP layers that its list excludes by their own prefix are in a file beside the checkpoint's index, if anywhere.
    drops: frozenset[Part] = frozenset({"mtp"}) if excluded and excluded.mentions("mtp") else frozenset()
    uncounted = _buffers(config, architecture) if "mtp" in drops or not architecture.mtp_layers else frozenset[Kind]()
    result = Plan(by_names(groups, excluded), _quantized, cache_scales=scales, drops=drops, uncounted=uncounted)
    return _uncounted(result) if own_file else result


def _buffers(config: Mapping[str, Any], architecture: Architecture) -> frozenset[Kind]:
    """What is stored and not counted where the checkpoint was written by transformers' `save_pretrained`.

    ModelOpt's export calls it, and from 4.53 on it writes `total_parameters` into the index: parameters, without the buffers that
    correction biases, scalars of layers and scales are. Models whose MTP layers were copied beside are indexed anew.
    """
    producer = section(config, "producer")
    wrote = str(producer.get("name", "")).lower() == "modelopt" and config.get("quant_method") == "modelopt"
    return frozenset({"router_bias", "copy"}) if wrote else frozenset()


def _quantized(tensor: Tensor, part: Part) -> bool:
    """MTP layers are copied as they were: the models that ModelOpt works on do not have them."""
    return part != "mtp" and is_linear_or_head(tensor, part)


def _over_fp8(own: Split, rest: Plan) -> Plan:
    """A checkpoint that was FP8 before: what ModelOpt did not quantize anew is stored as it was."""

    def split(module: Module, layers: Layers) -> Iterator[tuple[Scheme | None, Layers]]:
        for scheme, chosen in own(module, layers):
            if scheme is not None or not chosen:
                yield scheme, chosen
            else:
                yield from rest.split(module, chosen)

    return rest._replace(split=split, scheme=None)
