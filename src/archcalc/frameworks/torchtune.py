"""torchtune's YAML.

Read in torchtune 0.6.1: recipes/*.py, modules/loss, training/memory.py, modules/low_precision/nf4_linear.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from archcalc import report, zoo
from archcalc.analysis.training.method import Asked
from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, Keys
from archcalc.loader import Loaded, load
from archcalc.model import Architecture, Tensor

_OPTIMIZERS = {
    "torch.optim.AdamW": "adamw", "torch.optim.Adam": "adamw", "torch.optim.SGD": "sgd",
    "bitsandbytes.optim.PagedAdamW8bit": "paged-adamw-8bit",
    "bitsandbytes.optim.PagedAdamW": "paged-adamw", "bitsandbytes.optim.AdamW8bit": "adamw-8bit", "torchao.optim.AdamW4bit": "adamw-4bit",
    "torchao.optim.AdamW8bit": "adamw-8bit", "torchao.optim.AdamWFp8": "adamw-fp8",
    "torchao.prototype.low_bit_optim.AdamW8bit": "adamw-8bit",
    "torchao.prototype.low_bit_optim.AdamW4bit": "adamw-4bit",
}  # fmt: skip
_INERT = (
    INERT[:-1] + r"|(?:ref_)?checkpointer\..*|batch_size_val|low_cpu_ram|collate_fn|dataloader\..*|model\.image_size"
    r"|context_parallel_rotate_method|optimizer\..*|dataset\..*|tokenizer\..*|loss\..*|max_steps_per_epoch|compile|packed|save_adapter_weights_only"
    r"|model\.lora_alpha|model\.lora_dropout|custom_sharded_layers|lr_scheduler\..*|fsdp_cpu_offload_.*|enable_async_checkpointing|dtype_.*)"
)
# models/phi3/_component_builders.py (and of phi4, which builds by it): queries, keys and values are modules of their own, and so are gate
# and up; sliding windows are left out.
_APART, _AS_LLAMA = r"q?(?:lora_)?phi[34]_\w+", ("model_type=llama", "sliding_window=null")
_PLANS = ("base_llama_tp_plan",)
_MODULES = {"output_proj": "o_proj", "w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


class Torchtune:
    """torchtune."""

    name = "torchtune"

    def recognizes(self, file: File) -> bool:
        model = file.data.get("model", file.data.get("policy_model"))
        return isinstance(model, dict) and "_component_" in model

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "precision": "pure",
            "adapter_size": 2,
            "attention": "flash",
            "recompute": "full",
            "loss": "chunked",
            "optimizer": "adamw-fused",
            "sharded_scales": True,
        }

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        if not k.has("optimizer._component_"):
            # recipes/eleuther_eval.py, generate.py, quantize.py.
            k.no_training(("tasks", "max_new_tokens", "quantizer._component_"))
        # Models beside it: a teacher of distillation, the policy, value and reward models of PPO, the samplers of GRPO.
        k.refuse((
            "quantizer._component_", "quantize_base_layers", "enable_fp8_training", "teacher_model", "kd_loss", "policy_model",
            "grpo_samples", "inference",
        ))  # fmt: skip
        if (k.int("context_parallel_dim", default=1) or 1) > 1:
            k.refuse(("context_parallel_dim",))
        component = k.text("model._component_").rpartition(".")[2]
        lora = component.startswith(("lora_", "qlora_"))
        rank = k.int("model.lora_rank", default=8) if lora else None
        n = world(ask)
        tp, replicas = k.int("tensor_parallel_dim", default=1) or 1, k.int("data_parallel_replicate_dim", default=1) or 1
        shard = k.int("data_parallel_shard_dim", default=-1, least=-1) or -1
        shard = shard if shard > 0 else max(1, n // (tp * replicas))
        dtype = k.text("dtype", default="bf16")
        if dtype not in ("bf16", "fp32"):
            raise UnsupportedError(f"{k.path}: dtype {dtype!r} is not modelled", "bf16 and fp32 are")
        loss = k.text("loss._component_", default="CEWithChunkedOutputLoss").rpartition(".")[2]
        plan = k.text("tensor_parallel_plan._component_").rpartition(".")[2]
        if tp > 1 and (plan not in _PLANS or not loss.startswith("Linear")):
            # Other losses have whole logits on every rank (models/llama3/_parallelism.py: `output_layouts=Replicate()`).
            raise UnsupportedError(
                f"{k.path}: tensor_parallel_dim {tp} is modelled with tensor_parallel_plan {', '.join(_PLANS)} and a Linear loss alone",
                "tensor_parallel_dim=1",
            )
        optimizer = k.choice("optimizer._component_", _OPTIMIZERS, "torch.optim.AdamW")
        fields: dict[str, Any] = {
            "seq": k.int("tokenizer.max_seq_len"),
            "micro_batch": k.int("batch_size", default=2),
            "micro_batches": k.int("gradient_accumulation_steps", default=1),
            "precision": "pure" if dtype == "bf16" else "fp32",
            "adapter_size": 2 if dtype == "bf16" else 4,
            "optimizer": "adamw-fused" if optimizer == "adamw" and k.flag("optimizer.fused") else optimizer,
            "attention": "flash",
            **_checkpointing(k),
            "offload_inputs": k.flag("enable_activation_offloading") or None,
            "step_in_backward": k.flag("optimizer_in_bwd") or None,
            # modules/loss: the head is applied chunk by chunk (LinearCrossEntropyLoss), or its logits are chunks already.
            "loss": "fused" if loss.startswith("Linear") else "compiled" if k.flag("compile") else "chunked",
            "chunks": k.int("loss.num_output_chunks", default=8),
            "lora": rank,
            # modules/peft/dora.py `DoRALinear`: what is dropped is read by the adapter alone.
            "dora": (dora := k.flag("model.use_dora") and lora) or None,
            "adapter_dropout": (lora and k.drops("model.lora_dropout") and not dora) or None,
            "targets": _targets(k) if lora else None,
            "unfrozen": _trainable(k, component, bool(lora)),
            # torchao's nf4 has 8-bit scales of 256 blocks (modules/low_precision/nf4_linear.py).
            "sharded_scales": True,
            "quant": "nf4" if component.startswith("qlora_") or k.flag("model.quantize_base") else None,
            "ends_apart": bool(k.names("custom_sharded_layers")) or None,
            "tp": tp,
            # The plan's norms take part of the sequence (`SequenceParallel`).
            "sequence": tp > 1 or None,
            "reshard": None if k.flag("fsdp_reshard_after_forward", default=True) else False,
            "fsdp": shard,
            "dp": replicas,
            "offload": "all" if k.flag("fsdp_cpu_offload", "fsdp.cpu_offload") else "none",
        }
        if loss == "DPOLoss":
            # recipes/full_dpo_distributed.py takes log-probabilities of whole logits.
            fields["loss"] = "full"
        notes = ["torchtune pads to the longest sequence of a batch: --seq is that length"] if fields["seq"] is None else []
        named = ask.source or _bundled(component)
        model: str | Loaded | None = named
        if named is not None and re.fullmatch(_APART, component):
            model = load(named, offline=ask.offline, refresh=ask.refresh, overrides=_AS_LLAMA)
        return reported(
            ask._replace(source=None), k, "torchtune", _INERT, model, fields, notes, Asked("dpo" if loss == "DPOLoss" else "sft")
        )


FRAMEWORK = Torchtune()


def _checkpointing(k: Keys) -> dict[str, Any]:
    """What is made again. recipes/full_finetune_distributed.py `_setup_model`: `ac_mode` counts without `enable_activation_checkpointing`
    alone, which does nothing beside it; training/activations.py `checkpoint_wrapper`: one layer in `ac_option`, or operations."""
    whole, mode, option = k.flag("enable_activation_checkpointing"), k.text("ac_mode"), k.text("ac_option")
    if not mode or mode == "none":
        return {"recompute": "full" if whole and not mode else "none"}
    if mode not in ("full", "selective") or (mode == "selective" and option != "op" and not option.isdecimal()):
        raise UnsupportedError(
            f"{k.path}: ac_mode {mode} with ac_option {option or 'unset'} is not modelled", "full, or selective with op or a number"
        )
    if whole:
        return {"recompute": "none"}
    if mode == "selective" and option == "op":
        return {"recompute": "selective"}
    return {"recompute": "full", "one_in": max(1, int(option)) if mode == "selective" else None}


_TRAINABLE = ("decoder_trainable", "encoder_trainable", "fusion_trainable")


def _trainable(k: Keys, component: str, lora: bool) -> Callable[[Architecture], tuple[str, ...]] | None:
    """Which parameters are trained, or have adapters beside them, of a model whose builder tells its parts apart.

    torchtune 0.6, models/llama3_2_vision/_model_builders.py: the decoder is frozen by default, the image encoder and the fusion are not,
    which is what stands between them: cross-attention layers (modules/model_fusion/_fusion.py), and the projection behind the encoder with
    its layers (_encoder.py `Llama3VisionEncoder`), which transformers has as a global transformer and a projector.
    """
    found = [f"model.{name}" for name in _TRAINABLE if k.has(f"model.{name}")]
    if not re.fullmatch(r"q?(?:lora_)?llama3_2_vision_\w+", component):
        if found:
            raise UnsupportedError(f"{k.path}: {', '.join(found)}: what {component} makes of it is not modelled", "take it out")
        return None
    decoder, encoder, fusion = (
        k.text(f"model.{name}", default=default).lower() not in ("false", "frozen")
        for name, default in zip(_TRAINABLE, ("false", "true", "true"), strict=True)
    )
    if lora and (full := [name for name in found if k.text(name).lower() == "full"]):
        raise UnsupportedError(f"{k.path}: {full[0]} full: torchtune has none beside adapters", f"{full[0]}: lora, or frozen")

    if not (decoder or encoder or fusion):
        raise UsageError(f"{k.path}: {', '.join(found)} leave nothing to train", "one of them: true, or lora with adapters")

    def opened(a: Architecture) -> tuple[str, ...]:
        text = next(s for s in a.stacks if s.part == "decoder")
        crossed = [i for n, layer in enumerate(text.kinds) for i in text.indices(n) if any(_crosses(t) for t in layer.tensors)]
        layers = f"{text.prefix}.(?:{'|'.join(map(str, sorted(crossed)))})."
        root = text.prefix.rpartition(".")[0]
        return (
            *((f"{root}.(?!{layers.removeprefix(f'{root}.')})", "lm_head.") if decoder else ()),
            *(("model.vision_model.(?!global_transformer)",) if encoder else ()),
            *((layers, "model.vision_model.global_transformer.", "model.multi_modal_projector.") if fusion else ()),
        )

    return opened


def _crosses(t: Tensor) -> bool:
    """Whether a tensor is of a layer that reads the images."""
    return t.name.startswith("cross_attn.")


def _targets(k: Keys) -> tuple[str, ...]:
    found = [_MODULES.get(name, name) for name in k.names("model.lora_attn_modules")]
    if k.flag("model.apply_lora_to_mlp"):
        found.append("mlp")
    if k.flag("model.apply_lora_to_output"):
        found.append("head")
    return tuple(found) or ("attention",)


def _bundled(component: str) -> str | None:
    """The bundled model of a builder: `lora_llama3_1_8b` is `llama-3.1-8b`."""
    plain = re.sub(r"^(?:q?lora_)|_(?:instruct|base)$", "", component)
    # Releases of one size have it in the builder's name, and not always in their own: phi4_14b, llama4_scout_17b_16e.
    for key in (plain, re.sub(r"_\d+b(?:_\d+e)?$", "", plain)):
        runs = sorted(re.findall(r"[a-z]+|\d+", key))
        if found := next((name for name in zoo.names() if sorted(re.findall(r"[a-z]+|\d+", name)) == runs), None):
            return found
    entry = zoo.find(plain)
    return entry.name if entry is not None else None
