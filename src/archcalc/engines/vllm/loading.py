"""How vLLM comes to hold weights in a storage that a checkpoint has not: by a flag as it loads it, or not at all.

Sources, read in each release: vLLM 0.8.5 to 0.33, model_executor/layers/quantization/__init__.py `QuantizationMethods`,
config/quantization.py `_ONLINE_SHORTHANDS`, layers/quantization/fp8.py `Fp8Config` (from 0.31 on `fp8` quantizes nothing as it
loads), docs/features/quantization/bnb.md and gguf.md (plugins since 0.28 and 0.24).
"""

from __future__ import annotations

from archcalc.engines.vllm.rules import at_least
from archcalc.records import NamedTuple


class _Row(NamedTuple):
    """From release `since` on, up to but without `until`."""

    quant: str
    since: tuple[int, ...]
    until: tuple[int, ...] | None
    words: tuple[str, ...]


def _flag(name: str) -> tuple[str, ...]:
    return "--quantization", name


_ROWS = (
    _Row("fp8", (), (0, 20), _flag("fp8")),
    _Row("fp8", (0, 20), None, _flag("fp8_per_block")),
    _Row("fp8-tensor", (), (0, 20), _flag("fp8")),
    _Row("fp8-tensor", (0, 20), None, _flag("fp8_per_tensor")),
    _Row("fp8-dynamic", (0, 24), None, _flag("fp8_per_channel")),
    _Row("mxfp8", (0, 20), None, _flag("mxfp8")),
    _Row("mxfp4", (0, 28), None, _flag("mxfp4")),
    _Row("int8-experts", (), (0, 20), _flag("experts_int8")),
    _Row("int8-experts", (0, 20), None, _flag("int8_per_channel_weight_only")),
    _Row("nvfp4-experts", (0, 26), None, _flag("nvfp4_per_token")),
    _Row("nf4", (), None, _flag("bitsandbytes")),
)


def loading(version: str | None, quant: str) -> tuple[str, ...] | None:
    """The words of a command with which vLLM quantizes so as it loads; None where it reads a checkpoint stored so and no other.

    `quant` is a name of `quant.canonical`.
    """
    for row in _ROWS:
        if row.quant == quant and at_least(version, *row.since) and not (row.until and at_least(version, *row.until)):
            return row.words
    return None


_REFINES = (0, 29)


def finest_block(version: str | None, capability: tuple[int, int] | None = None) -> int:
    """Triton's kernels take any block from 32 on that divides an expert's columns on a rank (vLLM 0.29 to 0.33,
    layers/fused_moe/oracle/fp8.py `refine_fp8_moe_block_shape`; 0.28 has no such function), and none in FP8 on NVIDIA's GPUs without
    units for it (experts/triton_moe.py `TritonExperts`, platforms/cuda.py `supports_fp8`): Marlin's, which run there, take the
    checkpoint's blocks alone."""
    units = capability is None or capability >= (8, 9)
    return 32 if units and at_least(version, *_REFINES) else 0


_STREAMS = (0, 15)


def loads_whole(version: str | None, quant: str) -> bool:
    """Whether weights are made on the GPU in the checkpoint's dtype, all of them, before the first is quantized.

    FP8 until 0.14.1 (model_executor/layers/quantization/fp8.py `Fp8LinearMethod.create_weights`: `dtype=params_dtype`); 0.16 makes them
    on the meta device, a layer at a time (vllm#31914). Experts in INT8 and bitsandbytes are quantized as each tensor is read."""
    return quant in ("fp8", "fp8-tensor", "fp8-dynamic") and not at_least(version, *_STREAMS)


def plugin(version: str | None, method: str) -> str:
    """What has to be installed for vLLM to read a checkpoint of a method; empty where nothing has."""
    for name, since, package in (("gguf", (0, 24), "vllm-gguf-plugin"), ("bitsandbytes", (0, 28), "vllm-bnb-plugin")):
        if method == name and at_least(version, *since):
            return f"vLLM reads {name} through a plugin since {'.'.join(map(str, since))}: pip install {package}"
    return ""


def takes_nodes(version: str | None) -> bool:
    """Whether vLLM starts on several machines without Ray: `--nnodes` is in 0.11.1 and not in 0.11.0 (engine/arg_utils.py)."""
    return at_least(version, 0, 11, 1)
