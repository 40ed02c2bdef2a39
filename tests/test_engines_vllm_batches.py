"""The tokens of a step of vLLM's first engine, by what a command says of chunks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import parse
from archcalc.engines.budget import Serving
from archcalc.engines.vllm.budget import _batches, batch_defaults
from archcalc.engines.vllm.rules import rules
from archcalc.engines.vllm.settings import Settings
from archcalc.hardware import device
from conftest import Run


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


def _drafted(cli: Run, version: str, gpu: str, model: str, draft: str) -> dict[str, Any]:
    old = not version or version.startswith(("0.6", "0.7"))
    said = ["--speculative-model", draft, "--num-speculative-tokens", "5"]
    told = ["--speculative-config", json.dumps({"model": draft, "num_speculative_tokens": 5})]
    words = ["--", "vllm", "serve", model, "--max-model-len", "8192", *(said if old else told)]
    done = cli("fit", "--offline", "--format", "json", "--gpu", gpu, "--engine-version", version, *words)
    made: dict[str, Any] = json.loads(done.stdout)
    return made


# vLLM 0.10.0 config.py, 0.10.2 config/__init__.py, 0.11.0 and 0.14.0 config/speculative.py: "Speculative decoding with draft model is not
# supported yet"; 0.9.2 config.py sets `draft_model` and goes on, 0.16.0 has v1/spec_decode/draft_model.py.
@pytest.mark.parametrize(
    ("version", "starts"),
    [
        ("0.9.2", True),
        ("0.10.0", False),
        ("0.10.2", False),
        ("0.11.0", False),
        ("0.14.0", False),
        ("0.16.0", True),
        ("0.33.0", True),
    ],
)
def test_releases_that_draft_with_no_model_of_its_own(cli: Run, version: str, starts: bool) -> None:
    found = _drafted(cli, version, "h100", "Qwen/Qwen3-8B", "Qwen/Qwen3-0.6B")
    assert found["start"]["starts"] == starts, found["verdict"]


# On the first engine a draft has a cache of its own, of as many blocks (spec_decode/spec_decode_worker.py
# `split_num_cache_blocks_evenly`). 8,192 tokens x (48 x 2 x 8 x 128 + 24 x 2 x 2 x 64) x 2 B.
@pytest.mark.parametrize("version", ["0.6.3", "0.6.6", "0.7.3", "0.8.5", "0.9.2"])
def test_the_first_engine_keeps_a_draft_of_other_heads_apart(cli: Run, version: str) -> None:
    found = _drafted(cli, version, "h100", "Qwen/Qwen2.5-14B", "Qwen/Qwen2.5-0.5B")
    assert found["fits"], found["verdict"]
    assert found["per_gpu"]["kv_needed_bytes"] == 8192 * (48 * 2 * 8 * 128 + 24 * 2 * 2 * 64) * 2


# vLLM, engine/arg_utils.py: 0.8.3, `_set_default_args_v1` ("h100" or "h200" in the name; 1,024 sequences), 0.8.4 (256 elsewhere), 0.8.5
# (`device_memory >= 70 * GiB_bytes`), 0.9.0 (`and "a100" not in device_name`), 0.28.0, `get_batch_defaults` (`>= 160 * GiB_bytes`), 0.33.0
# (`and not is_gb10`). Tokens of a server, of `LLM(...)`, and sequences.
@pytest.mark.parametrize(
    ("version", "gpu", "server", "offline", "sequences"),
    [
        ("0.8.3", "h100", 8192, 16384, 1024), ("0.8.3", "h200", 8192, 16384, 1024), ("0.8.3", "a100-80gb", 2048, 8192, 1024),
        ("0.8.3", "b200", 2048, 8192, 1024), ("0.8.4", "h100", 8192, 16384, 1024), ("0.8.4", "a100-80gb", 2048, 8192, 256),
        ("0.8.4", "l40s", 2048, 8192, 256), ("0.8.5", "a100-80gb", 8192, 16384, 1024), ("0.8.5", "l40s", 2048, 8192, 256),
        ("0.8.5", "b200", 8192, 16384, 1024), ("0.9.0", "a100-80gb", 2048, 8192, 256), ("0.9.0", "h200", 8192, 16384, 1024),
        ("0.27.1", "a100-80gb", 2048, 8192, 256), ("0.27.1", "b200", 8192, 16384, 1024), ("0.28.0", "b200", 16384, 16384, 1024),
        ("0.28.0", "h200", 8192, 16384, 1024), ("0.28.0", "a100-80gb", 2048, 8192, 256), ("0.32.0", "gb10", 8192, 16384, 1024),
        ("0.33.0", "gb10", 2048, 8192, 256), ("0.33.0", "b200", 16384, 16384, 1024), ("0.33.0", "a100-80gb", 2048, 8192, 256),
        ("0.33.0", "h100", 8192, 16384, 1024),
    ],
)  # fmt: skip
def test_batches_by_the_gpu_and_the_release(version: str, gpu: str, server: int, offline: int, sequences: int) -> None:
    of, batches = device(gpu), rules(version).batches
    assert _batches(of, batches, False) == (server, sequences)
    assert _batches(of, batches, True) == (offline, sequences)
