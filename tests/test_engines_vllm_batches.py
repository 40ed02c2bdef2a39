"""The tokens of a step of vLLM's first engine, by what a command says of chunks."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import parse
from archcalc.engines.budget import Serving
from archcalc.engines.vllm.budget import batch_defaults
from archcalc.engines.vllm.settings import Settings
from archcalc.hardware import device


# vLLM 0.6.0, 0.6.3, 0.6.6 and 0.7.3, engine/arg_utils.py `create_engine_config`, config.py `SchedulerConfig`.
@pytest.mark.parametrize(
    ("version", "model", "gpu", "context", "own", "tokens"),
    [
        ("0.6.3", "llama-3.1-8b", "rtx-4090", 40960, {}, 512), ("0.6.6", "llama-3.1-8b", "rtx-4090", 40960, {}, 2048),
        ("0.6.3", "llama-3.1-8b", "rtx-4090", 40960, {"chunked": False}, 40960),
        ("0.7.3", "llama-3.1-8b", "rtx-4090", 40960, {"chunked": False}, 40960),
        ("0.6.3", "llama-3.1-8b", "rtx-4090", 40960, {"loras": 1}, 40960),
        ("0.7.3", "llama-3.1-8b", "rtx-4090", 40960, {"draft_tokens": 4}, 40960),
        ("0.6.3", "llama-3.1-8b", "rtx-4090", 32768, {}, 32768), ("0.6.3", "llama-3.1-8b", "rtx-4090", 1024, {}, 2048),
        ("0.6.3", "llama-3.1-8b", "rtx-4090", 16384, {"chunked": True}, 512),
        ("0.7.3", "llama-3.1-8b", "rtx-4090", 16384, {"chunked": True}, 2048),
        ("0.7.3", "llama-3.1-8b", "mi300x", 40960, {}, 40960), ("0.6.3", "llama-3.1-8b", "mi300x", 40960, {}, 512),
        ("0.6.0", "llama-3.1-8b", "rtx-4090", 40960, {"prefix_caching": True}, 40960),
        ("0.6.3", "llama-3.1-8b", "rtx-4090", 40960, {"prefix_caching": True}, 512),
        ("0.7.3", "qwen2.5-vl-7b", "h100-sxm", 65536, {}, 65536), ("0.7.3", "qwen2.5-vl-7b", "h100-sxm", 4096, {}, 5120),
        ("0.7.3", "deepseek-v2-lite", "h100-sxm", 65536, {}, 65536), ("0.6.3", "deepseek-v2-lite", "h100-sxm", 65536, {}, 512),
    ],
)  # fmt: skip
def test_the_first_engine_chunks_what_its_release_chunks(
    version: str, model: str, gpu: str, context: int, own: dict[str, Any], tokens: int
) -> None:
    config = zoo.config(model)
    assert config is not None
    serving = Serving("vllm", version, context_tokens=context, own=Settings(**own) if own else None)
    assert batch_defaults(device(gpu), parse(config), serving) == (tokens, 256)
