"""LitGPT's YAML of its finetuning commands.

Read in LitGPT 0.5.3 and 0.5.13: finetune/lora.py (`lora_dropout` is 0.05), finetune/full.py, lora.py, model.py, utils.py
`chunked_cross_entropy`. Quantized by bitsandbytes 0.42, as its requirements long were, matrices keep what they read too, as an
attribute of their node (bitsandbytes 0.42, autograd/_functions.py `MatMul4Bit`, `ctx.tensors`): it lives as long as the graph, and
`logits` of finetune/lora.py `fit` holds that of one micro-batch until the next one's are there. All linear modules are quantized,
the head too, from fp16 (Lightning 2.4, fabric/plugins/precision/bitsandbytes.py `module_init_context`, `_Linear4bit.quantize`), so that a
matrix comes back in fp16 and is cast to bf16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archcalc import report, zoo
from archcalc.analysis.training.adapters import leaf
from archcalc.errors import UnsupportedError
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, Keys
from archcalc.model import Architecture

_INERT = (
    INERT[:-1]
    + r"|out_dir|data.*|train\.(?:save.*|log.*|lr_.*|epochs|max_tokens|max_steps|min_lr|tie_.*)|eval.*|logger_name|optimizer\..*"
    r"|devices|num_nodes)"
)
_TARGETS = {
    "lora_head": "head",
    "lora_query": "q_proj", "lora_key": "k_proj", "lora_value": "v_proj", "lora_projection": "o_proj", "lora_mlp": "mlp",
}  # fmt: skip


class LitGPT:
    """LitGPT."""

    name = "litgpt"

    def recognizes(self, file: File) -> bool:
        return "checkpoint_dir" in file.data and isinstance(file.data.get("train"), dict)

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        ranks = given.get("fsdp", 1)
        # finetune/full.py: 16 sequences a step by default, and `fabric.no_backward_sync` while it accumulates.
        steps = max(1, 16 // (ranks * given.get("micro_batch", 1)))
        spread = {"no_sync": True, "micro_batches": steps} if ranks > 1 and not given.get("lora") else {}
        return {
            **spread, "precision": "pure", "adapter_size": 2, "adapter_dropout": True, "joined": True, "untied": True,
            "nf4_inputs": True, "nf4_half": True, "quantized_head": True, "pass_before": True, "attention": "flash",
            "loss": "chunked", "chunks": 4, "fp32_logits": True, "keep_gradients": True,
        }  # fmt: skip

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        n = world(ask)
        precision = k.text("precision", default="bf16-true")
        quantize = k.text("quantize")
        if quantize and not quantize.startswith("bnb.nf4"):
            raise UnsupportedError(f"{k.path}: quantize {quantize!r} is not modelled", "bnb.nf4 and bnb.nf4-dq are")
        if quantize and n > 1:
            # finetune/lora.py `setup`: "Quantization is currently not supported for multi-GPU training."
            raise UnsupportedError(f"{k.path}: quantize: LitGPT trains quantized models on one GPU alone", "--gpu with one GPU")
        micro = k.int("train.micro_batch_size", default=1) or 1
        whole = k.int("train.global_batch_size", default=micro) or micro
        rank = k.int("lora_r")
        fields: dict[str, Any] = {
            **self.defaults({}),
            "seq": k.int("train.max_seq_length"),
            "micro_batch": micro,
            "micro_batches": max(1, whole // (n * micro)),
            "precision": {"bf16-true": "pure", "16-true": "pure", "bf16-mixed": "amp", "16-mixed": "amp", "32-true": "fp32"}.get(
                precision, "pure"
            ),
            "lora": rank,
            "targets": _targets(k) if rank else None,
            "quant": "nf4" if quantize else None,
            "double_quant": quantize.endswith("dq"),
            "recompute": "full" if n > 1 and not rank else "none",
            "fsdp": n,
            # fabric.no_backward_sync while it accumulates.
            "no_sync": n > 1 or None,
        }
        return reported(ask, k, "litgpt", _INERT, _model(k.text("checkpoint_dir")), fields)


def _model(folder: str) -> str | None:
    """The model of a checkpoint's folder: a bundled one by its name, else the repository of which `litgpt download` made
    checkpoints/ORG/NAME."""
    *before, name = folder.rstrip("/").split("/")
    bundled = next((one for one in zoo.names() if one == name.lower().removeprefix("meta-")), None)
    return bundled or (f"{before[-1]}/{name}" if len(before) > 1 and before[-2] == "checkpoints" else None)


def _targets(k: Keys) -> Callable[[Architecture], tuple[str, ...]]:
    """The modules with adapters: LitGPT has one matrix for queries, keys and values, and so have some of the models."""
    named = tuple(module for name, module in _TARGETS.items() if k.flag(name)) or ("q_proj", "v_proj")

    def of(a: Architecture) -> tuple[str, ...]:
        known = {leaf(t.name) for s in a.stacks for layer in s.kinds for t in layer.tensors}
        fused = next((name for name in ("query_key_value", "qkv_proj", "c_attn") if name in known), "")
        return tuple(dict.fromkeys(fused if fused and name in ("q_proj", "k_proj", "v_proj") else name for name in named))

    return of


FRAMEWORK = LitGPT()
