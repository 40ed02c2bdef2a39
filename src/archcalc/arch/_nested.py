"""Keys inside the nested objects that no schema parses: scalings of positions, and quantization.

Source: transformers 5.24, modeling_rope_utils.py (the checks of each scaling) and utils/quantization_config.py; vLLM 0.33,
layers/quantization/ (awq.py, gptq.py, fp8.py, compressed_tensors/); published configs of these methods.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from archcalc.arch._inert import of_a_kind, says_nothing
from archcalc.quant import is_closed

_ROPE = frozenset(
    """
    type rope_type factor rope_theta mrope_section mrope_interleaved partial_rotary_factor low_freq_factor high_freq_factor
    original_max_position_embeddings alpha beta beta_fast beta_slow mscale mscale_all_dim long_factor short_factor long_mscale
    short_mscale interleaved attention_factor attn_factor llama_4_scaling_beta truncate max_position_embeddings
    extrapolation_factor finetuned apply_yarn_scaling scaling_factor rope_base mrope_interleave max_trained_seqlen
    """.split()
)
_QUANT = frozenset(
    """
    _load_in_4bit _load_in_8bit act_group_aware act_per_tensor activation_dtype activation_scale_rule activation_scale_ub
    activation_scheme activations axis backend backward_dtype batch_size beta1 beta2 bits block_name_to_quantize
    bnb_4bit_compute_dtype bnb_4bit_quant_storage bnb_4bit_quant_type bnb_4bit_use_double_quant cache_block_outputs
    checkpoint_format config_groups damp_auto_increment damp_percent dataset dequantize desc_act disable_exllama do_fuse dtype
    dynamic dynamic_config enable_norm enable_perm exclude_layers exclude_modules exllama_config expert_dtype export fmt format
    fuse_max_seq_len global_compression_ratio group_num group_size hadamard hyb_act ignore ignored_layers is_marlin_format
    kv_cache_quant_algo kv_cache_scheme llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight llm_int8_skip_modules
    llm_int8_threshold lm_head load_in_4bit load_in_8bit max_input_length meta method model_file_base_name model_name_or_path
    model_seqlen module_name_preceding_first_block modules_in_block_to_quantize modules_to_fuse modules_to_not_convert
    moe_quant_algo mse num_bits output_dtype pack_dtype pad_token_id producer q_group_size quant_algo quant_method quant_type
    quantization_status quantized_layers quantizer rotation run_compressed scale_fmt sparsity_config stated_in static_groups store_dtype
    sym tokenizer transform_config true_sequential untie_embedding_weights use_cuda_fp16 use_exllama use_optimized_inference
    version w_bit weight_bits weight_block_size weight_per_tensor weights within zero_point
    """.split()
)
_GROUP = frozenset({"weights", "input_activations", "output_activations", "targets", "format"})
_ARGUMENTS = frozenset(
    """
    num_bits type symmetric group_size strategy block_structure dynamic actorder observer observer_kwargs scale_dtype zp_dtype is_dynamic
    """.split()
)


def unread(config: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """The keys inside scalings and quantization, at any level of the config, that nothing here knows."""
    for key, value in config.items():
        if not isinstance(value, Mapping):
            continue
        place = f"{where}{key}"
        if key in ("rope_scaling", "rope_parameters"):
            yield from _rope(value, place)
        elif key in ("quantization_config", "compression_config"):
            if is_closed(value.get("quant_method", "modelopt" if "quant_algo" in value else None)):
                yield from (f"{place}.{name}" for name, held in value.items() if name not in _QUANT and _says(name, held))
                yield from _groups(value.get("config_groups"), f"{place}.config_groups")
        elif key not in ("auto_map", "id2label", "label2id", "task_specific_params"):
            yield from unread(value, f"{place}.")


def _groups(groups: Any, place: str) -> Iterator[str]:
    """Of the groups of compressed-tensors, and of how each quantizes weights and activations."""
    for group, held in groups.items() if isinstance(groups, Mapping) else ():
        for name, way in held.items() if isinstance(held, Mapping) else ():
            if name not in _GROUP and _says(name, way):
                yield f"{place}.{group}.{name}"
            for key, value in way.items() if isinstance(way, Mapping) else ():
                if key not in _ARGUMENTS and _says(key, value):
                    yield f"{place}.{group}.{name}.{key}"


def _rope(value: Mapping[str, Any], place: str) -> Iterator[str]:
    """Of one scaling, or of one for each kind of layer."""
    for name, held in value.items():
        if isinstance(held, Mapping):
            yield from _rope(held, f"{place}.{name}")
        elif name not in _ROPE and _says(name, held):
            yield f"{place}.{name}"


def _says(name: str, value: Any) -> bool:
    return not says_nothing(value) and not of_a_kind(name)
