"""What a `llama-server` command sets beside the plan, in one record."""

from __future__ import annotations

from typing import NamedTuple

from archcalc.model import Architecture


class Settings(NamedTuple):
    """llama.cpp's settings by their flags.

    `cells` is `-c`, 0 for the trained length; `slots` is `-np`. `gpu_layers` is `-ngl`, None for as many as fit. `shares` are `-ts`.
    `cpu_experts` is how many layers' routed experts stay in the CPU's memory. `overrides` are `-ot`'s patterns and the devices that they
    send tensors to. `serves` is whether slots alone have logits: a server of a build that reserves them so. `wide_masks` is of builds
    before June 2026. `mapped` is False for `--no-mmap`. `cache_on_cpu` is `--no-kv-offload`. `streams` is False for `--no-op-offload`:
    the CPU multiplies with what lies in its memory. `draft` is a draft model of its own, with `draft_layers` of it on GPUs, of the file
    type `draft_quant`, its cache in types of its own; `draft_tokens` are those that it drafts at once. `mtp` is whether the file's MTP
    layers draft, and `rolls_back` whether states are kept for every drafted token.
    """

    cells: int = 0
    slots: int = 1
    unified: bool = False
    gpu_layers: int | None = None
    shares: tuple[float, ...] | None = None
    split: bool = True
    cpu_experts: int = 0
    overrides: tuple[tuple[str, str], ...] = ()
    type_k: str = "f16"
    type_v: str = "f16"
    flash: bool = True
    swa_full: bool = False
    batch: int = 2048
    ubatch: int = 512
    serves: bool = False
    wide_masks: bool = True
    unpacks: bool = False
    mapped: bool = True
    cache_on_cpu: bool = False
    towers: bool = False
    margin_bytes: int = 0
    streams: bool = True
    draft: Architecture | None = None
    draft_layers: int | None = None
    draft_quant: str | None = None
    draft_type_k: str = "f16"
    draft_type_v: str = "f16"
    draft_tokens: int = 0
    mtp: bool = False
    rolls_back: bool = False
