"""The moments of a step: what is kept at each, and that the total is that of the fullest."""

from __future__ import annotations

import time
from typing import Any

import pytest

from archcalc import hardware
from archcalc.analysis.training import Planner, Run, remedies
from archcalc.arch import parse
from archcalc.frameworks.megatron import memory as mm
from archcalc.frameworks.megatron.arguments import Arguments
from archcalc.frameworks.megatron.source import MegatronPlanner
from archcalc.frameworks.megatron.terms import terms_of
from archcalc.loader import load

# As `AutoModelForCausalLM.from_config` takes it (transformers 5.24).
DEEPSEEK: dict[str, Any] = {
    "model_type": "deepseek_v3", "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 8, "vocab_size": 2048, "max_position_embeddings": 2048, "tie_word_embeddings": False, "q_lora_rank": 64,
    "kv_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 32, "v_head_dim": 32, "head_dim": 16, "n_routed_experts": 8,
    "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "moe_intermediate_size": 128, "n_shared_experts": 1,
    "torch_dtype": "bfloat16",
}  # fmt: skip
LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 256, "intermediate_size": 704, "num_attention_heads": 8, "num_key_value_heads": 2,
    "head_dim": 32, "vocab_size": 2048, "max_position_embeddings": 2048, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
SMOLLM: dict[str, Any] = {**LLAMA, "model_type": "smollm3", "num_hidden_layers": 4}
# What autograd kept on the CPU (torch 2.13, `saved_tensors_hooks`) of 2 x 256 tokens in bf16 with `use_reentrant: False`: an input for
# each layer, and what stands outside of them; not what the loss keeps (the log-softmax, 4 B x 512 x 2,048, was left out; labels, 8 B x
# 512, and its weight, 4 B).
KEPT = 2_107_396 - 8 * 512 - 4


@pytest.mark.parametrize("config", [
    *({**DEEPSEEK, "first_k_dense_replace": dense} for dense in (0, 1, 2)),
    {**LLAMA, "num_hidden_layers": 4}, SMOLLM,
])  # fmt: skip
def test_checkpointed_layers_keep_their_input_whatever_their_kind(config: dict[str, Any]) -> None:
    run = Run(256, 2, "pure", recompute="full")
    assert sum(size for _, size in Planner(parse(config)).memory(run).kept) == KEPT


@pytest.mark.parametrize(("name", "stages"), [("llama-3.1-70b", (16, 40, 80)), ("qwen3-235b-a22b", (24, 47, 94))])
def test_a_stage_of_one_layer_is_checkpointed_too(name: str, stages: tuple[int, ...]) -> None:
    """More stages never need more, down to one layer in each."""
    planner = Planner(load(name, offline=True).architecture)
    totals = [planner.total(Run(4096, 1, recompute="full", pp=pp, micro_batches=pp)) for pp in stages]
    assert totals == sorted(totals, reverse=True)


# Of NVIDIA's example of GPT-2 XL's size, on one GPU.
XL: dict[str, Any] = {
    "num-layers": 48, "hidden-size": 1600, "num-attention-heads": 25, "micro-batch-size": 1, "global-batch-size": 8, "seq-length": 1024,
    "max-position-embeddings": 1024, "vocab-size": 50257, "recompute-granularity": "full", "recompute-method": "uniform",
}  # fmt: skip


@pytest.mark.parametrize(("more", "each", "gpus"), [
    # Weights, gradients, the fp32 copy and two moments; copies of the gradients where these have 16 bits (Megatron-LM, main of 2026-08,
    # core/optimizer/optimizer.py: `main_param.grad = model_param.main_grad.float()`, kept until the next `zero_grad`).
    ({"bf16": True, "grad-reduce-in-bf16": True}, 2 + 2 + 12 + 4, 1),
    ({"fp16": True}, 2 + 2 + 12 + 4, 1),
    ({"bf16": True, "grad-reduce-in-bf16": True, "optimizer": "sgd"}, 2 + 2 + 4 + 4, 1),
    ({"bf16": True}, 2 + 4 + 12, 1),
    ({"bf16": True, "grad-reduce-in-bf16": True, "use-distributed-optimizer": True}, 2 + 2 + (12 + 4) / 8, 8),
])  # fmt: skip
def test_the_total_of_megatron_is_that_of_its_fullest_moment(more: dict[str, Any], each: float, gpus: int) -> None:
    a = Arguments("run.yaml", {**XL, **more}, {})
    a.refuse()
    s, model = mm.read(a, gpus)
    stage = mm.stage_of(s, model, 0, mm.chunks(a, s, 48)[0], hardware.parse_spec("h100").device, {})
    between = stage.static - stage.work - stage.buffers
    # Tensors are blocks of the allocator, of whole MiB where they are large.
    assert between == pytest.approx(each * stage.params, rel=2e-2)
    assert stage.total >= stage.static
    rows = terms_of(s, stage)
    assert sum(size for _, _, size, _ in rows) == stage.total == stage.fullest.total
    assert ("gradients in fp32" in {name for _, name, _, _ in rows}) == (stage.moment == "optimizer's step")
    assert (stage.moment == "optimizer's step") == bool({"grad-reduce-in-bf16", "fp16"} & more.keys())


@pytest.mark.parametrize(("more", "gradients"), [
    # The largest tensor alone: the tied embedding, in bf16; of adapters, in fp32, that beside the widest matrix (8,192 and 2,048).
    ({}, 2 * 128_256 * 2048),
    ({"lora": 16}, 4 * 16 * (8192 + 2048)),
    ({"lora": 16, "quant": "nf4"}, 4 * 16 * (8192 + 2048)),
])  # fmt: skip
def test_a_step_in_the_backward_pass_holds_one_gradient(more: dict[str, Any], gradients: int) -> None:
    """torchtune 0.6, training/memory.py `register_optim_in_bwd_hooks`."""
    planner = Planner(load("llama-3.2-1b", offline=True).architecture)
    run = Run(512, 1, "pure", step_in_backward=True, **more)
    assert dict(planner.memory(run).moments)["optimizer's step"] - planner.total(run._replace(step_in_backward=False)) < 0
    (states,) = (x.states for x in planner._held(run))
    assert states.gradients == gradients
    # Searches try adapters too.
    assert remedies(planner, run._replace(lora=0, quant=""), 3 << 30)


def test_plans_that_no_gpu_holds_take_no_blocks_apart() -> None:
    """671 B parameters whole on each GPU: 18 bytes each at least, in no more blocks than there are bytes."""
    planner = MegatronPlanner(load("deepseek-v3", offline=True).architecture)
    start = time.perf_counter()
    whole = planner.total(Run(4096, 1, implementation="megatron", dp=8))
    assert time.perf_counter() - start < 0.5
    assert whole >= 18 * 671_000_000_000
    assert whole > planner.total(Run(4096, 1, implementation="megatron", dp=8, zero=1, ep=8))
