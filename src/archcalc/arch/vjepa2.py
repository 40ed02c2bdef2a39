"""V-JEPA 2: a ViT over tubes of a video, and a narrower one that predicts what is masked in its features.

Source: transformers 5.24, models/vjepa2/modeling_vjepa2.py (`VJEPA2Model`, `VJEPA2ForVideoClassification`) and configuration_vjepa2.py
(defaults; positions are rotary); Assran et al. 2025, arXiv:2506.09985.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.arch._vit import ImageSchema, below
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import clip_layer, encoder_layer, head_width, patch_conv
from archcalc.model import Encoder, Layer, Tensor, stack


class Schema(ImageSchema):
    root = "vjepa2"
    inert_keys = ("crop_size", "frames_per_clip", "drop_path_rate", "image_size")

    patch_size: Size = 16
    tubelet_size: Size = 2
    hidden_size: Size = 1024
    in_chans: Size = 3
    num_attention_heads: Size = 16
    num_hidden_layers: Layers = 24
    mlp_ratio: float = 4.0
    qkv_bias: Flag = True
    hidden_act: str = "gelu"
    num_pooler_layers: Layers = 3
    pred_hidden_size: Size = 384
    pred_num_attention_heads: Size = 12
    pred_num_hidden_layers: Layers = 12
    pred_num_mask_tokens: Size = 10
    pred_mlp_ratio: float = 4.0

    def layer(self, h: int, heads: int, ratio: float) -> Layer:
        names = ("query", "key", "value", "proj")
        attention = GroupedQueryAttention(h, heads, heads, head_width(h, heads), self.qkv_bias, True, names=names)
        norms = (*layer_norm("norm1", h), *layer_norm("norm2", h))
        return encoder_layer(attention, FeedForward(h, int(h * ratio), self.hidden_act), norms, attention_name="attention")

    def outside(self) -> Iterator[Tensor]:
        h, small, patch = self.hidden_size, self.pred_hidden_size, self.patch_size
        yield from patch_conv("encoder.embeddings.patch_embeddings.proj", h, self.in_chans, self.tubelet_size, patch, patch)
        yield from layer_norm("encoder.layernorm", h)
        yield Tensor("predictor.embeddings.mask_tokens", (self.pred_num_mask_tokens, 1, 1, small), "embedding")
        yield from linear("predictor.embeddings.predictor_embeddings", small, h, "other", bias=True)
        yield from layer_norm("predictor.layernorm", small)
        yield from linear("predictor.proj", h, small, "other", bias=True)

    def body(self, prefix: str, named: str) -> Pieces:
        width = self.layer(self.hidden_size, self.num_attention_heads, self.mlp_ratio)
        small = self.layer(self.pred_hidden_size, self.pred_num_attention_heads, self.pred_mlp_ratio)
        stacks = [
            stack(join(prefix, "encoder.layer"), "vision", [width] * self.num_hidden_layers),
            stack(join(prefix, "predictor.layer"), "vision", [small] * self.pred_num_hidden_layers),
        ]
        return [group("vision", below(prefix, self.outside()))], stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForVideoClassification"):
            return super().head_of(name)
        h = self.hidden_size
        layer = clip_layer(h, self.num_attention_heads, 4 * h, self.hidden_act)  # whatever mlp_ratio is
        crossing = (t._replace(name=t.name.replace("self_attn", "cross_attn")) for t in layer.tensors if "out_proj" not in t.name)
        return (
            Tensor("pooler.query_tokens", (1, 1, h), "head"),
            *prefixed("pooler.cross_attention_layer", crossing),
            *(t for i in range(self.num_pooler_layers) for t in prefixed(f"pooler.self_attention_layers.{i}", layer.tensors)),
            *(super().head_of(name) or ()),
        )

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
