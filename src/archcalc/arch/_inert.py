"""The keys of a config that change no figure: how a model was trained, is sampled from, or is run, and none of what it is made of.

Source: transformers 5.24, configuration_utils.py (`PreTrainedConfig`) and generation/configuration_utils.py (`GenerationConfig`): the
attributes that a config of either class writes; older releases wrote a model's way of generating into its config.json too.
"""

import re
from typing import Any

# What every config of the reference may hold, and what its way of generating.
_REFERENCE = frozenset(
    """
    _attn_implementation_internal _experts_implementation_internal _from_model_config _name_or_path _output_attentions
    _post_init_done architectures assistant_confidence_threshold assistant_early_exit assistant_ensemble_weight
    assistant_lookbehind bad_words_ids begin_suppress_tokens bos_token_id cache_config cache_implementation
    chunk_size_feed_forward compile_config constraints continuous_batching_config decoder_start_token_id disable_compile
    diversity_penalty do_sample dola_layers dtype early_stopping encoder_no_repeat_ngram_size encoder_repetition_penalty
    eos_token_id epsilon_cutoff eta_cutoff exponential_decay_length_penalty force_words_ids forced_bos_token_id
    forced_eos_token_id guidance_scale id2label is_assistant is_encoder_decoder label2id length_penalty low_memory max_cache_len
    max_length max_matching_ngram_size max_new_tokens max_time min_length min_new_tokens min_p model_type no_repeat_ngram_size
    num_assistant_tokens num_assistant_tokens_schedule num_beam_groups num_beams num_return_sequences output_attentions
    output_hidden_states output_logits output_scores pad_token_id penalty_alpha prefill_chunk_size problem_type
    prompt_lookup_num_tokens remove_invalid_values renormalize_logits repetition_penalty return_dict return_dict_in_generate
    sequence_bias speculation_type stop_strings suppress_tokens target_lookbehind temperature token_healing top_h top_k top_p
    transformers_version typical_p use_cache use_mtp watermarking_config
    """.split()
)
# Keys that say how a model was trained, is sampled from, or is run, and none of what it is made of.
_OTHERS = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _commit_hash auto_map transformers.js_config torch_dtype
    quantization_config compression_config is_decoder add_cross_attention cross_attention_hidden_size tie_encoder_decoder
    return_legacy_cache use_return_dict torchscript use_bfloat16 tf_legacy_loss pruned_heads finetuning_task
    task_specific_params tokenizer_class prefix num_labels pretraining_tp ep_size rope_theta rope_scaling rope_parameters
    rope_interleaved rope_interleave rope_local_base_freq partial_rotary_factor max_position_embeddings max_sequence_length
    original_max_position_embeddings initial_context_length initializer_range initializer_factor layer_norm_eps
    layer_norm_epsilon rms_norm_eps norm_eps norm_epsilon hidden_act hidden_activation activation_function
    attn_logit_softcapping final_logit_softcapping query_pre_attn_scalar logit_scale attention_multiplier residual_multiplier
    embedding_multiplier logits_scaling norm_topk_prob scoring_func topk_method topk_group n_group routed_scaling_factor
    router_jitter_noise input_jitter_noise output_router_logits seq_aux mscale mlp_dropout attn_pdrop embd_pdrop resid_pdrop
    keys_to_ignore_at_inference gradient_checkpointing language_model_only sdpa unsloth_version unsloth_fixed use_mfa flash_attn
    is_llama_config interpolate_factor full_attn_mod swiglu_alpha swiglu_limit quantization expert_dtype num_image_tokens
    model_max_length is_causal forced_decoder_ids onnx_export chat_template max_input_length min_input_length stop_token_ids
    stop_words_ids default_system_prompt projector_hidden_act is_composition is_original_qwen3_reranker classifier_from_token
    """.split()
)
# Kinds of keys, by the words that such keys are made of. None matches a key of the reference's config classes that shapes a tensor.
_KINDS = (
    # Token numbers, dropout, losses and how weights start.
    r"(^|_)(token_id|token_ids|token_index|dropout|dropout_rate|dropout_prob|drop|layerdrop|pdrop|eps|epsilon|std|coef|coefficient"
    r"|loss|loss_weight|init|range|tokens_per_image|tokens_id)$"
    r"|^(initializer|summary|loss|aux|router_aux|router_z|ce_loss|generation|tokenizer|init)_|_loss_|_init_",
    # Which code computes it: Megatron's fusions, kernels, back ends.
    r"(^|_)(softmax|dropout|bias|gelu|swiglu|rope|norm|layernorm|residual|cross_entropy)_fusion$|softmax_in_fp32$|^slow_but_exact$"
    r"|^skip_bias_add(_qkv)?$|_(kernels|backend|implementation|impl)$|^torch_compile$"
    r"|^(vllm|sglang|tgi|trt_?llm|tensorrt_llm|ollama|llama_?cpp|transformers_?js|onnx)_?(config|args|options|settings)$"
    r"|^(use_)?(flash|fused|liger|triton|xformers|memory_efficient|mem_efficient|cutlass|te)(_(attn|attention|attention_2|kernel|rms_?norm"
    r"|layernorm|swiglu|rope|cross_entropy|mlp|linear))+$|^_flash_attn(_\d)?_enabled$",
    # What a processor does to pictures and sound before the model sees them.
    r"(^|_)(processor_class|processor_config|processor_type|preprocessor_config|feature_extractor_type|image_processor_type)$"
    r"|^(image|video|pixel|img)_(mean|std|aspect_ratio|grid_pinpoints|crop_resolution|split_resolution|max_pixels|min_pixels)$"
    r"|^(min|max)_(pixels|frames|num_frames|dynamic_patch)$|^(video_)?fps$|^use_thumbnail$|^dynamic_image_size$|^resample$|^rescale_factor$"
    r"|^do_(resize|rescale|normalize|convert_rgb|center_crop|pad|image_splitting)$",
    # What is cut off an embedding.
    r"^matryoshka_|^truncate_dim$",
    # What a quantizer notes of its own run; what it stored is said in quantization_config.
    r"(^|_)(calib|calibration|calibrated|smoothquant|amax|observer)(_|$)"
    r"|^(quantization|quant|modelopt|compression|producer)_(version|date|info|tool|source|time|recipe|notes?|metadata|library)$"
    r"|^effective_bits$",
    # How positions turn: it shapes no weight and no cache.
    r"(^|_)(rope|rotary|yarn|ntk|mrope|longrope)_(theta|base|scaling|parameters|type|factor|ratio|interleaved?|alpha|beta|freqs?|scale"
    r"|section|emb_base|emb_scale)$|^(use_)?(dynamic_ntk|logn_attn|mrope)$",
    # How it was trained.
    r"^(freeze|unfreeze|tune|trainable|finetune|finetuning|neftune|wandb|deepspeed|fsdp)_|_(lr|learning_rate)$"
    r"|^(seed|lr|learning_rate|lr_scheduler|optimizer|weight_decay|warmup_steps|num_train_epochs|global_batch_size|micro_batch_size|wandb"
    r"|merge_method|finetuned_from)$|^train(ing)?_(args|arguments|config|steps|epochs|data|dataset|tokens|stage|recipe)$",
    # What is told of it, and by which tools it was written.
    r"(^|_)model_name(_or_path)?$|^exporter$|^(mlx|export|onnx|torch|framework|library|checkpoint|format|schema|release)_version$"
    r"|(^|_)(license|authors?|urls?|description|created|created_at|comments?|citation|homepage)$",
)
_PATTERN = "|".join(_KINDS)
INERT = _REFERENCE | _OTHERS


def ignored(key: str) -> bool:
    """Whether no figure follows from a key of this name."""
    return key in INERT or of_a_kind(key)


def of_a_kind(key: str) -> bool:
    """Whether the name itself says that no figure follows from the key. Made when it is asked first: few configs ask."""
    return re.search(_PATTERN, key) is not None


INERT_AT = {"moe_layer_freq": 1}
"""Keys that a class of transformers may pass over, and publishers' code and engines read (vLLM 0.33, models/deepseek_v2.py
`DeepseekV2DecoderLayer`, for deepseek_v3 too): they change no figure at this value alone."""
INERT_READ_BY = {"moe_layer_freq": "vLLM gives experts to every so many layers alone, and a dense FFN to the others"}
"""What is made of them there."""


BUT = {"position_embedding_type": ("relative_key", "relative_key_query")}
"""Values of keys that are ignored otherwise. transformers 4 added tables of distances for these, of which 5 knows nothing (4.51.3,
models/bert/modeling_bert.py `BertSelfAttention`: `distance_embedding`)."""


def says_nothing(value: Any) -> bool:
    """Whether a key with this value states nothing: null, or an empty list or object."""
    return value is None or value in ([], {}, ())
