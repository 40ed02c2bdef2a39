"""What a `llama-server` command sets beside the plan, in one record."""

from __future__ import annotations

from archcalc.model import Architecture
from archcalc.records import NamedTuple


class Settings(NamedTuple):
    """llama.cpp's settings by their flags.

    `cells` is `-c`, 0 for the trained length; `slots` is `-np`, and `slots_flag` what says it. `gpu_layers` is `-ngl`, None for as many as
    fit, and `asks_layers` whether none is on a GPU without it, but with Metal. `shares` are `-ts`. `cpu_experts` is how many layers' routed
    experts stay in the CPU's memory. `overrides` are `-ot`'s patterns and the devices that they send tensors to. `split` is False for one
    GPU of several; `unspread` is a mode that divides each weight, which is counted as whole layers, and of which `--fit` moves nothing.
    `serves` is whether slots alone have logits: a server of a build that reserves them so. `wide_masks` is of builds before June 2026.
    `mapped` is False for `--no-mmap`. `cache_on_cpu` is `--no-kv-offload`. `projector` is what the file of `--mmproj` is stored as, empty
    where none is loaded, `projector_bytes` its size where it is here, `projector_named` the flag and the file, and `towers` False for
    `--no-mmproj-offload`.
    `streams` is False for `--no-op-offload`: the CPU multiplies with what lies in its memory. `draft` is a draft model
    of its own, with `draft_layers` of it on GPUs, of the file type `draft_quant`, its cache in types of its own; `draft_tokens` are those
    that it drafts at once. `mtp` is whether the file's MTP layers draft, and `rolls_back` whether states are kept for every drafted token.

    `fits` is whether `--fit` adjusts what is not set, `targets` what it leaves free of each GPU, the last of all others, and `least`
    the context that it keeps. `keeps_context` is `-c 0`, which it does not lower. `unset` is the context where none is given and
    nothing adjusts it, None for the trained length of each slot. `experts_on_cpu` are layers whose routed experts it put into the CPU's
    memory, and `fitted` what it changed, in words. `moved` tells of layers that it moves where what is asked for exceeds the GPUs and the
    CPU's memory is no budget, and `moved_bytes` are all that lies there then.

    `tiers` are Ollama's contexts where none is asked for, each with the memory of all GPUs below which it holds; the last holds from
    there on. `raised` are the models whose context Ollama raises (`ollama.raised`). `clamps`: no more than the trained length is served.
    `batch_by_context`: the batch grows with the context.
    `runner` is a release of Ollama that runs models by itself, `flash_asked` what `OLLAMA_FLASH_ATTENTION` says there.
    `rope_kind`, `rope_scale` and `yarn_original` are what is said of scaled positions: `--rope-scaling`, `--rope-freq-scale` and
    `--yarn-orig-ctx`. `trained` is the trained length that `--override-kv` puts in the file's place.
    """

    cells: int = 0
    slots: int = 1
    slots_flag: str = "--parallel"
    unified: bool = False
    gpu_layers: int | None = None
    asks_layers: bool = False
    shares: tuple[float, ...] | None = None
    split: bool = True
    unspread: str = ""
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
    towers: bool = True
    projector: str = ""
    projector_bytes: int = 0
    projector_named: str = ""
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
    fits: bool = False
    targets: tuple[int, ...] = (1 << 30,)
    least: int = 4096
    keeps_context: bool = False
    unset: int | None = None
    experts_on_cpu: frozenset[int] = frozenset()
    fitted: tuple[str, ...] = ()
    moved: str = ""
    moved_bytes: int = 0
    tiers: tuple[tuple[int, int], ...] = ()
    raised: tuple[frozenset[str], int] | None = None
    clamps: bool = False
    batch_by_context: bool = False
    runner: str = ""
    flash_asked: bool | None = None
    rope_kind: str = ""
    rope_scale: float = 0.0
    yarn_original: int = 0
    trained: int | None = None
