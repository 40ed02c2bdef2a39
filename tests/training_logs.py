"""Rows of `data/training_logs.jsonl` (logs of torchtitan, torchtune and litgpt) as runs, each by the conventions of its framework.

torchtitan logs reserved memory, which is what the allocator is taken to reserve of the bytes that are counted; the others log allocated
memory. A pipeline of torchtitan takes its local batch in micro-batches of one
sequence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archcalc import zoo
from archcalc.analysis.train_report import needed
from archcalc.analysis.training import CUBLAS_BYTES, Planner, Run
from archcalc.arch import parse
from archcalc.model import Architecture

DATA = Path(__file__).parent / "data"
_LLAMA_2 = {"model_type": "phi3", "vocab_size": 32000, "max_position_embeddings": 4096}
# litgpt computes every model with one module: queries, keys and values in one matrix, of whose output the values stay a view, GELU in one
# kernel. Phi-3's adapter has that form, and GPT-NeoX's.
_LITGPT: dict[str, dict[str, Any]] = {
    "meta-llama/Llama-2-7b-hf": {
        **_LLAMA_2, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
    },
    "meta-llama/Llama-2-13b-hf": {
        **_LLAMA_2, "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40,
    },
    "microsoft/phi-1_5": {
        "model_type": "gpt_neox", "vocab_size": 51200, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24,
        "num_attention_heads": 32, "max_position_embeddings": 2048, "rotary_pct": 0.5,
    },
    "stabilityai/stablelm-base-alpha-3b": {
        "model_type": "gpt_neox", "vocab_size": 50688, "hidden_size": 4096, "intermediate_size": 16384, "num_hidden_layers": 16,
        "num_attention_heads": 32, "max_position_embeddings": 4096, "rotary_pct": 0.25,
    },
}  # fmt: skip


def run_of(row: dict[str, Any]) -> tuple[Architecture, Run]:
    """The model of a row and its run, by the conventions of its framework."""
    if row["engine"] == "litgpt":
        a = parse(_LITGPT[row["model"]])
        fused = "qkv_proj" if a.model_type == "phi3" else "query_key_value"
        run = Run(
            row["max_model_len"], row["micro_batch_size"], precision="pure", attention="flash", lora=8, targets=(fused,), adapter_size=2,
            fsdp=row["n_gpus"], quant="nf4" if row.get("quantization") else "", double_quant="dq" in (row.get("quantization") or ""),
            nf4_inputs=True, nf4_half=True,
        )  # fmt: skip
        return a, run
    a = zoo.spec(row["model"].rpartition("/")[2].lower())
    assert a is not None
    if row["engine"] == "torchtitan":
        fsdp, tp, cp, batch = row["fsdp"], row["tp"], row["cp"], row["local_batch_size"]
        # What is left of the GPUs are pipeline stages, which take the local batch as micro-batches of one sequence.
        pp = row["n_gpus"] // (fsdp * tp * cp)
        return a, Run(
            row["seq_len"], 1 if pp > 1 else batch, attention="flash", recompute=row["activation_checkpointing"], fsdp=fsdp, tp=tp, cp=cp,
            sequence=tp > 1, pp=pp, micro_batches=batch if pp > 1 else 1, zero=3 if fsdp == 1 else 0, ends_apart=True,
            optimizer="adamw-fused",
        )  # fmt: skip
    lora = row.get("method") == "QLoRA"
    return a, Run(
        row["seq_len"], row["local_batch_size"], precision="pure", attention="flash", recompute="full", loss="chunked", fsdp=row["n_gpus"],
        optimizer="paged-adamw-8bit" if row["n_gpus"] == 1 else "adamw-fused", lora=16 if lora else 0, quant="nf4" if lora else "",
        offload="all" if "offload" in row["note"] else "none",
    )  # fmt: skip


def logs() -> list[tuple[dict[str, Any], float, float, float]]:
    """Each row of the engines' logs with predicted and measured GiB and the error."""
    out = []
    for line in (DATA / "training_logs.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        measured = row["measured"].get("peak_mem_gib")
        if measured is None:
            continue
        a, run = run_of(row)
        held = Planner(a).memory(run).total + CUBLAS_BYTES
        gib = (needed(held) if row["engine"] == "torchtitan" else held) / 2**30
        out.append((row, gib, measured, gib / measured - 1))
    return out
