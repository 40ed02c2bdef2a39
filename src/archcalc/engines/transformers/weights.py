"""Weights in transformers: as a checkpoint has them, what bitsandbytes is handed, and what is written out on GPUs without the units."""

from __future__ import annotations

from math import prod

from archcalc.engines.loading import half, refuse_mlx
from archcalc.engines.plan import capability
from archcalc.engines.weights import Keep
from archcalc.errors import UsageError
from archcalc.figures.checkpoint import Entry, base_dtype, storage_bytes
from archcalc.hardware import Device
from archcalc.model import Architecture
from archcalc.quant import check_name, file_type_of, method_of, quantize_as
from archcalc.quant._loaders import in_transformers

# transformers 5.24, quantizers/auto.py `AUTO_QUANTIZATION_CONFIG_MAPPING`; what is not in it, `supports_quant_method` passes over.
_METHODS = frozenset(
    "gguf awq bitsandbytes eetq gptq aqlm quanto quark fouroversix fp_quant hqq compressed-tensors fbgemm_fp8 higgs torchao bitnet vptq "
    "spqr fp8 nvfp4 mxfp8 auto-round mxfp4 metal sinq gemma".split()
)


class TransformersKeep(Keep):
    def bytes(self, entry: Entry) -> int:
        if entry.tensor.fp32 and entry.dtype == "F16":
            # transformers 5.24, modeling_utils.py `_get_dtype_plan`: in a float16 model alone.
            return storage_bytes("F32", prod(entry.shape) * (entry.experts or 1))
        return super().bytes(entry)


def load(architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
    """The model as it is held on a device, and what that storage is called. Raises `UsageError` for one that it never holds."""
    own = architecture.quantization
    refuse_mlx(own, "transformers")
    if quant is None and own and (method := method_of(own)) not in _METHODS:
        raise UsageError(
            f"transformers reads no {method} weights: it leaves the quantization out, and the checkpoint does not fit the model",
            "the model's own repository in bf16, or another engine",
        )
    stored = str(own.get("file_type", "gguf")) if own and method_of(own) == "gguf" else ""
    if quant is None and stored:
        check_name(stored)
    if file_type := file_type_of(quant or stored):
        raise UsageError(
            f"transformers widens GGUF's {file_type} to the model's dtype as it loads it: it never holds it so",
            "--quant nf4 and bnb-int8 quantize as it loads; --engine llama.cpp holds GGUF as it is",
        )
    if quant is not None:
        architecture, name = quantized(architecture, quant), quant
    elif own:
        name = stored or method_of(own)
    else:
        base = base_dtype(architecture)[0]
        name = base.lower().replace("f", "fp", 1) if base in ("F16", "F32") else half(base)
        # Keys and values are made in the dtype of the weights.
        architecture = architecture._replace(dtype=architecture.dtype or base)
    if not architecture.quantization:
        return architecture, name
    method = method_of(architecture.quantization)
    held = in_transformers(architecture, method, capability(device), device.vendor == "apple")
    if held.quantization is None and quant is not None:
        raise UsageError(
            f"transformers holds no {quant} weights on {device.name}: it loads them in bf16",
            "--quant nf4 and bnb-int8 are for any GPU of NVIDIA's",
        )
    return held, name if held.quantization else "bf16"


def quantized(architecture: Architecture, quant: str) -> Architecture:
    """The model quantized as asked: what is handed to bitsandbytes is less than what a checkpoint may hold."""
    made = quantize_as(architecture, quant)
    if method_of(made.quantization or {}) != "bitsandbytes":
        return made
    dtype = made.dtype
    # Out of float32, to float16, in which the modules that the class keeps in float32 stay so (`_get_dtype_plan`).
    plain = architecture.dtype in (None, "F32") and architecture.quantization is None
    if plain and any(tensor.fp32 for _, tensor, _ in architecture.each_tensor()):
        dtype = "F16"
    return made._replace(quantization={**(made.quantization or {}), "loader": "transformers"}, dtype=dtype)
