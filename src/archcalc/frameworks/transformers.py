"""transformers' Trainer, TRL and accelerate: YAML or JSON of training arguments.

Read in transformers 5.24 (training_args.py), TRL 1.16 (trainer/base_config.py, sft_config.py, model_config.py, utils.py) and
PEFT 0.21.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc import report
from archcalc.engines._version import at_least
from archcalc.frameworks.beside import NOTHING, split_of
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, OPTIMIZERS, Keys

ATTENTION = {
    "eager": "eager", "sdpa": "sdpa", "flash_attention_2": "flash", "flash_attention_3": "flash", "flash_attention_4": "flash",
    "kernels-community/flash-attn2": "flash", "kernels-community/flash-attn3": "flash", "flex_attention": "flash",
}  # fmt: skip
_TRL = (
    "max_length",
    "max_seq_length",
    "packing",
    "use_peft",
    "lora_r",
    "max_completion_length",
    "dataset_name",
    "padding_free",
    "beta",
)


class Transformers:
    """The Trainer's own arguments."""

    name = "transformers"

    def recognizes(self, file: File) -> bool:
        return any(key in file.data for key in ("per_device_train_batch_size", "model_name_or_path", "gradient_checkpointing"))

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        precision = "pure" if given.get("lora") or given.get("quant") else "amp"
        version = given.get("version")
        # Experts were linear modules before release 5, but where checkpoints hold them fused.
        linear = given.get("quant") and version is not None and not at_least(version, 5, 0)
        more = {"quantized_experts": "apart"} if linear else {}
        return {"precision": precision, "optimizer": "adamw-fused", "shifted": shifted(version), **more}

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        k.refuse(
            (
                "galore_rank",
                "torch_compile_backend",
                "tp_size",
                "use_dora",
                "optim_target_modules",
                "config_overrides",
                "lora_modules_to_save",
            )
        )
        fields = arguments(k, ask, trl=any(key in k.values for key in _TRL))
        weights = k.text("model_name_or_path", "model")
        # examples/pytorch/language-modeling/run_clm.py: the shape is another's where that is named.
        model = k.text("config_name") or weights or None
        return reported(ask, k, "transformers", INERT, model, fields)


FRAMEWORK = Transformers()


def shifted(version: str | None) -> str:
    """What the loss of a release shifts by one token.

    transformers 4.39 to 4.45, models/llama/modeling_llama.py `LlamaForCausalLM.forward`: `logits = logits.float()`, then
    `shift_logits = logits[..., :-1, :].contiguous()`; 4.46, loss/loss_utils.py `ForCausalLMLoss`: the same copy, of logits that the
    output does not hold; 4.49: the labels are padded instead.
    """
    if version is None or at_least(version, 4, 49):
        return "labels"
    return "logits" if at_least(version, 4, 46) else "fp32-logits"


def arguments(k: Keys, ask: Ask, *, trl: bool) -> dict[str, Any]:
    """The fields of a run that training arguments decide; TRL's defaults where `trl`."""
    n = world(ask)
    bf16 = k.flag("bf16", default=trl and not k.flag("fp16"))
    dtype = k.text("dtype", "torch_dtype", default="auto")
    lora = k.flag("use_peft") or k.has("lora_r")
    four = k.flag("load_in_4bit")
    # Published weights are half precision, and transformers 5 loads them so; fp32 ones are trained under autocast.
    precision = "amp" if dtype in ("float32", "fp32") and bf16 else "fp32" if dtype in ("float32", "fp32") else "pure"
    fields: dict[str, Any] = {
        "seq": k.int("max_length", "max_seq_length", default=1024 if trl else None),
        "micro_batch": k.int("per_device_train_batch_size", default=8),
        "micro_batches": k.int("gradient_accumulation_steps", default=1),
        "precision": precision,
        "optimizer": k.choice("optim", OPTIMIZERS, "adamw_torch_fused"),
        "attention": k.choice("attn_implementation", ATTENTION, "sdpa"),
        "recompute": "full" if k.flag("gradient_checkpointing", default=trl) else "none",
        # TRL 1.16 computes log-probabilities with the head in tiles (trainer/utils.py `add_fused_lm_head`).
        "loss": "fused" if trl or k.flag("use_liger_kernel") else "full",
        "output_freed": True,
        "shifted": shifted(ask.version),
        "offload_inputs": k.flag("activation_offloading") or None,
        "lora": (k.int("lora_r", default=16) or 16) if lora else None,
        "targets": k.names("lora_target_modules") or (("all-linear",) if lora else None),
        "quant": "nf4" if four else None,
        "double_quant": k.flag("use_bnb_nested_quant") if four else None,
    }
    return fields | split_of(k, n, NOTHING, half=precision != "fp32" or bf16, full=not lora)
