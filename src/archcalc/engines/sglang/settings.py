"""What a `sglang.launch_server` command sets beside the plan, in one record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.errors import UsageError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.model import Architecture


class Settings(NamedTuple):
    """SGLang's settings by their flags; None is the release's default.

    `chunk` is `--chunked-prefill-size` (0 turns chunks off, and `prefill_tokens`, `--max-prefill-tokens`, bounds a batch of whole
    prompts), `running` `--max-running-requests`, `tokens` `--max-total-tokens`, `graph_batch` the largest batch captured, `graphs` and
    `prefill_graphs` whether decoding and prefills are. `state_slots` is `--max-mamba-cache-size`, `state_share`
    `--mamba-full-memory-ratio`, `tracked` whether states are tracked beside the running one. `one_pool` is
    `--disable-hybrid-swa-memory`. `speculation` names the algorithm, `mtp` says that the checkpoint's own MTP layers draft. `draft` is
    a draft model of its own. `method` is `--quantization`, `draft_method`
    that of the draft, `trusts` `--trust-remote-code`, `reads_tokens` whether
    the model's own tokenizer is read, `allows_longer`
    `SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN`. `drafted_elsewhere` says that a draft model is named, be it to be had or not.
    `whole_towers` is `--mm-enable-dp-encoder`. `nodes` is `--nnodes`, `launched` whether Ray says where ranks
    run, or nobody knows. `cache` is `--kv-cache-dtype`, and `wide_cache`
    says that it follows a `--dtype` of float32. `backends` are those of
    attention, of its decoding and of its prefills. The hierarchical cache keeps `host_ratio` times the GPU's pool, or
    `host_cache_bytes`, of each rank in the CPU's memory.
    """

    chunk: int | None = None
    prefill_tokens: int | None = None
    running: int | None = None
    tokens: int | None = None
    page: int | None = None
    radix_cache: bool = True
    graph_batch: int | None = None
    graphs: bool = True
    prefill_graphs: bool = True
    swa_ratio: float | None = None
    one_pool: bool = False
    state_slots: int | None = None
    state_share: float = 0.9
    tracked: bool | None = None
    ssm_dtype: str | None = None
    text_alone: bool = False
    whole_towers: bool = False
    attention_dp: bool = False
    speculation: str = ""
    draft_tokens: int = 0
    drafted_elsewhere: bool = False
    mtp: bool = False
    offload_bytes: int = 0
    host_ratio: float = 0
    host_cache_bytes: int = 0
    symmetric: bool = False
    draft: Architecture | None = None
    draft_method: str | None = None
    method: str | None = None
    trusts: bool = False
    reads_tokens: bool = True
    allows_longer: bool | None = None
    wide_cache: bool = False
    cache: str = "auto"
    nodes: int = 1
    launched: bool = False
    backends: tuple[str, str, str] = ("", "", "")


_OF_A_MODEL = frozenset({"EAGLE3", "STANDALONE", "DFLASH"})
_OF_LAYERS = frozenset({"EAGLE", "NEXTN", "FROZEN_KV_MTP"})


def check_draft(own: Settings, architecture: Architecture) -> None:
    """Raises `UsageError` where nothing can draft: no draft model is named, and the checkpoint has no layers that do.

    SGLang 0.5.23 stops there for DFlash (srt/arg_groups/speculative_hook.py `_handle_dflash`) and else loads the model itself a second
    time as its draft (srt/managers/tp_worker.py `_init_model_config`, srt/configs/model_config.py `from_server_args`).
    """
    if own.draft is not None or own.drafted_elsewhere or own.speculation not in _OF_A_MODEL | _OF_LAYERS:
        return
    if own.speculation in _OF_A_MODEL or not architecture.mtp_layers:
        lacks = "" if own.speculation in _OF_A_MODEL else ": the model has no MTP layers"
        raise UsageError(
            f"--speculative-algorithm {own.speculation} needs a draft model{lacks}",
            "name one with --speculative-draft-model-path, or leave the algorithm out",
        )
