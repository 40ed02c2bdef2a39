"""SeamlessM4T: NLLB's encoder and decoder, a conformer that hears, and a second encoder-decoder whose units a vocoder speaks.

Which of these a class has is `architectures`' to say: SeamlessM4TModel has all.

Source: transformers 5.24, models/seamless_m4t/modeling_seamless_m4t.py (`SeamlessM4TModel` and its five tasks) and
configuration_seamless_m4t.py (defaults); Seamless Communication 2023, arXiv:2308.11596.
"""

from collections.abc import Iterator

from archcalc.arch._schema import Size
from archcalc.arch._seamless import SeamlessSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Stack, Tensor, stack


class Schema(SeamlessSchema):
    """The first version is the base."""


class SeamlessM4tV2(SeamlessSchema):
    """SeamlessM4T v2: distances in a short table, and a decoder of units that makes all of them at once.
    Source: transformers 5.24, models/seamless_m4t_v2/modeling_seamless_m4t_v2.py and configuration_seamless_m4t_v2.py (defaults);
    Seamless Communication 2023, arXiv:2312.05187."""

    char_vocab_size: Size = 10943
    max_position_embeddings: Size = 4096
    position_embeddings_type: str | None = "relative_key"
    left_max_position_embeddings: Size = 64
    right_max_position_embeddings: Size = 8
    t2u_variance_predictor_embed_dim: Size = 1024
    t2u_variance_predictor_hidden_dim: Size = 256
    t2u_variance_predictor_kernel_size: Size = 3

    def positions(self, heads: int) -> Iterator[Tensor]:
        if self.position_embeddings_type == "relative_key":
            rows = self.left_max_position_embeddings + self.right_max_position_embeddings + 1
            yield Tensor("distance_embedding.weight", (rows, self.hidden_size // heads), "attention")

    def conv_norm(self) -> Iterator[Tensor]:
        return layer_norm("depthwise_layer_norm", self.hidden_size)

    def unit_decoder(self, root: str) -> tuple[list[Tensor], Stack]:
        h = self.hidden_size
        extra = [t for name in ("self_attn_layer_norm", "conv_layer_norm") for t in layer_norm(name, h)]
        for name in ("conv1", "conv2"):
            extra += conv(name, h, h, 7, role="mlp")
        layer = encoder_layer(self.attention(self.t2u_decoder_attention_heads), FeedForward(h, h), extra, ffn_name="ffn")
        layer = layer._replace(
            tensors=tuple(t for t in layer.tensors if not t.name.startswith("ffn.")), ffn="two convolutions of 7"
        )
        outside = (
            Tensor("pos_emb_alpha_char", (1,), "other"),
            Tensor("pos_emb_alpha", (1,), "other"),
            Tensor("embed_char.weight", (self.char_vocab_size, h), "embedding"),
            *layer_norm("layer_norm", h),
            *self.predictor(
                "duration_predictor", self.t2u_variance_predictor_embed_dim, self.t2u_variance_predictor_hidden_dim,
                self.t2u_variance_predictor_kernel_size,
            ),
        )  # fmt: skip
        return [*prefixed(root, outside)], stack(f"{root}.layers", "other", [layer] * self.t2u_decoder_layers)
