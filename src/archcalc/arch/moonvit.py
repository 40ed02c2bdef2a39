"""MoonViT, the vision tower of Kimi-VL, under its publisher's names: a learned grid of positions beside rotary ones.

Source: moonshotai/Kimi-VL-A3B-Instruct, modeling_kimi_vl.py (`MoonVitPretrainedModel`); vLLM 0.33, models/moonvit.py and
transformers_utils/configs/moonvit.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import kimi_k25_vision
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv, projector
from archcalc.model import Tensor, stack


class Schema(kimi_k25_vision.Schema):
    def tower(self, prefix: str) -> Pieces:
        h, heads, p = self.hidden_size, self.num_attention_heads, self.patch_size
        outside = [
            *patch_conv("patch_embed.proj", h, 3, p, p),
            Tensor("patch_embed.pos_emb.weight", (self.pos_emb_height, self.pos_emb_width, h), "embedding"),
            *layer_norm("encoder.final_layernorm", h),
        ]
        attention = GroupedQueryAttention(h, heads, heads, head_width(h, heads), True, True, fused="wqkv", names=("", "", "", "wo"))
        ffn = prefixed("mlp", FeedForward(h, self.intermediate_size, self.hidden_act, names=("fc0", "fc1")).tensors())
        layer = encoder_layer(
            attention, FeedForward(h, self.intermediate_size, self.hidden_act), (*layer_norm("norm0", h), *layer_norm("norm1", h)),
            attention_name="",
        )  # fmt: skip
        kept = tuple(t for t in layer.tensors if not t.name.startswith("mlp."))
        layer = layer._replace(tensors=(*kept, *ffn))
        layers = stack(join(prefix, "encoder.blocks"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def merged(self, hidden: int) -> Iterator[Tensor]:
        """Into a text model of this width: a norm over each patch, then two layers over those that are merged."""
        width = self.hidden_size * self.merge_kernel_size[0] * self.merge_kernel_size[1]
        yield from layer_norm("pre_norm", self.hidden_size)
        yield from projector(("linear_1", "linear_2"), (width, width, hidden))
