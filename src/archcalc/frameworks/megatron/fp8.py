"""Transformer Engine's fp8 in Megatron-LM: what matrices keep of what they read, and what their weights take.

Read in Transformer Engine, main of 2026-08, and Megatron-LM, main of 2026-08; files stand at the terms.
"""

from __future__ import annotations

from collections.abc import Sequence

from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks.megatron.arguments import Arguments
from archcalc.frameworks.megatron.layers import FP32, HALF, Block, Weight
from archcalc.hardware import Device

RECIPES = ("delayed", "tensorwise", "blockwise", "mxfp8")
"""Recipes of quantization (core/enums.py `Fp8Recipe`) that are modelled."""
_TILE = 32


def _quantized_bytes(recipe: str, size: int) -> int:
    """What `size` elements take in fp8, one way: a byte each, and with scales of their own an fp32 one for 128 of a row, or a byte for 32
    (transformer_engine/pytorch/tensor/float8_blockwise_tensor.py `get_scale_shape`, mxfp8_tensor.py `make_empty`)."""
    return size + (-(-size // _TILE) if recipe in ("blockwise", "mxfp8") else 0)


def in_fp8(block: Block, recipe: str) -> Block:
    """The same modules where Transformer Engine multiplies in fp8.

    A matrix keeps what it reads quantized once, for the gradient of its weights: by columns, or by rows where ranks gather it
    (pytorch/module/linear.py `_linear_forward_impl`, layernorm_linear.py, grouped_linear.py: `update_usage`). Where something else keeps
    that tensor in half precision, the matrix keeps the same (core/transformer/attention.py, moe/shared_experts.py:
    `set_save_original_input`), which delayed scaling cannot.
    """
    kept = []
    for k in block.kept:
        copies = k.read - (k.spared if recipe != "delayed" else 0)
        each = _quantized_bytes(recipe, k.bytes // HALF)
        kept.append(k._replace(bytes=copies * each + (k.bytes if k.shared else 0)) if k.read else k)
    return Block(tuple(w._replace(fp8=recipe) if w.matrix and not w.head else w for w in block.weights), tuple(kept))


def weight_bytes(w: Weight, *, transposed: bool, gathered: bool) -> int:
    """Bytes of a weight that is multiplied in fp8: quantized once, beside it in half precision unless fp8 is what ranks gather.

    Scaled by tensor it is stored by rows, and where the GPU multiplies no other layout (before compute capability 10.0,
    `is_non_tn_fp8_gemm_supported`) `transposed` too; scaled by blocks always both ways, in squares of 128 for fp32 scales
    (pytorch/module/base.py `quantize_weight`, whose result stays from the first micro-batch on; tensor/*.py `make_empty`).
    """
    n = w.elements
    if w.fp8 == "mxfp8":
        size = 2 * _quantized_bytes(w.fp8, n)
    elif w.fp8 == "blockwise":
        size = 2 * (n + FP32 * -(-n // (128 * 128)))
    else:
        size = n * (2 if transposed else 1)
    return w.copies * (size + (0 if gathered else HALF * n))


def recipe_of(a: Arguments, *, engine: bool, bf16: bool) -> str:
    """The recipe by which Transformer Engine quantizes what its matrices multiply; empty where they do not."""
    recipe = a.text("fp8-recipe", "delayed")
    if not a.text("fp8-format"):
        if a.flag("fp8-param-gather"):
            raise UsageError(
                f"{a.path}: --fp8-param-gather goes with --fp8-format alone", "add --fp8-format hybrid, or leave it out"
            )
        a.given("first-last-layers-bf16")
        return ""
    if a.text("fp8-format") not in ("e4m3", "hybrid"):
        raise UsageError(f"{a.path}: --fp8-format {a.text('fp8-format')}: e4m3 or hybrid was expected")
    if recipe not in RECIPES:
        raise UnsupportedError(f"{a.path}: --fp8-recipe {recipe} is not modelled", f"one of {', '.join(RECIPES)}")
    if not engine or not bf16:
        raise UnsupportedError(
            f"{a.path}: --fp8-format is modelled with --bf16 and --transformer-impl transformer_engine alone", "or leave it out"
        )
    if a.flag("fp8-param-gather") and not a.flag("use-distributed-optimizer"):
        raise UsageError(f"{a.path}: --fp8-param-gather needs --use-distributed-optimizer", "add it, or leave it out")
    return recipe


def layers_in_fp8(a: Arguments, recipe: str, blocks: Sequence[Block]) -> list[Block]:
    """The layers, of which the first and the last may stay in half precision (core/fp8_utils.py `is_first_last_bf16_layer`)."""
    head = tail = 0
    if a.flag("first-last-layers-bf16"):
        if recipe == "delayed":
            raise UsageError(f"{a.path}: --first-last-layers-bf16 does not go with --fp8-recipe delayed", "such as tensorwise")
        head, tail = a.int("num-layers-at-start-in-bf16", 1, 0), a.int("num-layers-at-end-in-bf16", 1, 0)
    made = {id(block): in_fp8(block, recipe) for block in {id(b): b for b in blocks}.values()}
    return [made[id(b)] if head <= i < len(blocks) - tail else b for i, b in enumerate(blocks)]


def refuse_gpu(path: str, recipe: str, device: Device) -> None:
    """Raises `UsageError` where the GPU does not multiply by the recipe of fp8 (transformer_engine/pytorch/quantization.py
    `check_fp8_support`, `check_mxfp8_support`, `check_fp8_block_scaling_support`)."""
    least = {"mxfp8": 10.0, "blockwise": 9.0}.get(recipe, 8.9)
    if recipe and (compute := compute_of(device)) and compute < least:
        raise UsageError(
            f"{path}: --fp8-recipe {recipe} needs compute capability {least}, and {device.id} has {device.compute}",
            "another GPU, or leave --fp8-format out",
        )


def compute_of(device: Device | None) -> float:
    """The compute capability; without a GPU named, Hopper's."""
    compute = device.compute if device is not None else "9.0"
    return float(compute) if compute and compute.replace(".", "", 1).isdigit() else 0.0
