"""The adapters, one file per structure: the files of this directory and the types in `_within` are the support list.

An adapter is a module with a `Schema` that parses a config and says, in blocks, what the model is made of.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from archcalc.arch._within import WITHIN, class_name
from archcalc.errors import ArchcalcError, ConfigError, json_text

if TYPE_CHECKING:
    from archcalc.arch._schema import ConfigSchema
    from archcalc.model import Architecture, Stack

# Classes whose published configs carry the model_type of something else, or none: here `architectures` decides.
_BY_CLASS = {
    "Grok1ForCausalLM": "grok1", "Mistral3ForConditionalGeneration": "mistral3",
    "DeepseekOCR2ForCausalLM": "deepseek_ocr2", "BailingMoeV2ForCausalLM": "bailing_moe",
    "LLaDAMoEModelLM": "llada_moe", "LLaDAMoEModel": "llada_moe",
    # Draft models: their configs carry the type of the layers that they are made of.
    "LlamaForCausalLMEagle3": "eagle3", "Eagle3LlamaForCausalLM": "eagle3", "PEagleDraftModel": "peagle",
    "DFlashDraftModel": "dflash", "DominoDraftModel": "dflash", "DSparkDraftModel": "dflash",
    **dict.fromkeys(("Eagle3Qwen2_5vlForCausalLM", "Eagle3Qwen3vlForCausalLM", "Eagle3MiniMaxM2ForCausalLM"), "eagle3"),
    **dict.fromkeys(("Eagle3Speculator", "Eagle3DraftModel"), "eagle3_speculator"),
    **dict.fromkeys(("JinaBertForMaskedLM", "JinaBertModel"), "jina_bert"),
    "Eagle3Qwen3ForCausalLM": "eagle3_qwen3", "PeagleLlamaForCausalLM": "peagle",
    **dict.fromkeys(("Eagle3DeepseekV2ForCausalLM", "Eagle3DeepseekV3ForCausalLM"), "eagle3_deepseek"),
    **dict.fromkeys(("LlamaForCausalLMEagle", "EagleLlamaForCausalLM"), "eagle"), "Qwen2ForCausalLMEagle": "eagle_qwen2",
    **dict.fromkeys(("Qwen3DSparkModel", "Qwen3OmniDSparkModel", "LingDSparkModel", "Lfm2DSparkDraftModel"), "dspark"),
    **dict.fromkeys(("DFlash2DraftModel", "MiniMaxDFlash2DraftModel"), "dflash2"), "PeagleQwen3ForCausalLM": "peagle_qwen3",
    **dict.fromkeys(("EagleMistralForCausalLM", "MistralForCausalLMEagle"), "eagle_mistral"),
    "JinaForRanking": "jina_reranker", "JinaVLForRanking": "jina_vl_reranker", "VoyageQwen3BidirectionalEmbedModel": "voyage_qwen3",
    "LlamaForSequenceClassificationWithNormal_Weights": "llama_weighted", "DFlashLagunaForCausalLM": "dflash_laguna",
    **dict.fromkeys(("EagleMistralLarge3ForCausalLM", "MistralLarge3ForCausalLMEagle"), "eagle_mistral_large3"),
    "LlavaQwenForCausalLM": "llava_qwen", "Lfm2BidirectionalModel": "lfm2_bidirec",
    "BeeForConditionalGeneration": "bee", "RForConditionalGeneration": "rvl",
    **dict.fromkeys(("Ovis2_5", "Ovis2_6ForCausalLM", "Ovis2_6_MoeForCausalLM"), "ovis2_5"),
    "HCXVisionV2ForCausalLM": "hyperclovax_vision_v2",
    **dict.fromkeys(("EagleDeepSeekMTPModel", "EagleDeepseekV3ForCausalLM"), "eagle_deepseek"),
    "EagleLlama4ForCausalLM": "eagle_llama4", "EagleCohereForCausalLM": "eagle_cohere", "EagleMiniCPMForCausalLM": "eagle_minicpm",
    "DFlash2BeamDraftModel": "dflash2", "LiLiCorrDraftModel": "lilicorr", "ColQwen3_5": "colqwen3_5",
    **dict.fromkeys(("Qwen3XPressModel", "DFlashQwen3XPressModel"), "qwen3_xpress"), "Rnj1ForCausalLM": "rnj1",
    "LlavaVidForCausalLM": "llava_vid", "DSparkSpeculator": "dspark_speculator", "Gemma4DSparkModel": "gemma4_dspark",
    "PanguProMoEV2ForCausalLM": "pangu_pro_moe_v2", "MoonshotKimiaForCausalLM": "kimi_audio", "K3DSparkModel": "k3_dspark",
    "KananaVForConditionalGeneration": "kanana_v", **dict.fromkeys(("Grok1ModelForCausalLM", "GrokForCausalLM"), "grok1"),
    "ColBERTJinaRobertaModel": "jina_colbert_v2",
    "JinaEmbeddingsV5Model": "jina_embeddings_v5", "XverseMoeForCausalLM": "xverse_moe",
}  # fmt: skip
# Parts of diffusers' pipelines, whose configs name their class alone.
_BY_DIFFUSERS = {
    "FluxTransformer2DModel": "flux", "SD3Transformer2DModel": "sd3", "QwenImageTransformer2DModel": "qwen_image",
    "WanTransformer3DModel": "wan", "HunyuanVideoTransformer3DModel": "hunyuan_video",
}  # fmt: skip
# Native configs without a model_type, known by keys that only they have together.
_BY_KEYS = (
    ({"n_layer", "n_head", "n_embd", "block_size"}, "nanogpt"),
    ({"n_layer", "n_head", "n_embd", "sequence_len"}, "nanochat"),
)

# Types whose configs are of two forms: with this key, another adapter reads them.
_BY_FORM = {"chatglm": ("inner_hidden_size", "chatglm_6b")}

# Written from their publishers' code, or an engine's, alone: neither an inventory of the reference nor the count of a published
# checkpoint was at hand to compare them with.
_UNCOMPARED = frozenset(
    """
    afm7 aimv2_alone bagel bagel_llm baichuan_m1 bailing_moe_linear bee c_radio codeshell colqwen3 colqwen3_5
    dflash2 dflash_laguna domyn_edge dots_vlm dream dspark dspark_speculator eagle eagle3_deepseek eagle3_qwen3
    eagle3_speculator eagle_cohere eagle_deepseek eagle_llama4 eagle_minicpm eagle_mistral eagle_mistral_large3
    eagle_qwen2 falcon_perception gear gemma4_dspark gigachat3_5 gpt_neox_reward_model gpt_refact grove_moe h2ovl_chat
    intern_s2_preview interns1_pro interns1_pro_text interns1_pro_vision interns2_mobius interns2_mobius_text iquest_q1
    iquestloopcoder isaac jais jet_nemotron jet_vlm jina_colbert_v2 jina_embeddings_v5 jina_reranker jina_vl_reranker
    k2_horizon k3_dspark kanana_v keye keye_vision keyevl1_5 kimi_audio kimi_k3 kimi_k3_text
    kimi_k3_vision klear kormo lfm2_bidirec lilicorr lille_130m llada llada_moe llama_nemotron_nano_vl llama_nemotron_vl
    llama_weighted llava_llama llava_qwen llava_vid locateanything maincoder maple midashenglm
    midashenglm_dasheng_encoder minicpmo moondream3 moondream3_text moondream3_vision nanbeige
    nemotron_h_puzzle nemotron_parse nemotron_parse_decoder nemotronh_nano_vl_v2 neobert new nvila nvila_lite nvlm_d
    opencua openpangu_vl openpangu_vl_vision ops_colqwen3 orion ovis ovis2_5 pangu_pro_moe_v2 pangu_ultra_moe
    panguembedded param2moe peagle peagle_qwen3 pixel_shuffle_siglip2 plamo plamo2 plamo3 plm pointsv1_5_chat
    qwen3_vl_nemotron_embed qwen3_xpress rnd1 rnj1 rvl rwkv6 sarashina2_vision sdar sdar_moe siglip2_navit skywork_chat
    smallthinker spark2_5 step3_text step3_vision_encoder step3_vl step5 step5_vl talkie ultravox voyage_qwen3 xllm
    xverse_moe youtu_vl youtu_vl_vision
    """.split()
)


@cache
def model_types() -> frozenset[str]:
    """The names of all adapters: model types with `-` and `.` written `_`."""
    files = (name[:-3] for name in os.listdir(os.path.dirname(__file__)) if name.endswith(".py") and name[0] != "_")
    return frozenset((*files, *WITHIN))


def adapter_name(config: Mapping[str, Any]) -> str | None:
    """The adapter that reads this config, or None. Only names of files in this directory are ever returned."""
    classes = config.get("architectures")
    for name in classes if isinstance(classes, list) else ():
        if isinstance(name, str) and name in _BY_CLASS:
            return _BY_CLASS[name]
    model_type = config.get("model_type")
    if model_type is None and isinstance(part := config.get("_class_name"), str):
        return _BY_DIFFUSERS.get(part)
    if model_type is None:
        return next((name for keys, name in _BY_KEYS if keys <= config.keys()), None)
    if not isinstance(model_type, str):
        raise ConfigError(
            f"model_type is {json_text(model_type)}: a string was expected", 'as in "model_type": "llama"', "model_type"
        )
    name = re.sub(r"[-.]", "_", model_type).lower()
    key, other = _BY_FORM.get(name, ("", ""))
    if key and key in config:
        return other
    return name if name in model_types() else None


def schema_of(name: str) -> type[ConfigSchema]:
    """The schema of one adapter. `name` must be one of `model_types()`."""
    if name not in model_types():
        raise KeyError(name)
    module = importlib.import_module(f"archcalc.arch.{WITHIN.get(name, name)}")
    schema: type[ConfigSchema] = getattr(module, class_name(name) if name in WITHIN else "Schema")
    return schema


def described(name: str) -> str:
    """What an adapter says of its type and of where that was read."""
    schema = schema_of(name)
    own = schema if name in WITHIN else importlib.import_module(f"archcalc.arch.{name}")
    return " ".join((own.__doc__ or "").split())


def _named(a: Architecture) -> tuple[Stack, ...]:
    """The stacks, none of whose layers is said to have no positions where the model has others than rotary ones."""
    if a.facts.position.kind in ("rotary", "none", "unknown"):
        return a.stacks
    return tuple(
        stack._replace(kinds=tuple(kind._replace(mixer=kind.mixer.replace(", NoPE", "")) for kind in stack.kinds))
        for stack in a.stacks
    )


def parse(config: Mapping[str, Any]) -> Architecture:
    """The normalized architecture of a config.

    Raises `ConfigError` for a key that is missing or impossible, `UnsupportedError` for a value that archcalc does not model.
    An unknown `model_type` is read by its usual keys and marked `guessed`.
    """
    from archcalc.arch import _encoder, _heads, _inert, _lengths, _levels, _nested, _old_buffers, _rotary, _schema, _values
    from archcalc.model import bidirectional
    from archcalc.quant import stated

    _values.check(config)
    name = adapter_name(config)
    if name is None:
        from archcalc.arch import _generic

        guessed = _generic.guess(config)
        _values.refuse_impossible(guessed, config)
        return guessed
    cls = schema_of(name)
    missing = _schema.absent(cls, config)
    if missing:
        key = missing[0]
        state = "null: a value was expected" if key in config else "missing"
        more = f" (and so: {', '.join(missing[1:])})" if missing[1:] else ""
        raise ConfigError(
            f"{key} is {state}{more}",
            f'every published {name} config states it: give "{key}" in the config, or with --set {key}=VALUE',
            key,
        )
    stated_config = config
    try:
        lowered = _levels.lowered(cls, config)
        config = lowered.config
        schema = _schema.validate(cls, config)
        try:
            architecture = schema.standalone()._replace(model_type=schema.name, outcome=schema.outcome)
        except ConfigError as error:
            raise _levels.located(schema, error) from None
        if not cls.own_heads:
            architecture = _heads.fitted(architecture, config, name)
        kept = _schema.fp32_modules(schema)
        if kept:
            architecture = _schema.marked_fp32(architecture, kept)
        inner = getattr(schema, _levels.language_of(cls), None) if _levels.language_of(cls) else schema
        if isinstance(inner, _schema.ConfigSchema) and inner.sees_both_ways() and architecture.decodes:
            architecture = bidirectional(architecture)
        if isinstance(inner, _schema.ConfigSchema) and inner is not schema and inner.sees_images_whole():
            architecture = architecture._replace(mutual=True)
        unmodelled = (*_schema.unmodelled(schema), *_nested.unread(config), *_values.unknown_activations(config))
    except RecursionError:
        raise ArchcalcError("the config is nested too deeply") from None
    # What a tool is told of the model is no part of it.
    nested = (value for key, value in config.items() if isinstance(value, Mapping) and not _inert.ignored(key))
    notes = (*architecture.notes, *_schema.left_out(schema, architecture.facts), *_schema.passed_over(schema))
    if lowered.moved and lowered.mixed:
        notes = (*notes, f"read as {lowered.into}'s, though stated outside it: {', '.join(lowered.moved)}")
    if name in _UNCOMPARED:
        notes = (
            *notes,
            f"{name} was compared with no checkpoint and no reference: its figures follow its publisher's code, or an engine's",
        )
    architecture = architecture._replace(
        notes=notes,
        stacks=_named(architecture),
        dtype=architecture.dtype or _schema.stored_dtype(config) or _schema.stored_dtype(*nested),
        quantization=stated(config),
        rotary=_rotary.tables(config, architecture.facts),
        stretched=_rotary.stretched(config, architecture.facts),
        lengths=_lengths.of(config),
        stated=_rotary.words_of(config),
        encoders=_encoder.of(schema, architecture),
        text=_levels.text_model(stated_config),
        classes=_levels.classes(stated_config),
        coded=bool(_levels.autos(stated_config)),
        autos=_levels.autos(stated_config),
        saved=_levels.saved(stated_config),
        unmodelled_keys=unmodelled,
        status="partial" if unmodelled or name in _UNCOMPARED else architecture.status,
    )
    _values.refuse_impossible(architecture, config)
    return _old_buffers.stored(architecture, config, name)
