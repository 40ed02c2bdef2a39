"""ModernBERT as a decoder: one layer that sees all, then two with a window, a GeGLU, and BERT's prediction head.

Source: transformers 5.23, models/modernbert_decoder/modeling_modernbert_decoder.py and configuration_modernbert_decoder.py
(defaults, `layer_types`, `sliding_window`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._decoder import attention_pattern
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer, linear, make_layer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Group, Layer, Tensor


class Schema(PlainSchema):
    reads_head_dim = False
    name = "modernbert-decoder"
    inert_keys = (
        "classifier_activation", "deterministic_flash_attn", "position_embedding_type", "reference_compile",
        "repad_logits_with_grad", "sparse_pred_ignore_index", "sparse_prediction", "classifier_pooling",
        "causal_mask",
    )  # fmt: skip
    layer_norms = True
    norm_label = "LayerNorm (pre)"
    grouped = False

    vocab_size: Size = 50368
    hidden_size: Size = 768
    intermediate_size: Size = 1152
    num_hidden_layers: Layers = 22
    num_attention_heads: Size = 12
    hidden_act: str = named("gelu", "hidden_activation")
    max_position_embeddings: Tokens = 8192
    norm_bias_key: Flag = named(False, "norm_bias")
    attention_bias: Flag = False
    mlp_bias: Flag = False
    decoder_bias: Flag = True
    classifier_bias: Flag = False
    local_attention: Size | None = 128
    sliding_window: Size | None = None
    layer_types: list[str] | None = None
    global_attn_every_n_layers: Size = 3
    tie_word_embeddings: Flag = True

    def norm(self, name: str) -> Iterable[Tensor]:
        return layer_norm(name, self.hidden_size, bias=self.norm_bias_key)

    def windows(self) -> Sequence[int | None]:
        n, step = self.num_hidden_layers, self.global_attn_every_n_layers
        kinds = self.layer_types or [SLIDING if i % step else FULL for i in range(n)]
        # `local_attention` states both sides of an encoder's window, where a decoder looks back over one; a saved config states that too.
        half = self.local_attention // 2 if self.local_attention else None
        return attention_pattern(kinds, n, self.sliding_window if "sliding_window" in self.model_fields_set else half)

    def variants(self) -> Sequence[int]:
        # The embedding's norm stands for the first layer's.
        return [1] + [0] * (self.num_hidden_layers - 1)

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias, names = self.attention_bias, ("q_proj", "k_proj", "v_proj", "Wo")
        return self.gqa(bias=bias, output_bias=bias, window=window, names=names)

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, self.mlp_bias, "Wi", ("", "", "Wo"))

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        norms = (*(() if variant else self.norm("attn_norm")), *self.norm("mlp_norm"))
        return make_layer(self.attention(window, variant), self.dense(), norms, mixer_name="attn")

    def decoder_options(self) -> dict[str, Any]:
        return {
            "embed": "embeddings.tok_embeddings", "extra_embedding": self.norm("embeddings.norm"), "head": "decoder",
            "head_bias": self.decoder_bias, "final_norm": self.norm("final_norm"),
        }  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        a, h = super().architecture(prefix), self.hidden_size
        head = (*linear("lm_head.dense", h, h, "head", bias=self.classifier_bias), *self.norm("lm_head.norm"))
        return a._replace(groups=(*a.groups, Group("head", head)))
