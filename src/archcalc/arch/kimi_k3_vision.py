"""The vision tower of Kimi K3: MoonViT with RMSNorm, without biases, and attention wider than the layers.

Source: vLLM 0.33, models/kimi_k25_vit.py (`MoonViT3dPretrainedModel`, `KimiK25MultiModalProjector`: patchmergerv2) and
transformers_utils/configs/kimi_k3.py (defaults).
"""

from collections.abc import Iterator
from typing import Literal

from archcalc.arch import kimi_k25_vision
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Size, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer, patch_conv, projector
from archcalc.model import Tensor, stack


class Schema(kimi_k25_vision.Moonvit):
    inert_keys = (*kimi_k25_vision.Moonvit.inert_keys, "activation_func", "pos_emb_interpolation_mode")

    num_attention_heads: Size = named(12, "num_attention_heads", "vt_num_attention_heads")
    hidden_size: Size = named(1024, "hidden_size", "vt_hidden_size")
    intermediate_size: Size = named(4096, "intermediate_size", "vt_intermediate_size")
    qkv_hidden_size: Size = 1536
    norm_type: Literal["rmsnorm"] = "rmsnorm"
    mlp_type: Literal["mlp2"] = "mlp2"
    mm_projector_type: Literal["patchmergerv2"] = "patchmergerv2"
    attn_bias: Flag = False
    patch_embed_proj_bias: Flag = False
    linear_bias: Flag = False

    def tower(self, prefix: str) -> Pieces:
        h, heads, p = self.hidden_size, self.num_attention_heads, self.patch_size
        dim = divided(self.qkv_hidden_size, heads, "qkv_hidden_size", "vt_num_attention_heads")
        outside = [
            *patch_conv("patch_embed.proj", h, 3, p, p, bias=self.patch_embed_proj_bias),
            Tensor("patch_embed.pos_emb.weight", (self.pos_emb_height, self.pos_emb_width, h), "embedding"),
            rms_norm("encoder.final_layernorm", h),
        ]
        attention = GroupedQueryAttention(
            h, heads, heads, dim, self.attn_bias, self.attn_bias, fused="wqkv", names=("", "", "", "wo")
        )
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, self.linear_bias, ("mlp.fc0", "mlp.fc1"))
        layer = encoder_layer(attention, ffn, (rms_norm("norm0", h), rms_norm("norm1", h)), attention_name="", ffn_name="")
        layers = stack(join(prefix, "encoder.blocks"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def merged(self, hidden: int) -> Iterator[Tensor]:
        width = self.hidden_size * self.merge_kernel_size[0] * self.merge_kernel_size[1]
        yield from projector(("proj.0", "proj.2"), (width, width, hidden), bias=False)
        yield rms_norm("post_norm", hidden)
