"""The vision tower of Pix2Struct: flattened patches with embeddings of their row and column, T5's norm and gated FFN.

Source: transformers 5.23, models/pix2struct/modeling_pix2struct.py (`Pix2StructVisionModel`) and configuration_pix2struct.py (defaults).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import encoder
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Encoder, stack


class Schema(TowerSchema):
    inert_keys = (
        "relative_attention_num_buckets", "relative_attention_max_distance", "projection_dim", "image_size", "patch_size",
        "num_channels",
    )  # fmt: skip

    hidden_size: Size = 768
    patch_embed_hidden_size: Size = 768
    d_ff: Size = 2048
    d_kv: Size = 64
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    dense_act_fn: str = "gelu_new"
    seq_len: Size = 4096

    def tower(self, prefix: str) -> Pieces:
        h, n = self.hidden_size, self.num_attention_heads
        outside = [
            *linear("embeddings.patch_projection", h, self.patch_embed_hidden_size, "embedding", bias=True),
            table("embeddings.row_embedder", self.seq_len, h),
            table("embeddings.column_embedder", self.seq_len, h),
            rms_norm("layernorm", h),
        ]
        layer = encoder_layer(
            GroupedQueryAttention(h, n, n, self.d_kv, names=("query", "key", "value", "output")),
            GatedFeedForward(h, self.d_ff, self.dense_act_fn, names=("wi_0", "wi_1", "wo")),
            (rms_norm("pre_mlp_layer_norm", h), rms_norm("pre_attention_layer_norm", h)),
            attention_name="attention",
        )
        layers = stack(join(prefix, "encoder.layer"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of as many patches as there are positions."""
        return (encoder(self, self.seq_len, self.seq_len, self.patch_embed_hidden_size, "the config's seq_len"),)


class Kosmos25VisionModel(Schema):
    """The vision tower of Kosmos-2.5: Pix2Struct's.
    Source: transformers 5.23, models/kosmos2_5/modeling_kosmos2_5.py (`Kosmos2_5VisionModel`) and configuration_kosmos2_5.py (defaults).
    """

    hidden_size: Size = 1536
    d_ff: Size = named(3968, "intermediate_size")
    d_kv: Size = named(64, "head_dim")
    num_hidden_layers: Layers = 18
    num_attention_heads: Size = 24
    seq_len: Size = named(4096, "max_num_patches")
