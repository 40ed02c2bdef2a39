"""What engines call the same setting, so that a flag of one that is typed to another is told by its name there.

Sources: each engine's own table (`tables/`), and what vLLM 0.33 (docs/configuration), SGLang 0.5.23 (docs/advanced_features/
server_arguments.md), llama.cpp 0c1e57098 (tools/server/README.md), mlx-lm 0.32.2 (server.py) and Ollama 0.33 (docs/faq.mdx) say of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archcalc.commands.words import NAMES, Engine

_ENGINES: tuple[Engine, ...] = ("vllm", "sglang", "llama.cpp", "mlx", "ollama")
# A dash stands for an engine that has no such flag; of Ollama they are its server's variables.
_TABLE = """
--max-model-len              --context-length             --ctx-size        -                        OLLAMA_CONTEXT_LENGTH
--gpu-memory-utilization     --mem-fraction-static        -                 -                        -
--tensor-parallel-size       --tp-size                    -                 -                        -
--pipeline-parallel-size     --pp-size                    -                 -                        -
--data-parallel-size         --dp-size                    -                 -                        -
--enable-expert-parallel     --ep-size                    -                 -                        -
--max-num-seqs               --max-running-requests       --parallel        --decode-concurrency     OLLAMA_NUM_PARALLEL
--max-num-batched-tokens     --chunked-prefill-size       --ubatch-size     --prefill-step-size      -
--kv-cache-dtype             --kv-cache-dtype             --cache-type-k    --kv-bits                OLLAMA_KV_CACHE_TYPE
--enforce-eager              --disable-cuda-graph         -                 -                        -
--no-enable-prefix-caching   --disable-radix-cache        --no-cache-prompt -                        -
--block-size                 --page-size                  -                 -                        -
--max-cudagraph-capture-size --cuda-graph-max-bs-decode   -                 -                        -
--cudagraph-capture-sizes    --cuda-graph-bs-decode       -                 -                        -
--model                      --model-path                 --model           --model                  -
--tokenizer                  --tokenizer-path             -                 -                        -
--seed                       --random-seed                --seed            -                        -
--served-model-name          --served-model-name          --alias           -                        -
--speculative-config         --speculative-algorithm      --spec-draft-model --draft-model           -
--lora-modules               --lora-paths                 --lora            --adapter-path           -
--max-loras                  --max-loras-per-batch        -                 -                        -
--hf-overrides               --json-model-override-args   --override-kv     -                        -
--scheduling-policy          --schedule-policy            -                 -                        -
--attention-backend          --attention-backend          --flash-attn      -                        OLLAMA_FLASH_ATTENTION
--master-addr                --dist-init-addr             -                 -                        -
--distributed-timeout-seconds --dist-timeout              --timeout         -                        -
--uvicorn-log-level          --log-level-http             --verbosity       --log-level              -
--kv-cache-memory-bytes      --max-total-tokens           -                 --prompt-cache-bytes     -
"""
ALIKE: tuple[Mapping[Engine, str], ...] = tuple(
    {engine: name for engine, name in zip(_ENGINES, line.split(), strict=True) if name != "-"}
    for line in _TABLE.split("\n")
    if line
)
"""Each setting by what engines call it."""


# What has no like by one name.
_APART: Mapping[tuple[str, Engine], str] = {
    ("--gpu-layers", "vllm"): "all layers are on the GPUs; --cpu-offload-gb leaves some of the weights to the CPU",
    ("--gpu-layers", "sglang"): "all layers are on the GPUs; --cpu-offload-gb leaves some of the weights to the CPU",
    ("--gpu-layers", "ollama"): "PARAMETER num_gpu of a Modelfile says it",
    ("--tensor-parallel-size", "llama.cpp"): "llama.cpp splits over all GPUs that it sees; --split-mode and --tensor-split say how",
    ("--tp-size", "llama.cpp"): "llama.cpp splits over all GPUs that it sees; --split-mode and --tensor-split say how",
    ("--gpu-memory-utilization", "llama.cpp"): "llama.cpp takes what it needs; --fit-target says how much it leaves",
    ("--mem-fraction-static", "llama.cpp"): "llama.cpp takes what it needs; --fit-target says how much it leaves",
    ("--cpu-offload-gb", "llama.cpp"): "--gpu-layers and --n-cpu-moe say what is on the GPUs",
}


# What people write for a setting that no engine calls so.
_MEANT: Mapping[str, str] = {
    **dict.fromkeys(
        "--ctx --context --ctx-len --n-ctx --num-ctx --context-size --max-context-length --max-seq-len --context-window".split(),
        "--max-model-len",
    ),
    **dict.fromkeys("--max-batch-size --max-concurrency --max-concurrent-requests --n-parallel".split(), "--max-num-seqs"),
    **dict.fromkeys("--gpu-memory --gpu-mem --mem-fraction --gpu-util".split(), "--gpu-memory-utilization"),
    **dict.fromkeys("--num-gpus --n-gpus --gpus --tensor-parallel --tp".split(), "--tensor-parallel-size"),
    **dict.fromkeys("--kv-dtype --kv-cache --cache-type --kv-type".split(), "--kv-cache-dtype"),
}


def elsewhere(engine: Engine, spelled: str, whole: Callable[[Engine, str], str | None]) -> str:
    """What an engine calls the flag of another one; empty where no other has it, or this one nothing like it. `whole` is the full name of
    what an engine's flag is written as, None where it has none so written."""
    for other in _ENGINES:
        name = whole(other, spelled) if other not in (engine, "ollama") else None
        if name is not None and (name, engine) in _APART:
            return f"{NAMES[other]}'s {spelled}: {_APART[name, engine]}"
        row = next((row for row in ALIKE if name is not None and row.get(other) == name), None)
        if row is not None and engine in row:
            of = f" ({name})" if name != spelled else ""
            return f"{NAMES[other]}'s {spelled}{of} is {row[engine]} in {NAMES[engine]}"
    meant = _MEANT.get(spelled.replace("_", "-"))
    row = next((row for row in ALIKE if meant is not None and row["vllm"] == meant), {})
    return f"{row[engine]} says it in {NAMES[engine]}" if engine in row else ""
