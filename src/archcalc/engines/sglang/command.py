"""`sglang.launch_server` for a plan.

Source: SGLang 0.5.23, srt/server_args.py; srt/arg_groups/fields/parallel.py for `--attn-dp-size`, which is in 0.5.22 and not in 0.5.20, and
in whose place `--dp-size` with `--enable-dp-attention` is deprecated.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.engines._command import everywhere, overrides, revision, told, trusted, untold, word
from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, machines
from archcalc.engines.served import classes_of, is_one_of, renamed
from archcalc.engines.sglang import towers
from archcalc.engines.sglang.cache import choices
from archcalc.engines.sglang.rules import since, spreads_by_switch
from archcalc.model import Architecture

_CACHES = {"fp16": "auto", "fp32": "auto"}

# Classes that are run to embed or to classify without being told (0.5.23, srt/configs/model_config.py `is_generation_model`,
# `is_embedding_gemma`).
EMBEDS = frozenset(
    """
    LlamaEmbeddingModel MistralModel LlamaForSequenceClassification LlamaForSequenceClassificationWithNormal_Weights
    InternLM2ForRewardModel Qwen2ForRewardModel Qwen3ForRewardModel Qwen2ForSequenceClassification Qwen3ForSequenceClassification
    Qwen3Model CLIPModel BertModel Contriever BertForSequenceClassification XLMRobertaModel XLMRobertaForSequenceClassification
    Gemma2ForSequenceClassification EmbeddingGemma2Model Lfm2BidirectionalModel Gemma3TextModel
    """.split()
)


def command(named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
    from archcalc.engines.sglang import registry

    trust, notes = trusted("sglang", "SGLang", model.architecture, ask.version)
    if known := renamed(registry(), model.architecture, ask.version):
        named = named._replace(overrides=(*named.overrides, ("architectures", [known])))
    words = [
        *_words(named, ask, model, fit), *told(model.architecture), *trust, *named.how,
        *overrides("--json-model-override-args", named), *fit.taken.flags,
    ]  # fmt: skip
    count = machines(ask.gpus)
    if count == 1:
        return Command(" ".join(words), notes)
    more, note = joined(count)
    return Command(" ".join([*words, *more]), (note, *notes))


def split(p: Placement, version: str | None, *, moe: bool) -> Iterator[str]:
    """The flags that name a split."""
    # Attention in data parallelism divides the ranks of --tp; replicas of a dense model have ranks of their own.
    shared = p.dp > 1 and moe
    ranks = p.tp * p.dp if shared else p.tp
    if ranks > 1:
        yield f"--tp {ranks}"
    if p.pp > 1:
        yield f"--pp-size {p.pp}"
    if p.dp > 1 and shared and since(version, 0, 5, 22):
        yield f"--attn-dp-size {p.dp}"
    elif p.dp > 1:
        yield f"--dp-size {p.dp}{' --enable-dp-attention' if shared else ''}"
    if p.ep > 1:
        yield "--enable-ep-moe" if spreads_by_switch(version) else f"--ep-size {p.ep}"
    if p.dcp > 1:
        yield f"--dcp-size {p.dcp}"


_SPREAD: tuple[tuple[tuple[int, ...], frozenset[str]], ...] = (
    ((0, 4, 1), frozenset("DeepseekV2ForCausalLM DeepseekV3ForCausalLM MixtralForCausalLM".split())),
    ((0, 4, 5), frozenset("Grok1ForCausalLM Grok1ModelForCausalLM".split())),
    ((0, 4, 6, 2), frozenset("Qwen2MoeForCausalLM Qwen3MoeForCausalLM".split())),
    ((0, 4, 10), frozenset("Glm4MoeForCausalLM Step3VLForConditionalGeneration".split())),
)
"""Where `--enable-ep-moe` spreads experts, the classes that it does so for, with the release that brought each: srt/models/, which take
`EPMoE` or what `get_moe_impl_class` says; the others build `FusedMoE` alone (0.4.1 to 0.4.10)."""


def cannot_say(architecture: Architecture, version: str | None, p: Placement) -> str:
    """Why a release cannot be told of a split; empty where it can."""
    if why := untold("sglang", split(p, version, moe=architecture.facts.moe is not None), version):
        return why
    if p.ep == 1 or not spreads_by_switch(version):
        return ""
    if p.ep != p.tp * p.dp:
        return f"ep is {p.ep}: SGLang {version} spreads experts over all {p.tp * p.dp} ranks of tp x dp, or none"
    if not any(since(version, *first) and is_one_of(architecture, names) for first, names in _SPREAD):
        return f"ep is {p.ep}: SGLang {version} spreads no experts of {' or '.join(classes_of(architecture)[:1])}"
    return ""


def joined(count: int) -> tuple[list[str], str]:
    """The flags that spread a plan over so many hosts, and what runs on the others."""
    each, ranks = everywhere(count)
    words = [f"--nnodes {count}", "--node-rank 0", "--dist-init-addr <address-of-the-first-machine>:20000"]
    return words, f"{each}, run the same with --node-rank {ranks}"


def _words(named: Named, ask: Ask, model: Candidate, fit: Fit) -> Iterator[str]:
    p, moe = fit.placement, model.architecture.facts.moe is not None
    yield f"python -m sglang.launch_server --model-path {word(named)}"
    yield from revision(named)
    yield from split(p, ask.version, moe=moe)
    if not model.architecture.writes and not model.architecture.refines and not is_one_of(model.architecture, EMBEDS):
        yield "--is-embedding"
    if towers.whole(model.architecture, p, ask):
        yield towers.WHOLE
    yield f"--context-length {fit.context_tokens}"
    if ask.kv_dtype is not None:
        dtype = _CACHES.get(fit.kv_dtype, fit.kv_dtype)
        yield f"--kv-cache-dtype {dtype if dtype in choices(ask.version) else 'auto'}"
    if ask.utilization is not None:
        yield f"--mem-fraction-static {ask.utilization:g}"
