"""BAGEL: Qwen 2.5 with norms of queries and keys and a second set of weights for what it draws, SigLIP for what it sees.

The VAE that turns latents into pictures stands in a file of its own, and is not counted; vLLM leaves out all that draws.

Source: ByteDance-Seed/Bagel, modeling/bagel/bagel.py (`Bagel`), modeling/bagel/modeling_utils.py (`MLPconnector`, `TimestepEmbedder`,
`PositionEmbedding`) and modeling/bagel/qwen2_navit.py (`Qwen2MoTDecoderLayer`); vLLM 0.33, models/bagel.py (the tower's last layer is not
in the checkpoint) and transformers_utils/configs/bagel.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AliasChoices, Field

from archcalc.arch import qwen2
from archcalc.arch._composite import CompositeSchema, Pieces, head_below
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch.siglip_vision_model import Schema as Siglip
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Layer, Tensor, stack

DRAWS = "Qwen2MoTDecoderLayer"


class BagelLlm(qwen2.Schema):
    """BAGEL's text model. Source: ByteDance-Seed/Bagel, modeling/bagel/qwen2_navit.py (`Qwen2MoTDecoderLayer`)."""

    qk_norm: Flag = True
    layer_module: str = "Qwen2DecoderLayer"

    def attention(self, window: int | None) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, True, window=window,
            qk_norm="head" if self.qk_norm else "none",
        )  # fmt: skip


class Vae(ConfigSchema):
    name = "bagel_vae"

    z_channels: Size = 16
    downsample: Size = 8


def drawing(layer: Layer) -> Layer:
    """The second set of a layer's weights."""

    def named(name: str) -> str:
        parts = name.split(".")
        at = 0 if parts[0] != "self_attn" else 1
        return ".".join((*parts[:at], f"{parts[at]}_moe_gen", *parts[at + 1 :]))

    return layer._replace(tensors=tuple(t._replace(name=named(t.name)) for t in layer.tensors), caches=())


class Schema(CompositeSchema):
    inert_keys = ("interpolate_pos", "timestep_shift", "connector_act")
    ties = "stated"

    text_config: Annotated[
        BagelLlm, nested("bagel_llm", fixed=True), Field(validation_alias=AliasChoices("llm_config", "text_config"))
    ]
    vit_config: Annotated[Siglip, nested("siglip_vision_model", fixed=True)]
    vae_config: Vae = Vae()
    visual_gen: Flag = True
    visual_und: Flag = True
    latent_patch_size: Size = 2
    max_latent_size: Size = 32
    vit_max_num_patch_per_side: Size = 70

    def text(self, prefix: str) -> Architecture:
        return head_below(self.text_config.architecture("language_model.model"), "language_model")

    def draws(self, hidden: int) -> Iterator[Tensor]:
        """Between latents of pictures and the text model."""
        latent = self.latent_patch_size**2 * self.vae_config.z_channels
        yield from linear("time_embedder.mlp.0", hidden, 256, "other", bias=True)
        yield from linear("time_embedder.mlp.2", hidden, hidden, "other", bias=True)
        yield from linear("vae2llm", hidden, latent, "other", bias=True)
        yield from linear("llm2vae", latent, hidden, "other", bias=True)
        yield Tensor("latent_pos_embed.pos_embed", (self.max_latent_size**2, hidden), "embedding")

    def sees(self, hidden: int) -> Pieces:
        vit = self.vit_config
        # The publisher's code builds one layer less than the config says.
        tower = vit.model_copy(update={"vision_use_head": False, "num_hidden_layers": max(vit.num_hidden_layers - 1, 1)})
        groups, stacks = tower.tower("vit_model.vision_model")
        others = (
            *linear("connector.fc1", hidden, vit.hidden_size, "other", bias=True),
            *linear("connector.fc2", hidden, hidden, "other", bias=True),
            Tensor("vit_pos_embed.pos_embed", (self.vit_max_num_patch_per_side**2, hidden), "embedding"),
        )
        return [*groups, group("vision", others)], stacks

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        hidden, module = text.facts.hidden_size, self.text_config.layer_module
        groups, stacks = self.sees(hidden) if self.visual_und else ([], [])
        if module not in ("Qwen2DecoderLayer", DRAWS):
            raise UnsupportedError(
                f"llm_config.layer_module is {json_text(module)}: only {DRAWS} and Qwen2DecoderLayer are known here"
            )
        if module == DRAWS:
            layers = [drawing(s.kinds[kind]) for s in text.stacks for kind in s.pattern]
            stacks = [*stacks, stack("language_model.model.layers", "other", layers)]
            groups = [*groups, group("other", [rms_norm("language_model.model.norm_moe_gen", hidden)])]
        return [*groups, group("other", self.draws(hidden) if self.visual_gen else ())], stacks
