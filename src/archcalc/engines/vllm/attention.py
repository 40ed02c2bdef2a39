"""Which attention backends a release has for a kind of attention on NVIDIA's GPUs, and what they read: dtypes of the cache, blocks, heads.

vLLM takes the first backend that takes all, and refuses to start where none does (platforms/cuda.py `get_attn_backend_cls`).

Sources, each read in vLLM 0.11.1 to 0.33: v1/attention/backends/ and its mla/, `supported_kv_cache_dtypes`,
`get_supported_kernel_block_sizes` (a block is a multiple of one of them), `get_supported_head_sizes`, `supports_compute_capability`,
`supports_combination`, `supports_sink`; config/cache.py `BlockSize`. Until then v1/attention/backends/flash_attn.py `get_kv_cache_shape`.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.engines._allocation import held_caches
from archcalc.engines.served import is_one_of
from archcalc.engines.vllm.cache import PACKED_ROWS, CacheOptions, asked_dtype
from archcalc.engines.vllm.rules import NEWEST, at_least, rules
from archcalc.model import Architecture
from archcalc.records import NamedTuple

_HALF = "auto float16 bfloat16"
_EIGHT = "fp8 fp8_e4m3"
_FP8 = f"{_HALF} {_EIGHT}"
_UNITS = 89
"""Ten times the compute capability from which Triton's kernels read FP8: the backends refuse below (triton_attn.py since 0.24,
mla/triton_mla.py since 0.26); before, its compiler stopped: "type fp8e4nv not supported in this architecture" (vllm#26431)."""


class _Backend(NamedTuple):
    """From release `since` on, up to but without `until`. `majors` are of the compute capability, none for all, and `least` is ten times
    the least of it; `without`: what of `sinks`, `images` (tokens of an image that see each other) and `mixed` (heads of several sizes,
    where the class asks for one backend) it does not take. `by` is the backend's name, where the rows of that name are all of it."""

    since: tuple[int, ...]
    until: tuple[int, ...] | None
    dtypes: str
    block: int
    majors: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    without: str = ""
    least: int = 0
    by: str = ""


_TRITON, _TRITON_LATENT, _FLASHINFER, _FLEX = "TRITON_ATTN", "TRITON_MLA", "FLASHINFER", "FLEX_ATTENTION"
_FLASH = "FLASH_ATTN"
_BEFORE_512, _WITH_512 = (64, 128, 256), (64, 128, 256, 512)
_FULL = (
    # Triton's takes whatever FlashAttention's does, and what FlashInfer's does but for NVFP4, and FP8 on GPUs without units for it.
    _Backend((), (0, 20), _HALF, 16, by=_TRITON),
    _Backend((0, 20), (0, 25), f"{_HALF} int8_per_token_head", 16, by=_TRITON),
    _Backend((0, 25), None, f"{_HALF} int4_per_token_head int8_per_token_head", 16, by=_TRITON),
    _Backend((), (0, 20), f"{_EIGHT} fp8_e5m2", 16, least=_UNITS, by=_TRITON),
    _Backend((0, 20), None, f"{_EIGHT} fp8_e5m2 fp8_per_token_head", 16, least=_UNITS, by=_TRITON),
    _Backend((), (0, 22), f"{_FP8} fp8_e5m2", 16, (7, 8), _BEFORE_512, "sinks images mixed", 75, by=_FLASHINFER),
    _Backend((0, 22), (0, 24), f"{_FP8} fp8_e5m2", 16, (7, 8), _WITH_512, "sinks images mixed", 75, by=_FLASHINFER),
    _Backend((0, 24), None, f"{_FP8} fp8_e5m2", 16, (8,), _WITH_512, "sinks images mixed", by=_FLASHINFER),
    _Backend((), (0, 22), f"{_FP8} fp8_e5m2", 16, (9, 10, 12), _BEFORE_512, "images", by=_FLASHINFER),
    _Backend((0, 22), None, f"{_FP8} fp8_e5m2", 16, (9, 10, 12), _WITH_512, "images", by=_FLASHINFER),
    _Backend((0, 21), (0, 22), "nvfp4", 16, heads=_BEFORE_512, without="images", by=_FLASHINFER),
    _Backend((0, 22), (0, 32), "nvfp4", 16, heads=_WITH_512, without="images", by=_FLASHINFER),
    _Backend((0, 32), None, "nvfp4", 16, (10,), _WITH_512, "images", by=_FLASHINFER),
    _Backend((0, 32), None, "nvfp4", 16, (9,), (128, 256, 512), "sinks images", by=_FLASHINFER),
    _Backend((0, 32), None, "nvfp4", 16, (8, 12), (128, 256, 512), "sinks images mixed", by=_FLASHINFER),
    # FP8 with FlashAttention 3 and 4 alone, for 9.x and 10.x: v1/attention/backends/fa_utils.py `flash_attn_supports_kv_cache_dtype`.
    _Backend((), None, _HALF, 16, least=80, by=_FLASH),
    _Backend((), (0, 25), _EIGHT, 16, (9,), by=_FLASH),
    _Backend((0, 25), None, _EIGHT, 16, (9, 10), by=_FLASH),
    _Backend((0, 12), (0, 21), _HALF, 1, without="sinks", by=_FLEX),
    _Backend((0, 21), None, _HALF, 16, without="sinks", by=_FLEX),
)
_LATENT = (
    _Backend((), (0, 18), _HALF, 1, by=_TRITON_LATENT),
    _Backend((0, 18), None, _HALF, 16, by=_TRITON_LATENT),
    _Backend((0, 18), None, _EIGHT, 16, least=_UNITS, by=_TRITON_LATENT),
    _Backend((), (0, 12), _FP8, 1, (9, 10)),
    _Backend((0, 12), None, _FP8, 64, (9, 10)),
    _Backend((0, 12), None, _FP8, 32, (10,)),
)
# The indexer's pages are of 64 tokens. FlashMLA's and its like are for Hopper and the data centre's Blackwell, FlashInfer's for others.
_SPARSE = (
    _Backend((), None, f"{_FP8} fp8_ds_mla nvfp4_ds_mla", 64, (9, 10)),
    _Backend((0, 24), (0, 33), f"{_FP8} fp8_ds_mla nvfp4_ds_mla", 64, (12,)),
    # mla/flashinfer_mla_sparse.py `FlashInferMLASparseSM120Backend`.
    _Backend((0, 33), None, f"{_FP8} fp8_ds_mla", 64, (12,)),
)
_BLOCKS = ((0, 18), (1, 8, 16, 32, 64, 128, 256))
"""Until then `--block-size` is one of these."""
_READ = (0, 11, 1)
_BUILT_FOR = ((8, 0), (8, 9), (9, 0), (10, 0), (12, 0))
"""Of the compute capabilities that the releases are built for."""


FULL_THEN_WINDOWS = frozenset(
    "Qwen2ForCausalLM Qwen3ForCausalLM MiMoForCausalLM Qwen2VLForConditionalGeneration Qwen2_5_VLForConditionalGeneration"
    " Qwen2ForRewardModel Qwen2ForProcessRewardModel".split()
)
"""Classes whose decoder is that of models/qwen2.py `Qwen2Model`, or one made of it."""


def mixed_windows(architecture: Architecture, version: str | None) -> str | None:
    """Why windows that begin at a layer (`max_window_layers`) stop the start; None where they do not, or where it is not known.

    vLLM 0.33, models/qwen2.py `Qwen2Model.__init__`: "Sliding window for some but all layers is not supported"; so in 0.21 and 0.24.
    Layers that take turns may state a `max_window_layers` of all layers, and are not judged."""
    if not at_least(version, 0, 21) or not is_one_of(architecture, FULL_THEN_WINDOWS):
        return None
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        windowed = [any(cache.kind == "sliding" for cache in stack.kinds[kind].caches) for kind in stack.pattern]
        first = windowed.index(True) if True in windowed else 0
        if first > 0 and all(windowed[first:]):
            return (
                f"vLLM does not start with windows from layer {first} of {len(windowed)} on (max_window_layers): in this class all layers"
                " have one, or none"
            )
    return None


def missing(architecture: Architecture, version: str | None, major: int | None, *, expanded: bool = False) -> str | None:
    """Why the release has no attention backend for the model on this GPU, whatever its cache is kept in; None where it has one, or where it
    is not known. `expanded`: latent caches are turned off (`VLLM_MLA_DISABLE`).

    Prompts of MLA are computed by FlashAttention alone below 10.x, and FlashAttention 2 starts at 8.0: 0.33, platforms/interface.py
    `get_mla_prefill_backend_cls`, vllm_flash_attn/flash_attn_interface.py `_is_fa2_supported`; 0.8.5 and 0.11
    v1/attention/backends/mla/common.py and 0.16 layers/attention/mla_attention.py call it without another choice."""
    if major is None:
        return None
    if is_one_of(architecture, PACKED_ROWS):
        # vLLM 0.33, models/deepseek_v4/nvidia/model.py `_select_dsv4_attn_cls`: FlashInfer's on 12.x, else FlashMLA's, for 9.x and 10.x.
        there = f"vLLM {version or NEWEST} has no attention backend for sparse MLA on compute capability {major}.x"
        return there if major < 9 else None
    for what, size, needs, rows in _attention(architecture, version):
        if rows is _LATENT and major < 8 and not expanded:
            return (
                f"vLLM {version or NEWEST} computes prompts of MLA from compute capability 8.0 on, and this GPU has {major}.x"
                ": VLLM_MLA_DISABLE=1 in front of the command keeps keys and values in place of the latent"
            )
        if rows is _SPARSE and not any(_takes(row, version, (major, 0), size, needs) for row in rows):
            return f"vLLM {version or NEWEST} has no attention backend for {what} on compute capability {major}.x"
    return None


# Of `--attention-backend`: for latent caches or not, the least and the largest compute capability, times ten.
_NAMED: dict[str, tuple[bool, int, int]] = {
    "FLASH_ATTN": (False, 80, 999), "FLASHINFER": (False, 75, 121), "TRITON_ATTN": (False, 0, 999),
    "FLEX_ATTENTION": (False, 0, 999), "FLASHMLA": (True, 90, 109), "FLASH_ATTN_MLA": (True, 90, 99),
    "CUTLASS_MLA": (True, 100, 109), "FLASHINFER_MLA": (True, 100, 109), "TRITON_MLA": (True, 0, 999),
}  # fmt: skip
_CHECKED = (0, 14)
"""Since then the backend that is named is compared with the model and the GPU (v1/attention/backend.py `validate_configuration`, and
`supports_compute_capability` and `is_mla` of each backend, in the releases to 0.33)."""


def unfit(
    architecture: Architecture, version: str | None, backend: str, cuda: tuple[int, int] | None, *, expanded: bool = False
) -> str | None:
    """Why the release refuses the attention backend that is named for the model, or for an NVIDIA GPU; None where it does not, or where it
    is not known. `expanded`: latent caches are turned off (`VLLM_MLA_DISABLE`)."""
    row = _NAMED.get(backend)
    if row is None or cuda is None or not at_least(version, *_CHECKED) or is_one_of(architecture, PACKED_ROWS):
        return None
    latent, least, most = row
    if backend == "FLASHINFER" and at_least(version, 0, 24):
        least = 80
    kinds = {held.cache.kind for held in held_caches(architecture)} - {"state"}
    release = f"vLLM {version or NEWEST}"
    if not least <= cuda[0] * 10 + cuda[1] <= most:
        there = (
            f"from compute capability {least / 10:.1f} on"
            if most == 999
            else f"on compute capability {least / 10:.1f} to {most / 10:.1f}"
        )
        return f"{release} runs --attention-backend {backend} {there}, and this GPU has {cuda[0]}.{cuda[1]}: leave it out"
    if latent and kinds and (expanded or "latent" not in kinds):
        return f"{release} takes --attention-backend {backend} for MLA alone, which this model has not: leave it out"
    if not latent and kinds == {"latent"} and not expanded:
        return f"{release} does not take --attention-backend {backend} for MLA: leave it out"
    return None


def _takes(row: _Backend, version: str | None, cuda: tuple[int, int], size: int, needs: str) -> bool:
    if not at_least(version, *row.since) or (row.until and at_least(version, *row.until)):
        return False
    if (row.majors and cuda[0] not in row.majors) or cuda[0] * 10 + cuda[1] < row.least:
        return False
    return (not row.heads or size in row.heads) and not any(need in row.without.split() for need in needs.split())


def lacks(
    architecture: Architecture,
    version: str | None,
    dtype: str,
    block: int | None,
    cuda: tuple[int, int] | None,
    flag: str,
    elsewhere: tuple[str, str] | None = None,
    *,
    named: str = "",
    text_alone: bool = False,
) -> tuple[str, str] | None:
    """Why no backend of the release takes a cache of that dtype in blocks of so many tokens, and what to change; None where one does, or
    where it is not known. `flag` is what names the dtype, `cuda` the GPU's compute capability, `elsewhere` the vendor and the name of
    a GPU that is known not to be NVIDIA's, `named` the backend that is asked for; `text_alone` says that no images are served."""
    if block is not None and not at_least(version, *_BLOCKS[0]) and block not in _BLOCKS[1]:
        listed = ", ".join(map(str, _BLOCKS[1]))
        return f"--block-size {block}: vLLM {version} takes {listed}", "name one of them, or leave --block-size out"
    if elsewhere is not None and (why := _lacks_elsewhere(architecture, version, dtype, flag, *elsewhere)):
        return why
    if cuda is None or is_one_of(architecture, PACKED_ROWS):
        # Other platforms have backends of their own, and so have these classes.
        return None
    release = f"vLLM {version or NEWEST}"
    for what, size, needs, rows in _attention(architecture, version, text_alone=text_alone):
        if rows is not _FULL and not at_least(version, *_READ):
            continue
        there = [row for row in rows if _takes(row, version, cuda, size, needs)]
        alone = bool(named) and any(row.by == named for row in rows)
        if alone:
            there = [row for row in there if row.by == named]
        reading = [row for row in there if dtype in row.dtypes.split()]
        if there and not reading and at_least(version, *_READ):
            known = list(dict.fromkeys(" ".join(row.dtypes for row in there).split()))
            return (
                f"{flag} {dtype}: {release} {f'does not read it with {named}' if alone else 'has no attention backend that reads it'}"
                f" for {what} on this GPU",
                f"leave {flag} out, or name one of {', '.join(known)}",
            )
        if block is not None and reading and all(block % row.block for row in reading):
            least = min(row.block for row in reading)
            return (
                f"--block-size {block}: {release} has no attention backend with such blocks for {what} on this GPU",
                f"name a multiple of {least}, or leave --block-size out",
            )
    return None


_LATENT_FP8 = ((0, 10, 2), (9, 10))
"""The release from which a cache of MLA is read in FP8, and the GPUs: 0.10.2 and 0.11.0 by FlashMLA and CUTLASS's alone
(v1/attention/backends/mla/flashmla.py, cutlass_mla.py; triton_mla.py, "TritonMLA V1 with FP8 KV cache not yet supported"); 0.7.1 to 0.10.1
by none (attention/backends/triton_mla.py and flashmla.py, v1/attention/backends/mla/, the same words)."""


def lacks_latent_fp8(
    architecture: Architecture, version: str | None, dtype: str, cuda: tuple[int, int] | None, flag: str
) -> tuple[str, str] | None:
    """Why a release before those whose backends were read in full reads no latent cache in FP8, and what to change; None where it does."""
    if at_least(version, *_READ) or not dtype.startswith("fp8") or rules(version).latent == "expanded":
        return None
    since, majors = _LATENT_FP8
    if (cuda is None or cuda[0] in majors) and at_least(version, *since):
        return None
    if not any(rows is _LATENT for *_, rows in _attention(architecture, version)):
        return None
    return f"{flag} {dtype}: vLLM {version} has no attention backend that reads it for MLA on this GPU", f"leave {flag} out"


_SHARED = (0, 11, 1)
"""Since then attention of grouped queries is shared in decode context parallelism (0.11.1, v1/attention/backends/flash_attn.py and
flashinfer.py `can_return_lse_for_decode`); 0.10.2 and 0.11.0 assert `need_to_return_lse_for_decode`, which MLA's backends alone set
(v1/worker/gpu_model_runner.py `initialize_kv_cache`)."""
_SHARED_FP8 = (0, 25)
"""Since then that of MLA reads FP8: 0.10.2 to 0.24, v1/attention/backends/mla/common.py (since 0.18, layers/attention/mla_attention.py),
"DCP not support fp8 kvcache now."; no backend of sparse MLA returns what is merged (`can_return_lse_for_decode`)."""


def unshared(architecture: Architecture, dtype: str, options: CacheOptions) -> tuple[str, str] | None:
    """Why a release does not share a cache in decode context parallelism, and what to change; None where it does."""
    from archcalc.commands.flags import lacks as lacks_flag

    version = options.version
    if options.dcp == 1 or version is None:
        return None
    if why := lacks_flag("vllm", "--decode-context-parallel-size", version):
        return why, "leave --dcp out"
    kinds = {held.cache.kind for held in held_caches(architecture)}
    if "latent" not in kinds:
        if kinds and not at_least(version, *_SHARED):
            return (
                f"dcp is {options.dcp}: vLLM {version} shares the cache of MLA alone, and from 0.11.1 on others",
                "leave --dcp out",
            )
        return None
    if at_least(version, *_SHARED_FP8):
        return None
    if "index" in kinds:
        return f"dcp is {options.dcp}: vLLM {version} does not share the cache of sparse MLA; 0.25.0 does", "leave --dcp out"
    if dtype.startswith("fp8"):
        return (
            f"dcp is {options.dcp}: vLLM {version} does not share a cache of MLA in {dtype}; 0.25.0 does",
            "leave --dcp out, or --kv-dtype",
        )
    return None


_PER_HEAD = "int4_per_token_head int8_per_token_head fp8_per_token_head"
# By vendor what backends beside NVIDIA's list: of grouped queries, of MLA and of sparse MLA; None was not read. ROCm's reads of MLA are
# AITER's or Triton's, of sparse MLA AITER's, to which a class hands its own records (0.33, platforms/rocm.py `_get_backend_priorities`;
# v1/attention/backends/rocm_attn.py, rocm_aiter_fa.py, rocm_aiter_unified_attn.py, triton_attn.py, mla/rocm_aiter_mla.py,
# mla/triton_mla.py, mla/rocm_aiter_mla_sparse.py, mla/xpu_mla_sparse.py; models/deepseek_v32/amd/rocm.py).
_ELSEWHERE: dict[str, dict[str, str | None]] = {
    "amd": {
        "full": f"{_FP8} fp8_e5m2 {_PER_HEAD}", "latent": f"{_FP8} fp8_e5m2", "sparse": f"{_FP8} fp8_ds_mla",
    },
    "intel": {"full": None, "latent": None, "sparse": _HALF},
}  # fmt: skip
_READ_ELSEWHERE = (0, 33)
# FlashInfer's alone lists the one (v1/attention/backends/, 0.20 to 0.33), and no file of another platform names the other.
_NVIDIA_S_OWN = frozenset({"nvfp4", "nvfp4_ds_mla"})


def _lacks_elsewhere(
    architecture: Architecture, version: str | None, dtype: str, flag: str, vendor: str, name: str
) -> tuple[str, str] | None:
    """Why no backend for a vendor's GPUs reads a cache of that dtype, and what to change; None where one does, or where it is not known."""
    release = f"vLLM {version or NEWEST}"
    if dtype in _NVIDIA_S_OWN:
        why = f"{flag} {dtype}: {release} reads it with NVIDIA's backends alone, and {name} is another's"
        return why, f"leave {flag} out, or name fp8"
    if is_one_of(architecture, PACKED_ROWS) or not at_least(version, *_READ_ELSEWHERE):
        return None
    for what, _, _, rows in _attention(architecture, version):
        kind = "full" if rows is _FULL else "latent" if rows is _LATENT else "sparse"
        known = _ELSEWHERE.get(vendor, {}).get(kind)
        if known is not None and dtype not in known.split():
            return (
                f"{flag} {dtype}: {release} has no attention backend that reads it for {what} on {name}",
                f"leave {flag} out, or name one of {', '.join(known.split())}",
            )
    return None


def lacks_block(architecture: Architecture, kv_dtype: str | None, options: CacheOptions) -> tuple[str, str] | None:
    """Why the release takes no blocks of that size, on the GPU that is named or on any of NVIDIA's; None where it does."""
    dtype = "auto" if kv_dtype is None else asked_dtype(architecture, kv_dtype, options)
    all_of_them = _BUILT_FOR if options.capability is None else (options.capability,)
    found = [lacks(architecture, options.version, dtype, options.block_size, cuda, "--kv-dtype") for cuda in all_of_them]
    why = found[0]
    if why is None or None in found or not why[0].startswith("--block-size"):
        return None
    return (why[0].replace("on this GPU", "on any of NVIDIA's GPUs"), why[1]) if options.capability is None else why


# Classes whose tokens of an image see each other, since the release whose list has them (config/model.py `is_mm_prefix_lm`,
# transformers_utils/model_arch_config_convertor.py since 0.24).
_SEES_IMAGES: tuple[tuple[tuple[int, ...], frozenset[str]], ...] = (
    ((0, 13), frozenset({"Gemma3ForConditionalGeneration"})),
    ((0, 14), frozenset({"PaliGemmaForConditionalGeneration"})),
    ((0, 16), frozenset({"Molmo2ForConditionalGeneration"})),
    ((0, 24), frozenset({"BagelForConditionalGeneration", "HfMoondream", "Moondream3ForCausalLM"})),
)
_TEXT_ALONE = (0, 28)
"""Since then a server of text alone takes them for causal (0.28, `is_mm_prefix_lm`: `supports_multimodal`)."""
_BY_CONFIG = (0, 21)
"""Since then a config of Gemma 4 says it (`Gemma4ModelArchConfigConvertor`, read in 0.21, 0.24 and 0.33; before, nothing was read)."""
# Classes whose heads of several sizes are given to one backend: FlashAttention 4's on 9.x and 10.x, else Triton's (0.24 to 0.33,
# models/config.py `Gemma4Config`, `MODELS_CONFIG_MAP`).
_MIXED, _MIXED_SINCE = (
    frozenset({"Gemma4ForCausalLM", "Gemma4ForConditionalGeneration", "Gemma4UnifiedForConditionalGeneration",
               "DiffusionGemmaForBlockDiffusion"}),
    (0, 24),
)  # fmt: skip


def _attention(
    architecture: Architecture, version: str | None, *, text_alone: bool = False
) -> Iterator[tuple[str, int, str, tuple[_Backend, ...]]]:
    """Each kind of attention that has a cache: in words, its head size, what it needs of a backend, and the backends."""
    caches = [held.cache for held in held_caches(architecture)]
    sparse = any(cache.kind == "index" for cache in caches)
    needs = {}
    if any(tensor.name.endswith("sinks") for _, tensor, _ in architecture.each_tensor()):
        needs["sinks"] = " with sinks"
    images = any(at_least(version, *since) and is_one_of(architecture, classes) for since, classes in _SEES_IMAGES)
    images = images or (architecture.mutual and at_least(version, *_BY_CONFIG))
    if images and not (text_alone and at_least(version, *_TEXT_ALONE)):
        needs["images"] = " where an image's tokens see each other"
    sizes = {cache.key_dim for cache in caches if cache.kind not in ("index", "state", "latent")}
    if len(sizes) > 1 and at_least(version, *_MIXED_SINCE) and is_one_of(architecture, _MIXED):
        needs["mixed"] = " beside others"
    seen = set()
    for cache in caches:
        if cache.kind in ("index", "state") or (cache.kind, cache.key_dim) in seen:
            continue
        seen.add((cache.kind, cache.key_dim))
        if cache.kind == "latent":
            yield ("sparse MLA", cache.key_dim, "", _SPARSE) if sparse else ("MLA", cache.key_dim, "", _LATENT)
        else:
            yield f"heads of {cache.key_dim}{''.join(needs.values())}", cache.key_dim, " ".join(needs), _FULL
