"""What weights are where nothing of an engine's own decides it: stored as asked, or as the checkpoint has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import Architecture


def as_stored(architecture: Architecture, quant: str | None, title: str) -> tuple[Architecture, str]:
    """The model quantized as asked, or as it is, and what that storage is called: unquantized weights are loaded in half precision.

    Raises `UsageError` for MLX's formats, which only mlx-lm reads."""
    from archcalc.figures.checkpoint import base_dtype
    from archcalc.quant import method_of, quantize_as

    own = architecture.quantization
    refuse_mlx(own, title)
    if quant is not None:
        made = quantize_as(architecture, quant)
        if made.quantization and method_of(made.quantization) == "mlx":
            raise UsageError(f"{title} reads no MLX weights, as {quant} is", "--engine mlx does; --quant w4a16 is 4 bits here")
        return made, quant
    if own:
        return architecture, str(own.get("file_type", "gguf")) if method_of(own) == "gguf" else method_of(own)
    return architecture, half(base_dtype(architecture)[0])


def refuse_mlx(own: Mapping[str, Any] | None, title: str) -> None:
    """MLX's files name no `quant_method` and pack what they hold in their own way. Raises `UnsupportedError`."""
    from archcalc.quant import method_of

    if own and method_of(own) == "mlx":
        raise UnsupportedError(
            f"{title} reads no MLX weights, as this checkpoint's are", "--engine mlx does; or give the model's own repository"
        )


def half(dtype: str) -> str:
    """What engines load unquantized weights as: a float32 checkpoint in half precision."""
    return {"F32": "bf16", "BF16": "bf16", "F16": "fp16"}.get(dtype, dtype.lower())
