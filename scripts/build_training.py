"""Rebuild what the tests of training compare with, from transformers, PEFT and torch alone.

    python scripts/build_training.py --activations FILE.jsonl.gz   bytes that autograd saves in tiny models, on the CPU
    python scripts/build_training.py --types FILE.jsonl.gz         the same of small models of many types, with their whole configs
    python scripts/build_training.py --ends FILE.jsonl             adapters on the embedding and the head, and copies of them
    python scripts/build_training.py --autocast FILE.jsonl         adapters in fp32 under autocast, beside weights in bf16
    python scripts/build_training.py --dora FILE.jsonl             adapters with magnitudes (DoRA), with dropout and without
    python scripts/build_training.py --lora FILE.jsonl             trainable parameters of adapters, on the meta device

Needs transformers 5.23 (`--types` 5.24), PEFT 0.21 and torch 2.13. Takes two minutes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ZOO = Path(__file__).resolve().parent.parent / "src" / "archcalc" / "zoo" / "configs"
BASE = {
    "vocab_size": 1024, "hidden_size": 256, "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 704,
    "max_position_embeddings": 4096, "tie_word_embeddings": False, "pad_token_id": 0, "num_hidden_layers": 2,
}  # fmt: skip
MOE = {"num_experts": 8, "num_local_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "head_dim": 32}
LATENT = {
    "num_key_value_heads": 8, "first_k_dense_replace": 1, "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
    "kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32,
}  # fmt: skip
STILL = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("llama", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 8}),
    ("llama", {"hidden_act": "gelu"}),
    ("mistral", {"sliding_window": 100}),
    ("qwen3", {"head_dim": 64}),
    ("gemma", {"head_dim": 64}),
    ("gemma2", {"head_dim": 32, "sliding_window": 64, "attn_logit_softcapping": None, "final_logit_softcapping": None}),
    ("gemma3_text", {"head_dim": 64, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}),
    ("olmo", {}),
    ("olmo2", {}),
    ("granite", {}),
    ("glm", {"head_dim": 32}),
    ("glm4", {"head_dim": 32}),
    ("phi", {}),
    ("phi3", {"num_key_value_heads": 8, "partial_rotary_factor": 0.5}),
    ("stablelm", {}),
    ("cohere", {}),
    ("helium", {"head_dim": 32}),
    ("ministral3", {"head_dim": 32}),
    ("nemotron", {"head_dim": 32}),
    ("smollm3", {}),
    ("starcoder2", {"residual_dropout": 0.0, "embedding_dropout": 0.0, "use_bias": False}),
    ("ernie4_5", {"head_dim": 32}),
    ("gpt_neox", {"use_parallel_residual": False}),
    ("gpt_neox", {"rotary_pct": 1.0}),
    ("gpt2", {"n_embd": 256, "n_head": 8, "n_layer": 2, "activation_function": "gelu", **STILL}),
    ("gpt2", {"n_embd": 256, "n_head": 8, "n_layer": 2, "activation_function": "relu", **STILL}),
    ("opt", {"ffn_dim": 704, "word_embed_proj_dim": 256, "dropout": 0.0}),
    ("qwen2_moe", {**MOE, "shared_expert_intermediate_size": 192}),
    ("qwen3_moe", MOE),
    ("mixtral", {**MOE, "intermediate_size": 128}),
    ("olmoe", MOE),
    ("granitemoe", MOE),
    ("phimoe", MOE),
    ("minimax_m2", MOE),
    ("gpt_oss", {**MOE, "intermediate_size": 128, "sliding_window": 64}),
    ("glm4_moe", {**MOE, "first_k_dense_replace": 1, "n_routed_experts": 8}),
    ("llama4_text", {**MOE, "intermediate_size": 128, "intermediate_size_mlp": 704, "moe_layers": [0], "num_experts_per_tok": 1}),
    ("deepseek_v2", {**LATENT, "q_lora_rank": 96}),
    ("deepseek_v3", {**LATENT, "q_lora_rank": None, "n_group": 1, "topk_group": 1}),
]
RUNS = [
    (1, 96, True, False, "bfloat16"),
    (2, 128, False, False, "bfloat16"),
    (2, 128, True, True, "bfloat16"),
    (2, 128, False, False, "float32"),
]
# One run each: what layers of a type compute, not how it grows.
TYPES = """
    llama gemma gemma2 gemma3_text olmo olmo2 olmo3 cohere cohere2 helium nemotron glm glm4 stablelm persimmon phi phi3 gpt_neox
    gpt_neox_japanese bloom mpt opt xglm biogpt ctrl gpt_bigcode starcoder2 smollm3 exaone4 arcee apertus seed_oss vaultgemma hrm_text
    nanochat bitnet jais2 ministral3 granite ernie4_5 hunyuan_v1_dense cwm modernbert-decoder mistral qwen3 llama4_text diffllama
    gemma4_text moshi recurrent_gemma olmo_hybrid
""".split()
TYPES_OF_EXPERTS = """
    qwen3_moe mixtral granitemoe granitemoeshared gpt_oss aria_text jetmoe cohere2_moe flex_olmo olmoe minimax_m2 glm4_moe exaone_moe
    ernie4_5_moe solar_open hy_v3 flint laguna hunyuan_v1_moe afmoe mimo_v2_flash granite_swa granitemoe_swa kolibri1 beam phimoe mellum
    qwen2_moe doge inkling_text inkling2_text minimax_m3_vl_text deepseek_v4 qwen4_exp_text
""".split()
TYPES_OF_LATENTS = """
    deepseek_v2 deepseek_v3 deepseek_v32 glm4_moe_lite glm_moe_dsa axk1 axk2 longcat_flash kimi_linear bailing_hybrid dots3_note_text
    hy_v4 minicpm3
""".split()
LEAST = {**BASE, "head_dim": 32}
EXPERTS = {**MOE, "n_routed_experts": 8, "n_group": 1, "topk_group": 1}
STATED: dict[str, dict[str, Any]] = {
    "dots1": {"n_shared_experts": 1}, "lfm2_moe": {"num_dense_layers": 1, "layer_types": ["conv", "full_attention"]},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
}  # fmt: skip
DROPOUT = """
    attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop dropout resid_dropout embedding_dropout activation_dropout layerdrop
    attention_probs_dropout_prob hidden_dropout_prob residual_dropout
""".split()
# Under autocast, and with adapters.
ADAPTED = ["llama", "qwen3", "gemma3_text"]
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LATENT_NAMES = ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"]
ENDS: tuple[tuple[list[str], list[str]], ...] = (
    ([], ["lm_head"]), ([], ["embed_tokens"]), ([], ["embed_tokens", "lm_head"]), (["lm_head"], []), (["embed_tokens"], []),
    (["embed_tokens", "lm_head"], []),
)  # fmt: skip
ADAPTERS: list[tuple[str, str | list[str]]] = [
    *(("llama-3.1-8b", names) for names in (["q_proj", "v_proj"], ATTENTION, "all-linear")),
    *(("qwen3-30b-a3b", names) for names in (ATTENTION, "all-linear", "experts", ["gate_proj", "up_proj", "down_proj"])),
    *(("gemma-3-1b", names) for names in (["q_proj", "v_proj"], "all-linear")),
    *(("gemma-3-27b", names) for names in (ATTENTION, "all-linear")),
    *(("deepseek-v3", names) for names in (LATENT_NAMES, "all-linear", "experts")),
    *(
        (name, "all-linear")
        for name in ("llama-3.2-1b", "gpt2", "phi-4", "gpt-oss-20b", "qwen3-next-80b-a3b", "mistral-small-3.1-24b")
    ),
]


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--activations", type=Path, metavar="FILE")
    parser.add_argument("--types", type=Path, metavar="FILE")
    parser.add_argument("--lora", type=Path, metavar="FILE")
    parser.add_argument("--dora", type=Path, metavar="FILE")
    parser.add_argument("--autocast", type=Path, metavar="FILE")
    parser.add_argument("--ends", type=Path, metavar="FILE")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    import transformers

    transformers.logging.set_verbosity_error()
    if args.activations:
        with gzip.GzipFile(args.activations, "wb", mtime=0) as file:
            for row in activations():
                file.write((json.dumps(row) + "\n").encode())
    if args.types:
        with gzip.GzipFile(args.types, "wb", mtime=0) as file:
            for row in types():
                file.write((json.dumps(row, default=str) + "\n").encode())
    if args.ends:
        args.ends.write_text("".join(json.dumps(row) + "\n" for row in ends()), encoding="utf-8")
    if args.autocast:
        args.autocast.write_text("".join(json.dumps(row) + "\n" for row in autocast()), encoding="utf-8")
    if args.dora:
        args.dora.write_text("".join(json.dumps(row) + "\n" for row in magnitudes()), encoding="utf-8")
    if args.lora:
        args.lora.write_text("".join(json.dumps(row) + "\n" for row in adapters()), encoding="utf-8")


def activations() -> Iterator[dict[str, Any]]:
    """What autograd saved in the forward pass of each model, each storage once, without weights and buffers."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    for model_type, changes in MODELS:
        base = {k: v for k, v in BASE.items() if k in ("vocab_size", "tie_word_embeddings")} if "n_embd" in changes else BASE
        config = {**base, **changes}
        for attention in ("sdpa", "eager"):
            for batch, tokens, loss, checkpointing, dtype in RUNS:
                try:
                    model = AutoModelForCausalLM.from_config(
                        AutoConfig.for_model(model_type, **config), attn_implementation=attention, dtype=getattr(torch, dtype)
                    )
                except ValueError:
                    # Types without SDPA.
                    break
                yield {
                    "model_type": model_type, "config": config, "batch": batch, "seq": tokens, "attn": attention, "with_loss": loss,
                    "checkpointing": checkpointing, "dtype": dtype, "saved_bytes": saved(model, batch, tokens, loss, checkpointing),
                }  # fmt: skip

    for model_type in ADAPTED:
        config = {**BASE, "head_dim": 32, "sliding_window": 512}
        for attention in ("sdpa", "eager"):
            for amp, targets in ((True, None), (False, ATTENTION), (False, "all-linear")):
                model = AutoModelForCausalLM.from_config(
                    AutoConfig.for_model(model_type, **config),
                    attn_implementation=attention,
                    dtype=torch.float32 if amp else torch.bfloat16,
                )
                if targets:
                    import peft

                    model = peft.get_peft_model(model, peft.LoraConfig(r=16, target_modules=targets, task_type="CAUSAL_LM"))
                yield {
                    "model_type": model_type, "config": config, "batch": 2, "seq": 128, "attn": attention, "with_loss": True,
                    "checkpointing": False, "dtype": "bfloat16", "amp": amp, "lora": targets,
                    "saved_bytes": saved(model, 2, 128, True, False, amp),
                }  # fmt: skip


def ends() -> Iterator[dict[str, Any]]:
    """Adapters on the embedding and the head, and copies of them that are trained: what autograd saves, and trainable parameters."""
    import peft
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    for tied in (False, True):
        config = {**BASE, "head_dim": 32, "sliding_window": 512, "tie_word_embeddings": tied}
        for more, copied in ENDS:
            targets = [*ATTENTION, *more]
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model("qwen3", **config), dtype=torch.bfloat16)
            lora = peft.LoraConfig(r=16, target_modules=targets, modules_to_save=copied or None, task_type="CAUSAL_LM")
            model = peft.get_peft_model(model, lora)
            yield {
                "model_type": "qwen3", "config": config, "batch": 2, "seq": 128, "attn": "sdpa", "with_loss": True,
                "checkpointing": False, "dtype": "bfloat16", "lora": targets, "copied": copied,
                "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "saved_bytes": saved(model, 2, 128, True, False),
            }  # fmt: skip


def magnitudes() -> Iterator[dict[str, Any]]:
    """Adapters with magnitudes: what autograd saves, and trainable parameters."""
    import peft
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    runs: list[tuple[str, dict[str, Any], str | list[str]]] = [
        ("llama", {}, "all-linear"), ("llama", {}, ["q_proj", "v_proj"]), ("qwen3", {}, ATTENTION), ("gemma3_text", {}, "all-linear"),
        ("qwen3", {}, [*ATTENTION, "lm_head"]), ("qwen3", {}, [*ATTENTION, "embed_tokens"]),
        ("gpt2", {"n_embd": 256, "n_head": 8, "n_layer": 2, **STILL}, ["c_attn"]),
    ]  # fmt: skip
    for model_type, changes, targets in runs:
        base = {k: v for k, v in BASE.items() if k in ("vocab_size",)} if "n_embd" in changes else BASE | {"head_dim": 32}
        config = {**base, "sliding_window": 512, **changes}
        for dropout in (0.0, 0.05):
            for amp in (False, True):
                model = AutoModelForCausalLM.from_config(
                    AutoConfig.for_model(model_type, **config), dtype=torch.float32 if amp else torch.bfloat16
                )
                lora = peft.LoraConfig(
                    r=16, target_modules=targets, lora_dropout=dropout, use_dora=True, task_type="CAUSAL_LM",
                    fan_in_fan_out=model_type == "gpt2",
                )  # fmt: skip
                model = peft.get_peft_model(model, lora)
                yield {
                    "model_type": model_type, "config": config, "batch": 2, "seq": 128, "attn": "sdpa", "with_loss": True,
                    "checkpointing": False, "dtype": "bfloat16", "amp": amp, "lora": targets, "dropout": dropout,
                    "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
                    "saved_bytes": saved(model, 2, 128, True, False, amp, alive=True),
                }  # fmt: skip


def autocast() -> Iterator[dict[str, Any]]:
    """Adapters in fp32 beside weights in bf16 under autocast: what autograd saves. Without `cast` their input stays in bf16, as PEFT 0.21
    leaves that of a 4-bit matrix under autocast (tuners/lora/bnb.py `Linear4bit.forward`)."""
    import peft
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    runs: list[tuple[str, str | list[str]]] = [
        ("llama", "all-linear"), ("llama", ["q_proj", "v_proj"]), ("qwen3", ATTENTION), ("gemma3_text", "all-linear"),
        ("qwen3", [*ATTENTION, "lm_head"]),
    ]  # fmt: skip
    for model_type, targets in runs:
        config = {**BASE, "head_dim": 32, "sliding_window": 512}
        for dropout in (0.0, 0.05):
            for cast in (True, False):
                model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **config), dtype=torch.bfloat16)
                lora = peft.LoraConfig(r=16, target_modules=targets, lora_dropout=dropout, task_type="CAUSAL_LM")
                model = peft.get_peft_model(model, lora)
                for module in model.modules():
                    module.cast_input_dtype_enabled = cast
                yield {
                    "model_type": model_type, "config": config, "batch": 2, "seq": 128, "attn": "sdpa", "with_loss": True,
                    "checkpointing": False, "dtype": "bfloat16", "cast": cast, "lora": targets, "dropout": dropout,
                    "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
                    "saved_bytes": saved(model, 2, 128, True, False, True, alive=True),
                }  # fmt: skip


def types() -> Iterator[dict[str, Any]]:
    """What small models of many types save, with the whole config of each; types without an attention leave it out."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    latent = {**EXPERTS, **LATENT, "head_dim": 16, "q_lora_rank": 96}
    configs = {
        **dict.fromkeys(TYPES, LEAST),
        **{name: {**LEAST, **EXPERTS} for name in TYPES_OF_EXPERTS},
        **{name: {**LEAST, **latent} for name in TYPES_OF_LATENTS},
        **{name: {**LEAST, **EXPERTS, **stated} for name, stated in STATED.items()},
    }
    for model_type, changes in configs.items():
        for attention in ("sdpa", "eager"):
            config = AutoConfig.for_model(model_type, **{**dict.fromkeys(DROPOUT, 0.0), **changes})
            try:
                model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=torch.bfloat16)
            except ValueError:
                continue
            yield {
                "model_type": model_type, "config": {**config.to_dict(), "model_type": model_type}, "batch": 2, "seq": 96,
                "attn": attention,
                "saved_bytes": saved(model, 2, 96, False, False),
            }  # fmt: skip


class _Packed:
    """What autograd holds in a tensor's place."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


def saved(model: Any, batch: int, tokens: int, loss: bool, checkpointing: bool, amp: bool = False, alive: bool = False) -> int:
    """Bytes of all storages that autograd saves in one forward pass; with `alive` of those alone that it still holds at its end."""
    import torch

    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    # Storages are held, so that none is freed and its address used again.
    seen: dict[int, Any] = {}

    packed: list[weakref.ref[_Packed]] = []

    def wrap(tensor: Any) -> _Packed:
        packed.append(weakref.ref(one := _Packed(tensor)))
        return one

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen.setdefault(storage.data_ptr(), storage)
        return tensor

    ids = torch.randint(0, 100, (batch, tokens))
    hooks = (wrap, lambda one: one.tensor) if alive else (pack, lambda tensor: tensor)
    with torch.autograd.graph.saved_tensors_hooks(*hooks), torch.autocast("cpu", torch.bfloat16, enabled=amp):
        out = model(input_ids=ids, labels=ids if loss else None, use_cache=False)
    for ref in packed:
        if (one := ref()) is not None:
            pack(one.tensor)
    total = sum(storage.nbytes() for storage in seen.values())
    del out
    return total


def adapters() -> Iterator[dict[str, Any]]:
    """Trainable parameters of rank-16 adapters on the bundled models, those in vision towers apart."""
    import peft
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    for name, targets in ADAPTERS:
        raw = json.loads((ZOO / f"{name}.json").read_text(encoding="utf-8"))
        raw.pop("quantization_config", None)
        raw.pop("auto_map", None)
        config = AutoConfig.for_model(**raw)
        auto = AutoModelForImageTextToText if "vision_config" in raw else AutoModelForCausalLM
        fused = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
        where = {"target_modules": [], "target_parameters": fused} if targets == "experts" else {"target_modules": targets}
        with torch.device("meta"):
            model = peft.get_peft_model(auto.from_config(config), peft.LoraConfig(r=16, task_type="CAUSAL_LM", **where))
        counts = {q: p.numel() for q, p in model.named_parameters() if p.requires_grad}
        towers = sum(n for q, n in counts.items() if "vision" in q or "projector" in q)
        text = targets if isinstance(targets, str) else ",".join(targets)
        yield {"model": name, "targets": text, "rank": 16, "trainable": sum(counts.values()), "towers": towers}


if __name__ == "__main__":
    main()
