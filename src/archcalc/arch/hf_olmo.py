"""OLMo 1 under its first library's keys and names: LayerNorm without weights, one projection for queries, keys and values.

Source: allenai/OLMo 0.4, olmo/config.py (`ModelConfig`, defaults) and olmo/model.py (`OLMoSequentialBlock`); hf_olmo/modeling_olmo.py
(names); configs of allenai/OLMo-1B and allenai/OLMo-7B.
"""

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.vision import table
from archcalc.errors import UnsupportedError
from archcalc.model import ALIBI, LEARNED, Architecture


class Schema(DecoderSchema):
    prefix = "model.transformer"
    inert_keys = (
        "alibi_bias_max", "attention_layer_norm_with_affine", "block_group_size", "clip_qkv", "low_cpu_fsdp",
        "precision", "rope_full_precision", "scale_logits", "bias_for_layer_norm", "layer_norm_type",
    )  # fmt: skip

    hidden_size: Size = named(768, "d_model", "hidden_size")
    num_hidden_layers: Layers = named(12, "n_layers", "num_hidden_layers")
    num_attention_heads: Size = named(12, "n_heads", "num_attention_heads")
    intermediate_size: Size | None = named(None, "mlp_hidden_size")  # type: ignore[assignment]
    mlp_ratio: Size = 4
    vocab_size: Size = 50257
    embedding_size: Size | None = 50304
    max_position_embeddings: Tokens = named(1024, "max_sequence_length", "max_position_embeddings")
    tie_word_embeddings: Flag = named(True, "weight_tying", "tie_word_embeddings")
    hidden_act: str = named("swiglu", "activation_type")
    include_bias: Flag = False
    attention_layer_norm: Flag = False
    layer_norm_with_affine: Flag = False
    multi_query_attention: Flag | None = False
    n_kv_heads: Size | None = None
    block_type: str = "sequential"
    rope: Flag = False
    alibi: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(bare="bare-layer")

    def refuse(self) -> None:
        """What no published model of this form asks for."""
        asked = {
            "include_bias": self.include_bias,
            "attention_layer_norm": self.attention_layer_norm,
            "layer_norm_with_affine": self.layer_norm_with_affine,
            "multi_query_attention": self.multi_query_attention,
            "n_kv_heads": self.n_kv_heads not in (None, self.num_attention_heads),
            "block_type": self.block_type != "sequential",
            "activation_type": self.hidden_act != "swiglu",
        }
        for key, other in asked.items():
            if other:
                raise UnsupportedError(f"{key} is not what the published models of OLMo 1 have: archcalc knows those alone here")

    def architecture(self, prefix: str) -> Architecture:
        self.refuse()
        h, n = self.hidden_size, self.num_attention_heads
        # The stated width is that of gate and up together.
        width = (self.intermediate_size or self.mlp_ratio * h) // 2
        attention = GroupedQueryAttention(h, n, n, self.head_size, fused="att_proj", names=("", "", "", "attn_out"))
        ffn = GatedFeedForward(h, width, "silu", fused="ff_proj", names=("", "", "ff_out"))
        layer = make_layer(attention, ffn, (), mixer_name="", ffn_name="")
        # olmo/model.py `OLMo.__init__`: `if not (self.config.alibi or self.config.rope)`.
        learned = [table("wpe", self.max_position_embeddings, h)] if not (self.rope or self.alibi) else []
        facts = self.facts(norm="LayerNorm (pre, no weights)", intermediate_size=width, activation="SwiGLU")
        if not self.rope:
            facts = facts._replace(position=ALIBI if self.alibi else LEARNED)
        return decoder(
            [layer] * self.num_hidden_layers, facts, computes=self.computes(), prefix=prefix, embed="wte",
            layers_name="blocks", extra_embedding=learned,
            embed_rows=self.embedding_size or self.vocab_size, head=f"{prefix}.ff_out",
        )  # fmt: skip
