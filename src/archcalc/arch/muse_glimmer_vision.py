"""The vision tower of Muse Glimmer: video patches, windows with every fourth layer full, learned and rotary positions.

Source: transformers 5.23, models/muse_glimmer/modeling_muse_glimmer.py (`MuseGlimmerVisionModel`) and configuration_muse_glimmer.py
(defaults, `layer_types`).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import stated, within
from archcalc.arch._schema import Layers, Size, TowerSchema, divided, per_layer
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table, vit_attention
from archcalc.errors import UnsupportedError
from archcalc.model import Encoder, Group, Stack, stack

WINDOW, FULL = "window_attention", "full_attention"


class Schema(TowerSchema):
    inert_keys = ("merge_size",)

    patch_size: Size = 14
    pos_emb_height: Size = 32
    pos_emb_width: Size = 32
    num_attention_heads: Size = 16
    num_hidden_layers: Layers = 50
    hidden_size: Size = 1536
    intermediate_size: Size = 8960
    hidden_act: str = "gelu"
    patch_temporal: Size = 2
    layer_types: list[str] | None = None

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, n = self.hidden_size, self.num_hidden_layers
        divided(h, self.num_attention_heads, "vision_config.hidden_size", "vision_config.num_attention_heads")
        kinds = self.layer_types or [FULL if (i + 1) % 4 == 0 or i == n - 1 else WINDOW for i in range(n)]
        if unknown := set(per_layer(kinds, n, "vision_config.layer_types")) - {WINDOW, FULL}:
            raise UnsupportedError(f'vision_config.layer_types holds "{min(unknown)}": only {WINDOW} and {FULL} are known here')
        norms = (*layer_norm("norm1", h), *layer_norm("norm2", h))
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act)
        attention = vit_attention(h, self.num_attention_heads, names=("q_proj", "k_proj", "v_proj", "proj"))
        layer = encoder_layer(attention, ffn, norms, attention_name="attn")
        # A window is as many patches as the position table has.
        seen = {FULL: None, WINDOW: self.pos_emb_height**2}
        by_kind = {k: layer._replace(attends=tuple(a._replace(window=seen[k]) for a in layer.attends)) for k in (FULL, WINDOW)}
        outside = [
            *linear("patch_embedder.patch_embedding", h, self.patch_temporal * 3 * self.patch_size**2, "embedding"),
            table("patch_embedder.position_embedding_table", self.pos_emb_height * self.pos_emb_width, h),
            *layer_norm("ln_pre", h),
            *layer_norm("ln_post", h),
        ]
        layers = stack(join(prefix, "layers"), "vision", [by_kind[kind] for kind in kinds])
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of as many tokens as the processor allows."""
        source = "transformers 5.24, models/muse_glimmer/image_processing_muse_glimmer.py `max_image_tokens`"
        return within(self, 4096, stated(self, "merge_size", 2), source, frames=self.patch_temporal, rotated=True)
