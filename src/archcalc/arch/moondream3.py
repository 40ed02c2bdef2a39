"""Moondream 3: experts behind the first layers, attention beside the FFN, a scale for each head that token and place choose, and a ViT.

What points and draws boxes (`region`) is not counted.

Source: vLLM 0.33, models/moondream3.py and transformers_utils/configs/moondream3.py (defaults; configs hold the parts' keys in `config`,
which may be empty).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Layers, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, projector
from archcalc.model import Architecture, Tensor, stack


class Moondream3Vision(TowerSchema):
    """The vision tower of Moondream 3: SigLIP's layers over patches that a linear layer reads.
    Source: vLLM 0.33, models/moondream3.py (`Moondream3VisionEncoder`) and transformers_utils/configs/moondream3.py (defaults)."""

    inert_keys = ("max_crops", "overlap_margin", "in_channels", "proj_out_dim")

    hidden_size: Size = named(1152, "enc_dim")
    patch_size: Size = named(14, "enc_patch_size")
    num_hidden_layers: Layers = named(27, "enc_n_layers")
    intermediate_size: Size = named(4304, "enc_ff_dim")
    num_attention_heads: Size = named(16, "enc_n_heads")
    proj_inner_dim: Size = 8192
    image_size: Size = named(378, "crop_size")

    def tower(self, prefix: str) -> Pieces:
        h, heads, p = self.hidden_size, self.num_attention_heads, self.patch_size
        outside = (
            *linear("patch_emb", h, 3 * p * p, "embedding", bias=True),
            Tensor("pos_emb", (1, grid(self.image_size, p), h), "embedding"),
            *layer_norm("post_ln", h),
        )
        attention = GroupedQueryAttention(h, heads, heads, h // heads, True, True, fused="qkv", names=("", "", "", "proj"))
        norms = (*layer_norm("ln1", h), *layer_norm("ln2", h))
        layer = encoder_layer(attention, FeedForward(h, self.intermediate_size, "gelu_pytorch_tanh"), norms, attention_name="attn")
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class Schema(CompositeSchema):
    inert_keys = ("config", "tokenizer", "region")
    text_name = "text"
    ties = "text"

    text_config: Annotated[ConfigSchema, nested("moondream3_text", fixed=True), DEFAULT]
    vision_config: Annotated[Moondream3Vision, nested("moondream3_vision", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        held = config.get("config")
        parts = held if isinstance(held, Mapping) else {}
        return {**{f"{name}_config": parts[name] for name in ("text", "vision") if name in parts}, **config}

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        vision, hidden = self.vision_config, text.facts.hidden_size
        groups, stacks = vision.tower(f"{prefix}.vision")
        widths = (2 * vision.hidden_size, vision.proj_inner_dim, hidden)
        groups.append(group("vision", prefixed(f"{prefix}.vision.proj_mlp", projector(("fc1", "fc2"), widths))))
        return groups, stacks

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, "what points and draws boxes (region) is not counted"))
