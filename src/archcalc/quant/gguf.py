"""GGUF: the block types of ggml, and which tensor of a model gets which under a file type such as Q4_K_M.

A file type names a mixture: attention values and the FFN's second matrix get more bits in some layers, the head the most.
Embeddings and heads are quantized too; norms, routers, biases and small recurrent weights stay in F32. A row whose width the
block does not divide falls back to a block of 32. MTP layers are left out. Vision and audio towers have a file of their own and are
counted in F16, as that file usually is.

Figures are those of `llama-quantize`, with an importance matrix for the IQ types, as they are published, and without one for the rest.
Publishers' own mixtures ("UD") are chosen for each model, and refused by name; those whose embeddings and head alone are raised to Q8_0
(Q4_K_L) are known. The metadata at the head of the file, a few MB with the tokenizer, is not counted.

Sources: llama.cpp b9500, src/llama-quant.cpp `llama_tensor_get_type_impl`, `tensor_allows_quantization`, `tensor_type_fallback`,
`llama_ftype_get_default_type`; ggml/src/ggml-common.h (blocks); convert_hf_to_gguf.py (what is F32; MLA's `kv_b_proj` in two).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._names import Layers
from archcalc.quant._plan import Module, Plan, Scheme, Stored
from archcalc.records import NamedTuple

BLOCKS = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2),
    "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34),
    "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210),
    "IQ1_S": (256, 50), "IQ1_M": (256, 56), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ2_S": (256, 82),
    "IQ3_XXS": (256, 98), "IQ3_S": (256, 110), "IQ4_NL": (32, 18), "IQ4_XS": (256, 136),
    "TQ1_0": (256, 54), "TQ2_0": (256, 66), "MXFP4": (32, 17), "NVFP4": (64, 36),
}  # fmt: skip
"""Values in a block and the bytes it takes, by type."""

FILE_TYPES = {
    "f32": "F32", "f16": "F16", "bf16": "BF16",
    "q4_0": "Q4_0", "q4_1": "Q4_1", "q5_0": "Q5_0", "q5_1": "Q5_1", "q8_0": "Q8_0", "mxfp4_moe": "MXFP4",
    "q2_k": "Q2_K", "q2_k_s": "Q2_K", "q3_k_s": "Q3_K", "q3_k_m": "Q3_K", "q3_k_l": "Q3_K", "q4_k_s": "Q4_K", "q4_k_m": "Q4_K",
    "q5_k_s": "Q5_K", "q5_k_m": "Q5_K", "q6_k": "Q6_K", "tq1_0": "TQ1_0", "tq2_0": "TQ2_0",
    "iq1_s": "IQ1_S", "iq1_m": "IQ1_M", "iq2_xxs": "IQ2_XXS", "iq2_xs": "IQ2_XS", "iq2_s": "IQ2_XS", "iq2_m": "IQ2_S",
    "iq3_xxs": "IQ3_XXS", "iq3_xs": "IQ3_S", "iq3_s": "IQ3_S", "iq3_m": "IQ3_S", "iq4_nl": "IQ4_NL", "iq4_xs": "IQ4_XS",
    "q2_k_l": "Q2_K", "q3_k_xl": "Q3_K", "q4_k_l": "Q4_K", "q5_k_l": "Q5_K", "q6_k_l": "Q6_K",
}  # fmt: skip
"""The type that each file type gives a tensor about which it says nothing else."""

_RAISED_ENDS = {"q2_k_l": "q2_k", "q3_k_xl": "q3_k_l", "q4_k_l": "q4_k_m", "q5_k_l": "q5_k_m", "q6_k_l": "q6_k"}
"""File types of publishers that are one of llama-quantize with embeddings and head in Q8_0 (`--token-embedding-type`,
`--output-tensor-type`): bartowski/Meta-Llama-3.1-8B-Instruct-GGUF, README."""


def nearest_file_type(name: str) -> str:
    """The file type whose size is by rule that a publisher's own mixture is named for, or nothing where it is none such.

    >>> nearest_file_type("ud-q4_k_xl"), nearest_file_type("ud_iq2_xxs"), nearest_file_type("q4_k_m")
    ('q4_k_m', 'iq2_xxs', '')
    """
    plain = name.lower().replace("-", "_").removeprefix("gguf_")
    bare = plain.removeprefix("ud_")
    if bare == plain and not bare.endswith("_xl"):
        return ""
    tried = (bare.removesuffix("_xl") + "_m", bare.removesuffix("_xl"), bare.removesuffix("_k_xl") + "_0")
    return next((each for each in ((bare,) if not bare.endswith("_xl") else tried) if each in FILE_TYPES), "")


def four_bit_type(method: str, quantization: Mapping[str, Any]) -> str | None:
    """The ggml type that holds what a method stores in 4 bits, without loss, or None where none does.

    MXFP4 and NVFP4 are those of the OCP and of NVIDIA; blocks of Q4_0 hold integers with a scale, those of Q4_1 with an offset too.
    What other methods store so (NF4's levels) no type of ggml has.

    Sources: llama.cpp 0c1e57098, conversion/base.py `repack_mxfp4_blocks`, `_nvfp4_pack`, conversion/gpt_oss.py, deepseek.py, kimi_k3.py
    (which keep FP4), conversion/base.py `dequant_packed` (which writes INT4 out, for llama-quantize to pack again).
    """
    groups = quantization.get("config_groups")
    held = [g.get("weights") for g in groups.values() if isinstance(g, Mapping)] if isinstance(groups, Mapping) else []
    weights = [w for w in held if isinstance(w, Mapping) and w.get("num_bits") == 4]
    if method in ("mxfp4", "fp8", "mxfp8"):
        return "MXFP4"
    if method in ("modelopt", "modelopt_fp4", "modelopt_mixed", "nvfp4"):
        return "NVFP4"
    if method == "compressed-tensors" and weights:
        if weights[0].get("type") == "float":
            return "MXFP4" if weights[0].get("group_size") == 32 else "NVFP4"
        return "Q4_0" if all(w.get("symmetric", True) for w in weights) else "Q4_1"
    if method in ("gptq", "auto-round", "autoround"):
        return "Q4_0" if quantization.get("sym", True) else "Q4_1"
    return "Q4_1" if method in ("awq", "mlx", "torchao") else None


_FALLBACK = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"), "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip
_LOW = frozenset(("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m"))
# Names of small 2-D weights, in the reference implementation, that stay in F32.
_KEPT = (
    "altup", "laurel", "per_layer_model_projection", "conv1d", "short_conv", "conv.weight", "A_log", "dt_bias", "time_mix_w",
    "pos_emb", "wpe.", "rel_attn_bias", "relative_attention_bias",
)  # fmt: skip
_V = (
    "v_proj",
    "kv_b_proj",
    "qkv_proj",
    "query_key_value",
    "Wqkv",
    "qkv",
    "c_attn",
    "in_proj_qkv",
    "in_proj_qkvz",
    "wqkv",
    "att_proj",
)
_Q, _K = ("q_proj", "wq"), ("k_proj", "wk")
_OUTPUT = ("o_proj", "out_proj", "dense", "wo", "c_proj")
_DOWN = ("down_proj", "w2", "fc2", "fc_out", "dense_4h_to_h", "output_linear", "c_proj")


class _Model(NamedTuple):
    """What the rule asks of the model beside the tensor."""

    file_type: str
    layers: int
    gqa: int
    experts: int
    tied: bool
    falcon: bool
    is_70b: bool
    v_layers: dict[int, int]
    v_count: int


def block_bytes(dtype: str, elements: int) -> int | None:
    """The bytes of a tensor of this ggml type, or None where it is none."""
    block = BLOCKS.get(dtype)
    return elements // block[0] * block[1] if block else None


def _more_bits(i: int, n: int) -> bool:
    """The first eighth, the last eighth, and every third layer between."""
    return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


def _leaf(name: str) -> str:
    return name.removesuffix(".weight").rsplit(".", 1)[-1]


def _category(tensor: Tensor, part: Part) -> str:
    """What llama.cpp would see in the tensor's GGUF name."""
    if tensor.role == "head":
        return "output"
    if tensor.role == "embedding":
        return "embedding"
    leaf = _leaf(tensor.name)
    if tensor.role == "attention":
        return "v" if leaf in _V else "k" if leaf in _K else "q" if leaf in _Q else "attn_output" if leaf in _OUTPUT else ""
    if tensor.role in ("mlp", "experts", "shared_experts"):
        # A fused gate and up projection is called ffn_up.
        return "down" if leaf in _DOWN else "gate" if leaf in ("gate_proj", "w1") else "up"
    return ""


def _kept(tensor: Tensor) -> bool:
    """Tensors that stay in F32."""
    if len(tensor.shape) < 2 or tensor.role in ("norm", "router") or tensor.kind == "router_bias":
        return True
    if len(tensor.shape) == 2 and tensor.name.endswith("bias"):
        return True
    if tensor.experts is not None and tensor.name.endswith("_bias"):
        return True
    return any(part in tensor.name for part in _KEPT)


def _attention_value(m: _Model, default: str, i: int) -> str:
    ft, new, index = m.file_type, default, m.v_layers.get(i, 0)
    grouped = m.gqa >= 4
    if ft == "q2_k":
        new = "Q4_K" if grouped else "Q3_K"
    elif ft == "q2_k_s" and grouped:
        new = "Q4_K"
    elif ft == "iq3_xxs":
        new = "Q4_K" if grouped else "IQ3_XXS"
    elif (ft in ("iq3_xs", "iq3_s") and grouped) or ft == "iq3_m":
        new = "Q4_K"
    elif ft == "q3_k_m":
        new = "Q5_K" if index < 2 else "Q4_K"
    elif ft == "q3_k_l" or (ft in ("iq4_nl", "iq4_xs") and grouped) or (ft == "q4_k_s" and index < 4):
        new = "Q5_K"
    elif ft in ("q4_k_m", "q5_k_m") and _more_bits(index, m.v_count):
        new = "Q6_K"
    if m.is_70b and new in ("Q3_K", "Q4_K"):
        new = "Q5_K"
    return "Q8_0" if m.experts == 8 else new


def _down(m: _Model, default: str, i: int) -> str:
    ft, n = m.file_type, m.layers
    first, more = i < n // 8, _more_bits(i, n)
    if ft == "q2_k":
        return "Q3_K"
    if ft == "q2_k_s":
        return "Q4_K" if first else default
    if ft == "q3_k_m":
        return "Q5_K" if i < n // 16 else "Q4_K" if not m.falcon or more else "Q3_K"
    if ft == "iq3_m":
        return "Q4_K" if first or (m.experts == 8 and more) else default
    if ft == "q3_k_l":
        return "Q4_K" if m.falcon else "Q5_K"
    if ft == "q4_k_m":
        if m.falcon:
            return "Q6_K" if i < n // 16 else "Q5_K" if more else "Q4_K"
        return "Q6_K" if more else default
    if first and ft == "q4_k_s" and not m.falcon:
        return "Q5_K"
    return "Q6_K" if ft == "q5_k_m" and more else default


def _attention_output(m: _Model, default: str) -> str:
    ft = m.file_type
    if m.falcon:
        return "Q4_K" if ft == "q3_k_l" else default
    if m.experts == 8:
        raised = ("q2_k", "iq3_xs", "iq3_xxs", "q3_k_s", "q3_k_m", "iq4_nl", "q4_k_s", "q4_k_m", "iq3_s", "iq3_m", "iq4_xs")
        return "Q5_K" if ft in raised else default
    return {"q2_k": "Q3_K", "iq3_xxs": "IQ3_S", "q3_k_m": "Q4_K", "q3_k_l": "Q5_K", "iq3_m": "Q4_K"}.get(ft, default)


def _low_bits(m: _Model, category: str, default: str, i: int) -> str:
    """The types of one and two bits."""
    ft = m.file_type
    raised = "IQ3_S" if ft in ("iq2_s", "iq2_m") else "Q2_K"
    if category == "v":
        return "Q4_K" if m.gqa >= 4 or m.experts >= 4 else raised
    if category == "k" and m.experts == 8:
        return "Q4_K"
    if category == "down":
        return raised if i < m.layers // 8 else default
    if category == "attn_output":
        if m.experts == 8:
            return "Q5_K"
        return "IQ2_XXS" if ft in ("iq1_s", "iq1_m") else "IQ3_S" if ft in ("iq2_s", "iq2_m") else default
    return default


def _type(m: _Model, category: str, i: int, width: int, fused: bool) -> str:
    """The type of one matrix of layer `i` with rows of `width`, before any fallback."""
    ft = m.file_type
    default = FILE_TYPES[ft]
    if ft in ("f32", "f16", "bf16"):
        return default
    if category == "output" or (category == "embedding" and m.tied):
        if ft == "mxfp4_moe" or m.falcon or width % BLOCKS[default][0]:
            return "Q8_0"
        if ft in _LOW - {"iq2_m"} | {"iq2_m", "iq3_xxs"}:
            return "Q5_K"
        return default if default == "Q8_0" else "Q6_K"
    if ft == "mxfp4_moe":
        return "MXFP4" if fused else "Q8_0"
    if category == "embedding":
        if ft in ("iq2_xxs", "iq2_xs", "iq1_s", "iq1_m"):
            return "Q2_K"
        if ft in ("iq2_s", "iq2_m", "iq3_xxs"):
            return "IQ3_S"
        return "Q4_K" if ft in ("tq1_0", "tq2_0") else default
    if ft in _LOW:
        return _low_bits(m, category, default, i)
    if category == "v":
        return _attention_value(m, default, i)
    if category in ("k", "q"):
        if category == "k" and m.experts == 8:
            return "Q8_0"
        return {"iq3_xs": "IQ3_XXS", "iq3_xxs": "IQ2_S"}.get(ft, default)
    if category == "down":
        return _down(m, default, i)
    if category == "attn_output":
        return _attention_output(m, default)
    if category in ("up", "gate") and ft == "iq3_xs" and m.layers // 8 <= i < 7 * m.layers // 8:
        return "IQ3_XXS"
    return default


def _fitting(dtype: str, width: int) -> str:
    """The type, or the one that takes its place for rows that its blocks do not divide."""
    if width % BLOCKS[dtype][0] == 0:
        return dtype
    other = _FALLBACK.get(dtype, "F16")
    return other if width % BLOCKS[other][0] == 0 else "F16"


def _model(file_type: str, architecture: Architecture) -> _Model:
    facts = architecture.facts
    layers = architecture.layers
    v_layers: dict[int, int] = {}
    v_count = 0
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        has_v = [any(_category(t, stack.part) == "v" for t in kind.tensors) for kind in stack.kinds]
        for i, kind in enumerate(stack.pattern):
            if has_v[kind]:
                v_layers[stack.start + i] = v_count
                v_count += 1
    gqa = max(1, facts.heads // max(1, facts.kv_heads))
    dense_80 = layers == 80 and facts.moe is None and gqa > 1
    return _Model(
        file_type, layers, gqa, facts.moe.experts if facts.moe else 0, facts.tied_embeddings, architecture.model_type == "falcon",
        dense_80 and architecture.model_type in ("llama", "qwen2", "qwen2_vl", "qwen2_5_vl"), v_layers, v_count,
    )  # fmt: skip


_LAYERED = frozenset({"v", "down"})
"""The categories whose type is another in some layers; of `iq3_xs` also the matrices before `down`."""

Held = Mapping[tuple[Part, str], frozenset[int]]
"""The layers of the tensors that a file keeps in the type of their source, by part and name; -1 is outside of the layers."""


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    """`held` of a config names what keeps the type `held_as`, as its source had it, whatever the file type says."""
    held: Held = quantization.get("held") or {}
    held_as = str(quantization.get("held_as", ""))
    file_type = str(quantization.get("file_type", "")).lower()
    if file_type not in FILE_TYPES:
        raise UnsupportedError(
            f"GGUF file type is {json_text(file_type)}: archcalc does not know it", f"one of {', '.join(FILE_TYPES)}"
        )
    m = _model(_RAISED_ENDS.get(file_type, file_type), architecture)
    layered = _LAYERED if m.file_type != "iq3_xs" else _LAYERED | {"up", "gate"}
    facts = architecture.facts

    def kind_of(category: str, i: int, width: int, fused: bool) -> str:
        if file_type in _RAISED_ENDS and category in ("output", "embedding"):
            return "Q8_0"
        return _type(m, category, i, width, fused)

    def whole(tensor: Tensor, part: Part, layers: Layers) -> Iterable[tuple[tuple[Stored, ...], Layers]]:
        if part in ("vision", "audio"):
            yield (Stored("", tensor.shape, "F16" if len(tensor.shape) > 1 else "F32"),), layers
            return
        if _kept(tensor):
            yield (Stored("", tensor.shape, "F32"),), layers
            return
        category = _category(tensor, part)
        pieces = _pieces(tensor, category, facts.heads, facts.head_dim, architecture.whole_latents)
        chosen: dict[tuple[str, ...], list[int]] = {}
        own = held.get((part, tensor.name), frozenset[int]())
        alike = not own and layered.isdisjoint(kind for kind, _ in pieces)
        for i in layers[:1] if alike else layers:
            types = tuple(
                _fitting(held_as if i in own else kind_of(kind, i, shape[-1], tensor.experts is not None), shape[-1])
                for kind, shape in pieces
            )
            chosen.setdefault(types, []).append(i)
        for types, members in chosen.items():
            yield tuple(Stored("", shape, t) for (_, shape), t in zip(pieces, types, strict=True)), layers if alike else members

    nothing: Callable[[Module, Layers], Iterable[tuple[Scheme | None, Layers]]] = lambda module, layers: ((None, layers),)  # noqa: E731
    return Plan(nothing, lambda tensor, part: False, whole=whole, drops=frozenset({"mtp"}))


def _pieces(tensor: Tensor, category: str, heads: int, head_dim: int, whole: bool) -> list[tuple[str, tuple[int, ...]]]:
    """The matrices that a tensor becomes, each with its category and its shape, rows last. `whole` leaves MLA's up-projection in one."""
    shape = tensor.shape
    if not whole and tensor.name.endswith("kv_b_proj.weight") and shape[0] % heads == 0 and shape[0] // heads > head_dim:
        # MLA absorbs the up-projection: keys are stored transposed, per head, and neither counts as a value projection.
        nope = shape[0] // heads - head_dim
        return [("", (heads, shape[1], nope)), ("", (heads, head_dim, shape[1]))]
    if tensor.experts is not None and len(shape) == 3:
        down = "down" in tensor.name
        transposed = tensor.shard is not None and tensor.shard.axis == (1 if down else 2)
        out, width = (shape[2], shape[1]) if transposed else (shape[1], shape[2])
        if "gate_up" in tensor.name:
            return [("gate", (shape[0], out // 2, width)), ("up", (shape[0], out // 2, width))]
        return [(category, (shape[0], out, width))]
    return [(category, shape)]
