"""Llama 1, 2, 3, 3.1 and 3.2, and the many models published in the same form (Yi, SmolLM, TinyLlama).

Source: transformers 5.23, models/llama/modeling_llama.py and configuration_llama.py (defaults).
"""

from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture


class Schema(DecoderSchema):
    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        h, bias = self.hidden_size, self.attention_bias
        layer = make_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act, bias=self.mlp_bias),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
        )
        layers = [layer] * self.num_hidden_layers
        return decoder(layers, self.facts(), computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)])


class Solar(Schema):
    """Solar Pro (preview): Llama's layers, some of which read again what earlier ones made; that has no weights.
    Source: upstage/solar-pro-preview-instruct, modeling_solar.py and configuration_solar.py; vLLM 0.33, models/solar.py (`bskcn_*`).
    """

    inert_keys = ("bskcn_1", "bskcn_2", "bskcn_3", "bskcn_4", "bskcn_tv", "sliding_window")

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        more = ("skips", "hidden states of earlier layers mixed into later ones")
        return a._replace(facts=a.facts._replace(more=(*a.facts.more, more)))


class Kormo(Schema):
    """KORMo: Llama's layers, whose norms have other names.
    Source: llama.cpp 0c1e57098, conversion/qwen.py (`KORMoForCausalLM`) and gguf-py/gguf/tensor_mapping.py."""

    def architecture(self, prefix: str) -> Architecture:
        renames = (
            (".input_layernorm.", ".pre_attention_layernorm."),
            (".post_attention_layernorm.", ".pre_mlp_layernorm."),
        )
        return super().architecture(prefix)._replace(renames=renames)


class Telechat3(Schema):
    """TeleChat 3: Llama's layers.
    Source: vLLM 0.33, models/registry.py (`TeleChat3ForCausalLM` is read by llama.py)."""


class Teleflm(Schema):
    """Tele-FLM: Llama's layers, logits and embeddings scaled by fixed numbers.
    Source: CofeAI/Tele-FLM, modeling_teleflm.py and configuration_teleflm.py; vLLM 0.33, models/teleflm.py."""

    inert_keys = ("use_mup", "mup_scale_factor", "output_mult", "input_mult", "mup_base")


class NemotronLabsDiffusion(Schema):
    """Nemotron-Labs-Diffusion: Ministral 3's layers, which also fill blocks of tokens that see both ways.
    Source: nvidia/Nemotron-Labs-Diffusion-8B, its model card and the sizes in its config; transformers 5.23,
    models/ministral3/modeling_ministral3.py (the layers)."""

    inert_keys = ("block_size",)

    def architecture(self, prefix: str) -> Architecture:
        from archcalc.arch._both_ways import IN_BLOCKS

        return super().architecture(prefix)._replace(notes=(IN_BLOCKS,))


class Granite(Schema):
    """Granite 3, dense: Llama's structure with multipliers on embedding, attention, residual and logits.
    Source: transformers 5.23, models/granite/modeling_granite.py and configuration_granite.py (defaults: Llama's)."""

    whole_heads = False


class GraniteDoclingText(Granite):
    """The text model of Granite Docling: Granite's.
    Source: transformers 5.23, models/granite_docling/configuration_granite_docling.py (`GraniteDoclingTextConfig`, defaults).
    """

    vocab_size: Size = 133800
    hidden_size: Size = 1024
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    max_position_embeddings: Tokens = 32768
    tie_word_embeddings: Flag = True


class Internlm3(Schema):
    """InternLM 3: Llama's layer, read by Llama's code, with biases under names of its own.
    Source: transformers 5.23, models/internlm3/configuration_internlm3.py (defaults, attribute_map),
    models/llama/modeling_llama.py."""

    vocab_size: Size = 128512
    intermediate_size: Size = 10240
    num_hidden_layers: Layers = 48
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 32768
    attention_bias: Flag = named(False, "qkv_bias", "attention_bias")
    mlp_bias: Flag = named(False, "bias", "mlp_bias")

    def architecture(self, prefix: str) -> Architecture:
        if self.attention_bias != self.mlp_bias:
            raise ConfigError("qkv_bias and bias differ: the reference implementation wants them equal", key="qkv_bias")
        return super().architecture(prefix)
